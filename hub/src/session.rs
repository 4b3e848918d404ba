//! One connection's machine: the hub handshake, then messages until the end. No I/O, no clock.
//!
//! ```text
//!                    Session:
//!   Handshake ──{}──►  Held ⇄ Open  ──Close, end of input, fault──► Closed
//! ```
//!
//! A [`Handshake`] that succeeds makes a [`Session`], held until [`Session::go_on`]. `handle_*`
//! takes what happened. Then drain [`Session::poll_event`] for what is to be done, and
//! write [`Session::outgoing`]; [`Session::poll_timeout`] says when to come back without input.
//! Everything a client must be told about a call goes through [`Session::complete`], which takes
//! the call away: it is answered exactly once.
//!
//! It may import `options` and `protocol` alone. Its driver is [`connection`](crate::connection);
//! where messages begin and end is in [`protocol`](crate::protocol).

mod calls;
mod clock;
mod counting;
mod end;
mod handshake;
mod lengths;
#[cfg(test)]
mod tests;

use std::{collections::VecDeque, sync::Arc, time::Instant};

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;

pub(crate) use calls::{ActiveCall, NotBegun, StreamKey};
pub(crate) use counting::{Reconnect, Signals};
pub(crate) use end::{Closer, End, Ending, OnDisconnect};
pub(crate) use handshake::{Handshake, Pings, Terms};

use crate::{
    counted::arrived::Arrived,
    options::HubOptions,
    protocol::{
        Encoding, Frames, ProtocolError, TransferFormat,
        message::{Completion, HubMessage, Invocation},
    },
};
use calls::Calls;
use clock::{Clock, Due};

/// What a message that waits costs besides its bytes.
const MESSAGE_OVERHEAD: usize = 64;

pub(crate) struct Session {
    options: Arc<HubOptions>,
    phase: Phase,
    encoding: Encoding,
    frames: Frames,
    /// Messages that came while an earlier one had to wait.
    backlog: VecDeque<Result<HubMessage, ProtocolError>>,
    backlog_bytes: usize,
    calls: Calls,
    clock: Clock,
    /// What has come, where both ends count it for a stateful reconnect; `None` elsewhere.
    arrived: Option<Box<Arrived>>,
    client: Client,
    signals: Signals,
    outgoing: BytesMut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Messages are kept, and nothing more happens (OR-02, HB-03).
    Held,
    Open,
    Closed,
}

/// The other end. Once it says nothing more, what it has said is done all the same, and the
/// connection is over: at the latest at `give_up_at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Client {
    Here,
    /// Its socket is lost, and another may come (SR-12).
    Away,
    /// It left, perhaps in the middle of a message.
    Gone {
        give_up_at: Instant,
    },
    /// It was away, and no other socket came (X-03).
    GivenUp {
        give_up_at: Instant,
    },
}

/// What a session asks its driver to do.
#[derive(Debug)]
pub(crate) enum Event {
    /// A call, to be looked up and then begun or refused.
    Call(Invocation, CallKind),
    /// A call whose stream ids cannot be read: that is a fault of the protocol, unless it is refused
    /// for what stands before them.
    BrokenCall(Box<(Invocation, CallKind, ProtocolError)>),
    /// The client wants no more of a call.
    Cancel(u64),
    /// An item of an upload.
    UploadItem(StreamKey, Bytes),
    /// The end of an upload, with the client's error if it failed.
    UploadEnd(StreamKey, Option<ByteString>),
    /// A client's answer to a call of ours.
    ClientResult(ByteString, Completion),
    /// The connection is over.
    Ended(End),
}

/// How a call wants to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallKind {
    /// With one completion (type 1).
    Plain,
    /// With a stream (type 4).
    Stream,
}

impl Session {
    /// After the hub handshake: make the connection reachable and run what runs on connect, then
    /// [`go_on`](Self::go_on).
    fn new(
        options: Arc<HubOptions>,
        terms: Terms,
        encoding: Encoding,
        frames: Frames,
        outgoing: BytesMut,
        now: Instant,
    ) -> Self {
        Self {
            clock: Clock::new(&options, terms.pings, now),
            calls: Calls::new(&options),
            encoding,
            options,
            phase: Phase::Held, // until what runs on connect is done (HB-03)
            frames,
            backlog: VecDeque::new(),
            backlog_bytes: 0,
            arrived: (terms.reconnect == Reconnect::Stateful).then(|| Box::new(Arrived::new())),
            client: Client::Here,
            signals: Signals::default(),
            outgoing,
        }
    }

