//! Who a connection is: its ids, its user, and the request that it came with.
//!
//! It may import `values` alone, for a user's times. Begin with [`connection_id`], the public name
//! and the secret of a connection; the next floor is [`options`](crate::options).

pub(crate) mod connection_id;
pub(crate) mod query;
pub(crate) mod request;
pub(crate) mod user;
