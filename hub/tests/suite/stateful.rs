//! Stateful reconnect on the wire, rule by rule (`SPEC.md`, section 22) and row by row: what
//! a client sees that loses its socket and comes back. In simulated time.

mod bounds;
mod hostile;
mod rules;
mod seats;
pub(crate) mod support;
