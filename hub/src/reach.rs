//! Who is connected, and how to reach them: one, some, a group, a user, everybody.
//!
//! It may import what a connection is (`identity`, `protocol`, `options`) and sends through
//! `raw_ws`; it knows no method and no transport. Begin with [`live`], a connection as others see
//! it, then [`registry`], where all of them are found; the next floor is
//! [`methods`](crate::methods).

pub(crate) mod arrivals;
pub(crate) mod call;
pub(crate) mod client_results;
pub(crate) mod clients;
pub(crate) mod cluster;
pub(crate) mod connections;
pub(crate) mod goodbye;
pub(crate) mod groups;
pub(crate) mod hold;
pub(crate) mod in_touch;
pub(crate) mod live;
pub(crate) mod presence;
pub(crate) mod registry;
pub(crate) mod selections;
pub(crate) mod servers;
pub(crate) mod stopping;
pub(crate) mod tokens_elsewhere;
