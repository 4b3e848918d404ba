//! The connection's own task writes: its frames and what others have queued, each in its turn.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::atomic::Ordering,
    task::{Context, Poll},
    time::Instant,
};

use super::{Outbound, State};
use crate::{
    proto::{Connection, SLICES},
    stream::{
        tcp::{LOOK_EVERY, Tick},
        upgraded::{ByteStream, socket_of},
    },
};

/// What came of writing.
pub(crate) struct Written {
    pub(crate) task: Registered,
    /// Since when the socket takes nothing; `None` when all is written.
    pub(crate) stuck_since: Option<Instant>,
}

/// Whether the queue wakes its task by the waker that it has polled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Registered {
    /// It would have before.
    Before,
    /// From now on: the task has another waker.
    Anew,
}

impl Outbound {
    /// Writes the queue and the task's own frames as far as the socket takes them, and registers
    /// the task.
    pub(crate) fn poll_write<S: ByteStream>(
        &self,
        io: &mut S,
        own: &mut Connection,
        cx: &mut Context<'_>,
    ) -> io::Result<Written> {
        let mut state = self.lock();
        let task = match &state.task {
            Some(task) if task.will_wake(cx.waker()) => Registered::Before,
            _ => {
                state.task = Some(cx.waker().clone());
                Registered::Anew
            }
        };
        let mut wrote = false;
        if self.heard.load(Ordering::Relaxed) != own.times_heard() {
            self.heard.store(own.times_heard(), Ordering::Relaxed);
            self.unread
                .store(own.still_unread(self.unread()), Ordering::Relaxed);
        }
        loop {
            let fed_and_written = self.written(own);
            let follows = state.queue.follows(fed_and_written);
            let queue_is_next = !state.held && follows == Some(0);
            if !queue_is_next && own.unwritten() == 0 {
                break;
            }
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = match follows {
                _ if queue_is_next => state.queue.pieces(fed_and_written, &mut slices),
                Some(first) => own.poll_transmit_first(first, &mut slices),
                None => own.poll_transmit(&mut slices),
            };
            let pieces = match &slices[..count] {
                [] => break,
                [one] => Pin::new(&mut *io).poll_write(cx, one),
                several => Pin::new(&mut *io).poll_write_vectored(cx, several),
            };
            let Poll::Ready(written) = pieces else {
                let stuck_since = Some(state.blocked_since(io));
                return Ok(Written { task, stuck_since });
            };
            let written = written?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            wrote = true;
            state.blocked = None;
            let State {
                looked, request, ..
            } = &mut *state;
            if self.has_written(written, looked, request) {
                state.wake();
            }
            if queue_is_next {
                state.queue.advance(written);
            } else {
                own.handle_transmitted(written);
                state.held = own.is_midway();
                let has_unwritten = own.unwritten_data() > 0;
                self.has_unwritten.store(has_unwritten, Ordering::Relaxed);
            }
        }
        // A stream with a buffer of its own, such as TLS, may still hold what it has taken.
        let is_flushed =
            !(wrote || state.is_flushing) || Pin::new(&mut *io).poll_flush(cx)?.is_ready();
        state.is_flushing = !is_flushed;
        if !is_flushed {
            let stuck_since = Some(state.blocked_since(io));
            return Ok(Written { task, stuck_since });
        }
        state.blocked = None;
        let stuck_since = None;
        Ok(Written { task, stuck_since })
    }

    /// Whether the peer's TCP has acknowledged nothing for too long of what was written to it.
    pub(crate) fn is_stuck<S: ByteStream>(&self, io: &S) -> bool {
        let Some(socket) = socket_of(io) else {
            return false;
        };
        let mut state = self.lock();
        state.acknowledging.look(socket);
        state.acknowledging.is_stuck(self.config.progress_timeout)
    }
}

impl State {
    /// Since when the socket takes nothing.
    fn blocked_since<S: ByteStream>(&mut self, io: &S) -> Instant {
        let blocked = *self.blocked.get_or_insert_with(Tick::now);
        if let Some(socket) = socket_of(io)
            && Tick::is_due(&mut self.looked, LOOK_EVERY)
        {
            self.acknowledging.look(socket);
        }
        // It may have taken something of what was written before; or nothing of that either.
        let since = self.acknowledging.nothing_since().unwrap_or(blocked);
        since.instant()
    }
}
