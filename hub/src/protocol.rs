//! The hub protocols: how messages and values become bytes.
//!
//! Sans-IO: bytes in, [`HubMessage`]s out, and back. A client or a test can be written on this
//! alone.

// The lowest floor: it imports nothing of this crate. Begin with `message`, then `frames`; the
// machine that speaks it is `session`.

mod frames;
mod handshake;
mod json;
pub(crate) mod message;
#[cfg(feature = "messagepack")]
mod messagepack;
pub(crate) mod value;

use std::fmt;

use bytes::{Bytes, BytesMut};

use crate::protocol::message::{HubMessage, Invocation};

pub use frames::Frames;
pub use handshake::{HandshakeRequest, HandshakeResponse};
#[cfg(feature = "client")]
pub(crate) use value::ArrayWriter;
pub(crate) use value::EncodedForNow;
pub use value::{CallArguments, Elements, Encoding, Names, ValueError};

/// A hub protocol, agreed on in the hub handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// `json`: text records, each ended by the byte 0x1E (F-01).
    Json,
    /// `messagepack`: binary records, each behind its length (F-02). With the feature of that name.
    #[cfg(feature = "messagepack")]
    #[cfg_attr(docsrs, doc(cfg(feature = "messagepack")))]
    MessagePack,
}

/// What a protocol needs of a transport: text only, or any bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransferFormat {
    /// UTF-8 text.
    Text,
    /// Any bytes.
    Binary,
}

impl Protocol {
    /// All of them.
    #[cfg(feature = "messagepack")]
    pub const ALL: [Self; 2] = [Self::Json, Self::MessagePack];
    /// All of them.
    #[cfg(not(feature = "messagepack"))]
    pub const ALL: [Self; 1] = [Self::Json];

    /// The name in the hub handshake.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            #[cfg(feature = "messagepack")]
            Self::MessagePack => "messagepack",
        }
    }

    /// The protocol of that name, without regard to ASCII case (H-05).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|protocol| protocol.name().eq_ignore_ascii_case(name))
    }

    /// What it needs of a transport.
    pub fn transfer_format(self) -> TransferFormat {
        match self {
            Self::Json => TransferFormat::Text,
            #[cfg(feature = "messagepack")]
            Self::MessagePack => TransferFormat::Binary,
        }
    }

    /// The encoded value that stands for none.
    pub(crate) fn nothing(self) -> &'static [u8] {
        match self {
            Self::Json => b"null",
            #[cfg(feature = "messagepack")]
            Self::MessagePack => &[0xC0],
        }
    }

    /// The type of a record that this crate encoded: there it always comes first.
    pub(crate) fn type_of(self, record: &[u8]) -> Option<u8> {
        match self {
            Self::Json => match record.strip_prefix(br#"{"type":"#)? {
                [digit @ b'1'..=b'9', b',' | b'}', ..] => Some(digit - b'0'),
                _ => None,
            },
            #[cfg(feature = "messagepack")]
            Self::MessagePack => match record {
                [0x91..=0x9f, number @ 1..=9, ..] => Some(*number),
                _ => None,
            },
        }
    }

    /// Decodes one record, as [`Frames`] cuts them: without 0x1E or length prefix. `None` for a
    /// message of a type that is not known, which is to be skipped (J-09, M-05).
    ///
    /// # Errors
    /// What breaks the protocol (J-06, M-06). The connection must be closed for it.
    pub fn decode(self, record: &Bytes) -> Result<Option<HubMessage>, ProtocolError> {
        match self {
            Self::Json => json::decode(record),
            #[cfg(feature = "messagepack")]
            Self::MessagePack => messagepack::decode(record),
        }
    }

    /// Why the result of a completion that belongs to nobody ends the connection: it is skipped, and
    /// has no end. In JSON the message would have none.
    #[cfg_attr(
        not(feature = "messagepack"),
        allow(unused_variables, reason = "JSON has no such result")
    )]
    pub(crate) fn unskippable(self, result: &[u8]) -> Option<ProtocolError> {
        match self {
            Self::Json => None,
            #[cfg(feature = "messagepack")]
            Self::MessagePack => messagepack::unskippable(result),
        }
    }

    /// Appends a completion with a result, framed: as a message it would be copied once more.
    pub(crate) fn encode_result(self, invocation_id: &str, result: &[u8], out: &mut BytesMut) {
        match self {
            Self::Json => json::encode_result(invocation_id, result, out),
            #[cfg(feature = "messagepack")]
            Self::MessagePack => messagepack::encode_result(invocation_id, result, out),
        }
    }

    /// Appends a call, framed: as a message it would be copied once more.
    pub(crate) fn encode_call(self, call: message::Call<'_>, out: &mut BytesMut) {
        match self {
            Self::Json => json::encode_call(call, out),
            #[cfg(feature = "messagepack")]
            Self::MessagePack => messagepack::encode_call(call, out),
        }
    }

    /// Appends a message, framed. Values in it must be encoded in this protocol.
    pub fn encode(self, message: &HubMessage, out: &mut BytesMut) {
        match self {
            Self::Json => json::encode(message, out),
            #[cfg(feature = "messagepack")]
            Self::MessagePack => messagepack::encode(message, out),
        }
    }
}

/// What a peer did against the hub protocol. Ends the connection (CL-02).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtocolError {
    /// As detailed errors show it (E-01): `<class>: <text>`.
    text: String,
    /// The call behind whose arguments the fault is, and whether it wants a stream. If it is refused
    /// anyway, nothing is read behind them.
    call: Option<Box<(Invocation, bool)>>,
}

impl ProtocolError {
    /// `class` is the .NET exception that ASP.NET Core shows in detailed errors.
    pub(crate) fn new(class: &'static str, text: impl fmt::Display) -> Self {
        Self {
            text: format!("{class}: {text}"),
            call: None,
        }
    }

    /// The same, with more to it.
    pub(crate) fn and_tells(self, more: impl fmt::Display) -> Self {
        Self {
            text: format!("{} {more}", self.text),
            ..self
        }
    }

    /// The same, of what stands behind the arguments of a call.
    #[cfg(feature = "messagepack")]
    pub(crate) fn behind(self, call: Invocation, wants_stream: bool) -> Self {
        Self {
            call: Some(Box::new((call, wants_stream))),
            ..self
        }
    }

    /// The call behind whose arguments the fault is.
    pub(crate) fn call(&self) -> Option<&Invocation> {
        self.call.as_ref().map(|call| &call.0)
    }

    /// Takes it, and whether it wants a stream.
    pub(crate) fn take_call(&mut self) -> Option<(Invocation, bool)> {
        self.call.take().map(|call| *call)
    }

    /// `InvalidDataException`, what most faults are.
    pub(crate) fn invalid(text: impl fmt::Display) -> Self {
        Self::new("InvalidDataException", text)
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for ProtocolError {}
