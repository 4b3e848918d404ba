//! How the members of user types are named on the wire: the adaptor between a user's type and the
//! library that writes or reads its encoding.
//!
//! [`Write`] wraps a serde serializer, [`Read`] a deserializer, and each wraps whatever the wrapped
//! one hands on, so that they reach every struct at any depth without a tree or a second struct.
//! They also hold what .NET does otherwise than the two libraries; [`value`](crate::protocol) tells
//! the plan. No cost to speak of where nothing is renamed: a branch per struct, and the compiler
//! sees through the rest.

#[cfg_attr(
    not(feature = "messagepack"),
    allow(dead_code, reason = "JSON has no bytes")
)]
mod bins;
mod defaults;
mod read;
mod write;

#[cfg(test)]
mod tests;

#[cfg(feature = "messagepack")]
pub(crate) use bins::Place;
pub(crate) use bins::{Bins, Reading};
pub(crate) use defaults::{Defaults, without};
pub(crate) use read::{Read, ReadAs};
pub(crate) use write::WriteAs;

use std::collections::BTreeMap;

use raw_ws::sync::RwLock;

use crate::protocol::{Encoding, Names, Protocol};

/// The style in which fields are written; read they are in any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Case {
    Camel,
    Pascal,
}

impl Case {
    /// `None` where names stay as declared.
    fn of(encoding: Encoding) -> Option<Self> {
        match (encoding.names, encoding.protocol) {
            (Names::AsDeclared, _) => None,
            (Names::DotNet, Protocol::Json) => Some(Self::Camel),
            #[cfg(feature = "messagepack")]
            (Names::DotNet, Protocol::MessagePack) => Some(Self::Pascal),
            (Names::DotNetPascalCase, _) => Some(Self::Pascal),
        }
    }

    /// `name` in this case: what follows an underscore is upper-case, the underscore goes. Only
    /// ASCII is changed, so the bytes stay UTF-8 and become no more.
    fn bytes(self, name: &str) -> impl Iterator<Item = u8> {
        let mut first = true;
        let mut upper = self == Self::Pascal;
        name.bytes().filter_map(move |byte| {
            if byte == b'_' {
                upper |= !first;
                return None;
            }
            let renamed = match (first, upper) {
                (_, true) => byte.to_ascii_uppercase(),
                (true, false) => byte.to_ascii_lowercase(),
                (false, false) => byte,
            };
            first = false;
            upper = false;
            Some(renamed)
        })
    }

    /// Hands on `name` in this case, from the stack if it is not unusually long.
    fn with_renamed<R>(self, name: &'static str, then: impl FnOnce(&str) -> R) -> R {
        let mut buffer = [0; 64];
        if name.len() > buffer.len() {
            return then(self.interned(name));
        }
        let mut len = 0;
        for (to, byte) in buffer.iter_mut().zip(self.bytes(name)) {
            *to = byte;
            len += 1;
        }
        then(str::from_utf8(&buffer[..len]).unwrap_or(name))
    }

    /// `name` in this case, for ever: a struct variant can only be written with such names. They
    /// are no more than the program has fields.
    fn interned(self, name: &'static str) -> &'static str {
        static KNOWN: RwLock<BTreeMap<(Case, &str), &str>> = RwLock::new(BTreeMap::new());

        let known = KNOWN.read();
        if let Some(renamed) = known.get(&(self, name)) {
            return renamed;
        }
        drop(known);
        let renamed = String::from_utf8(self.bytes(name).collect()).unwrap_or_default();
        let mut known = KNOWN.write();
        known
            .entry((self, name))
            .or_insert_with(|| String::leak(renamed))
    }
}

/// The field that a member of that name is meant for: the one of exactly that name, else the first
/// that differs in nothing but case and underscores.
fn field_named(name: &str, fields: &'static [&'static str]) -> Option<&'static str> {
    let exact = fields.iter().find(|field| **field == name);
    exact
        .or_else(|| fields.iter().find(|field| same_name(field, name)))
        .copied()
}

fn same_name(a: &str, b: &str) -> bool {
    letters(a).eq(letters(b))
}

fn letters(name: &str) -> impl Iterator<Item = u8> {
    let bytes = name.bytes().filter(|byte| *byte != b'_');
    bytes.map(|byte| byte.to_ascii_lowercase())
}

/// Whether serde_json gives the struct or newtype of that name a meaning of its own (`RawValue`).
fn is_private_to_serde_json(name: &str) -> bool {
    name.starts_with("$serde_json::private::")
}
