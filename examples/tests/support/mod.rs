//! A client that can do illegal things, the servers it talks to, and what it says to them.

mod better;
mod client;
mod conversations;
mod frames;
mod servers;

pub(crate) use better::{BETTER, Better, KEEP_ALIVE, KEPT_ALIVE_OURS, KEPT_ALIVE_THEIRS};
pub(crate) use client::{play, play_with_a_library, silence};
pub(crate) use conversations::conversations;
pub(crate) use servers::{Servers, theirs};
