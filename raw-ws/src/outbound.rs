//! What others send to a connection: a bounded queue that its own task, or a publisher, writes out.
//!
//! Two parties write to one socket. The connection's task writes its own replies; a publisher
//! writes the queue, so that a broadcast need not wake a thousand tasks. The lock in here is held
//! by whoever writes, and `held` keeps the publisher away while the task is in the middle of a
//! frame or of a fragmented message.
//!
//! It may import `proto`, whose output it writes, and `stream`, to which it writes. [`sender`] and
//! [`topics`] are what users hold of it; the task on the other side is [`socket`](crate::socket).

pub(crate) mod connections;
mod direct;
pub(crate) mod mailbox;
mod queue;
pub(crate) mod sender;
mod task;
pub(crate) mod topics;

use std::{
    ops::{Deref, DerefMut},
    sync::{
        Arc, MutexGuard, Weak,
        atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use direct::Next;
use queue::Queue;
pub(crate) use queue::{Batch, Segment};
pub(crate) use task::Registered;

#[cfg(feature = "deflate")]
use crate::deflate::Negotiated;
use crate::{
    events,
    proto::{Connection, Role, config::Config},
    stream::{
        tcp::{Acknowledging, Tick},
        upgraded::DirectWrite,
    },
    sync::Mutex,
    vocabulary::{
        close::{CloseCode, CloseFrame},
        frame::FrameHeader,
    },
};

/// Bytes after which it is looked whether the peer takes them, and how often.
const MUCH: u32 = 1024;
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A backlog that a publisher writes out at once instead of at the end of its batch: a task that
/// sends much without a pause must not fill the queue of a peer that reads.
const WRITE_AT: usize = 32 * 1024;

/// Where a connection is a member; told when it ends.
pub(crate) trait Membership: Send + Sync {
    /// Removes the connection.
    fn forget(&self, id: u64);
}

/// What somebody else wants of the connection's task.
#[derive(Debug, Clone)]
pub(crate) enum Request {
    /// Run the closing handshake with this Close.
    Close(CloseFrame),
    /// The queue is full: end now.
    Cut,
    /// Much was written: look whether the peer takes it.
    Look,
}

/// Why a message was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotQueued {
    /// The connection has ended or is closing.
    Closed,
    /// The queue was full, and the connection is cut for it.
    Full,
    /// The message alone is larger than the whole queue may be.
    TooBig,
}

/// The outbound side of one connection, shared by its task and its senders.
pub(crate) struct Outbound {
    id: u64,
    config: Arc<Config>,
    encoding: Encoding,
    /// Whether `State::request` holds something: looked at on every turn of the task.
    has_request: AtomicBool,
    /// Bytes of messages that the task has queued of its own so far: what others queue from here on
    /// follows them.
    fed: AtomicU64,
    /// Some of them are not written.
    has_unwritten: AtomicBool,
    /// The last of those is a fragment, of a message that goes on: what others queue follows its end.
    /// Changed back under the lock.
    is_in_message: AtomicBool,
    /// What `Connection::heard` was when something was written last.
    heard: AtomicU8,
    /// Bytes that the peer may not have read. Changed under the lock, as is the one before.
    unread: AtomicU32,
    /// Bytes in the queue: asked for each message that comes.
    queued: AtomicUsize,
    state: Mutex<State>,
}

/// How the frames of one connection differ from those of others.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Encoding {
    /// Clients mask what they send.
    pub(crate) masking_key: Option<fn() -> [u8; 4]>,
    /// Set where the server compresses each message by itself.
    #[cfg(feature = "deflate")]
    pub(crate) deflate: Option<DeflateAlone>,
}

/// The parameters that decide what a message compressed by itself looks like.
#[cfg(feature = "deflate")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DeflateAlone {
    pub(crate) window_bits: u8,
    pub(crate) level: u8,
    pub(crate) min_size: u32,
}

impl Encoding {
    pub(crate) fn for_role(role: Role) -> Self {
        let masking_key = match role {
            Role::Server => None,
            Role::Client { masking_key } => Some(masking_key),
        };
        Self {
            masking_key,
            #[cfg(feature = "deflate")]
            deflate: None,
        }
    }

