//! A connection's protocol state, from the first frame to the last.

use std::{
    io::{self},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};

#[cfg(feature = "deflate")]
use crate::deflate::{Deflater, Negotiated};
use crate::{
    proto::{
        assembler::Assembler,
        config::{CloseAnswer, Config},
        keep_alive::KeepAlive,
        reader::{Masking, Reader},
        writer::Writer,
    },
    vocabulary::{
        close::{CloseCode, CloseFrame},
        error::{ApiMisuse, CapacityError, Error, Result},
        frame::{Frame, FrameHeader, OpCode},
        message::{Message, MessageKind},
        utf8::Utf8Validator,
    },
};

/// Which end of the connection this is.
#[derive(Debug, Clone, Copy)]
pub enum Role {
    /// Takes masked frames, sends unmasked ones.
    Server,
    /// Takes unmasked frames, sends masked ones.
    Client {
        /// Gives a fresh key for each frame. RFC 6455 section 5.3 wants keys that nobody can
        /// predict: draw them from a strong random source.
        masking_key: fn() -> [u8; 4],
    },
}

/// Where the connection stands; `WebSocketState` in .NET.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Messages go both ways.
    Open,
    /// Our Close is sent, the peer's has not come.
    Closing,
    /// Nothing more will be sent or received.
    Closed,
}

/// What came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A whole message.
    Message(Message),
    /// A Ping; its Pong is queued already.
    Ping(Bytes),
    /// A Pong, asked for or not.
    Pong(Bytes),
    /// The peer's Close; it is answered already. `None`: it carried no code.
    Close(Option<CloseFrame>),
}

/// What a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Open: the next message.
    Listening,
    /// Open: the rest of a message, whose first byte came when this began.
    Receiving,
    /// The peer's Close, since ours was queued.
    Closing,
    /// Nothing more.
    Closed,
}

/// One end of a WebSocket connection, after the opening handshake. See the [module](crate::proto).
#[derive(Debug)]
pub struct Connection {
    config: Arc<Config>,
    phase: Phase,
    /// When it began, where that matters: for what is waited for.
    phase_since: Instant,
    reader: Reader,
    assembler: Assembler,
    pub(super) writer: Writer,
    /// The kind of the message that is being sent in fragments.
    pub(super) sending: Option<MessageKind>,
    sent_utf8: Utf8Validator,
    peer_close: Option<Box<CloseFrame>>,
    #[cfg(feature = "deflate")]
    pub(super) deflater: Option<Box<Deflater>>,
    /// When the peer was last heard or pinged.
    quiet_since: Instant,
    pub(super) keep_alive: KeepAlive,
    /// How much input was left when nothing more could be made of it.
    left_over: u32,
    /// When the control frames so far would have been due at the allowed rate (GCRA).
    control_due: Instant,
}

impl Connection {
    /// A connection that has just been upgraded at `now`.
    pub fn new(role: Role, config: Arc<Config>, now: Instant) -> Self {
        let masking_key = match role {
            Role::Server => None,
            Role::Client { masking_key } => Some(masking_key),
        };
        Self {
            config,
            phase: Phase::Listening,
            phase_since: now,
            reader: Reader::new(match masking_key {
                None => Masking::Required,
                Some(_) => Masking::Forbidden,
            }),
            assembler: Assembler::default(),
            writer: Writer::new(masking_key),
            sending: None,
            sent_utf8: Utf8Validator::default(),
            peer_close: None,
            #[cfg(feature = "deflate")]
            deflater: None,
            quiet_since: now,
            keep_alive: KeepAlive::default(),
            left_over: 0,
            control_due: now,
        }
    }

    /// Compresses messages both ways as the opening handshake agreed.
    #[cfg(feature = "deflate")]
    #[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
    pub fn with_deflate(mut self, negotiated: &Negotiated) -> Self {
        let mirrored;
        let negotiated = if self.writer.masks() {
            mirrored = negotiated.mirrored();
            &mirrored
        } else {
            negotiated
        };
        self.assembler.inflate(negotiated);
        self.deflater = Some(Box::new(Deflater::new(negotiated)));
        self
    }

