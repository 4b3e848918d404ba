//! Values of user types: arguments, items and results, in the encoding of a connection.
//!
//! # How types cross
//! serde_json writes and reads the JSON, rmp-serde the MessagePack, and one thin adaptor of ours
//! ([`names`]) stands between them and the user's type. It tells every type that the
//! encoding is human-readable, so that a UUID or an IP address is text in both protocols, as .NET
//! writes it. Those in [`native`] alone have a form of their own in MessagePack: they are
//! newtypes, and when the adaptor meets one of their names it steps aside, so that they see
//! rmp-serde itself, which is not human-readable.

mod arguments;
#[cfg(feature = "client")]
mod array;
mod json;
#[cfg(feature = "messagepack")]
mod messagepack;
mod names;
pub(crate) mod native;
#[cfg(feature = "messagepack")]
mod skip;

#[cfg(test)]
mod tests;

use std::{cell::Cell, fmt, mem, ops::Deref};

use bytes::{Buf, Bytes};
use serde::{Serialize, de::DeserializeOwned, de::IgnoredAny};
use serde_json::value::RawValue;

use super::Protocol;
use names::{Bins, Read, ReadAs, Reading, WriteAs, without};

pub use arguments::CallArguments;
#[cfg(feature = "client")]
pub(crate) use array::ArrayWriter;

/// How the values of a connection are written: its protocol, and the naming of its hub.
///
/// ```
/// use hub::protocol::{Encoding, Names, Protocol};
///
/// let encoding = Encoding { protocol: Protocol::Json, names: Names::AsDeclared };
/// let bytes = encoding.encode(&vec![1, 2])?;
/// assert_eq!(bytes, "[1,2]");
/// assert_eq!(encoding.decode::<Vec<i32>>(&bytes)?, [1, 2]);
/// # Ok::<(), hub::protocol::ValueError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Encoding {
    /// The hub protocol.
    pub protocol: Protocol,
    /// How members are named.
    pub names: Names,
}

/// How the members of structs are named on the wire.
///
/// ```
/// use hub::protocol::{Encoding, Names, Protocol};
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Person { friend_name: String }
///
/// let encoding = Encoding { protocol: Protocol::Json, names: Names::DotNet };
/// let ann = Person { friend_name: "Ann".into() };
/// assert_eq!(encoding.encode(&ann)?, r#"{"friendName":"Ann"}"#);
/// let bob: Person = encoding.decode(br#"{"FriendName":"Bob"}"#)?;
/// assert_eq!(bob.friend_name, "Bob");
/// # Ok::<(), hub::protocol::ValueError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Names {
    /// As serde says.
    #[default]
    AsDeclared,
    /// As a .NET client expects them without attributes on either side: `snake_case` fields are
    /// camelCase in JSON and PascalCase in MessagePack, and read without regard to case or
    /// underscores. As in .NET, a struct is read from an object only, never from an array.
    ///
    /// This reaches the fields of structs and of struct variants at any depth; map keys and the
    /// names of variants stay as they are. serde does not tell which names a type has when it uses
    /// `#[serde(flatten)]`, `#[serde(untagged)]` or `#[serde(tag = "…")]`: what those read is
    /// matched as declared, so give them a `rename_all` of their own, best of `"camelCase"`.
    ///
    /// And as .NET's serialisers do, what a client leaves out is its type's least value: zero, false,
    /// an empty text, list or map, a struct of such members, the first variant of an enum whose first
    /// holds nothing, and the default that serde's attributes give where they do. So is `null` where
    /// .NET's type can be null and the Rust one cannot: text, lists, maps, structs. Numbers and
    /// booleans are never null, there and here, and types of a form of their own, such as a UUID, have
    /// no least value: make those an `Option`, or give them a `#[serde(default)]`.
    ///
    /// ```
    /// use hub::protocol::{Encoding, Names, Protocol};
    ///
    /// #[derive(Debug, PartialEq, serde::Deserialize)]
    /// struct Order { item: String, count: u32, notes: Vec<String>, #[serde(default = "one")] priority: u8 }
    ///
    /// fn one() -> u8 { 1 }
    ///
    /// let encoding = Encoding { protocol: Protocol::Json, names: Names::DotNet };
    /// let order: Order = encoding.decode(br#"{"Item":"tea","notes":null}"#)?;
    /// assert_eq!(order, Order { item: "tea".into(), count: 0, notes: vec![], priority: 1 });
    /// assert!(encoding.decode::<Order>(br#"{"count":null}"#).is_err());
    /// # Ok::<(), hub::protocol::ValueError>(())
    /// ```
    DotNet,
    /// As [`DotNet`](Self::DotNet), but written in PascalCase in both protocols: where .NET's JSON has
    /// `PropertyNamingPolicy = null`, and names are as C# declares them.
    DotNetPascalCase,
}

