//! What goes to a client that counts: numbered, and kept until it is acknowledged (`SPEC.md`, section 22).
//! No I/O, no clock.
//!
//! [`Sent`] is the one way to such a client: it takes what is to be sent, whole messages as they are
//! on the wire, whoever encoded them, and gives out [`Outgoing`], which nothing else can make and
//! which alone can be written to the client's socket.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::protocol::{Frames, Protocol, TransferFormat, message::HubMessage};

/// What a message that is kept costs besides its bytes.
const MESSAGE_OVERHEAD: usize = 64;

/// One hub message, framed, for the client's socket: counted and kept where it must be (SR-02).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outgoing {
    bytes: Bytes,
    format: TransferFormat,
}

impl Outgoing {
    pub(crate) fn into_parts(self) -> (TransferFormat, Bytes) {
        (self.format, self.bytes)
    }
}

/// The connection cannot go on: what it would have to keep has no place, or no number.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Overflow;

/// What goes to the client: numbered, and kept until it is acknowledged.
pub(crate) struct Sent {
    protocol: Protocol,
    /// `stateful_reconnect_buffer_size` (SR-04).
    limit: usize,
    /// Bytes that may wait for the client, beside those it has been sent.
    max_waiting: usize,
    /// Counted messages in their order; the first `written` of them were given out.
    kept: VecDeque<Bytes>,
    /// The sequence id of the first that is kept, or of the next message.
    first: i64,
    written: usize,
    /// As framed: what .NET counts (SR-03).
    written_bytes: usize,
    waiting_bytes: usize,
    /// The last id that an earlier socket was given.
    given_before: i64,
    /// The highest id that was acknowledged, by whichever socket.
    acknowledged: i64,
    /// How many of those that were given out are acknowledged and kept all the same, and their bytes.
    spare: usize,
    spare_bytes: usize,
    /// What is not counted passes what waits for an Ack: it may be the Ack that the client waits
    /// for.
    aside: VecDeque<Bytes>,
    last: Last,
    client: Client,
}

/// The last message, a Close: nothing follows it (CL-12).
enum Last {
    NotSaid,
    /// It leaves behind all that is kept.
    Waits(Bytes),
    HasLeft,
}

/// The other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Client {
    /// It may not count yet: nothing counted may leave (SR-22).
    MayNotCount,
    Counts,
    /// Its socket is lost.
    Away,
}

impl Sent {
    /// SR-22: until the client has said something, nothing counted leaves: it may not count yet.
    pub(crate) fn new(protocol: Protocol, limit: usize, max_waiting: usize) -> Self {
        Self {
            protocol,
            limit,
            max_waiting,
            kept: VecDeque::new(),
            first: 1,
            written: 0,
            written_bytes: 0,
            waiting_bytes: 0,
            given_before: 0,
            acknowledged: 0,
            spare: 0,
            spare_bytes: 0,
            aside: VecDeque::new(),
            last: Last::NotSaid,
            client: Client::MayNotCount,
        }
    }

    /// Takes whole messages, framed. Copies are kept: what is sent to many shares one buffer, and
    /// who is away would keep it.
    ///
    /// # Errors
    /// When more waits than may, or the sequence ids are used up (row 195).
    pub(crate) fn take(&mut self, messages: &Bytes) -> Result<(), Overflow> {
        let mut frames = Frames::default();
        frames.push(messages.clone());
        let mut at = 0;
        while let Last::NotSaid = self.last
            && let Ok(Some(record)) = frames.next(self.protocol, None)
        {
            let end = messages.len() - frames.len();
            let message = Bytes::copy_from_slice(&messages[at..end]);
            at = end;
            match self.protocol.type_of(&record) {
                Some(HubMessage::CLOSE) => self.last = Last::Waits(message),
                Some(HubMessage::PING | HubMessage::ACK | HubMessage::SEQUENCE) => {
                    if self.client != Client::Away {
                        self.aside.push_back(message);
                    }
                }
                // SR-02, SR-18: whatever else it is, and wherever it was encoded.
                _ => self.count(message)?,
            }
        }
        Ok(())
    }

    fn count(&mut self, message: Bytes) -> Result<(), Overflow> {
        let ids = i64::try_from(self.kept.len()).map_err(|_| Overflow)?;
        self.first.checked_add(ids + 1).ok_or(Overflow)?;
        let cost = cost(&message);
        // One message may be as large as it likes: it was let in with nothing before it.
        if self.waiting_bytes > 0 && self.waiting_bytes + cost > self.max_waiting {
            return Err(Overflow);
        }
        self.waiting_bytes += cost;
        self.kept.push_back(message);
        Ok(())
    }

