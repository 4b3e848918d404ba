//! Cuts what a server sent into hub messages.

const RECORD_SEPARATOR: u8 = 0x1e;

#[derive(Debug)]
pub(crate) struct Messages {
    pending: Vec<u8>,
    binary: bool,
    first: bool,
}

impl Default for Messages {
    fn default() -> Self {
        Self {
            pending: Vec::new(),
            binary: false,
            first: true,
        }
    }
}

impl Messages {
    pub(crate) fn add(&mut self, data: &[u8], binary: bool) -> Result<(), String> {
        if !self.pending.is_empty() && binary != self.binary {
            return Err("a hub message goes on in a frame of another type".into());
        }
        self.binary = binary;
        self.pending.extend_from_slice(data);
        Ok(())
    }

    /// The next whole message with its framing, and whether it came as binary.
    pub(crate) fn next(&mut self) -> Option<(bool, Vec<u8>)> {
        // The answer to the handshake is JSON, always.
        let by_mark = !self.binary || (self.first && self.pending.first() == Some(&b'{'));
        let size = if by_mark {
            self.pending.iter().position(|b| *b == RECORD_SEPARATOR)? + 1
        } else {
            framed_length(&self.pending)?
        };
        if self.pending.len() < size {
            return None;
        }
        self.first = false;
        Some((self.binary, self.pending.drain(..size).collect()))
    }

    /// What has come of a message that is not whole.
    pub(crate) fn pending(&self) -> &[u8] {
        &self.pending
    }
}

/// The length that the prefix at the start of `data` declares, the prefix included.
fn framed_length(data: &[u8]) -> Option<usize> {
    let mut value = 0;
    for (i, byte) in data.iter().take(5).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * i);
        if *byte < 0x80 {
            return Some(value + i + 1);
        }
    }
    None
}