impl Encoding {
    /// Encodes one value. Structs are maps with string keys, unit variants strings, and `Vec<u8>`
    /// an array of numbers: see [`Binary`](crate::Binary) for bytes.
    ///
    /// # Errors
    /// When the type cannot be written in this protocol: in JSON NaN, infinities (CL-08) and maps
    /// whose keys are no scalars; in MessagePack integers of more than 64 bits.
    pub fn encode<T: Serialize + ?Sized>(self, value: &T) -> Result<Bytes, ValueError> {
        with_scratch(|out| self.write(out, value))
    }

    /// Encodes the arguments of a call, and lends them: written down elsewhere they need no buffer of
    /// their own.
    pub(crate) fn with_arguments<A: CallArguments + ?Sized, R>(
        self,
        arguments: &A,
        then: impl FnOnce(&[u8]) -> R,
    ) -> Result<R, ValueError> {
        let mut out = take_scratch();
        let result = self.write(&mut out, &arguments::AsArray(arguments));
        let result = result.map(|()| then(&out));
        give_back(out);
        result
    }

    /// Encodes a value that is written down soon: into a buffer that is used again.
    pub(crate) fn encode_for_now<T: Serialize + ?Sized>(
        self,
        value: &T,
    ) -> Result<EncodedForNow, ValueError> {
        let mut encoded = EncodedForNow(take_scratch());
        self.write(&mut encoded.0, value)?;
        Ok(encoded)
    }

    fn write<T: Serialize + ?Sized>(self, out: &mut Vec<u8>, value: &T) -> Result<(), ValueError> {
        let value = WriteAs::new(value, self);
        match self.protocol {
            Protocol::Json => json::write(&value, out).map_err(ValueError::new),
            #[cfg(feature = "messagepack")]
            Protocol::MessagePack => messagepack::write(&value, out),
        }
    }

    /// Encodes the arguments of a call: always an array, also for none or one.
    ///
    /// ```
    /// use hub::protocol::{Encoding, Names, Protocol};
    ///
    /// let encoding = Encoding { protocol: Protocol::Json, names: Names::AsDeclared };
    /// assert_eq!(encoding.encode_arguments(&("user", 42))?, r#"["user",42]"#);
    /// assert_eq!(encoding.encode_arguments(&())?, "[]");
    /// # Ok::<(), hub::protocol::ValueError>(())
    /// ```
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_arguments<A: CallArguments + ?Sized>(
        self,
        arguments: &A,
    ) -> Result<Bytes, ValueError> {
        self.encode(&arguments::AsArray(arguments))
    }

    /// Decodes one value, all of `bytes`.
    ///
    /// # Errors
    /// When `bytes` are not exactly one `T`, or nest deeper than 64 levels (JSON: 128).
    pub fn decode<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, ValueError> {
        match (self.protocol, self.names) {
            (Protocol::Json, Names::AsDeclared) => {
                serde_json::from_slice(bytes).map_err(ValueError::new)
            }
            (Protocol::Json, Names::DotNet | Names::DotNetPascalCase) => {
                let read = serde_json::from_slice(bytes);
                read.map(|ReadAs(value)| value)
                    .or_else(|error| json_without(self, bytes, &error))
            }
            #[cfg(feature = "messagepack")]
            (Protocol::MessagePack, _) => messagepack::decode(self, bytes),
        }
    }