    /// Takes bytes from the peer: consumes as much of `input` as makes one event. Call it again
    /// until it gives `None`; what then is left in `input` is the beginning of a frame, to be
    /// completed behind it.
    ///
    /// # Errors
    /// What the peer did wrong, once. The Close for it is queued and the connection is over.
    #[inline]
    pub fn handle_input(&mut self, input: &mut BytesMut, now: Instant) -> Result<Option<Event>> {
        if self.is_open() && self.assembler.is_taken_as_frames() {
            return Err(ApiMisuse::FramesAlreadyTaken.into());
        }
        if input.len() as u32 == self.left_over {
            return Ok(None);
        }
        // The usual case by a short way, inlined into the caller: a message that came whole, in
        // one frame.
        if self.is_open()
            && let Some((header, payload)) = self.reader.whole_frame(input, |header| {
                self.assembler.admits_whole(header, &self.config)
            })
        {
            self.left_over = 0;
            self.heard(now);
            // What follows in the input is another message.
            self.phase = if input.is_empty() {
                Phase::Listening
            } else {
                Phase::Receiving
            };
            self.phase_since = now;
            return match self.assembler.whole(&header, payload) {
                Ok(message) => Ok(Some(Event::Message(message))),
                Err(error) => Err(self.fail(error)),
            };
        }
        self.handle_any_input(input, now)
    }

    /// All else that may come: fragments, control frames, parts of frames, violations.
    #[inline(never)]
    pub(super) fn handle_any_input(
        &mut self,
        input: &mut BytesMut,
        now: Instant,
    ) -> Result<Option<Event>> {
        let event = self.next_event(input, now);
        self.arrived(event, input, now)
    }

    /// Takes bytes from the peer as [`handle_input`](Self::handle_input) does, and gives single
    /// frames, Pings and Pongs included: at this level *you* answer Pings. A Close is answered,
    /// then given.
    ///
    /// # Errors
    /// As `handle_input`: the order of fragments, the limits and UTF-8 are checked here too.
    pub fn handle_input_frame(
        &mut self,
        input: &mut BytesMut,
        now: Instant,
    ) -> Result<Option<Frame>> {
        if input.len() as u32 == self.left_over {
            return Ok(None);
        }
        let frame = self.next_frame(input, now);
        self.arrived(frame, input, now)
    }

