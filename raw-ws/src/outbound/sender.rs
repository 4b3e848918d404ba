//! Sending to a connection from anywhere: other tasks, other connections, HTTP handlers.

use std::{fmt, sync::Arc};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

#[cfg(feature = "deflate")]
use crate::{deflate::deflate_alone, outbound::DeflateAlone, sync::Mutex};
use crate::{
    outbound::{Encoding, NotQueued, Outbound, Segment},
    vocabulary::{
        close::CloseFrame,
        frame::FrameHeader,
        mask::mask,
        message::{Message, MessageKind},
    },
};

/// A handle to send to one connection from anywhere. Cheaply cloned; it never waits, and does not
/// keep the connection open.
///
/// Messages go through a queue bounded by [`Config::max_queued_bytes`](crate::Config) and
/// `max_queued_messages`. When it is full the peer is a slow consumer: the connection is cut, and
/// nobody else notices.
#[derive(Clone)]
pub struct Sender {
    pub(crate) outbound: Arc<Outbound>,
}

impl Sender {
    /// Queues a message for the connection, behind what the same task has queued before, here or by
    /// [`WebSocket::feed`](crate::WebSocket::feed).
    ///
    /// # Errors
    /// [`SendError`] when the connection is closed, when its queue is full (it is cut for that),
    /// or when the message alone is larger than the queue may be.
    pub fn send(&self, message: impl Into<Message>) -> Result<(), SendError> {
        self.send_prepared(&PreparedMessage::new(message))
    }

    /// Queues a message that was encoded once for many connections.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_prepared(&self, message: &PreparedMessage) -> Result<(), SendError> {
        let frame = message.frame_for(self.outbound.encoding());
        self.outbound
            .push(&Segment::frame(frame))
            .map_err(SendError::from)
    }

    /// Queues a copy of a message, for a connection's own task: it leaves with what the task writes
    /// next (`recv`, `flush`), behind all that was queued before, and the task is not woken for it.
    ///
    /// What is fed one after the other is laid into one buffer, without an allocation for each.
    /// Text must be UTF-8, which is not checked: the peer would fail the connection with 1007.
    ///
    /// The limits of the queue are for what others send, and do not bound this: replies never cut
    /// a connection. They count in [`queued_bytes`](Self::queued_bytes): look at it, and read
    /// nothing more while it is high.
    ///
    /// # Errors
    /// [`SendError::Closed`]; [`SendError::TooBig`] where 4 GiB would wait.
    ///
    /// ```
    /// use raw_ws::MessageKind;
    /// # async fn run(mut ws: raw_ws::WebSocket) -> raw_ws::Result<()> {
    /// let sender = ws.sender();
    /// sender.feed(MessageKind::Text, b"one").unwrap();
    /// sender.feed(MessageKind::Text, b"two").unwrap();
    /// assert_eq!(sender.queued_bytes(), 10); // with two bytes of header each
    /// ws.flush().await?; // one write
    /// # Ok(())
    /// # }
    /// ```
    pub fn feed(&self, kind: MessageKind, payload: &[u8]) -> Result<(), SendError> {
        debug_assert!(kind == MessageKind::Binary || std::str::from_utf8(payload).is_ok());
        let encoding = self.outbound.encoding();
        #[cfg(feature = "deflate")]
        let deflated = encoding
            .deflates(payload.len())
            .map(|deflate| deflate_alone(deflate.window_bits, deflate.level, payload));
        #[cfg(not(feature = "deflate"))]
        let deflated: Option<Bytes> = None;
        let payload = deflated.as_deref().unwrap_or(payload);
        let key = encoding.masking_key.map(|key| key());
        let header = header(kind, payload.len(), deflated.is_some(), key);
        let lay = |batch: &mut BytesMut| encode_into(batch, &header, payload);
        self.outbound
            .feed(header.encoded_len() + payload.len(), lay)
            .map_err(SendError::from)
    }

    /// Asks the connection's task to run the closing handshake. Its `recv` then gives `None`.
    pub fn close(&self, close: CloseFrame) {
        self.outbound.request_close(close);
    }

    /// Whether nothing can be sent any more.
    pub fn is_closed(&self) -> bool {
        !self.outbound.is_open()
    }

    /// Bytes that wait in the queue.
    pub fn queued_bytes(&self) -> usize {
        self.outbound.queued_bytes()
    }

    /// A number that no other connection of this process has or had.
    pub fn id(&self) -> u64 {
        self.outbound.id()
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}

