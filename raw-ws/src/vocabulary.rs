//! The terms of RFC 6455 as types: opcodes and frames, messages, Close codes, masking, UTF-8, and
//! what can go wrong.
//!
//! Plain data and pure functions: it imports nothing of this crate. Begin with [`frame`]; the next
//! floor is [`proto`](crate::proto), the protocol as a machine.

pub(crate) mod close;
pub(crate) mod error;
pub(crate) mod frame;
pub(crate) mod mask;
pub(crate) mod message;
pub(crate) mod utf8;
