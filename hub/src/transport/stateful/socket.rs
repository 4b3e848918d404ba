//! The one socket that a connection has at a time.

use std::task::{Context, Poll};

use bytes::Bytes;
use raw_ws::{CapacityError, CloseCode, Error, Message, Utf8Bytes, WebSocket};

use crate::counted::sent::Outgoing;
use crate::{events, protocol::TransferFormat};

/// A socket that takes nothing but what was counted, [`Outgoing`]; before the hub handshake also what
/// an [`Uncounted`] allows.
pub(super) struct Socket(WebSocket);

/// The right to write what nobody counts. There is one for each connection, and it is given up when
/// counting begins.
pub(super) struct Uncounted(());

/// What came of a socket.
pub(super) enum Heard {
    Bytes(Bytes),
    /// It ended without a closing handshake (SR-12).
    Lost,
    /// It ended for good: with one, or with an offence (SR-14).
    Over,
}

impl Socket {
    /// The first socket of a connection.
    pub(super) fn first(ws: WebSocket) -> (Self, Uncounted) {
        (Self(ws), Uncounted(()))
    }

    /// Any later one.
    pub(super) fn next(ws: WebSocket) -> Self {
        Self(ws)
    }

    /// A socket that is closing takes nothing, and that is found out when it is read.
    pub(super) fn write(&mut self, outgoing: Outgoing) {
        let (format, bytes) = outgoing.into_parts();
        let message = match format {
            TransferFormat::Binary => Message::Binary(bytes),
            TransferFormat::Text => match Utf8Bytes::try_from(bytes) {
                Ok(text) => Message::Text(text),
                Err(_) => return, // never: it was encoded here
            },
        };
        let _ = self.0.feed(message);
    }

    /// Before the hub handshake, and where the client's version does not count.
    pub(super) fn pass(&mut self, message: Message, _: &Uncounted) {
        let _ = self.0.feed(message);
    }

    pub(super) fn client_pings(&mut self) {
        self.0.stop_keep_alive();
    }

    pub(super) fn unwritten(&self) -> usize {
        self.0.unwritten()
    }

    pub(super) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Heard> {
        self.0.poll_recv(cx).map(|received| match received {
            Ok(Some(message)) => Heard::Bytes(message.into_bytes()),
            Ok(None) => Heard::Over,
            Err(error) => ended(&error),
        })
    }

    /// Writes, and reads nothing.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Heard> {
        match self.0.poll_flush(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(ended(&error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
        }
    }

    /// Whether all was written, and not lost.
    pub(super) fn poll_flushed(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        self.0.poll_flush(cx).map(|flushed| flushed.is_ok())
    }

    pub(super) async fn close(mut self, code: CloseCode) {
        // Over before the handshake is complete: nothing more can be done for this client.
        let _ = self.0.close(code, "").await;
    }
}

fn ended(error: &Error) -> Heard {
    events::transport_failed(error);
    match error {
        // C-17: it may be the way to the client that takes nothing, or is dark.
        Error::Io(_) | Error::Capacity(CapacityError::SlowConsumer | CapacityError::PeerSilent) => {
            Heard::Lost
        }
        _ => Heard::Over,
    }
}
