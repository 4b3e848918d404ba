//! Bytes.

use std::fmt;
use std::ops::Deref;

use base64::Engine as _;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::{self, Deserialize, Deserializer, SeqAccess, Unexpected, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::protocol::value::native;

/// Bytes that cross the wire as a .NET `byte[]`: base64 text in JSON, bin in MessagePack. A
/// `Vec<u8>` is an array of numbers instead, and is not read from bytes.
///
/// JSON is read with its padding, and white space in it is skipped (J-11); MessagePack from bin,
/// from the UTF-8 of a string and from an array of numbers (M-08).
///
/// ```
/// use hub::Binary;
/// use hub::protocol::{Encoding, Names, Protocol};
///
/// let json = Encoding { protocol: Protocol::Json, names: Names::AsDeclared };
/// let messagepack = Encoding { protocol: Protocol::MessagePack, names: Names::AsDeclared };
/// let bytes = Binary::from(vec![1, 2, 3]);
/// assert_eq!(json.encode(&bytes)?, r#""AQID""#);
/// assert_eq!(messagepack.encode(&bytes)?, [0xC4, 3, 1, 2, 3].as_slice());
/// assert_eq!(json.decode::<Binary>(br#""AQID""#)?, bytes);
/// # Ok::<(), hub::protocol::ValueError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Binary(pub Bytes);

impl Deref for Binary {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Bytes> for Binary {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl From<Vec<u8>> for Binary {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<&[u8]> for Binary {
    fn from(bytes: &[u8]) -> Self {
        Self(Bytes::copy_from_slice(bytes))
    }
}

impl Serialize for Binary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(native::BINARY, &Inner(&self.0))
    }
}

impl<'de> Deserialize<'de> for Binary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(native::BINARY, Native)
    }
}

/// No more than this is set aside before the elements of an array are seen.
const MAX_RESERVED: usize = 4096;

struct Inner<'a>(&'a [u8]);

impl Serialize for Inner<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(&Base64Display::new(self.0, &STANDARD))
        } else {
            serializer.serialize_bytes(self.0)
        }
    }
}

struct Native;

impl<'de> Visitor<'de> for Native {
    type Value = Binary;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Binary, D::Error> {
        if inner.is_human_readable() {
            inner.deserialize_str(Text)
        } else {
            inner.deserialize_byte_buf(self)
        }
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Binary, E> {
        Ok(bytes.into())
    }

    fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Binary, E> {
        Ok(bytes.into())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Binary, E> {
        Ok(text.as_bytes().into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Binary, A::Error> {
        let hint = elements.size_hint().unwrap_or(0);
        let mut bytes = Vec::with_capacity(hint.min(MAX_RESERVED));
        while let Some(byte) = elements.next_element()? {
            bytes.push(byte);
        }
        Ok(bytes.into())
    }
}

struct Text;

impl Visitor<'_> for Text {
    type Value = Binary;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("base64 text")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Binary, E> {
        let white = |c: char| matches!(c, ' ' | '\t' | '\r' | '\n');
        let decoded = if text.contains(white) {
            STANDARD.decode(text.replace(white, ""))
        } else {
            STANDARD.decode(text)
        };
        match decoded {
            Ok(bytes) => Ok(bytes.into()),
            Err(_) => Err(E::invalid_value(Unexpected::Str(text), &self)),
        }
    }

    // Where serde keeps a value until it knows the type (`flatten`, `untagged`), it forgets that
    // MessagePack is not human-readable.
    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Binary, E> {
        Ok(bytes.into())
    }
}
