//! Everything that can end a connection early, sorted by who must act.

use std::{fmt, io};

use crate::vocabulary::close::CloseCode;

/// The result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What ended a connection, or refused a call: the variant says who is at fault.
///
/// [`Error::close_code`] is the status code that the peer was sent for it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The transport failed, or ended without a closing handshake (`UnexpectedEof`).
    Io(io::Error),
    /// The HTTP request was not an acceptable WebSocket upgrade.
    Handshake(HandshakeError),
    /// The peer broke RFC 6455 or RFC 7692.
    Protocol(ProtocolError),
    /// The peer went past a limit of [`Config`](crate::Config).
    Capacity(CapacityError),
    /// A call in the wrong order, or with a value the RFC forbids. Never caused by the peer.
    ApiMisuse(ApiMisuse),
}

impl Error {
    /// The status code the peer is sent for this error; `None` when nothing can or need be sent.
    ///
    /// ```
    /// use raw_ws::{CloseCode, Error, ProtocolError};
    /// let error = Error::Protocol(ProtocolError::InvalidUtf8);
    /// assert_eq!(error.close_code(), Some(CloseCode::INVALID_PAYLOAD));
    /// ```
    pub fn close_code(&self) -> Option<CloseCode> {
        match self {
            Self::Protocol(kind) => Some(kind.close_code()),
            Self::Capacity(kind) => kind.close_code(),
            Self::Io(_) | Self::Handshake(_) | Self::ApiMisuse(_) => None,
        }
    }

    /// The reason in that Close frame: the violation in words.
    pub(crate) fn close_reason(&self) -> &'static str {
        match self {
            Self::Protocol(ProtocolError::InvalidUtf8) => "invalid UTF-8",
            Self::Protocol(ProtocolError::InvalidDeflate) => "invalid compressed data",
            Self::Protocol(ProtocolError::UnsupportedKind) => "message kind not accepted here",
            Self::Protocol(_) => "protocol error",
            Self::Capacity(CapacityError::MessageTooSlow) => "message timeout",
            Self::Capacity(CapacityError::TooManyFragments) => "too many fragments",
            Self::Capacity(CapacityError::TooManyControlFrames) => "too many control frames",
            Self::Capacity(CapacityError::Overloaded) => "overloaded",
            Self::Capacity(_) => "message too big",
            _ => "",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "the transport failed: {error}"),
            Self::Handshake(kind) => kind.fmt(f),
            Self::Protocol(kind) => kind.fmt(f),
            Self::Capacity(kind) => kind.fmt(f),
            Self::ApiMisuse(kind) => kind.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<HandshakeError> for Error {
    fn from(kind: HandshakeError) -> Self {
        Self::Handshake(kind)
    }
}

impl From<ProtocolError> for Error {
    fn from(kind: ProtocolError) -> Self {
        Self::Protocol(kind)
    }
}

impl From<CapacityError> for Error {
    fn from(kind: CapacityError) -> Self {
        Self::Capacity(kind)
    }
}

impl From<ApiMisuse> for Error {
    fn from(kind: ApiMisuse) -> Self {
        Self::ApiMisuse(kind)
    }
}

/// Why a request is not upgraded. [`HandshakeError::status`] is the HTTP answer to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeError {
    /// An ordinary HTTP request: no `Upgrade: websocket` with `Connection: Upgrade`.
    NotWebSocket,
    /// The method is not GET.
    Method,
    /// Older than HTTP/1.1.
    HttpVersion,
    /// `Host` is missing, given twice, or not a host.
    Host,
    /// `Sec-WebSocket-Key` is missing, given twice, or not 16 bytes of base64.
    Key,
    /// `Sec-WebSocket-Version` is not 13.
    Version,
    /// The request carries a body.
    Body,
    /// The page's `Origin` may not connect here.
    Origin,
    /// The server that accepted the connection offers no upgrade.
    NotUpgradable,
}

impl HandshakeError {
    /// The HTTP status that answers such a request.
    pub fn status(self) -> http::StatusCode {
        match self {
            Self::Method => http::StatusCode::METHOD_NOT_ALLOWED,
            Self::HttpVersion | Self::Version => http::StatusCode::UPGRADE_REQUIRED,
            Self::Origin => http::StatusCode::FORBIDDEN,
            Self::NotUpgradable => http::StatusCode::INTERNAL_SERVER_ERROR,
            Self::NotWebSocket | Self::Host | Self::Key | Self::Body => {
                http::StatusCode::BAD_REQUEST
            }
        }
    }

    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::NotWebSocket => {
                "this is a WebSocket endpoint: connect with a WebSocket client (`Upgrade: websocket`)"
            }
            Self::Method => "a WebSocket upgrade is a GET request",
            Self::HttpVersion => "a WebSocket upgrade needs HTTP/1.1",
            Self::Host => "exactly one valid Host header is needed",
            Self::Key => "exactly one Sec-WebSocket-Key of 16 bytes in base64 is needed",
            Self::Version => "only Sec-WebSocket-Version 13 is spoken here",
            Self::Body => "a WebSocket upgrade has no body",
            Self::Origin => "pages of this origin may not connect here",
            Self::NotUpgradable => "this server does not offer upgrades",
        }
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for HandshakeError {}

