//! A small binary protocol on WebSocket messages: calls, streams and topics, by number.
//!
//! One binary message is one packet: eight bytes of header, then the application's bytes.
//! `PROTOCOL.md` beside this crate's README specifies it for clients in other languages.
//!
//! ```
//! use bytes::Bytes;
//! use raw_ws::wire::{Context, Server, WireError};
//!
//! async fn shout(_: Context, text: Bytes) -> Result<Bytes, WireError> {
//!     if text.is_empty() {
//!         return Err(WireError::bad_request("nothing to shout"));
//!     }
//!     Ok(text.to_ascii_uppercase().into())
//! }
//!
//! let server = Server::new().operation(1, shout).topics();
//! // in an axum handler: server.serve(upgrade)
//! # let _ = server;
//! ```

// The top floor, on what every user of this crate has: `upgrade` and `socket` below it. Begin with
// `packet`, then `server`.

#[cfg(feature = "client")]
mod client;
mod packet;
mod server;

#[cfg(feature = "client")]
#[cfg_attr(docsrs, doc(cfg(feature = "client")))]
pub use client::{Client, ClientError, Events, Items};
pub use packet::{MalformedPacket, Packet, WireError};
pub use server::{Context, Server};

use crate::vocabulary::close::CloseCode;

/// 4400: a packet that breaks this protocol.
pub const MALFORMED_PACKET: CloseCode = CloseCode::new(4400);
