//! The polls of one connection, of which one at a time gets messages.

use std::{
    convert::Infallible,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use tokio::{
    sync::Notify,
    time::{sleep, sleep_until},
};

use crate::options::HubOptions;
use raw_ws::{
    clock::now,
    sync::{Mutex, WakerSlot},
};

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
    turn: Turn,
    /// The number of the newest poll: an older one gives way (LP-06).
    newest: u64,
    /// Polls that live.
    open: usize,
    /// Since when there is none (C-05).
    idle_since: Instant,
    stage: Stage,
    /// The client has said that it wants no more (LP-12).
    is_deleted: bool,
    /// The session's task.
    task: WakerSlot,
}

/// What the one poll does that gets messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// There is none.
    Free,
    /// It has come, and looks.
    Looks,
    /// It waits for messages.
    Wants,
    /// It is being answered, and its client has taken something then (LP-11).
    Writes(Instant),
}

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    /// The session is over; what it has left lies here. A client that has said Close is about to say
    /// DELETE. If a poll told it of the end before that, it would think that the server had ended
    /// the connection, and never send it: so no poll is told until then (LP-12).
    Ended {
        tell_at: Option<Instant>,
    },
    /// A poll has been told so.
    Told,
    /// The connection is gone: it was not polled, or its client does not read.
    Disposed,
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
                turn: Turn::Free,
                newest: 0,
                open: 0,
                idle_since: now(),
                stage: Stage::Open,
                is_deleted: false,
                task: WakerSlot::new(),
            }),
            changed: Notify::new(),
            poll_timeout: options.endpoint.poll_timeout,
            idle_timeout: options.endpoint.disconnect_timeout,
            send_timeout: options.endpoint.transport_send_timeout,
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
            let tell_at = match self.state.lock().stage {
                Stage::Ended { tell_at } => tell_at,
                Stage::Open | Stage::Told | Stage::Disposed => None,
            };
            tokio::select! {
                () = changed => {}
                () = has_come(tell_at) => {}
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
        let mut state = self.state.lock();
        state.task.register(cx);
        let idle = (state.open == 0).then(|| state.idle_since + self.idle_timeout);
        let stuck = match state.turn {
            Turn::Writes(since) => Some(since + self.send_timeout),
            Turn::Free | Turn::Looks | Turn::Wants => None,
        };
        Wish {
            wants_messages: state.turn == Turn::Wants && state.stage == Stage::Open,
            deadline: stuck.or(idle),
            has_left: !state.messages.is_empty() || stuck.is_some(),
            is_over: state.is_deleted || matches!(state.stage, Stage::Told | Stage::Disposed),
        }
    }

    /// Messages for the poll that wants some.
    pub(super) fn deliver(&self, messages: BytesMut) {
        if messages.is_empty() {
            return;
        }
        let mut state = self.state.lock();
        if state.turn == Turn::Wants {
            state.turn = Turn::Looks;
        }
        state.add(messages);
        drop(state);
        self.changed.notify_waiters();
    }

    /// The session is over, and these are its last messages; a poll is told so when the client has
    /// said DELETE, or that time has come.
    pub(super) fn end(&self, messages: BytesMut, tell_at: Option<Instant>) {
        self.change(|state| {
            state.add(messages);
            if state.stage == Stage::Open {
                state.stage = Stage::Ended { tell_at };
            }
        });
    }

    /// The connection is gone.
    pub(super) fn dispose(&self) {
        self.change(|state| {
            // A client that has said goodbye gets what is left, and is told of the end.
            if state.stage == Stage::Open || !state.is_deleted {
                state.stage = Stage::Disposed;
                state.messages = BytesMut::new();
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        change(&mut state);
        state.task.wake();
        drop(state);
        self.changed.notify_waiters();
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
        let mut state = polls.state.lock();
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
        let mut state = self.polls.state.lock();
        if state.stage == Stage::Disposed {
            return Some(Found::Disposed);
        }
        if state.newest != self.number {
            return Some(Found::GivenWay);
        }
        if !self.has_turn {
            // LP-06: only when the one before has fully ended.
            if state.turn != Turn::Free {
                return None;
            }
            state.turn = Turn::Looks;
            self.has_turn = true;
        }
        if !state.messages.is_empty() {
            state.turn = Turn::Writes(now());
            state.task.wake(); // its deadline has changed
            return Some(Found::Messages(
                std::mem::take(&mut state.messages).freeze(),
            ));
        }
        let is_told = match state.stage {
            Stage::Open | Stage::Disposed => false,
            Stage::Ended { tell_at } => {
                state.is_deleted || tell_at.is_none_or(|tell_at| now() >= tell_at)
            }
            Stage::Told => true,
        };
        if is_told {
            state.stage = Stage::Told;
            state.task.wake();
            return Some(Found::Ended);
        }
        if state.turn != Turn::Wants {
            state.turn = Turn::Wants;
            state.task.wake();
        }
        None
    }
}

impl Drop for OpenPoll {
    fn drop(&mut self) {
        let mut state = self.polls.state.lock();
        state.open -= 1;
        if state.open == 0 {
            state.idle_since = now(); // the client has so long for the next (LP-09)
        }
        if self.has_turn {
            state.turn = Turn::Free;
        }
        state.task.wake();
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
        self.poll.polls.state.lock().turn = Turn::Writes(now());
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
        let mut state = self.poll.polls.state.lock();
        if state.stage != Stage::Disposed {
            let mut messages = BytesMut::from(&self.bytes[..]);
            messages.extend_from_slice(&state.messages);
            state.messages = messages;
        }
    }
}