    /// A connection whose messages refer to earlier ones gets those of a `Sender` uncompressed:
    /// they would have to be compressed for it alone, in the order of its own. So does a client:
    /// what it sends is its own.
    #[cfg(feature = "deflate")]
    pub(crate) fn with_deflate(self, negotiated: Option<&Negotiated>) -> Self {
        let deflate = negotiated
            .filter(|agreed| agreed.server_no_context_takeover && self.masking_key.is_none())
            .map(|agreed| DeflateAlone {
                window_bits: agreed.server_max_window_bits,
                level: agreed.level,
                min_size: u32::try_from(agreed.min_size).unwrap_or(u32::MAX),
            });
        Self { deflate, ..self }
    }

    /// How a message of `len` bytes is compressed; `None` if it is not.
    #[cfg(feature = "deflate")]
    pub(crate) fn deflates(&self, len: usize) -> Option<DeflateAlone> {
        self.deflate
            .filter(|deflate| len >= deflate.min_size.max(1) as usize)
    }
}

struct State {
    is_open: bool,
    /// The task is in the middle of a frame: nobody else may write.
    held: bool,
    /// Whether a publisher has promised to write the queue at the end of its batch.
    in_batch: bool,
    /// The stream has taken everything and not yet passed it on.
    is_flushing: bool,
    ending: Ending,
    queue: Queue,
    /// Since when the socket has taken nothing although something waits.
    blocked: Option<Tick>,
    /// When the peer was last looked at: whether it reads, or what its TCP acknowledges.
    looked: Option<Tick>,
    /// Whether the peer's TCP takes what was written.
    acknowledging: Acknowledging,
    direct: Option<DirectWrite>,
    /// The connection's task, while it waits.
    task: Option<Waker>,
    request: Option<Box<Request>>,
    registries: Vec<Weak<dyn Membership>>,
}

/// What a connection that is dropped while open says to its peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// Nobody decides: going away.
    Undecided,
    /// The result of the handler decides, once there is one.
    WithHandler,
    /// The handler has ended.
    Decided(CloseCode),
}

/// The state, while somebody has it.
struct Locked<'a> {
    state: MutexGuard<'a, State>,
    queued: &'a AtomicUsize,
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        self.queued
            .store(self.state.queue.bytes(), Ordering::Release);
    }
}

