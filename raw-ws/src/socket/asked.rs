//! What others ask of a connection's task: to close, to end, to look after its peer.

use super::{Inner, now};
use crate::{
    events,
    outbound::Request,
    stream::upgraded::ByteStream,
    vocabulary::{
        close::CloseFrame,
        error::{CapacityError, Result},
    },
};

/// A peer that is written less than this while it says nothing is asked by a ping whether it reads. If
/// one that is written more does not read, its system soon takes no more, which is seen without. And
/// an answer costs more than it seems: who has sent something acknowledges later, and sending to it
/// costs half as much again.
const PINGED_FOR: u32 = 20 * 1024;

impl<S: ByteStream> Inner<S> {
    /// Does what another party asked for.
    pub(super) fn obey(&mut self) -> Result<()> {
        match self.outbound.take_request() {
            None => Ok(()),
            Some(Request::Close(close)) => {
                self.begin_close(&close);
                Ok(())
            }
            Some(Request::Look) => self.look(),
            Some(Request::Cut) => Err(self.over(CapacityError::SlowConsumer.into())),
        }
    }

    /// Looks whether the peer takes what is written to it: by what its system acknowledges, and where
    /// that would take it all for long, by a ping.
    fn look(&mut self) -> Result<()> {
        if let Some(io) = &self.io
            && self.outbound.is_stuck(io)
        {
            events::slow_consumer();
            return Err(self.over(CapacityError::SlowConsumer.into()));
        }
        let unread = self.outbound.unread();
        if unread < PINGED_FOR {
            self.proto.set_unread(unread);
            self.proto.has_written_much(now());
        }
        Ok(())
    }

    pub(super) fn begin_close(&mut self, close: &CloseFrame) {
        self.outbound.refuse_more();
        self.proto.close(Some(close), now());
    }
}