    /// Takes the end of the peer's bytes.
    ///
    /// # Errors
    /// `Io` with `UnexpectedEof` unless the closing handshake was complete.
    pub fn handle_eof(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.phase, Phase::Closed) {
            Phase::Closed => Ok(()),
            Phase::Listening | Phase::Receiving | Phase::Closing => {
                Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())
            }
        }
    }

    /// Takes the passing of time: pings a silent peer, gives up on one that is gone or too slow.
    ///
    /// # Errors
    /// The limit that was passed. When the peer has not answered our Close in time the
    /// connection is `Closed`, and that is no error.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<()> {
        let is_due = self.phase_deadline().is_some_and(|at| now >= at);
        match self.phase {
            Phase::Closing if is_due => self.phase = Phase::Closed,
            Phase::Receiving if is_due => {
                return Err(self.fail(CapacityError::MessageTooSlow.into()));
            }
            Phase::Listening | Phase::Receiving | Phase::Closing | Phase::Closed => {}
        }
        if !self.is_open() {
            return Ok(());
        }
        match self
            .keep_alive
            .handle_timeout(self.quiet_since, now, &self.config)
        {
            Ok(false) => {}
            Ok(true) => self.ping(now),
            Err(error) => {
                self.phase = Phase::Closed;
                return Err(error.into());
            }
        }
        Ok(())
    }

    /// Queues a message.
    ///
    /// # Errors
    /// [`ApiMisuse`] after a Close or inside a fragmented message.
    #[inline]
    pub fn send(&mut self, message: Message) -> Result<()> {
        self.check_open()?;
        if self.sending.is_some() {
            return Err(ApiMisuse::UnfinishedMessage.into());
        }
        let kind = message.kind();
        let payload = message.into_bytes();
        #[cfg(feature = "deflate")]
        if let Some(deflater) = &mut self.deflater
            && deflater.wants(payload.len())
        {
            let deflated = deflater.deflate(&payload);
            self.writer.push_data(kind.into(), true, true, deflated);
            return Ok(());
        }
        self.writer.push_data(kind.into(), true, false, payload);
        Ok(())
    }

    /// Queues a frame: a fragment (`is_final` marks the end of its message), a Ping or a Pong.
    /// Fragments go uncompressed.
    ///
    /// # Errors
    /// [`ApiMisuse`] for a frame that RFC 6455 section 5.4 does not allow here.
    pub fn send_frame(&mut self, frame: &Frame) -> Result<()> {
        self.check_open()?;
        if frame.opcode() == OpCode::Close {
            // One that was received: a proxy may pass frames on.
            return Err(ApiMisuse::CloseAsFrame.into());
        }
        if !frame.opcode().is_control() {
            let kind = match (frame.opcode(), self.sending) {
                (OpCode::Continuation, None) => return Err(ApiMisuse::NothingToContinue.into()),
                (OpCode::Continuation, Some(kind)) => kind,
                (_, Some(_)) => return Err(ApiMisuse::UnfinishedMessage.into()),
                (OpCode::Text, None) => MessageKind::Text,
                (_, None) => MessageKind::Binary,
            };
            if kind == MessageKind::Text {
                let mut utf8 = self.sent_utf8.clone();
                utf8.push(frame.payload())
                    .map_err(|_| ApiMisuse::InvalidUtf8)?;
                if frame.is_final() && !utf8.is_complete() {
                    return Err(ApiMisuse::InvalidUtf8.into());
                }
                self.sent_utf8 = utf8;
            }
            self.sending = (!frame.is_final()).then_some(kind);
        }
        self.writer.push(frame);
        Ok(())
    }

    /// Begins the closing handshake: queues a Close behind what was sent before. Messages that
    /// still come in are discarded. Without effect when a Close was sent already.
    pub fn close(&mut self, close: Option<&CloseFrame>, now: Instant) {
        if self.is_open() {
            self.writer.push(&Frame::close(close));
            self.phase = Phase::Closing;
            self.phase_since = now;
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let quiet = match self.phase {
            Phase::Listening | Phase::Receiving => {
                self.keep_alive.deadline(self.quiet_since, &self.config)
            }
            Phase::Closing | Phase::Closed => None,
        };
        earliest(self.phase_deadline(), quiet)
    }

    /// Pings a silent peer no more, and takes no silence for its end. One that is written to is asked
    /// all the same whether it reads.
    pub fn stop_keep_alive(&mut self) {
        self.keep_alive.stop();
    }

    /// Much was written to the peer: asks it by a ping whether it reads, if it has not been heard for
    /// a while. Who has not answered within `progress_timeout` is a slow consumer; it has more time for
    /// what it has to read first, as for other pings.
    pub(crate) fn has_written_much(&mut self, now: Instant) {
        let since = self.quiet_since;
        if self.is_open() && self.keep_alive.written(since, now, &self.config) {
            self.ping(now);
        }
    }

    fn ping(&mut self, now: Instant) {
        self.quiet_since = now;
        self.writer
            .push(&Frame::received(OpCode::Ping, true, Bytes::new()));
    }

    /// Gives up on the peer because there is no memory for the rest of its message. Gives the error
    /// to end with; its Close is queued.
    pub fn overload(&mut self) -> Error {
        self.fail(CapacityError::Overloaded.into())
    }

    /// Bytes held of a message that is not finished.
    pub fn unfinished(&self) -> usize {
        self.assembler.held()
    }

    /// The limits and deadlines.
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Where the connection stands.
    pub fn state(&self) -> State {
        match self.phase {
            Phase::Listening | Phase::Receiving => State::Open,
            Phase::Closing => State::Closing,
            Phase::Closed => State::Closed,
        }
    }

    #[inline]
    fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Listening | Phase::Receiving)
    }

    /// The Close frame that came from the peer, if one came with a code.
    pub fn peer_close(&self) -> Option<&CloseFrame> {
        self.peer_close.as_deref()
    }

    fn next_event(&mut self, input: &mut BytesMut, now: Instant) -> Result<Option<Event>> {
        while let Some((header, payload)) = self.next_data_or_control(input)? {
            if header.opcode.is_control() {
                self.control_taken();
                if let Some(event) = self.control(header.opcode, payload.freeze(), now)? {
                    return Ok(Some(event));
                }
                continue;
            }
            if !self.is_open() {
                // Checked, and discarded.
                self.assembler.take_frame(&header, payload, &self.config)?;
                continue;
            }
            let message = self.assembler.join(&header, payload, &self.config)?;
            if let Some(message) = message {
                // What follows in the input is another message.
                self.phase = Phase::Listening;
                return Ok(Some(Event::Message(message)));
            }
        }
        Ok(None)
    }

    fn next_frame(&mut self, input: &mut BytesMut, now: Instant) -> Result<Option<Frame>> {
        while let Some((header, payload)) = self.next_data_or_control(input)? {
            let payload = if header.opcode.is_control() {
                self.control_taken();
                let payload = payload.freeze();
                self.check_control_rate(now)?;
                if header.opcode == OpCode::Close {
                    self.peer_closed(&payload)?;
                }
                payload
            } else {
                let payload = self.assembler.take_frame(&header, payload, &self.config)?;
                if !self.is_open() {
                    continue;
                }
                if header.is_final {
                    self.phase = Phase::Listening;
                }
                payload
            };
            return Ok(Some(Frame::received(
                header.opcode,
                header.is_final,
                payload,
            )));
        }
        Ok(None)
    }

    fn next_data_or_control(
        &mut self,
        input: &mut BytesMut,
    ) -> Result<Option<(FrameHeader, BytesMut)>> {
        if self.phase == Phase::Closed {
            // RFC 6455 5.5.1: after both Close frames nothing counts any more.
            input.clear();
            return Ok(None);
        }
        let admit = |header: &FrameHeader| self.assembler.admit(header, &self.config);
        let frame = self.reader.next_frame(input, admit)?;
        if frame.is_none()
            && let Some((header, arrived)) = self.reader.unfinished(input)
        {
            self.assembler.preview(&header, arrived)?;
        }
        Ok(frame)
    }

    /// A control frame is whole: only a message that is under way goes on counting time.
    fn control_taken(&mut self) {
        if self.is_open() && !self.assembler.is_midway() {
            self.phase = Phase::Listening;
        }
    }

    fn control(&mut self, opcode: OpCode, payload: Bytes, now: Instant) -> Result<Option<Event>> {
        self.check_control_rate(now)?;
        match opcode {
            OpCode::Close => {
                self.peer_closed(&payload)?;
                Ok(Some(Event::Close(self.peer_close.as_deref().cloned())))
            }
            // After our Close nothing may follow, not even a Pong.
            _ if !self.is_open() => Ok(None),
            OpCode::Ping => {
                // RFC 6455 5.5.3: a Pong has "identical Application data".
                self.writer
                    .push(&Frame::received(OpCode::Pong, true, payload.clone()));
                Ok(Some(Event::Ping(payload)))
            }
            _ => Ok(Some(Event::Pong(payload))),
        }
    }

    fn peer_closed(&mut self, payload: &Bytes) -> Result<()> {
        let close = CloseFrame::parse(payload)?;
        if self.is_open() {
            // RFC 6455 5.5.1: "the endpoint typically echos the status code it received".
            let code = match self.config.close_answer {
                CloseAnswer::Echo => close.as_ref().map(CloseFrame::code),
                CloseAnswer::Normal => Some(CloseCode::NORMAL),
            };
            let answer = code.map(|code| CloseFrame::fixed(code, ""));
            self.writer.push(&Frame::close(answer.as_ref()));
        }
        self.peer_close = close.map(Box::new);
        self.phase = Phase::Closed;
        Ok(())
    }

    /// What every input ends with: the clocks that it winds, and the Close for what was wrong.
    fn arrived<T>(
        &mut self,
        outcome: Result<Option<T>>,
        input: &BytesMut,
        now: Instant,
    ) -> Result<Option<T>> {
        let outcome = outcome.map_err(|error| self.fail(error));
        self.left_over = if matches!(outcome, Ok(None)) {
            input.len() as u32
        } else {
            0
        };
        self.heard(now);
        if self.is_open() {
            let is_midway =
                !input.is_empty() || self.assembler.is_midway() || self.reader.is_midway();
            match (self.phase, is_midway) {
                (Phase::Listening, true) => {
                    self.phase = Phase::Receiving;
                    self.phase_since = now;
                }
                (Phase::Receiving, false) => self.phase = Phase::Listening,
                _ => {}
            }
        }
        outcome
    }

    /// Fails the connection (RFC 6455 7.1.7). Replies to what was right before go out first.
    #[cold]
    fn fail(&mut self, error: Error) -> Error {
        if let Some(code) = error.close_code()
            && self.phase != Phase::Closed
        {
            if self.is_open() {
                let close = CloseFrame::fixed(code, error.close_reason());
                self.writer.push(&Frame::close(Some(&close)));
            }
            self.phase = Phase::Closed;
        }
        error
    }

    pub(super) fn check_open(&self) -> Result<()> {
        if self.is_open() {
            Ok(())
        } else {
            Err(ApiMisuse::SendAfterClose.into())
        }
    }

    fn check_control_rate(&mut self, now: Instant) -> Result<()> {
        let per_second = self.config.control_frames_per_second.max(1);
        let interval = Duration::from_secs(1) / per_second;
        let due = self.control_due.max(now) + interval;
        if due - now > interval * self.config.control_frame_burst {
            return Err(CapacityError::TooManyControlFrames.into());
        }
        self.control_due = due;
        Ok(())
    }

    #[inline]
    fn heard(&mut self, now: Instant) {
        self.quiet_since = now;
        self.keep_alive.heard();
    }

    /// Until when what the phase waits for must have come.
    fn phase_deadline(&self) -> Option<Instant> {
        let patience = match self.phase {
            Phase::Receiving => self.config.message_timeout,
            Phase::Closing => self.config.close_timeout,
            Phase::Listening | Phase::Closed => return None,
        };
        self.phase_since.checked_add(patience)
    }
}

fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