    /// Decodes the elements of an encoded array one by one, each as its own type.
    ///
    /// ```
    /// use hub::protocol::{Encoding, Names, Protocol};
    ///
    /// let encoding = Encoding { protocol: Protocol::Json, names: Names::AsDeclared };
    /// let mut elements = encoding.elements(r#"["user", 42]"#.into())?;
    /// assert_eq!(elements.remaining(), 2);
    /// assert_eq!(elements.take::<String>(), Some(Ok("user".to_owned())));
    /// assert_eq!(elements.take::<i32>(), Some(Ok(42)));
    /// assert_eq!(elements.take::<i32>(), None);
    /// # Ok::<(), hub::protocol::ValueError>(())
    /// ```
    ///
    /// # Errors
    /// When `bytes` are no array (M-07).
    pub fn elements(self, bytes: Bytes) -> Result<Elements, ValueError> {
        let mut rest = bytes;
        let declared = match self.protocol {
            Protocol::Json => {
                json::skip_white_space(&mut rest);
                (rest.first() == Some(&b'[')).then(|| {
                    rest.advance(1);
                    0
                })
            }
            #[cfg(feature = "messagepack")]
            Protocol::MessagePack => messagepack::take_array_len(&mut rest),
        };
        Ok(Elements {
            encoding: self,
            rest,
            declared: declared.ok_or_else(|| ValueError::text(NO_ARRAY))?,
            failed: None,
        })
    }
}

/// The elements of an encoded array; made by [`Encoding::elements`].
#[derive(Debug)]
pub struct Elements {
    encoding: Encoding,
    /// Behind the last element taken; empty after a fault.
    rest: Bytes,
    /// What the header of a MessagePack array says less what was taken; in JSON unused.
    declared: usize,
    /// The first byte of the element that could not be decoded.
    failed: Option<u8>,
}

impl Elements {
    /// How many elements are left; 0 after an error. JSON is counted anew on each call, which
    /// reads all of it: ask only when it matters.
    pub fn remaining(&self) -> usize {
        match self.encoding.protocol {
            Protocol::Json => {
                // What is asked after the last one is taken.
                if let None | Some(b']') = self.rest.trim_ascii_start().first() {
                    return 0;
                }
                let mut rest = self.rest.clone();
                std::iter::from_fn(|| json::next::<IgnoredAny>(&mut rest)?.ok()).count()
            }
            #[cfg(feature = "messagepack")]
            Protocol::MessagePack => self.declared,
        }
    }

    /// Decodes the next element; `None` when there is none.
    ///
    /// # Errors
    /// When it is not a `T`. Nothing can be taken behind it.
    pub fn take<T: DeserializeOwned>(&mut self) -> Option<Result<T, ValueError>> {
        let first = self.first_byte();
        let result = match (self.encoding.protocol, self.encoding.names) {
            (Protocol::Json, Names::AsDeclared) => {
                json::next(&mut self.rest)?.map_err(ValueError::new)
            }
            (Protocol::Json, Names::DotNet | Names::DotNetPascalCase) => {
                let mut unread = self.rest.clone();
                let read = json::next(&mut self.rest)?.map(|ReadAs(value)| value);
                read.or_else(|error| {
                    let Some(Ok(text)) = json::next::<Box<RawValue>>(&mut unread) else {
                        return Err(ValueError::new(error));
                    };
                    let value = json_without(self.encoding, text.get().as_bytes(), &error)?;
                    self.rest = unread;
                    Ok(value)
                })
            }
            #[cfg(feature = "messagepack")]
            (Protocol::MessagePack, _) => {
                messagepack::take(self.encoding, &mut self.rest, &mut self.declared)?
            }
        };
        if result.is_err() {
            self.failed = first;
            self.rest = Bytes::new();
            self.declared = 0;
        }
        Some(result)
    }
}

