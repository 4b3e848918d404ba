//! What a connection has to say, as bytes on their way out.

use std::io::IoSlice;

use bytes::BytesMut;

use super::{connection::Connection, writer::SLICES};
use crate::vocabulary::{
    error::{ApiMisuse, Result},
    message::MessageKind,
};

impl Connection {
    /// Queues a copy of a message.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    #[inline]
    pub fn send_copy(&mut self, kind: MessageKind, payload: &[u8]) -> Result<()> {
        self.check_open()?;
        if self.sending.is_some() {
            return Err(ApiMisuse::UnfinishedMessage.into());
        }
        #[cfg(feature = "deflate")]
        if let Some(deflater) = &mut self.deflater
            && deflater.wants(payload.len())
        {
            let deflated = deflater.deflate(payload);
            self.writer.push_data(kind.into(), true, true, deflated);
            return Ok(());
        }
        self.writer.push_copy(kind.into(), payload);
        Ok(())
    }

    /// What to write now: lays the pieces into `slices` in order and gives how many. Report what
    /// was written of them with [`handle_transmitted`](Self::handle_transmitted).
    pub fn poll_transmit<'a>(&'a self, slices: &mut [IoSlice<'a>; SLICES]) -> usize {
        self.writer.pieces(slices)
    }

    /// The same, with no more than so many bytes of messages; their frames must be whole.
    pub(crate) fn poll_transmit_first<'a>(
        &'a mut self,
        data: usize,
        slices: &mut [IoSlice<'a>; SLICES],
    ) -> usize {
        self.writer.first_pieces(data, slices)
    }

    /// Strikes off the first `written` bytes of what `poll_transmit` gave.
    pub fn handle_transmitted(&mut self, written: usize) {
        self.writer.advance(written);
    }

    /// Moves everything that is to be written to the end of `out`.
    pub fn transmit_into(&mut self, out: &mut BytesMut) {
        self.transmit_first(usize::MAX, out);
    }

    /// The same, with no more than so many bytes of messages; their frames must be whole.
    pub(crate) fn transmit_first(&mut self, data: usize, out: &mut BytesMut) {
        let rest = self.unwritten_data().checked_sub(data);
        loop {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let data = rest.map_or(usize::MAX, |rest| self.unwritten_data() - rest);
            let count = self.writer.first_pieces(data, &mut slices);
            let written: usize = slices[..count].iter().map(|slice| slice.len()).sum();
            for slice in &slices[..count] {
                out.extend_from_slice(slice);
            }
            if written == 0 {
                return;
            }
            self.handle_transmitted(written);
        }
    }

    /// How often the peer was heard so far, modulo 256.
    pub(crate) fn times_heard(&self) -> u8 {
        self.keep_alive.times_heard()
    }

    /// So many bytes were written that the peer may not have read: it has more time for a ping.
    pub(crate) fn set_unread(&mut self, bytes: u32) {
        self.keep_alive.set_unread(bytes);
    }

    /// Of so many bytes that it may not have read, how many that still are, now that it was heard.
    pub(crate) fn still_unread(&self, bytes: u32) -> u32 {
        self.keep_alive.still_unread(bytes)
    }

    /// Bytes queued and not yet written.
    pub fn unwritten(&self) -> usize {
        self.writer.len()
    }

    /// Those of them that are of messages.
    pub(crate) fn unwritten_data(&self) -> usize {
        self.writer.data_len()
    }

    /// After a write: whether a frame is written in part.
    pub(crate) fn is_midway(&self) -> bool {
        self.writer.is_midway()
    }

    /// Whether a message is half sent: no frame but its next fragment, or a control frame, may
    /// follow on the wire.
    pub fn is_sending_fragments(&self) -> bool {
        self.sending.is_some()
    }
}