    /// Takes bytes from the transport, cut anywhere (WS-06).
    pub(crate) fn handle_input(&mut self, bytes: Bytes) {
        if self.phase != Phase::Closed {
            self.frames.push(bytes);
        }
    }

    /// The transport will deliver nothing more: once all that came is done, the connection is over.
    pub(crate) fn handle_eof(&mut self, now: Instant) {
        let give_up_at = now + self.options.endpoint.disconnect_timeout;
        self.client = match self.client {
            Client::Away | Client::GivenUp { .. } => Client::GivenUp { give_up_at },
            Client::Here | Client::Gone { .. } => Client::Gone { give_up_at },
        };
    }

    /// Whether the transport delivers nothing more.
    pub(crate) fn has_all(&self) -> bool {
        matches!(self.client, Client::Gone { .. } | Client::GivenUp { .. })
    }

    /// The end, if no more can come.
    fn end_of_input(&mut self) -> Option<Event> {
        let end = match self.client {
            Client::Here | Client::Away => return None,
            // Half a message at the end breaks the protocol (F-04).
            Client::Gone { .. } if !self.frames.is_empty() => End::Protocol(
                ProtocolError::invalid("Connection terminated while reading a message."),
            ),
            // X-03: who was away and does not come back has left, whatever it was saying.
            Client::Gone { .. } | Client::GivenUp { .. } => End::ClientLeft,
        };
        Some(Event::Ended(self.end(end)))
    }

