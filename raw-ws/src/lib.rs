//! Bare metal.

mod buffers;
mod close;
mod config;
mod connections;
#[cfg(feature = "deflate")]
mod deflate;
mod error;
mod events;
mod farewell;
mod frame;
mod mask;
mod message;
mod origins;
mod outbound;
pub mod proto;
mod sender;
#[cfg(feature = "serve")]
mod serve;
mod socket;
mod topics;
mod upgrade;
mod upgraded;
mod utf8;
pub mod wire;

pub use close::{CloseCode, CloseFrame};
pub use config::Config;
pub use connections::Connections;
#[cfg(feature = "deflate")]
pub use deflate::{Deflate, Negotiated};
pub use error::{ApiMisuse, CapacityError, Error, HandshakeError, ProtocolError, Result};
pub use frame::{Frame, OpCode};
pub use mask::mask;
pub use message::{Message, MessageKind};
pub use origins::{InvalidOrigin, Origins};
pub use sender::{PreparedMessage, SendError, Sender};
#[cfg(feature = "serve")]
pub use serve::{Serve, ServeConfig, serve};
pub use socket::WebSocket;
pub use topics::Topics;
pub use upgrade::{Outcome, Upgrade};
pub use upgraded::{Stream, Upgraded};
pub use utf8::Utf8Bytes;
