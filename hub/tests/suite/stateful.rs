//! Stateful reconnect on the wire, rule by rule (spec section 22) and row by row (`reliability.md`,
//! section 3.10): what a client sees that loses its socket and comes back. In simulated time.

mod bounds;
mod hostile;
mod rules;
mod seats;
mod support;
