//! The client's machine of one connection: the hub handshake, then messages, through as many sockets
//! as there are. No I/O, no clock.
//!
//! ```text
//!              ──{}──►  Open  ──lost──►  Away  ──resume──►  Resuming ──Sequence──► Open
//! ShakingHands
//! ```
//!
//! Give it what came by [`Session::receive`] and drain [`Session::next`]; write what
//! [`Session::outgoing`] gives; come back at [`Session::deadline`] for [`Session::tick`].

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;

use crate::{
    counted::{arrived::Arrived, sent::Sent},
    protocol::{
        Encoding, Frames, HandshakeRequest, HandshakeResponse, Protocol, ProtocolError,
        message::{Call, HubMessage},
    },
};

/// What a connection goes by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) encoding: Encoding,
    /// How long the answer to the hub handshake may take.
    pub(super) handshake_timeout: Duration,
    /// How often the server is told that the client is there; `None` where the transport tells it.
    pub(super) keep_alive: Option<Duration>,
    /// How long the server may say nothing; `None` where it need not say anything.
    pub(super) server_timeout: Option<Duration>,
    /// The largest message of the server, framed, in bytes.
    pub(super) max_message_size: usize,
    /// Bytes of messages that may be under way unacknowledged; `None` where nobody counts (SR-01).
    pub(super) stateful: Option<usize>,
}

/// What the server said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// The hub handshake succeeded.
    Opened,
    /// The socket that was lost is replaced: nothing was.
    Resumed,
    /// A call, or something of a call.
    Message(HubMessage),
    /// The connection ends.
    Close {
        error: Option<ByteString>,
        allow_reconnect: bool,
    },
}

/// Why the connection cannot go on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The server refused the hub handshake.
    Refused(ByteString),
    /// It did not answer it.
    NoHandshake,
    /// It is silent.
    Silent,
    /// What it said breaks the protocol.
    Protocol(ProtocolError),
}

impl From<ProtocolError> for Fault {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}

pub(super) struct Session {
    terms: Terms,
    phase: Phase,
    frames: Frames,
    /// What is to be written and nobody counts.
    uncounted: BytesMut,
    /// Behind the hub handshake, where both ends count (SR-01).
    counted: Option<Box<Counted>>,
    /// When the server is told again.
    ping_at: Option<Instant>,
    /// When the server has been silent for too long.
    silent_at: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    ShakingHands,
    Open,
    /// There is no socket, and another one will come.
    Away,
    /// A new socket: what comes before its Sequence was meant for the old one (SR-11).
    Resuming,
}

struct Counted {
    sent: Sent,
    arrived: Arrived,
    /// Bytes that have come since the server was told what has.
    unacknowledged: usize,
}

/// So much may come before the server is told that it has, where a second is not over yet: servers
/// keep 100,000 bytes, and would wait for that second with every 100,000.
const ACK_BYTES: usize = 32 * 1024;

impl Session {
    /// Begins with the hub handshake.
    pub(super) fn new(terms: Terms, now: Instant) -> Self {
        let mut uncounted = BytesMut::new();
        let request = HandshakeRequest {
            protocol: terms.encoding.protocol.name().into(),
            version: if terms.stateful.is_some() { 2 } else { 1 },
        };
        request.encode(&mut uncounted);
        Self {
            terms,
            phase: Phase::ShakingHands,
            frames: Frames::default(),
            uncounted,
            counted: None,
            ping_at: None,
            silent_at: Some(now + terms.handshake_timeout),
        }
    }

    /// Whether a lost socket can be replaced: both ends count.
    pub(super) fn can_resume(&self) -> bool {
        self.counted.is_some()
    }

    /// Takes what came. Drain [`next`](Self::next) before more of it.
    pub(super) fn receive(&mut self, bytes: Bytes, now: Instant) {
        self.frames.push(bytes);
        if self.phase != Phase::ShakingHands && self.silent_at.is_some() {
            self.listens(now);
        }
    }

