//! The queue written from a publisher's side, past the connection's task.

use std::io::{self, IoSlice};

use super::{Outbound, State, WRITE_AT, queue};
use crate::{proto::SLICES, stream::tcp::Tick};

impl State {
    /// Writes a long backlog at once; `false` if there is none, or it cannot be written.
    pub(super) fn write_backlog(&mut self, outbound: &Outbound) -> bool {
        self.queue.bytes >= WRITE_AT && self.blocked.is_none() && self.write_direct(outbound)
    }

    /// Writes a full queue before its connection is cut for it: the peer may be reading, and only
    /// the publisher never have paused to let a batch or the task write.
    pub(super) fn write_full(&mut self, outbound: &Outbound) {
        let (since, before) = (self.blocked.take(), self.queue.bytes);
        self.write_direct(outbound);
        if self.queue.bytes == before {
            self.blocked = since;
        }
    }

    /// Writes the queue past the task; `false` if the task must do it.
    pub(super) fn write_direct(&mut self, outbound: &Outbound) -> bool {
        if self.held || self.blocked.is_some() {
            return true; // the task is writing, and goes on with the queue
        }
        let Some(direct) = self.direct.as_ref().filter(|_| !outbound.owes()) else {
            return false;
        };
        while !self.queue.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = self.queue.pieces(queue::END_OF_MESSAGE - 1, &mut slices);
            if count == 0 {
                return true; // the task is in the middle of a message
            }
            let offered: usize = slices[..count].iter().map(|slice| slice.len()).sum();
            let written = match direct.try_write(&slices[..count]) {
                Ok(written) => written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                // The task meets the same error, and knows what to do.
                Err(_) => return false,
            };
            self.queue.advance(written);
            if outbound.has_written(written, &mut self.looked, &mut self.request) {
                self.wake();
            }
            if written < offered {
                self.blocked = Some(Tick::now());
                self.wake();
                return true;
            }
        }
        true
    }
}
