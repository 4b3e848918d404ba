//! Types that cross the wire as .NET's do.
//!
//! Each is text to a human-readable serializer and native to any other, and a newtype of a name
//! that [`names`](crate::names) knows: it lets rmp-serde write them itself.

mod binary;
mod enumeration;
mod timestamp;

#[cfg(test)]
mod tests;

pub use binary::Binary;
pub use enumeration::Enumeration;
pub use timestamp::{Timestamp, TimestampError};

/// Whether a newtype of that name is one of ours.
pub(crate) fn is_native(name: &str) -> bool {
    [binary::NAME, enumeration::NAME, timestamp::NAME].contains(&name)
}
