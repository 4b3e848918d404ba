//! permessage-deflate, RFC 7692: what is agreed in the opening handshake, and the two streams.
//!
//! It may import `vocabulary` alone. Begin with [`negotiation`]; the machine in
//! [`proto`](crate::proto) inflates and deflates with it.

mod negotiation;
mod streams;

pub use negotiation::{Deflate, Negotiated};
pub(crate) use streams::{Deflater, Inflater, deflate_alone};
