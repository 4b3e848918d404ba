//! What a server puts into the extensions of a request, for those who answer it: who asks, and
//! which of the server's limits the answer may move.
//!
//! It imports nothing of this crate: the hub reads these without the server. Begin with
//! [`remote`]; [`serve`](crate::serve) sets all three.

pub(crate) mod ack_deadline;
pub(crate) mod body_limit;
pub(crate) mod remote;
