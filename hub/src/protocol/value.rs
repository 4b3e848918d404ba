//! Values of user types: arguments, items and results, in the encoding of a connection.

use std::fmt;

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use super::Protocol;

/// How the values of a connection are written: its protocol, and the naming of its hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Encoding {
    /// The hub protocol.
    pub protocol: Protocol,
    /// How members are named.
    pub names: Names,
}

/// How the members of structs are named on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Names {
    /// As serde says.
    #[default]
    AsDeclared,
    /// As a .NET client expects them without attributes on either side: `snake_case` fields are
    /// camelCase in JSON and PascalCase in MessagePack, and read without regard to case.
    DotNet,
}

impl Encoding {
    /// Encodes one value.
    ///
    /// # Errors
    /// When the type cannot be written in this protocol.
    pub fn encode<T: Serialize + ?Sized>(self, _value: &T) -> Result<Bytes, ValueError> {
        Ok(Bytes::new())
    }

    /// Decodes one value, all of `bytes`.
    ///
    /// # Errors
    /// When `bytes` are not a `T`.
    pub fn decode<T: DeserializeOwned>(self, _bytes: &[u8]) -> Result<T, ValueError> {
        Err(ValueError(String::new()))
    }

    /// Decodes the elements of an encoded array one by one, each as its own type.
    ///
    /// # Errors
    /// When `bytes` are no array.
    pub fn elements(self, bytes: Bytes) -> Result<Elements, ValueError> {
        Ok(Elements {
            encoding: self,
            rest: bytes,
            remaining: 0,
        })
    }
}

/// The elements of an encoded array; made by [`Encoding::elements`].
#[derive(Debug)]
pub struct Elements {
    encoding: Encoding,
    rest: Bytes,
    remaining: usize,
}

impl Elements {
    /// How many elements are left.
    pub fn remaining(&self) -> usize {
        self.remaining
    }

    /// Decodes the next element; `None` when there is none.
    ///
    /// # Errors
    /// When it is not a `T`.
    pub fn take<T: DeserializeOwned>(&mut self) -> Option<Result<T, ValueError>> {
        let _ = (&self.encoding, &self.rest);
        None
    }
}

/// Why a value could not be encoded or decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueError(pub(crate) String);

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ValueError {}
