//! The WebSocket protocol as a machine: bytes and an `Instant` in, events and bytes out. It names
//! no socket, no task, no clock and no random source, so it runs on any runtime and under
//! simulated time. [`WebSocket`](crate::WebSocket) is a thin driver around it.
//!
//! ```text
//!            close(), or a violation              the peer's Close
//!   Open ───────────────────────────▶ Closing ─────────────────────▶ Closed
//!     └──────────────── the peer's Close (answered) ────────────────▶
//! ```
//!
//! A [`Connection`] has four kinds of methods. *Inputs* are `handle_*`: bytes, the end of the
//! bytes, the passing of time. *Commands* are plain verbs: `send`, `send_frame`, `close`.
//! *Outputs* are `poll_*`: what to write, and when to come back. The rest only looks.
//! After an input or a command, write what [`Connection::poll_transmit`] has and sleep until
//! [`Connection::poll_timeout`].
//!
//! ```
//! use std::{sync::Arc, time::Instant};
//! use bytes::BytesMut;
//! use raw_ws::{Config, Message, proto::{Connection, Event, Role}};
//!
//! let config = Arc::new(Config::new());
//! let now = Instant::now();
//! let mut client = Connection::new(Role::Client { masking_key: || [7, 1, 8, 2] }, config.clone(), now);
//! let mut server = Connection::new(Role::Server, config, now);
//!
//! client.send("hello".into()).unwrap();
//! let mut wire = BytesMut::new();
//! client.transmit_into(&mut wire);
//! let event = server.handle_input(&mut wire, now).unwrap();
//! assert_eq!(event, Some(Event::Message(Message::text("hello"))));
//! ```

// It may import `vocabulary` and `deflate`. Begin with `connection`, whose states these are; what
// drives it is `socket`.

mod assembler;
pub(crate) mod buffers;
pub(crate) mod config;
mod connection;
mod keep_alive;
mod output;
mod reader;
mod writer;

#[cfg(test)]
mod tests;

pub use connection::{Connection, Event, Role, State};
pub use writer::SLICES;