impl Deref for Locked<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Outbound {
    pub(crate) fn new(
        config: Arc<Config>,
        encoding: Encoding,
        direct: Option<DirectWrite>,
    ) -> Arc<Self> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        Arc::new(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            config,
            encoding,
            has_request: AtomicBool::new(false),
            fed: AtomicU64::new(0),
            has_unwritten: AtomicBool::new(false),
            is_in_message: AtomicBool::new(false),
            heard: AtomicU8::new(0),
            unread: AtomicU32::new(0),
            queued: AtomicUsize::new(0),
            state: Mutex::new(State {
                is_open: true,
                held: false,
                in_batch: false,
                is_flushing: false,
                ending: Ending::Undecided,
                queue: Queue::default(),
                blocked: None,
                looked: None,
                acknowledging: Acknowledging::default(),
                direct,
                task: None,
                request: None,
                registries: Vec::new(),
            }),
        })
    }

    fn lock(&self) -> Locked<'_> {
        let state = self.state.lock();
        let queued = &self.queued;
        Locked { state, queued }
    }

    /// Tells connections apart, for the life of the process.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn encoding(&self) -> &Encoding {
        &self.encoding
    }

    pub(crate) fn is_open(&self) -> bool {
        self.lock().is_open
    }

    pub(crate) fn queued_bytes(&self) -> usize {
        self.queued.load(Ordering::Acquire)
    }

    /// Queues a frame and wakes the task to write it.
    pub(crate) fn push(&self, segment: &Segment) -> Result<(), NotQueued> {
        let mut state = self.lock();
        self.enqueue(&mut state, segment)?;
        if state.write_backlog(self) == Next::TaskToBeWoken {
            state.wake();
        }
        Ok(())
    }

    /// Queues a frame of `len` bytes that `lay` appends to a buffer, for the task to write in its
    /// next turn.
    pub(crate) fn feed(&self, len: usize, lay: impl Fn(&mut BytesMut)) -> Result<(), NotQueued> {
        let mut state = self.lock();
        if !state.is_open {
            return Err(NotQueued::Closed);
        }
        if !state.queue.has_room_for(len) {
            return Err(NotQueued::TooBig);
        }
        state.queue.feed(len, self.follows(), lay);
        Ok(())
    }

    /// Queues a frame that the caller will have written by [`write_batch`](Self::write_batch);
    /// `true` if the caller must add this connection to its batch.
    pub(crate) fn push_in_batch(&self, segment: &Segment) -> Result<bool, NotQueued> {
        let mut state = self.lock();
        self.enqueue(&mut state, segment)?;
        let is_looked_after = state.write_backlog(self) != Next::TaskToBeWoken;
        if is_looked_after || state.in_batch || state.held || state.blocked.is_some() {
            return Ok(false);
        }
        state.in_batch = true;
        Ok(true)
    }

    /// Writes what a batch has queued, from the publisher's side where the socket allows it.
    pub(crate) fn write_batch(&self) {
        let mut state = self.lock();
        state.in_batch = false;
        if state.write_direct(self) == Next::TaskToBeWoken {
            state.wake();
        }
    }

    /// Asks the task to close, once.
    pub(crate) fn request_close(&self, close: CloseFrame) {
        let mut state = self.lock();
        if state.is_open {
            state.is_open = false;
            state.request = Some(Box::new(Request::Close(close)));
            self.has_request.store(true, Ordering::Release);
            state.wake();
        }
    }

    /// Ends the transport at once, without a word.
    #[cfg(feature = "serve")]
    pub(crate) fn cut(&self) {
        self.cut_locked(&mut self.lock());
    }

    /// Remembers a place where this connection is a member; `false` if it has ended.
    pub(crate) fn joined(&self, registry: Weak<dyn Membership>) -> bool {
        let mut state = self.lock();
        if !state.is_open {
            return false;
        }
        if !state.registries.iter().any(|known| known.ptr_eq(&registry)) {
            state.registries.reserve_exact(1);
            state.registries.push(registry);
        }
        true
    }

    // What follows is for the connection's own task.

    /// The task has queued so many bytes of messages of its own, and is in the middle of one or not.
    #[inline]
    pub(crate) fn has_fed(&self, bytes: usize, is_in_message: bool) {
        // Nobody else changes them.
        let fed = self.fed.load(Ordering::Relaxed) + bytes as u64;
        self.fed.store(fed, Ordering::Release);
        self.has_unwritten.store(true, Ordering::Release);
        if self.is_in_message.load(Ordering::Relaxed) != is_in_message {
            self.has_fed_fragment(is_in_message);
        }
    }

    #[cold]
    fn has_fed_fragment(&self, is_in_message: bool) {
        let mut state = self.lock();
        self.is_in_message.store(is_in_message, Ordering::Release);
        if !is_in_message {
            state.queue.message_ends(self.follows());
        }
    }

    /// What is queued now follows so many bytes of the task's own.
    fn follows(&self) -> u64 {
        if self.is_in_message.load(Ordering::Acquire) {
            return queue::END_OF_MESSAGE;
        }
        self.fed.load(Ordering::Acquire)
    }

    /// How many bytes of the messages that the task has fed are written.
    fn written(&self, own: &Connection) -> u64 {
        self.fed.load(Ordering::Relaxed) - own.unwritten_data() as u64
    }

    /// The request of another party, if one came.
    #[inline]
    pub(crate) fn take_request(&self) -> Option<Request> {
        if !self.has_request.load(Ordering::Acquire) {
            return None;
        }
        self.take_request_that_came()
    }

    #[cold]
    fn take_request_that_came(&self) -> Option<Request> {
        self.has_request.store(false, Ordering::Release);
        self.lock().request.take().map(|request| *request)
    }

    /// The request of another party, which stays.
    pub(crate) fn request(&self) -> Option<Request> {
        self.lock().request.as_deref().cloned()
    }

    /// Takes the first frame, where there is no socket to write it to; `None` when nothing more
    /// will come. Without a task to wake it is `Pending` all the same.
    pub(crate) fn poll_take(
        &self,
        cx: Option<&mut Context<'_>>,
    ) -> Poll<Option<(FrameHeader, Bytes)>> {
        let mut state = self.lock();
        let frame = state.queue.take_frame();
        if frame.is_some() || !state.is_open {
            return Poll::Ready(frame);
        }
        if let Some(cx) = cx {
            state.task = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Takes no further message: a Close is about to be sent.
    pub(crate) fn refuse_more(&self) {
        self.lock().is_open = false;
    }

    /// Bytes that were written, by whomever, and that the peer may not have read.
    pub(crate) fn unread(&self) -> u32 {
        self.unread.load(Ordering::Relaxed)
    }

    /// Counts bytes that were written. Whether the task is to be woken, to look what becomes of them.
    fn has_written(
        &self,
        bytes: usize,
        looked: &mut Option<Tick>,
        request: &mut Option<Box<Request>>,
    ) -> bool {
        let before = self.unread();
        let after = before.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
        self.unread.store(after, Ordering::Relaxed);
        let is_much = before / MUCH != after / MUCH;
        if !is_much || request.is_some() {
            return false;
        }
        // The first time says nothing of how fast it goes.
        let has_begun = looked.is_some();
        let looks = Tick::is_due(looked, LOOK_AGAIN) && has_begun;
        if looks {
            *request = Some(Box::new(Request::Look));
            self.has_request.store(true, Ordering::Release);
        }
        looks
    }

    /// The connection has ended: nothing can be queued, every membership is given up. Appends to
    /// `unsent` what must leave first: the whole queue if it is still wanted, or else the rest of a
    /// frame of which the beginning is on the wire; what else the task has of its `own` comes behind.
    ///
    /// What was queued inside a fragmented message that has no end may not follow: it is dropped.
    pub(crate) fn end(&self, own: &mut Connection, queue_is_wanted: bool, unsent: &mut BytesMut) {
        let mut state = self.lock();
        state.is_open = false;
        let begun = usize::from(state.queue.is_begun);
        let segments = if queue_is_wanted { usize::MAX } else { begun };
        state.queue.append_to(unsent, segments, |follows, unsent| {
            let first = follows.saturating_sub(self.written(own));
            own.transmit_first(usize::try_from(first).unwrap_or(usize::MAX), unsent);
        });
        self.give_up(state);
    }

    /// The same where nothing is left to be sent.
    pub(crate) fn end_empty(&self) {
        self.give_up(self.lock());
    }

    fn give_up(&self, mut state: Locked<'_>) {
        state.is_open = false;
        state.queue = Queue::default();
        state.direct = None;
        state.task = None;
        let registries = std::mem::take(&mut state.registries);
        drop(state);
        for registry in registries {
            if let Some(registry) = registry.upgrade() {
                registry.forget(self.id);
            }
        }
    }

    /// From now on the result of a handler decides what is said at the end.
    pub(crate) fn ends_with_handler(&self) {
        self.lock().ending = Ending::WithHandler;
    }

    /// The handler has ended.
    pub(crate) fn handler_ended(&self, code: CloseCode) {
        let mut state = self.lock();
        if state.ending == Ending::WithHandler {
            state.ending = Ending::Decided(code);
            state.wake();
        }
    }

    /// What to say at the end of a connection that was dropped while open.
    pub(crate) fn poll_ending(&self, cx: &mut Context<'_>) -> Poll<CloseCode> {
        let mut state = self.lock();
        match state.ending {
            Ending::Undecided => Poll::Ready(CloseCode::GOING_AWAY),
            Ending::Decided(code) => Poll::Ready(code),
            Ending::WithHandler => {
                state.task = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Whether the task has something to write that may have been queued before what others queue.
    fn owes(&self) -> bool {
        self.has_unwritten.load(Ordering::Acquire)
    }

    fn enqueue(&self, state: &mut State, segment: &Segment) -> Result<(), NotQueued> {
        if !state.is_open {
            return Err(NotQueued::Closed);
        }
        let (len, config) = (segment.len(), &self.config);
        if len > config.max_queued_bytes {
            return Err(NotQueued::TooBig);
        }
        let is_full = |queue: &Queue| {
            queue.bytes_of_others() + len > config.max_queued_bytes
                || !queue.has_room_for(len)
                || queue.messages as usize >= config.max_queued_messages
        };
        if is_full(&state.queue) {
            state.write_full(self);
        }
        if is_full(&state.queue) {
            self.cut_slow_consumer(state);
            return Err(NotQueued::Full);
        }
        state.queue.push(segment, self.follows());
        Ok(())
    }

    fn cut_slow_consumer(&self, state: &mut State) {
        self.cut_locked(state);
        events::slow_consumer();
    }

    fn cut_locked(&self, state: &mut State) {
        state.is_open = false;
        state.queue = Queue::default();
        state.request = Some(Box::new(Request::Cut));
        self.has_request.store(true, Ordering::Release);
        if let Some(direct) = state.direct.take() {
            direct.abort();
        }
        state.wake();
    }
}

impl State {
    fn wake(&self) {
        if let Some(task) = &self.task {
            task.wake_by_ref();
        }
    }
}
