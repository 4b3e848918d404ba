//! permessage-deflate, RFC 7692: what is agreed in the opening handshake, and the two streams.

mod negotiation;
mod streams;

pub use negotiation::{Deflate, Negotiated};
pub(crate) use streams::{Deflater, Inflater, deflate_alone};
