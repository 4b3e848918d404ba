//! The hub handshake: the first record in each direction, always JSON (H-01 to H-13).

#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use bytes::{BufMut, Bytes, BytesMut};
use bytestring::ByteString;

use super::{
    ProtocolError,
    json::{
        RECORD_SEPARATOR,
        record::{self, Fault, Token, missing},
        text,
    },
};

/// What a client asks for: `{"protocol":"json","version":1}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandshakeRequest {
    /// The name of the hub protocol, as sent.
    pub protocol: ByteString,
    /// Its version.
    pub version: i32,
}

impl HandshakeRequest {
    /// Decodes a record. Whether its protocol and version are known is another question (H-05,
    /// H-06).
    ///
    /// # Errors
    /// As H-04 says.
    pub fn decode(record: &Bytes) -> Result<Self, ProtocolError> {
        let (mut protocol, mut version) = (None, None);
        read_object(record, |name, value| {
            match name {
                "protocol" => protocol = Some(value.string(name)?),
                // A null version is a missing one, a null protocol is not (H-04).
                "version" if value.token() == Token::Null => version = None,
                "version" => version = Some(value.int32(name)?),
                _ => {}
            }
            Ok(())
        })?;
        Ok(Self {
            protocol: protocol.ok_or_else(|| missing_in("protocol", record))?,
            version: version.ok_or_else(|| missing_in("version", record))?,
        })
    }

    /// Appends the record, framed.
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_slice(b"{\"protocol\":");
        text::write_string(&self.protocol, out);
        write!(out, ",\"version\":{}", self.version).expect("a BytesMut grows");
        out.put_slice(&[b'}', RECORD_SEPARATOR]);
    }
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
    /// When it is no JSON object, its `error` is no string, or it is another message: one with a
    /// `type`.
    pub fn decode(record: &Bytes) -> Result<Self, ProtocolError> {
        let mut error = None;
        read_object(record, |name, value| {
            match name {
                "error" => error = Some(value.string(name)?),
                "type" => {
                    let text = "Expected a handshake response from the server.";
                    return Err(ProtocolError::invalid(text));
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(Self { error })
    }

    /// Appends the record, framed: exactly `{}` when nothing is wrong (H-02).
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_u8(b'{');
        if let Some(error) = &self.error {
            out.put_slice(b"\"error\":");
            text::write_string(error, out);
        }
        out.put_slice(&[b'}', RECORD_SEPARATOR]);
    }
}

/// As [`record::read_object`]; here .NET lets its parser's exception through (H-04), whose text we
/// do not copy.
fn read_object(
    record: &Bytes,
    each: impl FnMut(&str, &record::Value<'_>) -> Result<(), ProtocolError>,
) -> Result<(), ProtocolError> {
    record::read_object(record, each).map_err(|fault| match fault {
        Fault::Protocol(error) => error,
        Fault::Syntax(text) => ProtocolError::new("JsonReaderException", text),
    })
}

/// As [`missing`], and shows the record (H-04).
fn missing_in(name: &str, record: &[u8]) -> ProtocolError {
    let content = String::from_utf8_lossy(record);
    missing(name).and_tells(format_args!("Message content: {content}"))
}