    /// What is to be written next, if the client may be sent it now.
    pub(crate) fn next(&mut self) -> Option<Outgoing> {
        if let Some(aside) = self.aside.pop_front() {
            return Some(self.outgoing(aside));
        }
        // SR-04: the message that crosses the limit still leaves. SR-19: before the end all do.
        if self.may_leave()
            && let Some(message) = self.kept.get(self.written)
        {
            let message = message.clone();
            let cost = cost(&message);
            self.written += 1;
            self.written_bytes += message.len();
            self.waiting_bytes -= cost;
            self.count_spare();
            return Some(self.outgoing(message));
        }
        match std::mem::replace(&mut self.last, Last::HasLeft) {
            Last::Waits(close) => Some(self.outgoing(close)),
            other => {
                self.last = other;
                None
            }
        }
    }

    /// The client counts from here on (SR-22).
    pub(crate) fn release(&mut self) {
        if self.client == Client::MayNotCount {
            self.client = Client::Counts;
        }
    }

    /// SR-06: drops what has arrived. What was not sent cannot have: an Ack above it, or a repeated
    /// one, changes nothing more.
    ///
    /// An Ack may come while the client has read only a part of a replay, of what it has from an
    /// earlier socket. Official clients refuse a Sequence above what they have read of *this* one:
    /// if it were lost now, they could not go on. So a replay is kept until something newer arrives.
    pub(crate) fn acknowledge(&mut self, id: i64) {
        let id = id.min(self.last_given().max(self.given_before));
        self.acknowledged = self.acknowledged.max(id);
        if id <= self.given_before {
            self.count_spare();
            return;
        }
        while self.first <= id {
            if let Some(message) = self.kept.pop_front() {
                self.written_bytes -= message.len();
                if self.spare > 0 {
                    self.spare -= 1;
                    self.spare_bytes -= message.len();
                }
            }
            self.written -= 1;
            self.first += 1;
        }
        if self.kept.is_empty() {
            self.kept = VecDeque::new();
        }
    }

    /// Counts what the client has and is kept all the same.
    fn count_spare(&mut self) {
        while self.spare < self.written && self.first + (self.spare as i64) <= self.acknowledged {
            self.spare_bytes += self.kept[self.spare].len();
            self.spare += 1;
        }
    }

    /// The socket is lost: what is not counted is not sent again.
    pub(crate) fn lost(&mut self) {
        self.client = Client::Away;
        self.aside = VecDeque::new();
    }

    /// SR-08: a new socket gets the id of the first message that is not acknowledged, then all of
    /// them, then what is new.
    pub(crate) fn resume(&mut self) -> Outgoing {
        self.client = Client::Counts; // who resumes does
        self.aside = VecDeque::new();
        self.given_before = self.given_before.max(self.last_given());
        self.spare = 0;
        self.spare_bytes = 0;
        self.waiting_bytes += self.written_bytes + self.written * MESSAGE_OVERHEAD;
        self.written_bytes = 0;
        self.written = 0;
        let mut bytes = BytesMut::new();
        let sequence_id = self.first;
        self.protocol
            .encode(&HubMessage::Sequence { sequence_id }, &mut bytes);
        self.outgoing(bytes.freeze())
    }

    /// Bytes that wait for the client.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// Bytes that are kept in all.
    pub(crate) fn bytes(&self) -> usize {
        self.waiting_bytes + self.written_bytes + self.written * MESSAGE_OVERHEAD
    }

    /// Whether [`next`](Self::next) has something to give.
    pub(crate) fn has_next(&self) -> bool {
        let is_waiting = self.written < self.kept.len() && self.may_leave();
        is_waiting || self.has_close() || !self.aside.is_empty()
    }

    /// Whether what is counted may leave. Before the end all of it does.
    fn may_leave(&self) -> bool {
        self.has_close() || (self.client != Client::MayNotCount && self.has_room())
    }

    /// Whether the next message may leave. What is repeated is kept in any case. What is new may as long
    /// as not too much is unacknowledged (SR-04) and, but for the first of it, not much is kept that is
    /// acknowledged: the Ack of that first one frees it, so that the next socket does not repeat it too.
    fn has_room(&self) -> bool {
        let next = self.last_given() + 1;
        let frees_others = next == self.given_before + 1 && self.first <= self.acknowledged;
        let has_room = !self.is_full() && self.spare_bytes <= self.limit;
        next <= self.given_before || frees_others || has_room
    }

    fn has_close(&self) -> bool {
        matches!(self.last, Last::Waits(_))
    }

    /// Whether the client must acknowledge something before more leaves (SR-04).
    fn is_full(&self) -> bool {
        self.written_bytes - self.spare_bytes > self.limit
    }

    /// The last id that this socket was given.
    fn last_given(&self) -> i64 {
        self.first + self.written as i64 - 1
    }

    fn outgoing(&self, bytes: Bytes) -> Outgoing {
        let format = self.protocol.transfer_format();
        Outgoing { bytes, format }
    }
}

fn cost(message: &Bytes) -> usize {
    message.len() + MESSAGE_OVERHEAD
}

#[cfg(test)]
mod tests;
