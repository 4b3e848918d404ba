//! Driving a connection from a poll function, where nothing can be awaited, and feeding it from a
//! buffer of one's own.

use std::task::{Context, Poll};

#[cfg(doc)]
use crate::vocabulary::error::ApiMisuse;
use crate::{
    socket::WebSocket,
    stream::upgraded::ByteStream,
    vocabulary::{
        close::{CloseCode, CloseFrame},
        error::Result,
        message::MessageKind,
        utf8::Utf8Bytes,
    },
};

impl<S: ByteStream> WebSocket<S> {
    /// Queues a copy of a message, as [`Sender::feed`](crate::Sender::feed) does, and without its lock: for the connection's
    /// own task where it has the message in a buffer of its own. It is written with the next
    /// [`recv`](Self::recv) or [`flush`](Self::flush), in order with all that was sent and fed before.
    ///
    /// No limit bounds what is fed so. Look at [`unwritten`](Self::unwritten), and read nothing more
    /// while it is high. Text must be UTF-8, which is not checked.
    ///
    /// # Errors
    /// [`ApiMisuse`] after a Close or inside a fragmented message.
    ///
    /// ```
    /// use raw_ws::MessageKind;
    /// # async fn run(mut ws: raw_ws::WebSocket) -> raw_ws::Result<()> {
    /// ws.feed_copy(MessageKind::Text, b"one")?;
    /// ws.feed_copy(MessageKind::Text, b"two")?;
    /// assert_eq!(ws.unwritten(), 10); // with two bytes of header each
    /// ws.flush().await?; // one write
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn feed_copy(&mut self, kind: MessageKind, payload: &[u8]) -> Result<()> {
        debug_assert!(kind == MessageKind::Binary || std::str::from_utf8(payload).is_ok());
        self.inner.feed(|proto| proto.send_copy(kind, payload))
    }

    /// Polls until everything that was fed, and the queue of this connection's senders, is
    /// written, as [`flush`](Self::flush) does. `Pending` while the peer takes nothing; the task
    /// is woken when it does.
    ///
    /// [`poll_recv`](Self::poll_recv) writes too. This is for a driver that has stopped reading
    /// until the peer catches up.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    ///
    /// ```
    /// # async fn run(mut ws: raw_ws::WebSocket) -> raw_ws::Result<()> {
    /// ws.feed("one")?;
    /// ws.sender().send("two").unwrap();
    /// std::future::poll_fn(|cx| ws.poll_flush(cx)).await?; // in this order
    /// assert_eq!(ws.unwritten() + ws.sender().queued_bytes(), 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.inner.poll_flush(cx)
    }

    /// Begins the closing handshake that [`close`](Self::close) runs whole: queues a Close behind
    /// what was sent before. Go on with [`recv`](Self::recv) or [`poll_recv`](Self::poll_recv)
    /// until it gives `None`, at most `close_timeout` later; messages that still arrive are
    /// discarded. Without effect when a Close was sent already.
    ///
    /// # Errors
    /// [`ApiMisuse`] for a code that must not be sent or a reason over 123 bytes.
    ///
    /// ```
    /// use raw_ws::{CloseCode, proto::State};
    /// # async fn run(mut ws: raw_ws::WebSocket) -> raw_ws::Result<()> {
    /// ws.start_close(CloseCode::NORMAL, "bye")?;
    /// assert_eq!(ws.state(), State::Closing);
    /// let end = std::future::poll_fn(|cx| ws.poll_recv(cx)).await?;
    /// assert_eq!(end, None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_close(&mut self, code: CloseCode, reason: impl Into<Utf8Bytes>) -> Result<()> {
        let close = CloseFrame::new(code, reason)?;
        self.inner.begin_close(&close);
        Ok(())
    }
}
