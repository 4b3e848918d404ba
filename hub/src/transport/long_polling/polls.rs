//! The polls of one connection, of which one at a time gets messages.

use std::{
    convert::Infallible,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use tokio::{
    sync::Notify,
    time::{sleep, sleep_until},
};

use super::now;
use crate::options::HubOptions;

/// How much of a body is written at a time, so that a client that takes none of it is noticed.
const PIECE: usize = 32 * 1024;

/// What lies between a session and the polls of its client.
pub(crate) struct Polls {
    state: Mutex<State>,
    changed: Notify,
    poll_timeout: Duration,
    idle_timeout: Duration,
    send_timeout: Duration,
}

struct State {
    /// Whole messages, for the poll that has its turn.
    messages: BytesMut,
    /// That poll waits for some.
    is_wanted: bool,
    has_turn: bool,
    /// The number of the newest poll: an older one gives way (LP-06).
    newest: u64,
    /// Polls that live.
    open: usize,
    /// Since when there is none (C-05).
    idle_since: Instant,
    /// Since when an answer is being written (LP-11).
    writing_since: Option<Instant>,
    /// The session is over; what it has left lies here.
    is_ended: bool,
    /// Until then no poll is told: the client is about to say DELETE. Told of the end first, it
    /// would take it for the server's doing, and leave without (LP-12).
    goodbye_until: Option<Instant>,
    /// A poll has been told so.
    is_told: bool,
    /// The client has said that it wants no more (LP-12).
    is_deleted: bool,
    /// The connection is gone: it was not polled, or its client does not read.
    is_disposed: bool,
    /// The session's task.
    task: Option<Waker>,
}

/// How a poll is answered.
pub(crate) enum Answer {
    /// With messages (LP-03).
    Messages(Messages),
    /// Nothing came: the client polls again (LP-04).
    Nothing,
    /// A newer poll has come (LP-06).
    GivenWay,
    /// The connection is over (LP-05).
    Ended,
    /// The connection was dropped (C-13).
    Disposed,
}

/// What a session's task has to do.
pub(super) struct Wish {
    pub(super) wants_messages: bool,
    /// When the client is given up.
    pub(super) deadline: Option<Instant>,
    /// Messages wait for a poll, or are on their way with one.
    pub(super) has_left: bool,
    /// No poll will come any more.
    pub(super) is_over: bool,
}

impl Polls {
    pub(crate) fn new(options: &HubOptions) -> Self {
        Self {
            state: Mutex::new(State {
                messages: BytesMut::new(),
                is_wanted: false,
                has_turn: false,
                newest: 0,
                open: 0,
                idle_since: now(),
                writing_since: None,
                is_ended: false,
                goodbye_until: None,
                is_told: false,
                is_deleted: false,
                is_disposed: false,
                task: None,
            }),
            changed: Notify::new(),
            poll_timeout: options.poll_timeout,
            idle_timeout: options.disconnect_timeout,
            send_timeout: options.transport_send_timeout,
        }
    }

    /// A poll behind the first: waits until there is something to say.
    pub(crate) async fn poll(self: &Arc<Self>) -> Answer {
        let mut poll = OpenPoll::new(self.clone());
        let mut patience = pin!(sleep(self.poll_timeout));
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable(); // before looking, so that nothing is missed
            if let Some(answer) = poll.answer() {
                return answer.with(poll);
            }
            let goodbye_until = self.state().goodbye_until;
            tokio::select! {
                () = changed => {}
                () = has_come(goodbye_until) => {}
                () = &mut patience => return Answer::Nothing,
            }
        }
    }

    /// LP-12. Between the session's end and its being told, a DELETE hurries it.
    pub(crate) fn delete(&self) {
        self.change(|state| state.is_deleted = true);
    }

    /// What the session's task has to do; it is woken when that changes.
    pub(super) fn poll_wish(&self, cx: &Context<'_>) -> Wish {
        let mut state = self.state();
        match &mut state.task {
            Some(task) => task.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        let idle = (state.open == 0).then(|| state.idle_since + self.idle_timeout);
        let stuck = state.writing_since.map(|since| since + self.send_timeout);
        Wish {
            wants_messages: state.is_wanted && !state.is_ended,
            deadline: stuck.or(idle),
            has_left: !state.messages.is_empty() || state.writing_since.is_some(),
            is_over: state.is_told || state.is_deleted || state.is_disposed,
        }
    }

    /// Messages for the poll that wants some.
    pub(super) fn deliver(&self, messages: BytesMut) {
        if messages.is_empty() {
            return;
        }
        let mut state = self.state();
        state.is_wanted = false;
        state.add(messages);
        drop(state);
        self.changed.notify_waiters();
    }

    /// The session is over, and these are its last messages; a poll is told so when the client has
    /// said DELETE, or that time has come.
    pub(super) fn end(&self, messages: BytesMut, goodbye_until: Option<Instant>) {
        self.change(|state| {
            state.add(messages);
            state.is_ended = true;
            state.goodbye_until = goodbye_until;
        });
    }

    /// The connection is gone.
    pub(super) fn dispose(&self) {
        self.change(|state| {
            // What the last poll is told is told by itself.
            if !state.is_ended || !state.is_deleted {
                state.is_disposed = true;
                state.messages = BytesMut::new();
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        state.wake_task();
        drop(state);
        self.changed.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, messages: BytesMut) {
        if self.messages.is_empty() {
            self.messages = messages;
        } else {
            self.messages.extend_from_slice(&messages);
        }
    }

    fn wake_task(&self) {
        if let Some(task) = &self.task {
            task.wake_by_ref();
        }
    }
}

/// Waits for a time; without one for ever.
async fn has_come(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

/// A poll that has not been answered to its last byte.
struct OpenPoll {
    polls: Arc<Polls>,
    number: u64,
    has_turn: bool,
}

/// An answer without its poll.
enum Found {
    Messages(Bytes),
    GivenWay,
    Ended,
    Disposed,
}

impl Found {
    fn with(self, poll: OpenPoll) -> Answer {
        match self {
            Self::Messages(bytes) => Answer::Messages(Messages {
                bytes,
                written: 0,
                poll,
            }),
            Self::GivenWay => Answer::GivenWay,
            Self::Ended => Answer::Ended,
            Self::Disposed => Answer::Disposed,
        }
    }
}

impl OpenPoll {
    fn new(polls: Arc<Polls>) -> Self {
        let mut state = polls.state();
        state.newest += 1;
        state.open += 1;
        let number = state.newest;
        drop(state);
        polls.changed.notify_waiters();
        Self {
            polls,
            number,
            has_turn: false,
        }
    }

    /// What the poll can be told now.
    fn answer(&mut self) -> Option<Found> {
        let mut state = self.polls.state();
        if state.is_disposed {
            return Some(Found::Disposed);
        }
        if state.newest != self.number {
            return Some(Found::GivenWay);
        }
        if !self.has_turn {
            // LP-06: only when the one before has fully ended.
            if state.has_turn {
                return None;
            }
            state.has_turn = true;
            self.has_turn = true;
        }
        if !state.messages.is_empty() {
            state.is_wanted = false;
            state.writing_since = Some(now());
            state.wake_task(); // its deadline has changed
            return Some(Found::Messages(
                std::mem::take(&mut state.messages).freeze(),
            ));
        }
        let is_silent = !state.is_deleted && state.goodbye_until.is_some_and(|until| now() < until);
        if state.is_ended && !is_silent {
            state.is_told = true;
            state.wake_task();
            return Some(Found::Ended);
        }
        if !state.is_wanted {
            state.is_wanted = true;
            state.wake_task();
        }
        None
    }
}

impl Drop for OpenPoll {
    fn drop(&mut self) {
        let mut state = self.polls.state();
        state.open -= 1;
        if state.open == 0 {
            state.idle_since = now(); // LP-09
        }
        if self.has_turn {
            state.has_turn = false;
            state.is_wanted = false;
            state.writing_since = None;
        }
        state.wake_task();
        drop(state);
        self.polls.changed.notify_waiters();
    }
}

/// The body of a poll's answer. If its client does not take it to the last byte, the next poll
/// gets it.
pub(crate) struct Messages {
    bytes: Bytes,
    written: usize,
    poll: OpenPoll,
}

impl http_body::Body for Messages {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let (from, to) = (self.written, self.bytes.len().min(self.written + PIECE));
        if from == to {
            return Poll::Ready(None);
        }
        self.written = to;
        self.poll.polls.state().writing_since = Some(now());
        Poll::Ready(Some(Ok(Frame::data(self.bytes.slice(from..to)))))
    }

    fn is_end_stream(&self) -> bool {
        self.written == self.bytes.len()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact((self.bytes.len() - self.written) as u64)
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        if self.written == self.bytes.len() {
            return;
        }
        let mut state = self.poll.polls.state();
        if !state.is_disposed {
            let mut messages = BytesMut::from(&self.bytes[..]);
            messages.extend_from_slice(&state.messages);
            state.messages = messages;
        }
    }
}
