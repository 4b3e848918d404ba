//! Packets and their bytes.

use std::fmt;

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// The bytes before a packet's payload.
const HEADER_LEN: usize = 8;

/// The one flag: more items of this response follow.
const MORE: u8 = 1;

/// One packet: the content of one binary message. Integers are big-endian on the wire.
///
/// ```
/// use raw_ws::wire::Packet;
/// let packet = Packet::Request { operation: 1, id: 7, payload: "hi".into() };
/// let bytes = packet.encode();
/// assert_eq!(bytes[..], [1, 0, 0, 1, 0, 0, 0, 7, b'h', b'i']);
/// assert_eq!(Packet::parse(bytes), Ok(packet));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Packet {
    /// Client to server: do `operation` and answer with `id`.
    Request {
        /// What to do, by its number in the server's table.
        operation: u16,
        /// Chosen by the client, free among its requests under way.
        id: u32,
        /// The operation's input.
        payload: Bytes,
    },
    /// Server to client: the result, or an item of a stream.
    Response {
        /// The request's.
        id: u32,
        /// Whether this is an item of a stream, which goes on. The end of a stream is a response
        /// without `more` and without payload.
        more: bool,
        /// The operation's output.
        payload: Bytes,
    },
    /// Server to client: the request, or the rest of its stream, failed.
    Error {
        /// The request's.
        id: u32,
        /// What failed, and why.
        error: WireError,
    },
    /// Server to client: something was published to a topic.
    Event {
        /// The topic.
        topic: u32,
        /// What was published.
        payload: Bytes,
    },
    /// Client to server: send me the events of a topic.
    Subscribe {
        /// The topic.
        topic: u32,
    },
    /// Client to server: no more events of a topic.
    Unsubscribe {
        /// The topic.
        topic: u32,
    },
    /// Client to server: an event for every subscriber of a topic.
    Publish {
        /// The topic.
        topic: u32,
        /// The event.
        payload: Bytes,
    },
}

impl Packet {
    /// Reads a packet from a message.
    ///
    /// # Errors
    /// What is wrong with it. Whoever receives such a packet closes with 4400 and that sentence.
    pub fn parse(mut message: Bytes) -> Result<Self, MalformedPacket> {
        if message.len() < HEADER_LEN {
            return Err(MalformedPacket::Truncated);
        }
        let kind = message.get_u8();
        let flags = message.get_u8();
        let code = message.get_u16();
        let id = message.get_u32();
        let payload = message;

        if !(1..=7).contains(&kind) {
            return Err(MalformedPacket::UnknownKind(kind));
        }
        if flags & !MORE != 0 || (flags == MORE && kind != 2) {
            return Err(MalformedPacket::Flags);
        }
        if code != 0 && !matches!(kind, 1 | 3) {
            return Err(MalformedPacket::Code);
        }
        if !payload.is_empty() && matches!(kind, 5 | 6) {
            return Err(MalformedPacket::TrailingBytes);
        }
        Ok(match kind {
            1 => Self::Request {
                operation: code,
                id,
                payload,
            },
            2 => Self::Response {
                id,
                more: flags == MORE,
                payload,
            },
            3 => {
                let text =
                    String::from_utf8(payload.into()).map_err(|_| MalformedPacket::InvalidText)?;
                Self::Error {
                    id,
                    error: WireError::new(code, text),
                }
            }
            4 => Self::Event { topic: id, payload },
            5 => Self::Subscribe { topic: id },
            6 => Self::Unsubscribe { topic: id },
            _ => Self::Publish { topic: id, payload },
        })
    }

    /// The packet as the content of a message.
    pub fn encode(&self) -> Bytes {
        let empty: &[u8] = &[];
        let (kind, flags, code, id, payload) = match self {
            Self::Request {
                operation,
                id,
                payload,
            } => (1, 0, *operation, *id, &payload[..]),
            Self::Response { id, more, payload } => (2, u8::from(*more), 0, *id, &payload[..]),
            Self::Error { id, error } => (3, 0, error.code, *id, error.text.as_bytes()),
            Self::Event { topic, payload } => (4, 0, 0, *topic, &payload[..]),
            Self::Subscribe { topic } => (5, 0, 0, *topic, empty),
            Self::Unsubscribe { topic } => (6, 0, 0, *topic, empty),
            Self::Publish { topic, payload } => (7, 0, 0, *topic, &payload[..]),
        };
        let mut bytes = BytesMut::with_capacity(HEADER_LEN + payload.len());
        bytes.put_u8(kind);
        bytes.put_u8(flags);
        bytes.put_u16(code);
        bytes.put_u32(id);
        bytes.put_slice(payload);
        bytes.freeze()
    }
}

/// Why bytes are no packet, or no packet that may come from this side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MalformedPacket {
    /// Fewer than eight bytes.
    Truncated,
    /// A kind that is not defined.
    UnknownKind(u8),
    /// A flag that is not defined, or `more` on something else than a response.
    Flags,
    /// A code on a packet that has none.
    Code,
    /// A payload on a packet that has none.
    TrailingBytes,
    /// The text of an error is not UTF-8.
    InvalidText,
    /// A kind that only the other side sends.
    Direction,
}

impl fmt::Display for MalformedPacket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("packet shorter than its header"),
            Self::UnknownKind(kind) => write!(f, "unknown kind 0x{kind:02X}"),
            Self::Flags => f.write_str("unknown flags"),
            Self::Code => f.write_str("code must be 0"),
            Self::TrailingBytes => f.write_str("payload must be empty"),
            Self::InvalidText => f.write_str("error text is not UTF-8"),
            Self::Direction => f.write_str("this kind is only for the other side to send"),
        }
    }
}

impl std::error::Error for MalformedPacket {}

/// What a request is answered with when it fails: a code for programs and a text for people.
///
/// Codes below 1000 are the protocol's own; the application's begin at 1000.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireError {
    code: u16,
    text: String,
}

impl WireError {
    /// 1: the server's table has no such operation.
    pub const UNKNOWN_OPERATION: u16 = 1;
    /// 2: the id belongs to a request that is still under way.
    pub const DUPLICATE_ID: u16 = 2;
    /// 3: the payload is not what the operation takes.
    pub const BAD_REQUEST: u16 = 3;
    /// 4: the operation failed in a way that is not the client's to know.
    pub const INTERNAL: u16 = 4;
    /// 5: too many requests of this connection are under way.
    pub const BUSY: u16 = 5;

    /// An error with a code of the application's own.
    pub fn new(code: u16, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
        }
    }

    /// The payload is not what the operation takes.
    pub fn bad_request(text: impl Into<String>) -> Self {
        Self::new(Self::BAD_REQUEST, text)
    }

    /// The code for programs.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The text for people.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (code {})", self.text, self.code)
    }
}

impl std::error::Error for WireError {}
