//! Replays recorded conversations: `tests/transcripts/README.md` tells their format. The server may
//! be another process or stand in this one; what is sent and what must come is the same.

mod address;
mod answer;
mod connection;
mod events;
mod polling;
mod run;
mod selection;
mod websocket;
mod wire;

pub(crate) use address::Address;
pub(crate) use run::replay;
pub(crate) use selection::{Differences, Skipped, chosen};
