#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

// In reading order, lowest first; `tests/suite/layering.rs` holds who may name whom.
#[doc(hidden)]
pub mod clock;
mod setters;
#[doc(hidden)]
pub mod sync;
mod vocabulary;

#[cfg(feature = "deflate")]
mod deflate;
mod events;
mod extensions;
mod stream;

pub mod proto;

mod outbound;

mod socket;

mod upgrade;

#[cfg(feature = "serve")]
mod serve;
pub mod wire;

#[cfg(feature = "deflate")]
#[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
pub use deflate::{Deflate, Negotiated};
pub use extensions::{ack_deadline::AckDeadline, body_limit::BodyLimit, remote::Remote};
pub use outbound::{
    connections::Connections,
    mailbox::Mailbox,
    sender::{PreparedMessage, SendError, Sender},
    topics::Topics,
};
pub use proto::config::{CloseAnswer, Config};
#[cfg(feature = "serve")]
#[cfg_attr(docsrs, doc(cfg(feature = "serve")))]
pub use serve::{ForwardedHeaders, InvalidNetwork, Network, Serve, ServeConfig, listen, serve};
pub use socket::WebSocket;
pub use stream::upgraded::{ByteStream, Upgraded};
#[doc(hidden)]
pub use upgrade::layers::__of_layers;
pub use upgrade::{
    Outcome, Upgrade,
    origins::{ForeignOrigin, InvalidOrigin, Origins},
};
pub use vocabulary::{
    close::{CloseCode, CloseFrame},
    error::{ApiMisuse, CapacityError, Error, HandshakeError, ProtocolError, Result},
    frame::{Frame, OpCode},
    mask::mask,
    message::{Message, MessageKind},
    utf8::Utf8Bytes,
};
