#![doc = include_str!("../README.md")]

// In reading order, lowest first; `tests/suite/layering.rs` holds who may name whom.
mod buffers;
mod close;
mod error;
mod mask;
mod utf8;

mod config;
#[cfg(feature = "deflate")]
mod deflate;
mod events;
mod frame;
mod message;

pub mod proto;

mod tcp;

mod upgraded;

mod outbound;

mod farewell;
mod sender;

mod ack_deadline;
mod body_limit;
mod connections;
mod mailbox;
mod origins;
mod remote;
mod socket;
mod topics;

mod upgrade;

#[cfg(feature = "serve")]
mod serve;
pub mod wire;

pub use ack_deadline::AckDeadline;
pub use body_limit::BodyLimit;
pub use close::{CloseCode, CloseFrame};
pub use config::{CloseAnswer, Config};
pub use connections::Connections;
#[cfg(feature = "deflate")]
pub use deflate::{Deflate, Negotiated};
pub use error::{ApiMisuse, CapacityError, Error, HandshakeError, ProtocolError, Result};
pub use frame::{Frame, OpCode};
pub use mailbox::Mailbox;
pub use mask::mask;
pub use message::{Message, MessageKind};
pub use origins::{ForeignOrigin, InvalidOrigin, Origins};
pub use remote::Remote;
pub use sender::{PreparedMessage, SendError, Sender};
#[cfg(feature = "serve")]
pub use serve::{ForwardedHeaders, InvalidNetwork, Network, Serve, ServeConfig, listen, serve};
pub use socket::WebSocket;
pub use topics::Topics;
pub use upgrade::{Outcome, Upgrade};
pub use upgraded::{Stream, Upgraded};
pub use utf8::Utf8Bytes;
