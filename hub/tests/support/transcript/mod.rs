//! The recorded conversations of `tests/transcripts` as data: their format, and how what a server
//! says is compared with them. Nothing here opens a socket or knows a clock, so that a replay over
//! TCP and one straight into the session read the same files in the same way.

mod action;
mod dialogue;
mod hex;
mod messages;
mod names;
mod pattern;
mod scenario;
mod show;
mod values;

pub(crate) use action::{Action, Answer, Expected, Opening, Request, Sending, Window};
pub(crate) use dialogue::Dialogue;
pub(crate) use hex::Hex;
pub(crate) use messages::Messages;
pub(crate) use names::{Body, Names};
pub(crate) use scenario::{Encoding, Scenario, Transport, all};
pub(crate) use show::hex_shown;
