//! The hub handshake: the first record in each direction, always JSON (H-01 to H-13).

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;

use super::ProtocolError;

/// What a client asks for: `{"protocol":"json","version":1}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandshakeRequest {
    /// The name of the hub protocol, as sent.
    pub protocol: ByteString,
    /// Its version.
    pub version: i32,
}

impl HandshakeRequest {
    /// Decodes a record.
    ///
    /// # Errors
    /// As H-04 says.
    pub fn decode(_record: &Bytes) -> Result<Self, ProtocolError> {
        Err(ProtocolError::invalid("not written"))
    }

    /// Appends the record, framed.
    pub fn encode(&self, _out: &mut BytesMut) {}
}

/// What the server answers: `{}`, or why not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HandshakeResponse {
    /// Why the connection is refused; `None` when it is not.
    pub error: Option<ByteString>,
}

impl HandshakeResponse {
    /// Decodes a record.
    ///
    /// # Errors
    /// When it is no JSON object.
    pub fn decode(_record: &Bytes) -> Result<Self, ProtocolError> {
        Err(ProtocolError::invalid("not written"))
    }

    /// Appends the record, framed.
    pub fn encode(&self, _out: &mut BytesMut) {}
}