    /// What the server said next; `None` when more must come.
    ///
    /// # Errors
    /// When the connection cannot go on.
    pub(super) fn next(&mut self, now: Instant) -> Result<Option<Heard>, Fault> {
        let max = Some(self.terms.max_message_size);
        if self.phase == Phase::ShakingHands {
            // It is JSON whatever follows (H-01).
            let Some(record) = self.frames.next(Protocol::Json, max)? else {
                return Ok(None);
            };
            return match HandshakeResponse::decode(&record)?.error {
                Some(error) => Err(Fault::Refused(error)),
                None => {
                    self.open(now);
                    Ok(Some(Heard::Opened))
                }
            };
        }
        let protocol = self.terms.encoding.protocol;
        while let Some(record) = self.frames.next(protocol, max)? {
            let Some(message) = protocol.decode(&record)? else {
                continue; // of a type that is not known (J-09, M-05)
            };
            self.acknowledge_early(record.len());
            if let Some(heard) = self.hear(message, now)? {
                return Ok(Some(heard));
            }
        }
        Ok(None)
    }

    fn open(&mut self, now: Instant) {
        self.phase = Phase::Open;
        self.listens(now);
        if let Some(limit) = self.terms.stateful {
            let protocol = self.terms.encoding.protocol;
            // What may wait is bounded where it is sent, in `queued`.
            let mut sent = Sent::new(protocol, limit, usize::MAX);
            sent.release();
            let arrived = Arrived::new();
            self.counted = Some(Box::new(Counted {
                sent,
                arrived,
                unacknowledged: 0,
            }));
            // A server may hold back what it counts until it hears that this end does (SR-22).
            self.send(&HubMessage::Ping);
        }
        self.ping_at = self.terms.keep_alive.map(|every| now + every);
    }

    fn hear(&mut self, message: HubMessage, now: Instant) -> Result<Option<Heard>, Fault> {
        if self.phase == Phase::Resuming && message.is_counted() {
            return Ok(None); // SR-11: it comes again behind the Sequence
        }
        if let Some(counted) = &mut self.counted
            && !counted.arrived.take(&message, now)?
        {
            return Ok(None); // it came before (SR-10)
        }
        Ok(match message {
            HubMessage::Ping => None,
            HubMessage::Ack { sequence_id } => {
                if let Some(counted) = &mut self.counted {
                    counted.sent.acknowledge(sequence_id);
                }
                None
            }
            HubMessage::Sequence { .. } => {
                let is_awaited = self.phase == Phase::Resuming;
                self.phase = Phase::Open;
                is_awaited.then_some(Heard::Resumed)
            }
            HubMessage::Close {
                error,
                allow_reconnect,
            } => Some(Heard::Close {
                error,
                allow_reconnect,
            }),
            message => Some(Heard::Message(message)),
        })
    }

    fn acknowledge_early(&mut self, came: usize) {
        if let Some(counted) = &mut self.counted {
            counted.unacknowledged += came;
            if counted.unacknowledged >= ACK_BYTES {
                counted.unacknowledged = 0;
                if let Some(ack) = counted.arrived.ack_early() {
                    self.send(&ack);
                }
            }
        }
    }

    /// Says something to the server, as soon as it can be.
    pub(super) fn send(&mut self, message: &HubMessage) {
        let protocol = self.terms.encoding.protocol;
        self.write(|out| protocol.encode(message, out));
    }

    /// Calls a method, as soon as it can be.
    pub(super) fn call(&mut self, call: Call<'_>, wants_stream: bool) {
        let protocol = self.terms.encoding.protocol;
        if !wants_stream {
            return self.write(|out| protocol.encode_call(call, out));
        }
        self.send(&HubMessage::StreamInvocation(call.to_invocation()));
    }