/// Why a message was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The connection has ended or is closing.
    Closed,
    /// The queue was full: the connection is now cut as a slow consumer.
    SlowConsumer,
    /// The message alone exceeds `max_queued_bytes`; the connection is not harmed.
    TooBig,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the connection is closed",
            Self::SlowConsumer => "the connection was cut: its peer does not read",
            Self::TooBig => "the message is larger than max_queued_bytes",
        })
    }
}

impl std::error::Error for SendError {}

impl From<NotQueued> for SendError {
    fn from(refused: NotQueued) -> Self {
        match refused {
            NotQueued::Closed => Self::Closed,
            NotQueued::Full => Self::SlowConsumer,
            NotQueued::TooBig => Self::TooBig,
        }
    }
}

/// A message encoded once, header included, for any number of connections; compressed once for
/// all that agreed on the same parameters without context takeover. Cheaply cloned.
///
/// ```
/// use raw_ws::PreparedMessage;
/// let news = PreparedMessage::new("the same for everybody");
/// assert_eq!(news.len(), 24); // two bytes of header before the text
/// ```
#[derive(Debug, Clone)]
pub struct PreparedMessage(Arc<Prepared>);

#[derive(Debug)]
struct Prepared {
    kind: MessageKind,
    frame: Bytes,
    header_len: usize,
    /// The compressed frames, by window bits and level; made when first wanted.
    #[cfg(feature = "deflate")]
    deflated: Mutex<Vec<(DeflateAlone, Bytes)>>,
}

impl PreparedMessage {
    /// Encodes a message.
    pub fn new(message: impl Into<Message>) -> Self {
        let message = message.into();
        let kind = message.kind();
        let payload = message.into_bytes();
        let frame = encode(kind, &payload, false, None);
        Self(Arc::new(Prepared {
            kind,
            header_len: frame.len() - payload.len(),
            frame,
            #[cfg(feature = "deflate")]
            deflated: Mutex::default(),
        }))
    }

    /// Encodes a message that `write` appends to the buffer of its frame: nothing of it is copied,
    /// and text is not looked at again.
    ///
    /// ```
    /// use raw_ws::{MessageKind, PreparedMessage};
    /// let news = PreparedMessage::written(MessageKind::Text, |frame| {
    ///     frame.extend_from_slice(b"the same for everybody");
    /// });
    /// assert_eq!(news.len(), 24);
    /// ```
    ///
    /// Text must be UTF-8: it is sent as it is, and receivers fail the connection for what is not
    /// (RFC 6455 section 8.1). `write` must append and do nothing else to the buffer.
    ///
    /// # Panics
    /// In debug builds when text is not UTF-8.
    pub fn written(kind: MessageKind, write: impl FnOnce(&mut BytesMut)) -> Self {
        let mut frame = BytesMut::with_capacity(256);
        frame.put_bytes(0, FrameHeader::MAX_LEN);
        write(&mut frame);
        let payload = &frame[FrameHeader::MAX_LEN..];
        debug_assert!(kind == MessageKind::Binary || std::str::from_utf8(payload).is_ok());
        let header = header(kind, payload.len(), false, None);
        let header_len = header.encoded_len();
        let unused = FrameHeader::MAX_LEN - header_len;
        header.encode(&mut &mut frame[unused..FrameHeader::MAX_LEN]);
        frame.advance(unused);
        Self(Arc::new(Prepared {
            kind,
            header_len,
            frame: frame.freeze(),
            #[cfg(feature = "deflate")]
            deflated: Mutex::default(),
        }))
    }

    /// The size of the uncompressed frame, in bytes.
    #[expect(clippy::len_without_is_empty, reason = "a frame is never empty")]
    pub fn len(&self) -> usize {
        self.0.frame.len()
    }

    /// The message's bytes without the header of its frame, to be sent by another way too.
    ///
    /// ```
    /// let news = raw_ws::PreparedMessage::new("the same for everybody");
    /// assert_eq!(news.payload(), b"the same for everybody");
    /// ```
    pub fn payload(&self) -> &[u8] {
        &self.0.frame[self.0.header_len..]
    }

