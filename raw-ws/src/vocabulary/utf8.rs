//! Text: shared bytes known to be UTF-8, and a validator that stops at the first bad byte.

use std::{fmt, ops::Deref, str};

use bytes::Bytes;
use bytestring::ByteString;

/// Cheaply cloned text: [`Bytes`] that are known to be UTF-8. Dereferences to `str`.
///
/// ```
/// use raw_ws::Utf8Bytes;
/// let text = Utf8Bytes::from("grüezi");
/// assert!(text.starts_with("grü"));
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Utf8Bytes(ByteString);

impl Utf8Bytes {
    /// Text that lives as long as the program; nothing is copied.
    pub const fn from_static(text: &'static str) -> Self {
        Self(ByteString::from_static(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The bytes, without a copy.
    pub fn into_bytes(self) -> Bytes {
        self.0.into_bytes()
    }
}

impl Deref for Utf8Bytes {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Utf8Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Utf8Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl From<&str> for Utf8Bytes {
    /// Copies the text; [`Utf8Bytes::from_static`] does not.
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Utf8Bytes {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl TryFrom<Bytes> for Utf8Bytes {
    type Error = str::Utf8Error;

    fn try_from(bytes: Bytes) -> Result<Self, Self::Error> {
        ByteString::try_from(bytes).map(Self)
    }
}

impl PartialEq<str> for Utf8Bytes {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Utf8Bytes {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

/// Validates a text as its bytes arrive: a character may straddle two fragments.
#[derive(Debug, Clone, Default)]
pub(crate) struct Utf8Validator {
    /// The first bytes of a character whose rest has not come yet.
    begun: [u8; 4],
    begun_len: u8,
}

/// The bytes cannot become UTF-8, whatever follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotUtf8;

impl Utf8Validator {
    /// Takes the next bytes of the text.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) -> Result<(), NotUtf8> {
        while self.begun_len > 0 {
            let Some((&byte, rest)) = bytes.split_first() else {
                return Ok(());
            };
            bytes = rest;
            self.begun[usize::from(self.begun_len)] = byte;
            self.begun_len += 1;
            match str::from_utf8(&self.begun[..usize::from(self.begun_len)]) {
                Ok(_) => self.begun_len = 0,
                // No error length: a valid beginning of a character.
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return Err(NotUtf8),
            }
        }
        let Err(error) = str::from_utf8(bytes) else {
            return Ok(());
        };
        if error.error_len().is_some() {
            return Err(NotUtf8);
        }
        let begun = &bytes[error.valid_up_to()..];
        self.begun[..begun.len()].copy_from_slice(begun);
        self.begun_len = begun.len() as u8;
        Ok(())
    }

    /// Whether the text may end here, and not inside a character.
    pub(crate) fn is_complete(&self) -> bool {
        self.begun_len == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLES: &[&[u8]] = &[
        b"",
        b"plain",
        "κόσμε".as_bytes(),
        "a€😀z".as_bytes(),
        b"\xf0\x9f\x98",
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"ok\xff",
        b"\xe2\x28\xa1",
        b"\xf8\x88\x80\x80\x80",
    ];

    #[test]
    fn every_split_gives_the_verdict_of_the_whole() {
        for sample in SAMPLES {
            for first in 0..=sample.len() {
                for second in first..=sample.len() {
                    let mut validator = Utf8Validator::default();
                    let parts = [&sample[..first], &sample[first..second], &sample[second..]];
                    let valid = parts.iter().all(|part| validator.push(part).is_ok());
                    assert_eq!(
                        valid && validator.is_complete(),
                        str::from_utf8(sample).is_ok(),
                        "{sample:x?} split at {first} and {second}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_first_bad_byte_is_refused_before_the_next_one_comes() {
        let mut validator = Utf8Validator::default();
        assert_eq!(validator.push(b"\xed"), Ok(()));
        assert_eq!(
            validator.push(b"\xa0"),
            Err(NotUtf8),
            "a surrogate shows in its second byte"
        );
    }
}
