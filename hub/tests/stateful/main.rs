//! Stateful reconnect on the wire, rule by rule (spec section 22) and row by row (`reliability.md`,
//! section 3.10): what a client sees that loses its socket and comes back. In simulated time.
#![allow(missing_docs)]

mod bounds;
mod hostile;
#[path = "../support/live/mod.rs"]
mod live;
mod rules;
mod seats;
mod support;