    /// The bytes of the frame for connections of this encoding.
    pub(crate) fn frame_for(&self, encoding: &Encoding) -> Bytes {
        #[cfg(feature = "deflate")]
        if let Some(deflate) = self.deflates_for(encoding) {
            return self.deflated(deflate);
        }
        match encoding.masking_key {
            None => self.0.frame.clone(),
            Some(key) => encode(self.0.kind, self.payload(), false, Some(key())),
        }
    }

    /// The frame as it is, uncompressed and unmasked.
    pub(crate) fn plain_frame(&self) -> &Bytes {
        &self.0.frame
    }

    /// Whether connections of this encoding get [`plain_frame`](Self::plain_frame).
    pub(crate) fn is_plain_for(&self, encoding: &Encoding) -> bool {
        #[cfg(feature = "deflate")]
        if self.deflates_for(encoding).is_some() {
            return false;
        }
        encoding.masking_key.is_none()
    }

    #[cfg(feature = "deflate")]
    fn deflates_for(&self, encoding: &Encoding) -> Option<DeflateAlone> {
        encoding.deflates(self.payload().len())
    }

    #[cfg(feature = "deflate")]
    fn deflated(&self, deflate: DeflateAlone) -> Bytes {
        let mut deflated = self.0.deflated.lock();
        if let Some((_, frame)) = deflated
            .iter()
            .find(|(parameters, _)| *parameters == deflate)
        {
            return frame.clone();
        }
        let payload = deflate_alone(deflate.window_bits, deflate.level, self.payload());
        let frame = encode(self.0.kind, &payload, true, None);
        deflated.push((deflate, frame.clone()));
        frame
    }
}

impl<M: Into<Message>> From<M> for PreparedMessage {
    fn from(message: M) -> Self {
        Self::new(message)
    }
}

fn encode(kind: MessageKind, payload: &[u8], rsv1: bool, key: Option<[u8; 4]>) -> Bytes {
    let mut frame = BytesMut::with_capacity(payload.len() + 14);
    encode_into(&mut frame, &header(kind, payload.len(), rsv1, key), payload);
    frame.freeze()
}

fn header(kind: MessageKind, len: usize, rsv1: bool, key: Option<[u8; 4]>) -> FrameHeader {
    FrameHeader {
        opcode: kind.into(),
        is_final: true,
        rsv1,
        mask: key,
        payload_len: len as u64,
    }
}

fn encode_into(out: &mut BytesMut, header: &FrameHeader, payload: &[u8]) {
    header.encode(out);
    let at = out.len();
    out.extend_from_slice(payload);
    if let Some(key) = header.mask {
        mask(&mut out[at..], key);
    }
}

#[cfg(all(test, feature = "deflate"))]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::proto::{Connection, Role};

    fn deflating(level: u8) -> Encoding {
        let deflate = Some(DeflateAlone {
            window_bits: 15,
            level,
            min_size: 256,
        });
        Encoding {
            deflate,
            ..Encoding::default()
        }
    }

    #[test]
    fn a_message_is_compressed_once_for_all_with_the_same_parameters() {
        let message = PreparedMessage::new("news ".repeat(100));
        let first = message.frame_for(&deflating(1));
        let again = message.clone().frame_for(&deflating(1));
        assert_eq!(first.as_ptr(), again.as_ptr());
        assert_ne!(first.as_ptr(), message.frame_for(&deflating(9)).as_ptr());
        let plain = message.frame_for(&Encoding::default());
        assert_eq!(plain.as_ptr(), message.plain_frame().as_ptr());
    }

    #[test]
    fn what_is_fed_is_compressed_like_what_is_sent() {
        let outbound = Outbound::new(Arc::default(), deflating(1), None);
        let sender = Sender { outbound };
        let (news, small) = ("news ".repeat(100), "small");
        let mut expected = BytesMut::new();
        for text in [&news[..], small, &news] {
            sender.feed(MessageKind::Text, text.as_bytes()).unwrap();
            let message = PreparedMessage::new(text);
            expected.extend_from_slice(&message.frame_for(&deflating(1)));
        }
        assert_eq!(sender.queued_bytes(), expected.len());
        let mut fed = BytesMut::new();
        let mut own = Connection::new(Role::Server, Arc::default(), Instant::now());
        sender.outbound.end(&mut own, true, &mut fed);
        assert_eq!(fed, expected);
    }
}