    fn write(&mut self, encode: impl FnOnce(&mut BytesMut)) {
        match &mut self.counted {
            None => encode(&mut self.uncounted),
            Some(counted) => {
                let mut bytes = BytesMut::new();
                encode(&mut bytes);
                let taken = counted.sent.take(&bytes.freeze());
                taken.expect("nothing bounds it here, and nobody sends 2^63 messages");
            }
        }
    }

    /// What is to be written next, whole messages: about `most` bytes of them.
    pub(super) fn outgoing(&mut self, most: usize) -> Option<Bytes> {
        if !self.uncounted.is_empty() {
            return Some(self.uncounted.split().freeze());
        }
        let sent = match (&mut self.counted, self.phase) {
            (None, _) | (_, Phase::Away) => return None,
            (Some(counted), _) => &mut counted.sent,
        };
        let (_, first) = sent.next()?.into_parts();
        if !sent.has_next() {
            return Some(first);
        }
        let mut bytes = BytesMut::from(first);
        while bytes.len() < most
            && let Some(next) = sent.next()
        {
            bytes.extend_from_slice(&next.into_parts().1);
        }
        Some(bytes.freeze())
    }

    /// Whether [`outgoing`](Self::outgoing) has something to give.
    pub(super) fn has_outgoing(&self) -> bool {
        let counted = self.counted.as_ref().filter(|_| self.phase != Phase::Away);
        !self.uncounted.is_empty() || counted.is_some_and(|counted| counted.sent.has_next())
    }

    /// Bytes that wait to be written.
    pub(super) fn queued(&self) -> usize {
        let counted = self.counted.as_ref();
        self.uncounted.len() + counted.map_or(0, |counted| counted.sent.waiting_bytes())
    }

    /// The socket is lost, and another one will come (SR-12).
    pub(super) fn lost(&mut self) {
        self.phase = Phase::Away;
        self.frames = Frames::default(); // what has not come whole comes again
        self.ping_at = None;
        self.silent_at = None;
        if let Some(counted) = &mut self.counted {
            counted.sent.lost();
        }
    }

    /// The next socket is there: what is unacknowledged leaves again, behind its Sequence (SR-20).
    pub(super) fn resume(&mut self, now: Instant) {
        self.phase = Phase::Resuming;
        self.ping_at = self.terms.keep_alive.map(|every| now + every);
        self.listens(now);
        if let Some(counted) = &mut self.counted {
            let (_, sequence) = counted.sent.resume().into_parts();
            self.uncounted.extend_from_slice(&sequence);
        }
    }

    /// Nothing is read for a while: the server's silence says nothing.
    pub(super) fn rests(&mut self) {
        self.silent_at = None;
    }

    /// The server has its time again to say something.
    pub(super) fn listens(&mut self, now: Instant) {
        self.silent_at = self.terms.server_timeout.map(|timeout| now + timeout);
    }

    /// When [`tick`](Self::tick) has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let ack_at = self.counted.as_ref().and_then(|it| it.arrived.ack_at());
        let ack_at = ack_at.filter(|_| self.phase != Phase::Away);
        [self.ping_at, self.silent_at, ack_at]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does what the time asks for.
    ///
    /// # Errors
    /// When the server has been silent for too long.
    pub(super) fn tick(&mut self, now: Instant) -> Result<(), Fault> {
        if self.silent_at.is_some_and(|at| now >= at) {
            return Err(match self.phase {
                Phase::ShakingHands => Fault::NoHandshake,
                Phase::Open | Phase::Away | Phase::Resuming => Fault::Silent,
            });
        }
        if self.ping_at.is_some_and(|at| now >= at) {
            self.ping_at = self.terms.keep_alive.map(|every| now + every);
            self.send(&HubMessage::Ping);
        }
        if self.phase != Phase::Away
            && let Some(counted) = &mut self.counted
            && let Some(ack) = counted.arrived.ack(now)
        {
            self.send(&ack);
        }
        Ok(())
    }
}
