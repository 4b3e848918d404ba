//! Status codes and the Close frame's payload, RFC 6455 sections 5.5.1 and 7.4.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use crate::vocabulary::{
    error::{ApiMisuse, ProtocolError},
    mask::mask,
    utf8::Utf8Bytes,
};

/// Why a connection is closed, as the number on the wire.
///
/// The constants are those of RFC 6455 section 7.4.1 and the IANA registry;
/// 3000 to 3999 are for libraries, 4000 to 4999 for applications.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: the server stops, or the page was left.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: a kind of data that this endpoint does not take.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// 1007: data that contradicts its kind, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// 1008: against the rules of this endpoint.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// 1009: a message over the limit.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// 1010: the client needs an extension that the server did not accept.
    pub const MANDATORY_EXTENSION: Self = Self(1010);
    /// 1011: the server failed.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the server restarts.
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1013: the server is overloaded; try again later.
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// 1014: a gateway got an invalid answer.
    pub const BAD_GATEWAY: Self = Self(1014);

    /// A code by its number, any number: [`is_allowed`](Self::is_allowed) says if it may be sent.
    pub const fn new(code: u16) -> Self {
        Self(code)
    }

    /// The number on the wire.
    pub const fn as_u16(self) -> u16 {
        self.0
    }

    /// Whether the code may stand in a Close frame, RFC 6455 section 7.4.
    ///
    /// ```
    /// use raw_ws::CloseCode;
    /// assert!(CloseCode::NORMAL.is_allowed());
    /// assert!(CloseCode::new(4999).is_allowed());
    /// assert!(!CloseCode::new(1006).is_allowed()); // reserved for "no Close frame came"
    /// ```
    pub const fn is_allowed(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a Close frame says: a status code and a reason for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseFrame {
    code: CloseCode,
    reason: Utf8Bytes,
}

impl CloseFrame {
    /// A Close frame to send.
    ///
    /// # Errors
    /// [`ApiMisuse::ForbiddenCloseCode`] for a code that must not be on the wire,
    /// [`ApiMisuse::ControlPayloadTooLong`] for a reason over 123 bytes.
    ///
    /// ```
    /// use raw_ws::{CloseCode, CloseFrame};
    /// let close = CloseFrame::new(CloseCode::NORMAL, "bye").unwrap();
    /// assert_eq!(close.reason(), "bye");
    /// ```
    pub fn new(code: CloseCode, reason: impl Into<Utf8Bytes>) -> Result<Self, ApiMisuse> {
        let reason = reason.into();
        if !code.is_allowed() {
            return Err(ApiMisuse::ForbiddenCloseCode);
        }
        if reason.len() > 123 {
            return Err(ApiMisuse::ControlPayloadTooLong);
        }
        Ok(Self { code, reason })
    }

    /// The status code.
    pub fn code(&self) -> CloseCode {
        self.code
    }

    /// The reason; often empty.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// For codes and reasons that are constants of this crate.
    pub(crate) fn fixed(code: CloseCode, reason: &'static str) -> Self {
        debug_assert!(code.is_allowed() && reason.len() <= 123);
        Self {
            code,
            reason: Utf8Bytes::from_static(reason),
        }
    }

    /// Reads the payload of a Close frame; `None` if it is empty.
    pub(crate) fn parse(payload: &Bytes) -> Result<Option<Self>, ProtocolError> {
        let [high, low, ..] = payload[..] else {
            // RFC 6455 5.5.1: "If there is a body, the first two bytes of the body MUST be
            // a 2-byte unsigned integer".
            return if payload.is_empty() {
                Ok(None)
            } else {
                Err(ProtocolError::TruncatedClose)
            };
        };
        let code = CloseCode(u16::from_be_bytes([high, low]));
        if !code.is_allowed() {
            return Err(ProtocolError::InvalidCloseCode);
        }
        let reason =
            Utf8Bytes::try_from(payload.slice(2..)).map_err(|_| ProtocolError::InvalidUtf8)?;
        Ok(Some(Self { code, reason }))
    }

    /// Appends the whole frame, for where no machine is left to send it.
    pub(crate) fn encode(&self, masking_key: Option<fn() -> [u8; 4]>, out: &mut BytesMut) {
        let mut payload = BytesMut::from(self.payload());
        let key = masking_key.map(|key| key());
        let key_bit = if key.is_some() { 0x80 } else { 0 };
        out.put_slice(&[0x88, key_bit | payload.len() as u8]);
        if let Some(key) = key {
            out.put_slice(&key);
            mask(&mut payload, key);
        }
        out.put_slice(&payload);
    }

    pub(crate) fn payload(&self) -> Bytes {
        let mut payload = BytesMut::with_capacity(2 + self.reason.len());
        payload.put_u16(self.code.0);
        payload.put_slice(self.reason.as_bytes());
        payload.freeze()
    }
}