/// How the peer broke the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A reserved bit is set that no negotiated extension defines.
    ReservedBits,
    /// An opcode that RFC 6455 reserves.
    ReservedOpcode,
    /// A client's frame without a mask.
    UnmaskedFrame,
    /// A server's frame with a mask.
    MaskedFrame,
    /// A control frame without FIN.
    FragmentedControl,
    /// A control frame with more than 125 bytes.
    ControlTooLong,
    /// A payload length not in its shortest form.
    NonMinimalLength,
    /// A 64-bit payload length with the top bit set.
    LengthTopBit,
    /// A continuation where no message has begun.
    UnexpectedContinuation,
    /// A new message inside an unfinished one.
    ExpectedContinuation,
    /// Text, or a close reason, that is not UTF-8.
    InvalidUtf8,
    /// A Close payload of one byte.
    TruncatedClose,
    /// A status code that must not be on the wire.
    InvalidCloseCode,
    /// A compressed message that does not inflate.
    InvalidDeflate,
    /// A text message to a binary-only endpoint, or the reverse.
    UnsupportedKind,
}

impl ProtocolError {
    /// The status code the peer is sent, RFC 6455 section 7.4.1.
    pub fn close_code(self) -> CloseCode {
        match self {
            Self::InvalidUtf8 | Self::InvalidDeflate => CloseCode::INVALID_PAYLOAD,
            Self::UnsupportedKind => CloseCode::UNSUPPORTED_DATA,
            _ => CloseCode::PROTOCOL_ERROR,
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReservedBits => "reserved bits set",
            Self::ReservedOpcode => "reserved opcode",
            Self::UnmaskedFrame => "unmasked frame from a client",
            Self::MaskedFrame => "masked frame from a server",
            Self::FragmentedControl => "fragmented control frame",
            Self::ControlTooLong => "control frame over 125 bytes",
            Self::NonMinimalLength => "payload length not minimal",
            Self::LengthTopBit => "payload length over 63 bits",
            Self::UnexpectedContinuation => "continuation without a message",
            Self::ExpectedContinuation => "new message inside a fragmented one",
            Self::InvalidUtf8 => "invalid UTF-8",
            Self::TruncatedClose => "close payload of one byte",
            Self::InvalidCloseCode => "close code not allowed",
            Self::InvalidDeflate => "invalid compressed data",
            Self::UnsupportedKind => "message kind not accepted here",
        })
    }
}

impl std::error::Error for ProtocolError {}

/// Which limit the peer went past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CapacityError {
    /// A frame over `max_frame_size`.
    FrameTooBig,
    /// A message over `max_message_size`, inflated size included.
    MessageTooBig,
    /// A message of more than `max_fragments` frames.
    TooManyFragments,
    /// A message not finished within `message_timeout`.
    MessageTooSlow,
    /// More control frames than `control_frames_per_second` allows.
    TooManyControlFrames,
    /// All connections together hold `max_unfinished_bytes`: this one's message is one too many.
    Overloaded,
    /// Nothing heard for `keep_alive_timeout` after a ping.
    PeerSilent,
    /// A full outbound queue, or a socket that took nothing for `progress_timeout`.
    SlowConsumer,
    /// `feed` while `max_queued_bytes` are waiting: `flush` first. The connection lives on.
    OutputFull,
}

impl CapacityError {
    /// The status code the peer is sent; `None` where it could not read one.
    pub fn close_code(self) -> Option<CloseCode> {
        match self {
            Self::FrameTooBig | Self::MessageTooBig => Some(CloseCode::MESSAGE_TOO_BIG),
            Self::TooManyFragments | Self::MessageTooSlow | Self::TooManyControlFrames => {
                Some(CloseCode::POLICY_VIOLATION)
            }
            Self::Overloaded => Some(CloseCode::TRY_AGAIN_LATER),
            Self::PeerSilent | Self::SlowConsumer | Self::OutputFull => None,
        }
    }
}

impl fmt::Display for CapacityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FrameTooBig => "frame too big",
            Self::MessageTooBig => "message too big",
            Self::TooManyFragments => "too many fragments",
            Self::MessageTooSlow => "message timeout",
            Self::TooManyControlFrames => "too many control frames",
            Self::Overloaded => "the server is overloaded",
            Self::PeerSilent => "the peer answers nothing",
            Self::SlowConsumer => "slow consumer: the peer does not read what it is sent",
            Self::OutputFull => "too much is queued: flush before feeding more",
        })
    }
}

impl std::error::Error for CapacityError {}

/// A mistake in the calling program; no bytes of a peer can cause one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApiMisuse {
    /// A message or frame after `close`, or after the connection ended.
    SendAfterClose,
    /// A control frame with more than 125 bytes, or a close reason with more than 123.
    ControlPayloadTooLong,
    /// A status code that must not be sent, such as 1005 or 1006.
    ForbiddenCloseCode,
    /// A continuation frame where no message has been begun.
    NothingToContinue,
    /// A new message while a fragmented one is unfinished.
    UnfinishedMessage,
    /// A text frame whose bytes are not UTF-8.
    InvalidUtf8,
    /// A Close passed on with `send_frame`: `close` runs the closing handshake.
    CloseAsFrame,
    /// `recv` after `recv_frame` took the first fragments of a message.
    FramesAlreadyTaken,
}

impl fmt::Display for ApiMisuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SendAfterClose => "nothing can be sent after the Close frame",
            Self::ControlPayloadTooLong => "a control frame carries at most 125 bytes",
            Self::ForbiddenCloseCode => "this status code must not be sent",
            Self::NothingToContinue => "a continuation frame needs a message to continue",
            Self::UnfinishedMessage => "finish the fragmented message first",
            Self::InvalidUtf8 => "a text frame must hold UTF-8",
            Self::CloseAsFrame => "a Close is sent with close, not as a frame",
            Self::FramesAlreadyTaken => "finish reading this message with recv_frame",
        })
    }
}

impl std::error::Error for ApiMisuse {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_stays_small_enough_to_return_by_value() {
        assert!(size_of::<Error>() <= 32, "{}", size_of::<Error>());
    }
}
