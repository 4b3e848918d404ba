//! The hub handshake (`SPEC.md`, section 8): one record from the client, one answer, and a [`Session`] if
//! they agree.

use std::{sync::Arc, time::Instant};

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;

use super::{Session, counting::Reconnect, end::with_details};
use crate::{
    options::HubOptions,
    protocol::{Encoding, Frames, HandshakeRequest, HandshakeResponse, Protocol, TransferFormat},
};

/// The highest version of both protocols (H-06).
const MAX_VERSION: i32 = 2;

/// From here on clients know stateful reconnect (SR-01).
const STATEFUL_VERSION: i32 = 2;

/// What a connection comes with, settled before its hub handshake.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// What its transport carries: text alone, or any bytes (H-09).
    pub(crate) carries: TransferFormat,
    pub(crate) pings: Pings,
    pub(crate) reconnect: Reconnect,
}

/// Whether the hub pings over a transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pings {
    /// Every `keep_alive_interval` (K-01).
    Sent,
    /// Its polls say the same (LP-15).
    Needless,
}

/// A connection before its two ends have agreed on a protocol. Drain [`poll`](Self::poll) after
/// each input, and write what is outgoing.
pub(crate) struct Handshake {
    options: Arc<HubOptions>,
    terms: Terms,
    frames: Frames,
    deadline: Instant,
    outgoing: BytesMut,
}

/// There is no session: the client is told why, and nothing else happens (H-10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotAgreed {
    /// The client's request did not come in time (H-08).
    TooLate,
    /// Something came that is too long for one.
    TooLong,
    /// Something came that is none (H-04).
    NoRequest,
    /// It names a protocol that is not offered (H-05).
    Protocol,
    /// It names a version of the future (H-06).
    Version,
    /// Its protocol needs bytes, and the transport carries text (H-09).
    TextOnly,
}

impl NotAgreed {
    /// For the log.
    pub(crate) fn why(self) -> &'static str {
        match self {
            Self::TooLate => "no request came in time",
            Self::TooLong => "what came is too long for a request",
            Self::NoRequest => "what came is no request",
            Self::Protocol => "the protocol is not offered",
            Self::Version => "the version of the protocol is not known",
            Self::TextOnly => "the protocol needs bytes, and the transport carries text",
        }
    }
}

/// What a client is told whose request came too late, or is too long (H-08).
const CANCELED: &str = "Handshake was canceled.";

impl Handshake {
    pub(crate) fn new(options: Arc<HubOptions>, terms: Terms, now: Instant) -> Self {
        Self {
            deadline: now + options.handshake_timeout,
            options,
            terms,
            frames: Frames::default(),
            outgoing: BytesMut::new(),
        }
    }

    /// Takes bytes from the transport, cut anywhere (WS-06).
    pub(crate) fn handle_input(&mut self, bytes: Bytes) {
        self.frames.push(bytes);
    }

    /// The client's socket is lost, and another has come: it begins anew (SR-23).
    pub(crate) fn resumed(&mut self) {
        self.frames = Frames::default();
    }

    /// The outcome, once there is one; with a session, what the client has said behind its request
    /// and the answer to that are the session's.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<Result<Session, NotAgreed>> {
        let limit = self.options.maximum_receive_message_size;
        let record = match self.frames.next(Protocol::Json, limit) {
            Ok(Some(record)) => record,
            Ok(None) if now < self.deadline => return None,
            // H-08: too long is told like too late.
            Ok(None) => return Some(Err(self.refuse(NotAgreed::TooLate, CANCELED.into()))),
            Err(_) => return Some(Err(self.refuse(NotAgreed::TooLong, CANCELED.into()))),
        };
        Some(match self.agree(&record) {
            Ok((protocol, reconnect)) => Ok(self.open(protocol, reconnect, now)),
            Err((why, error)) => Err(self.refuse(why, error)),
        })
    }

    /// When [`poll`](Self::poll) has an outcome whatever came.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// How many bytes more may wait.
    pub(crate) fn room(&self) -> usize {
        // What waits for the rest of its record has a bound of its own (F-05).
        self.options.endpoint.application_max_buffer_size.max(1)
    }

    /// What is to be sent to a client that was refused.
    pub(crate) fn outgoing(&mut self) -> (TransferFormat, &mut BytesMut) {
        (TransferFormat::Text, &mut self.outgoing)
    }

    fn open(&mut self, protocol: Protocol, reconnect: Reconnect, now: Instant) -> Session {
        HandshakeResponse::default().encode(&mut self.outgoing);
        let encoding = Encoding {
            protocol,
            names: self.options.names,
        };
        let frames = std::mem::take(&mut self.frames);
        let outgoing = std::mem::take(&mut self.outgoing);
        let terms = Terms {
            reconnect,
            ..self.terms
        };
        Session::new(self.options.clone(), terms, encoding, frames, outgoing, now)
    }

    fn refuse(&mut self, why: NotAgreed, error: ByteString) -> NotAgreed {
        HandshakeResponse { error: Some(error) }.encode(&mut self.outgoing);
        why
    }

    fn agree(&self, record: &Bytes) -> Result<(Protocol, Reconnect), (NotAgreed, ByteString)> {
        let request = HandshakeRequest::decode(record).map_err(|fault| {
            let generic = "An unexpected error occurred during connection handshake.";
            // A record that is no handshake (H-04).
            let text = with_details(generic, &fault, self.options.detail());
            (NotAgreed::NoRequest, text)
        })?;
        let name = &request.protocol;
        let supported = Protocol::from_name(name)
            .filter(|protocol| self.options.supported_protocols.contains(protocol));
        let Some(protocol) = supported else {
            // Its name is echoed (H-05), but not a book (row 97).
            let name: String = name.chars().take(64).collect();
            let text = format!("The protocol '{name}' is not supported.");
            return Err((NotAgreed::Protocol, text.into()));
        };
        let version = request.version;
        if version > MAX_VERSION {
            // A version of the future (H-06).
            let text =
                format!("The server does not support version {version} of the '{name}' protocol.");
            return Err((NotAgreed::Version, text.into()));
        }
        if self.terms.carries == TransferFormat::Text
            && protocol.transfer_format() == TransferFormat::Binary
        {
            // Bytes do not fit into text (H-09).
            let text = format!(
                "Cannot use the '{name}' protocol on the current transport. The transport does not support 'Binary' transfer format."
            );
            return Err((NotAgreed::TextOnly, text.into()));
        }
        let reconnect = if version >= STATEFUL_VERSION {
            self.terms.reconnect
        } else {
            Reconnect::Anew
        };
        Ok((protocol, reconnect))
    }
}