impl Elements {
    /// The first byte of the next element.
    fn first_byte(&self) -> Option<u8> {
        match self.encoding.protocol {
            Protocol::Json => {
                let mut bytes = self.rest.iter();
                bytes.find(|byte| !byte.is_ascii_whitespace() && **byte != b',')
            }
            #[cfg(feature = "messagepack")]
            Protocol::MessagePack => self.rest.first(),
        }
        .copied()
    }

    /// What kind of value it was that could not be decoded, for people.
    pub(crate) fn kind_of_failed(&self) -> &'static str {
        let Some(first) = self.failed else {
            return "nothing";
        };
        match self.encoding.protocol {
            Protocol::Json => match first {
                b'n' => "null",
                b't' | b'f' => "a boolean",
                b'"' => "text",
                b'[' => "a list",
                b'{' => "an object",
                _ => "a number",
            },
            #[cfg(feature = "messagepack")]
            Protocol::MessagePack => messagepack::kind(first),
        }
    }
}

/// Why a value could not be encoded or decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueError(pub(crate) String);

impl ValueError {
    fn new(error: impl fmt::Display) -> Self {
        Self(error.to_string())
    }

    fn text(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ValueError {}

/// As .NET says it (M-07).
const NO_ARRAY: &str = "Reading array length for 'arguments' failed.";

/// Longer values leave with the buffer they were written into, shorter ones are copied out.
const MAX_COPIED: usize = 4096;

thread_local! {
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// What `write` writes. A `Bytes` made of a buffer with room to spare would cost a second
/// allocation for its count, so short values are written into one buffer per thread and copied.
fn with_scratch(
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), ValueError>,
) -> Result<Bytes, ValueError> {
    let mut out = take_scratch();
    let result = write(&mut out);
    if out.len() > MAX_COPIED {
        return result.map(|()| Bytes::from(out));
    }
    let bytes = result.map(|()| Bytes::copy_from_slice(&out));
    give_back(out);
    bytes
}

/// A buffer to write a value into. Taken, not borrowed: a user's `Serialize` may encode something itself.
fn take_scratch() -> Vec<u8> {
    let mut out = SCRATCH.take();
    out.clear();
    out.reserve(256);
    out
}

/// Leaves a buffer for the next value, unless it has grown.
fn give_back(out: Vec<u8>) {
    if out.capacity() <= 2 * MAX_COPIED {
        // A thread that ends needs none.
        let _ = SCRATCH.try_with(|scratch| scratch.set(out));
    }
}

/// An encoded value in a buffer that the next one is written into.
pub(crate) struct EncodedForNow(Vec<u8>);

impl Deref for EncodedForNow {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for EncodedForNow {
    fn drop(&mut self) {
        give_back(mem::take(&mut self.0));
    }
}

/// A value that could not be read as it is, read with what .NET puts in the place of what it lacks.
#[cold]
#[inline(never)]
fn json_without<T: DeserializeOwned>(
    encoding: Encoding,
    value: &[u8],
    error: &serde_json::Error,
) -> Result<T, ValueError> {
    let error_text = ValueError::new(error);
    if !error.is_data() {
        return Err(error_text); // it is no JSON, or nests too deeply
    }
    without(error_text, |defaults| {
        let mut reading = Reading::new(encoding, Bins::Nowhere);
        reading.defaults = Some(defaults);
        let mut deserializer = serde_json::Deserializer::from_slice(value);
        let read = T::deserialize(Read::new(&mut deserializer, reading));
        read.and_then(|value| deserializer.end().map(|()| value))
            .map_err(ValueError::new)
    })
}
