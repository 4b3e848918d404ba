//! An array that is written value by value.

use serde::Serialize;

use super::{Encoding, ValueError};
use crate::protocol::Protocol;

/// The arguments of a call, of which some are no values.
pub(crate) struct ArrayWriter {
    encoding: Encoding,
    is_first: bool,
    out: Vec<u8>,
}

impl ArrayWriter {
    /// Of so many values.
    pub(crate) fn new(encoding: Encoding, values: usize) -> Self {
        let mut out = Vec::new();
        match encoding.protocol {
            Protocol::Json => {
                let _ends_by_itself = values;
                out.push(b'[');
            }
            #[cfg(feature = "messagepack")]
            Protocol::MessagePack => super::messagepack::begin_array(values, &mut out),
        }
        Self {
            encoding,
            is_first: true,
            out,
        }
    }

    pub(crate) fn encoding(&self) -> Encoding {
        self.encoding
    }

    pub(crate) fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
        let is_first = std::mem::replace(&mut self.is_first, false);
        if self.encoding.protocol == Protocol::Json && !is_first {
            self.out.push(b',');
        }
        self.encoding.write(&mut self.out, value)
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        if self.encoding.protocol == Protocol::Json {
            self.out.push(b']');
        }
        self.out
    }
}
