//! Stateful reconnect, as a session sees it: what comes is counted, and a client may be away for a
//! while (`SPEC.md`, section 22).

use std::time::Instant;

use super::{Client, Frames, Phase, Session};
use crate::protocol::{Protocol, ProtocolError, message::HubMessage};

/// What a client whose socket is lost may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reconnect {
    /// Come again as a new connection: the ordinary case.
    Anew,
    /// Come back to this one with another socket, and no message is lost: stateful reconnect was
    /// granted to it (SR-01).
    Stateful,
}

/// What a transport that keeps messages is told.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Signals {
    /// The client has said something since the hub handshake: it counts what it gets (SR-22).
    pub(crate) client_counts: bool,
    /// So much has arrived (SR-06).
    pub(crate) acknowledged: Option<i64>,
    /// The session keeps so many bytes for a client that is away.
    pub(crate) keeps: Option<usize>,
}

impl Session {
    /// How messages are encoded, where both ends count them for a stateful reconnect (SR-01).
    pub(crate) fn stateful(&self) -> Option<Protocol> {
        self.arrived.as_ref().map(|_| self.encoding.protocol)
    }

    /// The client's socket is lost, and another may come (SR-12). What it said before is done all
    /// the same.
    pub(crate) fn lost(&mut self) {
        self.client = Client::Away;
        self.signals.keeps = Some(self.backlog_bytes + self.frames.len());
    }

    /// The client is there again. It sends again what has not come whole.
    pub(crate) fn resumed(&mut self, now: Instant) {
        self.client = Client::Here;
        self.frames = Frames::default();
        self.clock.goes_on(now);
    }

    /// While the client does not read its answers: what it says is looked through for Acks, which
    /// may be what everything waits for, and kept.
    pub(crate) fn look_ahead(&mut self, now: Instant) {
        if self.phase != Phase::Closed && self.arrived.is_some() {
            self.read_ahead(now);
        }
    }

    /// What is new for the transport since it was last asked; `None` for nothing.
    pub(crate) fn take_signals(&mut self) -> Option<Signals> {
        if self.signals == Signals::default() {
            return None;
        }
        Some(std::mem::take(&mut self.signals))
    }

    /// Whether the client's silence says nothing now.
    pub(super) fn is_still(&self) -> bool {
        self.phase == Phase::Held || self.client != Client::Here
    }

    /// The one place where what comes is counted; `None` for what came before (SR-10).
    pub(super) fn count(
        &mut self,
        message: Result<HubMessage, ProtocolError>,
        now: Instant,
    ) -> Option<Result<HubMessage, ProtocolError>> {
        let Some(arrived) = &mut self.arrived else {
            return Some(message);
        };
        let message = match message {
            Ok(message) => message,
            // Its sender has counted it, whatever becomes of it (SR-02).
            Err(fault) => {
                let call = fault.call().cloned().map(HubMessage::Invocation);
                let is_new = call.is_none_or(|call| arrived.take(&call, now) != Ok(false));
                return is_new.then_some(Err(fault));
            }
        };
        self.signals.client_counts = true;
        if let HubMessage::Ack { sequence_id } = &message {
            let before = self.signals.acknowledged;
            self.signals.acknowledged = before.max(Some(*sequence_id));
        }
        match arrived.take(&message, now) {
            Ok(true) => Some(Ok(message)),
            Ok(false) => None,
            Err(fault) => Some(Err(fault)),
        }
    }
}