    /// Does what is due at `now`; gives the end if that is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Option<End> {
        match (self.phase, self.client) {
            (Phase::Closed, _) => None,
            (_, Client::Gone { give_up_at } | Client::GivenUp { give_up_at }) => {
                (now >= give_up_at).then(|| self.end(End::ClientLeft))
            }
            (_, client) => {
                if client == Client::Here
                    && let Some(ack) = self.arrived.as_mut().and_then(|arrived| arrived.ack(now))
                {
                    self.send(&ack); // the client need not keep what has arrived (SR-05)
                }
                match self.clock.due(now, self.is_still())? {
                    Due::Ping => {
                        self.send(&HubMessage::Ping); // whatever else was sent (K-01)
                        None
                    }
                    Due::ClientTimeout => Some(self.end(End::Timeout)),
                }
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match (self.phase, self.client) {
            (Phase::Closed, _) => None,
            (_, Client::Gone { give_up_at } | Client::GivenUp { give_up_at }) => Some(give_up_at),
            (_, client) => {
                let next = self.clock.next(self.is_still());
                let ack = self.arrived.as_ref().and_then(|arrived| arrived.ack_at());
                let ack = ack.filter(|_| client == Client::Here);
                next.into_iter().chain(ack).min()
            }
        }
    }

    /// The next thing to do.
    pub(crate) fn poll_event(&mut self, now: Instant) -> Option<Event> {
        match self.phase {
            Phase::Held => {
                self.keep_reading(now);
                None
            }
            Phase::Open => self.next_message(now).or_else(|| self.end_of_input()),
            Phase::Closed => None,
        }
    }

    /// How many bytes more may wait; at none the transport should deliver no more for now. `is_clogged`
    /// when the client does not read its answers.
    pub(crate) fn room(&self, is_clogged: bool) -> usize {
        let mut limit = self.options.endpoint.application_max_buffer_size;
        if self.arrived.is_some() {
            // X-07: a client sends so much without an Ack, and its own Acks behind it.
            limit = limit.max(4 * self.options.stateful_reconnect_buffer_size);
        }
        if self.phase != Phase::Held && !is_clogged {
            // What waits for the rest of its record has a bound of its own (F-05).
            return limit.max(1);
        }
        limit.saturating_sub(self.backlog_bytes + self.frames.len())
    }

    /// Whether the client has sent a ping (K-05).
    pub(crate) fn client_pings(&self) -> bool {
        self.clock.is_armed()
    }

    /// What its client may do, at its path.
    pub(crate) fn options(&self) -> &HubOptions {
        &self.options
    }

    /// How the connection's values are encoded; settled by the handshake.
    pub(crate) fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// What is to be sent, whole messages, and whether as text. Clear it when it is written.
    pub(crate) fn outgoing(&mut self) -> (TransferFormat, &mut BytesMut) {
        (self.encoding.protocol.transfer_format(), &mut self.outgoing)
    }

    /// How many bytes are to be sent.
    pub(crate) fn outgoing_bytes(&self) -> usize {
        self.outgoing.len()
    }

    /// Gives back what is not needed while nothing happens: an idle connection owns no buffer.
    pub(crate) fn rest(&mut self) {
        if self.outgoing.is_empty() {
            self.outgoing = BytesMut::new();
        }
    }

    // What follows are commands.

    /// Begins a call: its ids are known before the next message is looked at (OR-06). One that is
    /// refused gets its own id back.
    pub(crate) fn begin(
        &mut self,
        invocation_id: Option<ByteString>,
        kind: CallKind,
        stream_ids: Vec<ByteString>,
    ) -> Result<ActiveCall, (NotBegun, Option<ByteString>)> {
        self.calls.begin(invocation_id, kind, stream_ids)
    }

    /// Whether a call may run now. One that takes no slot always may (OR-04).
    pub(crate) fn may_run(&mut self, call: &mut ActiveCall) -> bool {
        self.calls.take_slot(call)
    }

    /// Whether a call that takes a slot would run at once.
    pub(crate) fn has_free_slot(&self) -> bool {
        self.calls.free_slots > 0
    }

    /// The call is not done at once: from here on it can be cancelled.
    pub(crate) fn keep(&mut self, call: &mut ActiveCall) {
        self.calls.keep(call);
    }

    /// Lets nothing more happen until [`go_on`](Self::go_on): messages are kept (OR-02, HB-03).
    pub(crate) fn hold(&mut self) {
        if self.phase == Phase::Open {
            self.phase = Phase::Held;
        }
    }

    /// What is held goes on. A client that is gone gets as much patience again.
    pub(crate) fn go_on(&mut self, now: Instant) {
        if self.phase == Phase::Held {
            self.phase = Phase::Open;
        }
        self.clock.goes_on(now);
        if self.has_all() {
            self.handle_eof(now);
        }
    }

    /// Gives the slot of a call back before its end: it waits for its client (CR-07).
    pub(crate) fn release_slot(&mut self, call: &mut ActiveCall) {
        self.calls.release_slot(call);
    }

    /// Sends an item of a stream.
    pub(crate) fn item(&mut self, call: &ActiveCall, item: Bytes) {
        if let Some(invocation_id) = &call.invocation_id {
            let invocation_id = invocation_id.clone();
            self.send(&HubMessage::StreamItem {
                invocation_id,
                item,
            });
        }
    }

    /// Answers a call. Its ids are free again.
    pub(crate) fn complete(&mut self, call: ActiveCall, completion: Completion) {
        self.calls.end(&call);
        self.refuse(call.invocation_id, completion);
    }

    /// Answers a call with its result. Its ids are free again.
    pub(crate) fn complete_with(&mut self, call: &ActiveCall, result: &[u8]) {
        self.calls.end(call);
        // CL-12: nothing is said after the end.
        if let Some(invocation_id) = &call.invocation_id
            && self.phase != Phase::Closed
        {
            let protocol = self.encoding.protocol;
            protocol.encode_result(invocation_id, result, &mut self.outgoing);
        }
    }

    /// Answers a call that was never begun. Without an id nobody is told (IN-03).
    pub(crate) fn refuse(&mut self, invocation_id: Option<ByteString>, completion: Completion) {
        if let Some(invocation_id) = invocation_id {
            self.send(&HubMessage::Completion {
                invocation_id,
                completion,
            });
        }
    }

    /// Ends the connection from this side. What the client is told is in
    /// [`outgoing`](Self::outgoing) (section 17).
    pub(crate) fn end(&mut self, end: End) -> End {
        let detail = self.options.detail();
        let message = end.ending().close_message(detail);
        self.send(&message);
        self.phase = Phase::Closed;
        self.frames = Frames::default();
        self.backlog = VecDeque::new();
        end
    }

    // Private from here on.

    fn send(&mut self, message: &HubMessage) {
        // CL-12: nothing is said after the end.
        if self.phase != Phase::Closed {
            self.encoding.protocol.encode(message, &mut self.outgoing);
        }
    }

    /// The next message of the stream, decoded; `None` when there is no whole one. One to be kept
    /// is copied: otherwise a few bytes would keep the transport's whole read buffer.
    fn decode(&mut self, to_keep: bool, now: Instant) -> Option<Result<HubMessage, ProtocolError>> {
        let protocol = self.encoding.protocol;
        loop {
            let record = match self
                .frames
                .next(protocol, self.options.maximum_receive_message_size)
            {
                Ok(record) => record?,
                Err(error) => return Some(Err(error)),
            };
            let record = if to_keep {
                Bytes::copy_from_slice(&record)
            } else {
                record
            };
            // J-09, M-05: a type that nobody knows is skipped.
            let Some(message) = protocol.decode(&record).transpose() else {
                continue;
            };
            let message = match message {
                Ok(message) => lengths::check(&message, &self.options).map(|()| message),
                Err(fault) => Err(match fault.call() {
                    Some(call) => lengths::check_call(call, &self.options)
                        .err()
                        .unwrap_or(fault),
                    None => fault,
                }),
            };
            match self.count(message, now) {
                Some(message) => return Some(message),
                None => continue, // it came before (SR-10)
            }
        }
    }

    /// While it is held: pings are seen, and what else comes is kept for later.
    pub(crate) fn keep_reading(&mut self, now: Instant) {
        if self.phase == Phase::Held {
            self.read_ahead(now);
        }
    }

    /// While an earlier message waits: what does not need its turn happens, the rest is kept.
    /// (X-07: ASP.NET Core stops reading here, and can wait for ever.)
    fn read_ahead(&mut self, now: Instant) {
        if self.backlog.back().is_some_and(Result::is_err) {
            return;
        }
        while self.room(true) > 0 {
            let before = self.frames.len();
            match self.decode(true, now) {
                None => return,
                Some(Ok(HubMessage::Ping)) => self.clock.pinged(now),
                Some(Ok(HubMessage::Ack { .. } | HubMessage::Sequence { .. })) => {}
                Some(message) => {
                    self.backlog_bytes += before - self.frames.len() + MESSAGE_OVERHEAD;
                    let is_fault = message.is_err();
                    self.backlog.push_back(message);
                    if is_fault {
                        return;
                    }
                }
            }
        }
    }

    fn next_message(&mut self, now: Instant) -> Option<Event> {
        loop {
            let message = match self.backlog.pop_front() {
                Some(message) => {
                    if self.backlog.is_empty() {
                        self.backlog = VecDeque::new();
                        self.backlog_bytes = 0;
                    }
                    message
                }
                None => self.decode(false, now)?,
            };
            self.clock.heard(now);
            let event = match message {
                Ok(message) => self.handle_message(message, now),
                Err(mut fault) => Some(match fault.take_call() {
                    Some((call, wants_stream)) => {
                        let kind = if wants_stream {
                            CallKind::Stream
                        } else {
                            CallKind::Plain
                        };
                        Event::BrokenCall(Box::new((call, kind, fault)))
                    }
                    None => Event::Ended(self.end(End::Protocol(fault))),
                }),
            };
            if event.is_some() {
                return event;
            }
        }
    }

    fn handle_message(&mut self, message: HubMessage, now: Instant) -> Option<Event> {
        match message {
            HubMessage::Invocation(invocation) => Some(Event::Call(invocation, CallKind::Plain)),
            HubMessage::StreamInvocation(invocation) => {
                Some(Event::Call(invocation, CallKind::Stream))
            }
            // UP-05: what belongs to nothing is ignored.
            HubMessage::StreamItem {
                invocation_id,
                item,
            } => {
                let stream = self.calls.upload(&invocation_id)?;
                Some(Event::UploadItem(stream, item))
            }
            // UP-10: an upload first, then a result.
            HubMessage::Completion {
                invocation_id,
                completion,
            } => match self.calls.end_upload(&invocation_id) {
                Some(stream) => Some(match completion {
                    Completion::Error(error) => Event::UploadEnd(stream, Some(error)),
                    Completion::Void => Event::UploadEnd(stream, None),
                    // It is skipped, if it can be.
                    Completion::Result(result) => {
                        match self.encoding.protocol.unskippable(&result) {
                            None => Event::UploadEnd(stream, None),
                            Some(fault) => Event::Ended(self.end(End::Protocol(fault))),
                        }
                    }
                }),
                None => Some(Event::ClientResult(invocation_id, completion)),
            },
            HubMessage::CancelInvocation { invocation_id } => {
                // An id that nothing runs under is ignored (ST-07).
                self.calls.key(&invocation_id).map(Event::Cancel)
            }
            HubMessage::Ping => {
                self.clock.pinged(now); // K-05; K-08: no answer
                None
            }
            HubMessage::Close { error, .. } => {
                Some(Event::Ended(self.end(End::ClientClosed(error))))
            }
            // SR-17; where both ends count they were taken as they were read.
            HubMessage::Ack { .. } | HubMessage::Sequence { .. } => None,
        }
    }
}
