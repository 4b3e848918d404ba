//! Framing: a byte stream in, records out (F-01 to F-06).

use std::mem;

use bytes::{Buf, Bytes, BytesMut};

use super::{Protocol, ProtocolError};

/// Ends a JSON record (F-01).
const SEPARATOR: u8 = 0x1E;

/// The longest length prefix of a MessagePack record (F-02).
#[cfg(feature = "messagepack")]
const MAX_PREFIX: usize = 5;

/// The input of a connection, cut into records. What a transport delivers may cut and join
/// records anywhere (WS-06).
///
/// Whole records are slices of what was pushed; only a record that came in pieces is copied. With
/// nothing incomplete there is no memory behind it.
#[derive(Debug, Default)]
pub struct Frames {
    /// The start of a record; what follows is in `ready`.
    partial: BytesMut,
    /// What was pushed last, from the first byte that is in no record yet.
    ready: Bytes,
    /// So many bytes of the next record hold no separator.
    scanned: usize,
}

/// Where a record lies in the bytes that wait.
struct Frame {
    /// Bytes in front of the record.
    prefix: usize,
    /// Bytes behind it.
    suffix: usize,
    /// The record with both.
    total: usize,
}

impl Frames {
    /// Takes what the transport received. Call [`Frames::next`] until it says `None` before the
    /// next push: what is left until then is copied.
    pub fn push(&mut self, bytes: Bytes) {
        self.keep_ready();
        self.ready = bytes;
    }

    /// The next whole record, without its frame; `None` when more bytes are needed.
    ///
    /// The protocol may change between calls, as it does after the hub handshake (H-01). `max`
    /// counts the framed record; a record that cannot be that short is refused as soon as that is
    /// certain (F-06), and no memory is ever taken for a length that was only announced.
    ///
    /// # Errors
    /// A record of more than `max` framed bytes (F-05), or a length that is out of range (F-03).
    /// The next call says the same.
    pub fn next(
        &mut self,
        protocol: Protocol,
        max: Option<usize>,
    ) -> Result<Option<Bytes>, ProtocolError> {
        if self.is_empty() {
            return Ok(None); // asked behind each record, mostly there is no other
        }
        let frame = match protocol {
            Protocol::Json => self.find_json(max)?,
            #[cfg(feature = "messagepack")]
            Protocol::MessagePack => self.find_messagepack(max)?,
        };
        let Some(frame) = frame else {
            // Not a slice of it: a few bytes would keep the transport's whole read buffer.
            self.keep_ready();
            return Ok(None);
        };
        let mut record = self.cut(frame.total);
        record.advance(frame.prefix);
        record.truncate(record.len() - frame.suffix);
        Ok(Some(record))
    }

    /// Checks that the stream may end here.
    ///
    /// # Errors
    /// When a record is incomplete (F-04).
    pub fn end(&self) -> Result<(), ProtocolError> {
        if self.is_empty() {
            return Ok(());
        }
        Err(ProtocolError::invalid(
            "Connection terminated while reading a message.",
        ))
    }

    /// Bytes that wait for the rest of their record, or for [`Frames::next`].
    pub fn len(&self) -> usize {
        self.partial.len() + self.ready.len()
    }

    /// Whether no record is incomplete.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn find_json(&mut self, max: Option<usize>) -> Result<Option<Frame>, ProtocolError> {
        let window = max.map_or(self.len(), |max| max.min(self.len()));
        while self.scanned < window {
            let copied = self.partial.len();
            let part = if self.scanned < copied {
                &self.partial[self.scanned..window.min(copied)]
            } else {
                &self.ready[self.scanned - copied..window - copied]
            };
            if let Some(at) = memchr::memchr(SEPARATOR, part) {
                return Ok(Some(Frame {
                    prefix: 0,
                    suffix: 1,
                    total: self.scanned + at + 1,
                }));
            }
            self.scanned += part.len();
        }
        // F-05: no record fits into the first `max` bytes, and there are more.
        match max {
            Some(max) if self.len() > max => Err(too_long(max)),
            _ => Ok(None),
        }
    }

    #[cfg(feature = "messagepack")]
    fn find_messagepack(&self, max: Option<usize>) -> Result<Option<Frame>, ProtocolError> {
        // F-02: seven bits a byte, the lowest first; the top bit says that another byte follows.
        let mut length = 0_u64;
        let mut prefix = None;
        let bytes = self.partial.iter().chain(&self.ready);
        for (index, &byte) in bytes.take(MAX_PREFIX).enumerate() {
            length |= u64::from(byte & 0x7F) << (7 * index);
            if byte < 0x80 {
                prefix = Some(index + 1);
                break;
            }
        }
        let Some(prefix) = prefix else {
            return match max {
                // F-03: a sixth byte would follow.
                _ if self.len() >= MAX_PREFIX => Err(over_2_gb()),
                Some(max) if self.len() > max => Err(too_long(max)),
                _ => Ok(None),
            };
        };
        // More than 2 GiB is nothing that .NET can hold (F-03).
        let length = i32::try_from(length).map_err(|_| over_2_gb())?;
        let total = prefix + length.unsigned_abs() as usize;
        match max {
            // F-05, and at once as F-06 allows.
            Some(max) if total > max => Err(too_long(max)),
            _ if total > self.len() => Ok(None),
            _ => Ok(Some(Frame {
                prefix,
                suffix: 0,
                total,
            })),
        }
    }

    /// Takes the first `total` bytes, and leaves no memory behind where nothing is left.
    fn cut(&mut self, total: usize) -> Bytes {
        self.scanned = 0;
        if total < self.partial.len() {
            return self.partial.split_to(total).freeze();
        }
        let missing = total - self.partial.len();
        let rest = if missing == self.ready.len() {
            mem::take(&mut self.ready)
        } else {
            self.ready.split_to(missing)
        };
        if self.partial.is_empty() {
            return rest;
        }
        let mut record = mem::take(&mut self.partial);
        record.extend_from_slice(&rest);
        record.freeze()
    }

    fn keep_ready(&mut self) {
        self.partial.extend_from_slice(&self.ready);
        self.ready = Bytes::new();
    }
}

fn too_long(max: usize) -> ProtocolError {
    ProtocolError::invalid(format!(
        "The maximum message size of {max}B was exceeded. The message size can be configured in \
         AddHubOptions."
    ))
}

#[cfg(feature = "messagepack")]
fn over_2_gb() -> ProtocolError {
    ProtocolError::new(
        "FormatException",
        "Messages over 2GB in size are not supported.",
    )
}

#[cfg(test)]
mod tests;
