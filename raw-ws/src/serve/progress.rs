//! How far a connection is with its requests, and how long it may wait for what comes next.

use std::{
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::task::AtomicWaker;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{ServeConfig, refusal::Refusal};
use crate::events;

/// How far a connection is with its requests: whoever reads its bytes says so, and whoever answers.
#[derive(Clone, Default)]
pub(super) struct Progress(Arc<Shared>);

#[derive(Default)]
struct Shared {
    reading: AtomicU8,
    is_at_work: AtomicBool,
    /// Requests so far.
    requests: AtomicU32,
    /// Why its client is let go, once it is.
    refusal: OnceLock<Refusal>,
    /// Who looks after the connection until its first head has come.
    keeper: AtomicWaker,
}

/// What of a request has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// Not all of the first head.
    First = 0,
    /// All of the last request, and nothing of the next.
    Between = 1,
    /// A part of a later head.
    Head = 2,
    /// A head, and its body is due; or nobody knows.
    Body = 3,
}

/// What a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Awaits {
    /// The rest of a request's head; the first from the beginning.
    Head,
    /// Its next request.
    Request,
    /// The rest of a body or of an answer, which others look after.
    Work,
}

impl Progress {
    pub(super) fn reads(&self, reading: Reading) {
        self.0.reading.store(reading as u8, Ordering::Relaxed);
    }

    /// A request is at work until this is dropped.
    pub(super) fn works(&self) -> AtWork {
        self.0.is_at_work.store(true, Ordering::Relaxed);
        self.0.requests.fetch_add(1, Ordering::Relaxed);
        AtWork(self.clone())
    }

    /// Lets the client go: it is told so instead of being waited for.
    pub(super) fn refuse(&self, refusal: Refusal) {
        let _ = self.0.refusal.set(refusal);
        self.0.keeper.wake();
    }

    /// Why its client is let go, if it is.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.0.refusal.get().copied()
    }

    /// Done when its client is let go.
    pub(super) fn poll_refused(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.keeper.register(cx.waker());
        match self.refusal() {
            Some(_) => Poll::Ready(()),
            None => Poll::Pending,
        }
    }

    fn awaits(&self) -> Awaits {
        if self.0.is_at_work.load(Ordering::Relaxed) {
            return Awaits::Work;
        }
        match self.0.reading.load(Ordering::Relaxed) {
            0 | 2 => Awaits::Head,
            1 => Awaits::Request,
            _ => Awaits::Work,
        }
    }
}

/// A request at work, from its head to the end of its answer.
pub(super) struct AtWork(Progress);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.0.is_at_work.store(false, Ordering::Relaxed);
    }
}

/// How long a connection may wait.
pub(super) struct Patience {
    progress: Progress,
    awaits: Awaits,
    /// Requests that came before it: one may come and be answered between two looks.
    behind: u32,
    since: Instant,
    timer: Pin<Box<Sleep>>,
    head_timeout: Duration,
    keep_alive_timeout: Duration,
}

impl Patience {
    pub(super) fn new(config: &ServeConfig, progress: Progress) -> Self {
        let since = Instant::now();
        Self {
            progress,
            awaits: Awaits::Head,
            behind: 0,
            since,
            timer: Box::pin(sleep_until(since + config.head_timeout)),
            head_timeout: config.head_timeout,
            keep_alive_timeout: config.keep_alive_timeout,
        }
    }

    /// Done when the connection has waited for too long, or its place is wanted. To be asked whenever
    /// its task has run. Where there is something to be said, the connection's stream says it, and
    /// wants to be polled for that.
    pub(super) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<Over> {
        if self.progress.refusal().is_some() {
            return Poll::Pending;
        }
        let awaits = self.progress.awaits();
        let behind = self.progress.0.requests.load(Ordering::Relaxed);
        if behind == 0 && self.progress.poll_refused(cx).is_ready() {
            return Poll::Ready(Over::Refused);
        }
        if (awaits, behind) != (self.awaits, self.behind) {
            (self.awaits, self.behind) = (awaits, behind);
            self.since = Instant::now();
        }
        let due = match awaits {
            Awaits::Head => self.since + self.head_timeout,
            Awaits::Request => self.since + self.keep_alive_timeout,
            Awaits::Work => return Poll::Pending,
        };
        if self.timer.deadline() != due {
            self.timer.as_mut().reset(due);
        }
        ready!(self.timer.as_mut().poll(cx));
        if awaits == Awaits::Request {
            return Poll::Ready(Over::Idle);
        }
        events::refused(Refusal::HeadTimeout.reason());
        self.progress.refuse(Refusal::HeadTimeout);
        Poll::Ready(Over::Refused)
    }
}

/// Why a connection is waited for no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// Its client has asked for nothing for too long.
    Idle,
    /// Its client is told.
    Refused,
}
