//! Hostile peers: what a server must bear, row by row of the catalogue of hostile inputs (the
//! number in a test's name), and the limits at their edge (L1 to L9).
//!
//! Each row runs against a server of its own with a healthy neighbour: a connection that must be
//! answered before, during and after. In the end every place must be free again.
//!
//! Rows that are not here, and why:
//! - 14 (random loss), 18 (`ss -K` on all sockets), 19 (interface down): need the network
//!   administration of a namespace. 15 and 16 (black holes) are here as peers that stay connected
//!   and do nothing, which is all that a server can see of one.
//! - 40 in part (cookies), 41 (CORS of negotiate), 44 (tokens in logs), 48 (invalid tokens), and 20
//!   (coming back from another address): the hub's, where tokens are.
//! - 78 (memory of a thousand windows): a load test. By default no window outlives its message.
//! - 79 (Autobahn): a program of its own.

mod closing;
mod deflate;
mod early;
mod frames;
mod http;
mod keep_alive;
#[path = "../support/lateness.rs"]
mod lateness;
mod limits;
mod panics;
mod proxies;
mod slow;
mod stop;
mod support;
mod tcp;
mod wire;
mod work;
