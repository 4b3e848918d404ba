//! Server-sent events and long polling, rule by rule (`SPEC.md`, sections 2 to 7): what the recorded
//! conversations do not show. Most of it in simulated time.

mod connections;
mod events;
mod hostile;
mod origins;
mod polls;
mod posts;
mod stress;
pub(crate) mod support;
