//! A connection's queue without a connection.

use std::{
    fmt,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;

use crate::{
    outbound::{Encoding, Outbound, Request, sender::Sender},
    proto::config::Config,
    vocabulary::{
        close::CloseFrame,
        frame::{FrameHeader, OpCode},
        message::Message,
        utf8::Utf8Bytes,
    },
};

/// The queue of a connection without a WebSocket, so that a [`Sender`] and
/// [`Topics`](crate::Topics) can deliver to something else: server-sent events, long polling, a
/// buffer for a peer that will come back.
///
/// Of its config `max_queued_bytes`, frame headers included, and `max_queued_messages` count. Past
/// them it is cut as a slow consumer, like a connection whose peer does not read. Dropping it ends
/// it like a connection: its senders are closed, and every topic forgets it.
///
/// ```
/// use raw_ws::{Config, Mailbox, Message, Topics};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let mut mailbox = Mailbox::new(Config::new());
/// let topics: Topics<String> = Topics::new();
/// topics.subscribe("news".into(), &mailbox.sender());
/// topics.publish("news", &"hello".into());
/// assert_eq!(mailbox.recv().await, Some(Message::text("hello")));
/// drop(mailbox);
/// assert!(topics.is_empty());
/// # });
/// ```
pub struct Mailbox {
    outbound: Arc<Outbound>,
}

impl Mailbox {
    /// An empty queue. Pass an `Arc` to share one config per endpoint.
    ///
    /// ```
    /// use raw_ws::{Config, Mailbox, SendError};
    /// let mailbox = Mailbox::new(Config::new().max_queued_messages(1));
    /// assert_eq!(mailbox.sender().send("one"), Ok(()));
    /// assert_eq!(mailbox.sender().send("two"), Err(SendError::SlowConsumer));
    /// assert!(mailbox.is_cut());
    /// ```
    pub fn new(config: impl Into<Arc<Config>>) -> Self {
        Self {
            outbound: Outbound::new(config.into(), Encoding::default(), None),
        }
    }

    /// Takes the next message, and waits for it; `None` when nothing more will come: it was closed
    /// and everything sent before is taken, or it was cut, which discards what waits.
    ///
    /// Messages come in the order and of the kind in which they were sent, and share a buffer with
    /// their neighbours until they are dropped: keep a copy of what you store for long.
    ///
    /// # Cancel safety
    /// Safe: no message is lost when the future is dropped.
    ///
    /// ```
    /// use raw_ws::{CloseCode, CloseFrame, Config, Mailbox, Message};
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let mut mailbox = Mailbox::new(Config::new());
    /// mailbox.sender().send("last words").unwrap();
    /// mailbox.sender().close(CloseFrame::new(CloseCode::NORMAL, "done").unwrap());
    /// assert_eq!(mailbox.recv().await, Some(Message::text("last words")));
    /// assert_eq!(mailbox.recv().await, None);
    /// assert_eq!(mailbox.close_frame().unwrap().reason(), "done");
    /// # });
    /// ```
    pub async fn recv(&mut self) -> Option<Message> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Polls for the next message, as [`recv`](Self::recv) does. Only the task that polled last is
    /// woken; what was [fed](Sender::feed) wakes nobody.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        self.poll(Some(cx))
    }

    /// Takes the next message if one waits; `None` also when nothing more will come.
    ///
    /// ```
    /// use raw_ws::{Config, Mailbox, Message, MessageKind};
    /// let mut mailbox = Mailbox::new(Config::new());
    /// assert_eq!(mailbox.try_recv(), None);
    /// mailbox.sender().feed(MessageKind::Binary, &[1, 2]).unwrap();
    /// assert_eq!(mailbox.try_recv(), Some(Message::binary(vec![1, 2])));
    /// ```
    pub fn try_recv(&mut self) -> Option<Message> {
        match self.poll(None) {
            Poll::Ready(message) => message,
            Poll::Pending => None,
        }
    }

    /// A handle to send to it from anywhere.
    pub fn sender(&self) -> Sender {
        Sender {
            outbound: self.outbound.clone(),
        }
    }

    /// The Close that a [`Sender::close`] has asked for, also while messages sent before it wait;
    /// `None` if nobody has.
    pub fn close_frame(&self) -> Option<CloseFrame> {
        match self.outbound.request() {
            Some(Request::Close(close)) => Some(close),
            Some(Request::Cut | Request::Look) | None => None,
        }
    }

    /// Whether it was cut as a slow consumer.
    pub fn is_cut(&self) -> bool {
        matches!(self.outbound.request(), Some(Request::Cut))
    }

    /// Bytes that wait, frame headers included.
    pub fn queued_bytes(&self) -> usize {
        self.outbound.queued_bytes()
    }

    fn poll(&mut self, cx: Option<&mut Context<'_>>) -> Poll<Option<Message>> {
        let taken = self.outbound.poll_take(cx);
        if let Poll::Ready(None) = taken {
            self.end();
        }
        taken.map(|frame| frame.map(message))
    }

    fn end(&self) {
        self.outbound.end_empty();
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox")
            .field("id", &self.outbound.id())
            .field("queued_bytes", &self.queued_bytes())
            .finish_non_exhaustive()
    }
}

fn message((header, payload): (FrameHeader, Bytes)) -> Message {
    if header.opcode != OpCode::Text {
        return Message::Binary(payload);
    }
    // Only `Sender::feed` takes text unchecked.
    let text = Utf8Bytes::try_from(payload.clone())
        .unwrap_or_else(|_| String::from_utf8_lossy(&payload).into_owned().into());
    Message::Text(text)
}
