//! What both ends of a stateful reconnect count: which messages have come, and which were sent and
//! are not acknowledged (`SPEC.md`, section 22). No I/O, no clock.

pub(crate) mod arrived;
pub(crate) mod sent;
