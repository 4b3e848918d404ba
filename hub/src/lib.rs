#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

// In reading order, lowest first; `tests/layering.rs` holds who may name whom.
mod message;
mod names;

pub mod protocol;

pub use message::{Completion, HubMessage, Invocation};
