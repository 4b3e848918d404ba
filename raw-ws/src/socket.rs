//! The async driver of one connection: bytes between a stream and the machine in `proto`.
//!
//! It may import `proto`, `stream` and `outbound`, and knows no HTTP. Begin with
//! [`WebSocket::recv`], which does all the work; what makes a WebSocket is
//! [`upgrade`](crate::upgrade).

mod asked;
mod ending;
mod polling;

use std::{
    fmt,
    future::{Future, poll_fn},
    io,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::BytesMut;
use tokio::io::AsyncReadExt;

use crate::{
    clock::{Alarm, now},
    events,
    outbound::{Encoding, Outbound, Registered, sender::Sender},
    proto::{
        Connection, Event, Role, State,
        buffers::{self, BUFFER_SIZE, Holding},
        config::Config,
    },
    stream::{
        tcp,
        upgraded::{ByteStream, DirectWrite, Upgraded, socket_of},
    },
    vocabulary::{
        close::{CloseCode, CloseFrame},
        error::{ApiMisuse, CapacityError, Error, Result},
        frame::Frame,
        message::Message,
    },
};

/// Replies that may wait before `recv` gives no further message: who sends much and reads nothing
/// is slowed down, not served from memory.
const UNWRITTEN_BEFORE_READING_STOPS: usize = 64 * 1024;

/// How much a connection may do before others get their turn: give so many messages, or read as many
/// pieces of so many bytes.
const TURN: u8 = 128;
const PIECE: usize = 512;

/// A partial frame up to this size is kept in a buffer of its own size while the peer is silent.
const SMALL_PARTIAL: usize = 4 * 1024;

/// A WebSocket connection: messages in, messages out, and the closing handshake.
///
/// ```
/// # async fn run(mut ws: raw_ws::WebSocket) -> raw_ws::Result<()> {
/// while let Some(message) = ws.recv().await? {
///     ws.feed(message)?; // leaves with the other replies, in one write
/// }
/// # Ok(())
/// # }
/// ```
///
/// [`recv`](Self::recv) does all the work of a connection while it waits: it writes what was fed,
/// answers Pings, pings a silent peer, obeys a graceful stop. A task should be in it most of the
/// time; use `select!` to wait for something else too.
///
/// A `WebSocket` that is dropped while open says goodbye in the background. The handler of
/// [`Upgrade::on_upgrade`](crate::Upgrade::on_upgrade) decides what: Close 1000 when it returns,
/// 1011 when it returns an error or panics. Elsewhere it is 1001.
pub struct WebSocket<S: ByteStream = Upgraded> {
    /// Boxed, so that moving a `WebSocket` into a task costs a pointer.
    inner: Box<Inner<S>>,
}

struct Inner<S: ByteStream> {
    /// `None` once the connection is over.
    io: Option<S>,
    proto: Connection,
    outbound: Arc<Outbound>,
    /// Behind one pointer: most connections have none.
    subprotocol: Option<Box<Box<str>>>,
    /// Bytes read and not yet understood. Empty and without memory while the peer is silent.
    input: BytesMut,
    /// When they were read.
    read_at: Instant,
    /// What it has done since it last waited for something, as [`TURN`] counts.
    turn: u8,
    /// What is held of unfinished messages.
    holding: Holding,
    alarm: Alarm,
}

/// What a connection is made of, besides its stream.
pub(crate) struct Settings {
    pub(crate) role: Role,
    pub(crate) config: Arc<Config>,
    pub(crate) subprotocol: Option<Box<str>>,
    #[cfg(feature = "deflate")]
    pub(crate) deflate: Option<crate::deflate::Negotiated>,
}

impl<S: ByteStream> WebSocket<S> {
    /// A connection over a stream on which the opening handshake is done. `read_ahead` holds what
    /// came behind the handshake.
    ///
    /// Servers get theirs from [`Upgrade`](crate::Upgrade); this is for other ways to the same end.
    pub fn from_upgraded(stream: S, read_ahead: BytesMut, role: Role, config: Config) -> Self {
        let settings = Settings {
            role,
            config: Arc::new(config),
            subprotocol: None,
            #[cfg(feature = "deflate")]
            deflate: None,
        };
        Self::new(stream, None, read_ahead, settings)
    }

    pub(crate) fn new(
        stream: S,
        direct: Option<DirectWrite>,
        read_ahead: BytesMut,
        settings: Settings,
    ) -> Self {
        let Settings {
            role,
            config,
            subprotocol,
            ..
        } = settings;
        let now = now();
        let proto = Connection::new(role, config.clone(), now);
        #[cfg(not(feature = "deflate"))]
        let encoding = Encoding::for_role(role);
        #[cfg(feature = "deflate")]
        let encoding = Encoding::for_role(role).with_deflate(settings.deflate.as_ref());
        #[cfg(feature = "deflate")]
        let proto = match &settings.deflate {
            Some(negotiated) => proto.with_deflate(negotiated),
            None => proto,
        };
        if let Some(socket) = socket_of(&stream) {
            tcp::limit_unsent(socket, config.kernel_queue_bytes);
        }
        events::opened();
        Self {
            inner: Box::new(Inner {
                io: Some(stream),
                outbound: Outbound::new(config, encoding, direct),
                proto,
                subprotocol: subprotocol.map(Box::new),
                input: read_ahead,
                read_at: now,
                turn: 0,
                holding: Holding::default(),
                alarm: Alarm::default(),
            }),
        }
    }

    /// Receives the next message; `None` after the closing handshake.
    ///
    /// Fragments are joined, Pings answered, and what was fed is written before it waits.
    ///
    /// # Errors
    /// What ended the connection. The peer has been sent [`Error::close_code`], and gets the time
    /// to read it, in the background.
    ///
    /// # Cancel safety
    /// Safe: no byte and no message is lost when the future is dropped.
    pub async fn recv(&mut self) -> Result<Option<Message>> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Polls for the next message, as [`recv`](Self::recv) does.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>>> {
        loop {
            let event = ready!(self.inner.poll_next(cx, Connection::handle_input))?;
            match event {
                Some(Event::Message(message)) => return Poll::Ready(Ok(Some(message))),
                Some(Event::Ping(_) | Event::Pong(_) | Event::Close(_)) => {}
                None => return Poll::Ready(Ok(None)),
            }
        }
    }

    /// Receives the next frame, control frames included; `None` after the closing handshake.
    ///
    /// At this level a message comes fragment by fragment, [`Frame::is_final`] marks its end, and
    /// *you* answer Pings. A Close is answered for you.
    ///
    /// # Errors
    /// As [`recv`](Self::recv): limits, the order of fragments and UTF-8 are checked here too.
    ///
    /// # Cancel safety
    /// Safe, as [`recv`](Self::recv).
    pub async fn recv_frame(&mut self) -> Result<Option<Frame>> {
        poll_fn(|cx| self.inner.poll_next(cx, Connection::handle_input_frame)).await
    }

    /// Sends a message: [`feed`](Self::feed) and [`flush`](Self::flush) in one.
    ///
    /// # Errors
    /// [`ApiMisuse`] after a Close or inside a fragmented message; otherwise as `flush`.
    ///
    /// # Cancel safety
    /// The message is queued at the first poll, and the next `flush` or `recv` goes on writing it;
    /// unless `max_queued_bytes` are waiting already. Then it is queued once those are written, and
    /// a future dropped before that sends nothing of it. [`unwritten`](Self::unwritten) tells.
    pub async fn send(&mut self, message: impl Into<Message>) -> Result<()> {
        if self.inner.is_full() {
            self.flush().await?;
        }
        self.feed(message)?;
        self.flush().await
    }

    /// Sends a frame, as [`send`](Self::send) does a message: a fragment, a Ping or a Pong.
    ///
    /// # Errors
    /// [`ApiMisuse`] for a frame that may not stand here (RFC 6455 section 5.4).
    ///
    /// # Cancel safety
    /// The frame is queued at the first poll, however much is waiting; the next `flush` or `recv`
    /// goes on writing it.
    pub async fn send_frame(&mut self, frame: Frame) -> Result<()> {
        self.inner.feed(|proto| proto.send_frame(&frame))?;
        self.flush().await
    }

    /// Queues a message without writing. It leaves with the next [`flush`](Self::flush),
    /// [`send`](Self::send) or [`recv`](Self::recv), together with all that was fed before.
    ///
    /// What one task queues, here, by `send` or by a [`Sender`], leaves in the order in which it was
    /// queued; Pings and Pongs go ahead. What others send meanwhile waits behind what was fed.
    ///
    /// # Errors
    /// [`CapacityError::OutputFull`] while `max_queued_bytes` are waiting; [`ApiMisuse`] after a
    /// Close or inside a fragmented message.
    pub fn feed(&mut self, message: impl Into<Message>) -> Result<()> {
        if self.inner.is_full() {
            return Err(CapacityError::OutputFull.into());
        }
        self.inner.feed(|proto| proto.send(message.into()))
    }

    /// Writes everything that was fed, and the queue of this connection's senders.
    ///
    /// # Errors
    /// `Io`, or [`CapacityError::SlowConsumer`] when the peer takes nothing for
    /// `progress_timeout`.
    ///
    /// # Cancel safety
    /// Safe: what is not yet written stays queued.
    pub async fn flush(&mut self) -> Result<()> {
        poll_fn(|cx| self.inner.poll_flush(cx)).await
    }

    /// Runs the closing handshake: sends Close behind what was sent before, and waits at most
    /// `close_timeout` for the peer's. Gives the peer's Close if it came with a code. Messages
    /// that still arrive are discarded.
    ///
    /// # Errors
    /// [`ApiMisuse`] for a code that must not be sent or a reason over 123 bytes; otherwise what
    /// ended the connection before the handshake was complete.
    ///
    /// # Cancel safety
    /// The Close is queued at the first poll; call `close` or `recv` again to see it through.
    pub async fn close(
        &mut self,
        code: CloseCode,
        reason: impl Into<crate::vocabulary::utf8::Utf8Bytes>,
    ) -> Result<Option<CloseFrame>> {
        self.start_close(code, reason)?;
        while poll_fn(|cx| self.inner.poll_next(cx, Connection::handle_input))
            .await?
            .is_some()
        {}
        Ok(self.peer_close().cloned())
    }

    /// Pings a silent peer no more: for a protocol on top that has pings of its own.
    pub fn stop_keep_alive(&mut self) {
        self.inner.proto.stop_keep_alive();
        if self.inner.proto.poll_timeout().is_none() {
            // Made anew where something else needs it.
            self.inner.alarm.rest();
        }
    }

    /// Where the connection stands.
    pub fn state(&self) -> State {
        self.inner.proto.state()
    }

    /// The Close frame that came from the peer, if one came with a code.
    pub fn peer_close(&self) -> Option<&CloseFrame> {
        self.inner.proto.peer_close()
    }

    /// The subprotocol agreed in the opening handshake.
    pub fn subprotocol(&self) -> Option<&str> {
        self.inner.subprotocol.as_deref().map(|name| &**name)
    }

    /// Bytes fed and not yet written; senders' queues not included.
    pub fn unwritten(&self) -> usize {
        self.inner.proto.unwritten()
    }

    pub(crate) fn outbound(&self) -> &Arc<Outbound> {
        &self.inner.outbound
    }

    /// A handle to send to this connection from anywhere.
    pub fn sender(&self) -> Sender {
        Sender {
            outbound: self.inner.outbound.clone(),
        }
    }
}

impl<S: ByteStream> Inner<S> {
    /// The next event (or frame), doing everything else that a connection has to do meanwhile.
    fn poll_next<T>(
        &mut self,
        cx: &mut Context<'_>,
        take: impl Fn(&mut Connection, &mut BytesMut, Instant) -> Result<Option<T>>,
    ) -> Poll<Result<Option<T>>> {
        loop {
            self.obey()?;
            if self.turn >= TURN {
                self.turn = 0;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let is_behind = self.proto.unwritten() >= UNWRITTEN_BEFORE_READING_STOPS;
            if !is_behind && !self.input.is_empty() {
                match take(&mut self.proto, &mut self.input, self.read_at) {
                    Ok(Some(event)) => {
                        self.turn += 1;
                        return Poll::Ready(Ok(Some(event)));
                    }
                    Ok(None) => {}
                    Err(error @ Error::ApiMisuse(_)) => return Poll::Ready(Err(error)),
                    Err(error) => return Poll::Ready(Err(self.over(error))),
                }
            }
            if self.proto.state() == State::Closed {
                self.say_goodbye();
                return Poll::Ready(Ok(None));
            }

            // The input is used up: all replies to it leave together.
            let stuck_since = match self.poll_write(cx) {
                Ok(stuck_since) => stuck_since,
                Err(error) => {
                    // What the peer said before it went is given all the same.
                    if !is_behind && let Poll::Ready(Ok(1..)) = self.poll_fill(cx) {
                        continue;
                    }
                    return Poll::Ready(Err(self.over(error)));
                }
            };
            // Not left to the timer alone: a peer that always has more to read keeps it unlooked at.
            let reads = !is_behind;
            let deadline = self.next_deadline(stuck_since, reads);
            if deadline.is_some_and(|deadline| self.read_at >= deadline) {
                match self.check_deadlines(self.read_at, stuck_since, reads) {
                    Ok(()) => continue,
                    Err(error) => return Poll::Ready(Err(self.over(error))),
                }
            }
            let has_caught_up =
                is_behind && self.proto.unwritten() < UNWRITTEN_BEFORE_READING_STOPS;
            if has_caught_up {
                continue;
            }
            if !is_behind && let Poll::Ready(read) = self.poll_fill(cx) {
                match read {
                    Ok(0) => {
                        if let Err(error) = self.proto.handle_eof() {
                            return Poll::Ready(Err(self.over(error)));
                        }
                    }
                    Ok(read) => {
                        self.read_at = now();
                        self.turn +=
                            u8::try_from(read / PIECE).map_or(TURN, |pieces| pieces.min(TURN));
                    }
                    Err(error) => return Poll::Ready(Err(self.over(error.into()))),
                }
                continue;
            }
            if let Err(error) = self.count_holding() {
                return Poll::Ready(Err(self.over(error)));
            }
            self.turn = 0;
            if let Err(error) = ready!(self.poll_deadline(cx, deadline, stuck_since, reads)) {
                return Poll::Ready(Err(self.over(error)));
            }
        }
    }

    /// Counts what this connection holds while it waits for the rest of a message.
    fn count_holding(&mut self) -> Result<()> {
        let held = self.input.capacity() + self.proto.unfinished();
        if held == 0 && self.holding.is_nothing() {
            return Ok(());
        }
        let in_all = self.proto.config().max_unfinished_bytes;
        self.holding
            .set(held, in_all)
            .map_err(|_| self.proto.overload())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        loop {
            self.obey()?;
            let stuck_since = match self.poll_write(cx) {
                Ok(None) => return Poll::Ready(Ok(())),
                Ok(stuck_since) => stuck_since,
                Err(error) => return Poll::Ready(Err(self.over(error))),
            };
            let deadline = self.next_deadline(stuck_since, false);
            if let Err(error) = ready!(self.poll_deadline(cx, deadline, stuck_since, false)) {
                return Poll::Ready(Err(self.over(error)));
            }
        }
    }

    /// Writes as far as the peer takes it; gives since when it takes nothing.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<Option<Instant>> {
        let Some(io) = &mut self.io else {
            return Err(ApiMisuse::SendAfterClose.into());
        };
        let written = self.outbound.poll_write(io, &mut self.proto, cx)?;
        // Also where this poll does not come to the alarm: the next one finds the waker known.
        if written.task == Registered::Anew {
            self.alarm.disarm();
        }
        Ok(written.stuck_since)
    }

    /// Reads what has come into a buffer that is only held while there is something in it.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(io) = &mut self.io else {
            return Poll::Ready(Ok(0));
        };
        if self.input.is_empty() {
            if !self.input.try_reclaim(BUFFER_SIZE) {
                self.input = buffers::take();
            }
        } else if self.input.capacity() - self.input.len() < SMALL_PARTIAL {
            // A frame larger than the buffer: it grows with what has come, not with what its
            // header promises.
            self.input.reserve(self.input.len().max(BUFFER_SIZE));
        }

        let read = pin!(io.read_buf(&mut self.input)).poll(cx);
        if read.is_pending() {
            if self.input.is_empty() {
                buffers::give_back(std::mem::take(&mut self.input));
            } else if self.input.len() <= SMALL_PARTIAL && self.input.capacity() > 2 * SMALL_PARTIAL
            {
                let partial = BytesMut::from(&self.input[..]);
                buffers::give_back(std::mem::replace(&mut self.input, partial));
            }
        }
        read
    }

    /// When [`check_deadlines`](Self::check_deadlines) has something to act on. A peer that is not read
    /// has no deadlines for what it says: its answer to a ping may have come.
    fn next_deadline(&self, stuck_since: Option<Instant>, reads: bool) -> Option<Instant> {
        // Now and then it is looked whether the peer takes something of what was written before.
        let stuck = self.stuck_until(stuck_since).map(|until| {
            let look = now() + self.proto.config().progress_timeout / 4;
            until.min(look)
        });
        let said = self.proto.poll_timeout().filter(|_| self.listens(reads));
        match (said, stuck) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Queues a frame. What others send from here on follows it.
    fn feed(&mut self, send: impl FnOnce(&mut Connection) -> Result<()>) -> Result<()> {
        let before = self.proto.unwritten_data();
        send(&mut self.proto)?;
        let fed = self.proto.unwritten_data() - before;
        self.outbound
            .has_fed(fed, self.proto.is_sending_fragments());
        Ok(())
    }

    /// Waits for the next deadline, and acts on it.
    fn poll_deadline(
        &mut self,
        cx: &mut Context<'_>,
        deadline: Option<Instant>,
        stuck_since: Option<Instant>,
        reads: bool,
    ) -> Poll<Result<()>> {
        ready!(self.alarm.poll_armed(cx, deadline));
        Poll::Ready(self.check_deadlines(now(), stuck_since, reads))
    }

    /// Acts on the deadlines that have passed.
    fn check_deadlines(
        &mut self,
        now: Instant,
        stuck_since: Option<Instant>,
        reads: bool,
    ) -> Result<()> {
        if self
            .stuck_until(stuck_since)
            .is_some_and(|until| now >= until)
        {
            events::slow_consumer();
            return Err(CapacityError::SlowConsumer.into());
        }
        if !self.listens(reads) {
            return Ok(());
        }
        self.proto.set_unread(self.outbound.unread());
        let outcome = self.proto.handle_timeout(now);
        if let Err(Error::Capacity(CapacityError::SlowConsumer)) = outcome {
            events::slow_consumer();
        }
        outcome
    }

    /// Whether what the peer says is heard in time; its Close is waited for in any case.
    fn listens(&self, reads: bool) -> bool {
        reads || self.proto.state() != State::Open
    }

    fn stuck_until(&self, stuck_since: Option<Instant>) -> Option<Instant> {
        stuck_since?.checked_add(self.proto.config().progress_timeout)
    }

    fn is_full(&self) -> bool {
        self.proto.unwritten() >= self.proto.config().max_queued_bytes
    }
}

impl<S: ByteStream> fmt::Debug for WebSocket<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket")
            .field("id", &self.inner.outbound.id())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
#[cfg(test)]
mod tests {
    use super::*;

    /// An idle connection is these two, its task and its socket: bytes here are bytes times
    /// connections.
    #[test]
    #[cfg(target_pointer_width = "64")]
    fn an_idle_connection_stays_small() {
        assert!(
            size_of::<Inner<Upgraded>>() <= 384,
            "{}",
            size_of::<Inner<Upgraded>>()
        );
        assert!(size_of::<Outbound>() <= 240, "{}", size_of::<Outbound>());
    }
}
