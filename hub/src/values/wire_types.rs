//! Types that cross the wire as .NET's do.
//!
//! Each is text to a human-readable serializer and native to any other, and a newtype of one of the
//! names in [`native`](crate::protocol::value::native).

mod binary;
mod enumeration;
mod timestamp;

#[cfg(test)]
mod tests;

pub use binary::Binary;
pub use enumeration::Enumeration;
pub use timestamp::{Timestamp, TimestampError};
