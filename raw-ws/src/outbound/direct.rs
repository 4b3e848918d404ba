//! The queue written from a publisher's side, past the connection's task.

use std::io::{self, IoSlice};

use super::{Outbound, State, WRITE_AT, queue};
use crate::{proto::SLICES, stream::tcp::Tick};

/// Who goes on with the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(super) enum Next {
    /// Nobody has to: all is written.
    Nobody,
    /// The task, which is writing already or has been woken for it.
    Task,
    /// The task, if it is woken.
    TaskToBeWoken,
}

impl State {
    /// Writes a long backlog at once.
    pub(super) fn write_backlog(&mut self, outbound: &Outbound) -> Next {
        if self.queue.bytes() >= WRITE_AT && self.blocked.is_none() {
            self.write_direct(outbound)
        } else {
            Next::TaskToBeWoken
        }
    }

    /// Writes a full queue before its connection is cut for it: the peer may be reading, and only
    /// the publisher never have paused to let a batch or the task write.
    pub(super) fn write_full(&mut self, outbound: &Outbound) {
        let (since, before) = (self.blocked.take(), self.queue.bytes());
        let _ = self.write_direct(outbound); // the task is woken for what waits behind
        if self.queue.bytes() == before {
            self.blocked = since;
        }
    }

    /// Writes the queue past the task.
    pub(super) fn write_direct(&mut self, outbound: &Outbound) -> Next {
        if self.held || self.blocked.is_some() {
            return Next::Task; // in the middle of a frame, or of its socket's taking nothing
        }
        let Some(direct) = self.direct.as_ref().filter(|_| !outbound.owes()) else {
            return Next::TaskToBeWoken;
        };
        while !self.queue.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = self.queue.pieces(queue::END_OF_MESSAGE - 1, &mut slices);
            if count == 0 {
                return Next::Task; // in the middle of a message
            }
            let offered: usize = slices[..count].iter().map(|slice| slice.len()).sum();
            let written = match direct.try_write(&slices[..count]) {
                Ok(written) => written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                // The task meets the same error, and knows what to do.
                Err(_) => return Next::TaskToBeWoken,
            };
            self.queue.advance(written);
            if outbound.has_written(written, &mut self.looked, &mut self.request) {
                self.wake();
            }
            if written < offered {
                self.blocked = Some(Tick::now());
                self.wake();
                return Next::Task;
            }
        }
        Next::Nobody
    }
}
