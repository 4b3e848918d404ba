//! Framing: a byte stream in, records out (F-01 to F-06).

use bytes::{Bytes, BytesMut};

use super::{Protocol, ProtocolError};

/// The input of a connection, cut into records. What a transport delivers may cut and join
/// records anywhere (WS-06).
#[derive(Debug, Default)]
pub struct Frames {
    ready: Bytes,
    partial: BytesMut,
}

impl Frames {
    /// Takes what the transport received.
    pub fn push(&mut self, _bytes: Bytes) {}

    /// The next whole record, without its frame; `None` when more bytes are needed.
    ///
    /// # Errors
    /// A record of more than `max` framed bytes (F-05), or a length that is out of range (F-03).
    pub fn next(
        &mut self,
        _protocol: Protocol,
        _max: Option<usize>,
    ) -> Result<Option<Bytes>, ProtocolError> {
        let _ = (&self.ready, &self.partial);
        Ok(None)
    }

    /// Bytes that wait for the rest of their record.
    pub fn len(&self) -> usize {
        self.ready.len() + self.partial.len()
    }

    /// Whether no record is incomplete.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
