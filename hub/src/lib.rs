#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

// In reading order, lowest first; `tests/layering.rs` holds who may name whom.
mod message;
mod names;
mod wire_types;

pub mod protocol;

pub use message::{Completion, HubMessage, Invocation};
pub use wire_types::{Binary, Timestamp, TimestampError};
