//! The types that have a form of their own in MessagePack, by the names under which serde meets
//! them: each is a newtype, and the adaptor in [`names`](super::names) steps aside for it, so that
//! it sees rmp-serde itself.

pub(crate) const BINARY: &str = "hub::Binary";
pub(crate) const ENUMERATION: &str = "hub::Enumeration";
pub(crate) const TIMESTAMP: &str = "hub::Timestamp";

/// Whether a newtype of that name is one of them.
pub(super) fn is_native(name: &str) -> bool {
    [BINARY, ENUMERATION, TIMESTAMP].contains(&name)
}
