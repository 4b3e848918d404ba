//! Reading: a serde deserializer around another.

mod nothing;

use std::fmt;

use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor, value::StrDeserializer,
};

use super::{
    bins::{Bins, Reading},
    defaults::{Defaults, Fault, Struct},
    field_named, is_private_to_serde_json,
};
use nothing::{Asked, OrNothing};

use crate::protocol::value::native::is_native;
use crate::protocol::{Encoding, Names, Protocol};

/// A value read from JSON with [`Names::DotNet`], for where serde_json wants a type.
pub(crate) struct ReadAs<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for ReadAs<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let encoding = Encoding {
            protocol: Protocol::Json,
            names: Names::DotNet,
        };
        let reading = Reading::new(encoding, Bins::Nowhere);
        T::deserialize(Read::new(deserializer, reading)).map(ReadAs)
    }
}

/// A deserializer that finds members as the encoding says.
///
/// As a seed and as an access it wraps what it hands on.
pub(crate) struct Read<'a, D> {
    inner: D,
    reading: Reading<'a>,
}

impl<'a, D> Read<'a, D> {
    pub(crate) fn new(inner: D, reading: Reading<'a>) -> Self {
        Self { inner, reading }
    }

    fn around<V>(reading: Reading<'a>, visitor: V, expects: Expects) -> Visit<'a, V> {
        Visit {
            inner: visitor,
            reading,
            expects,
        }
    }
}

macro_rules! scalars {
    ($($method:ident)+) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$method(visitor)
        }
    )+};
}

macro_rules! wrapped {
    ($($method:ident($($arg:ident: $type:ty),*) expects $expects:expr $(, or nothing as $asked:expr)?;)+) => {$(
        fn $method<V: Visitor<'de>>(self, $($arg: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            $(
                if self.reading.may_be_null() {
                    let (asked, reading) = ($asked, self.reading);
                    return self.inner.deserialize_option(OrNothing { visitor, reading, asked });
                }
            )?
            let visitor = Self::around(self.reading, visitor, $expects);
            if let Expects::Text | Expects::List = visitor.expects
                && self.reading.next_is_bin()
            {
                return Err(D::Error::invalid_type(Unexpected::Other("bytes"), &visitor));
            }
            self.inner.$method($($arg,)* visitor)
        }
    )+};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Read<'_, D> {
    type Error = D::Error;

    scalars! {
        deserialize_bool deserialize_i128 deserialize_u128
        deserialize_f32 deserialize_f64
        deserialize_bytes deserialize_byte_buf
        deserialize_unit deserialize_ignored_any
    }

    wrapped! {
        deserialize_any() expects Expects::Anything;
        deserialize_i8() expects Expects::Integer;
        deserialize_i16() expects Expects::Integer;
        deserialize_i32() expects Expects::Integer;
        deserialize_i64() expects Expects::Integer;
        deserialize_u8() expects Expects::Integer;
        deserialize_u16() expects Expects::Integer;
        deserialize_u32() expects Expects::Integer;
        deserialize_u64() expects Expects::Integer;
        deserialize_char() expects Expects::Text;
        deserialize_str() expects Expects::Text, or nothing as Asked::Str;
        deserialize_string() expects Expects::Text, or nothing as Asked::String;
        deserialize_identifier() expects Expects::Text;
        deserialize_option() expects Expects::Anything;
        deserialize_unit_struct(name: &'static str) expects Expects::Anything;
        deserialize_seq() expects Expects::List, or nothing as Asked::Seq;
        deserialize_tuple(len: usize) expects Expects::List;
        deserialize_tuple_struct(name: &'static str, len: usize) expects Expects::List;
        deserialize_map() expects Expects::Anything, or nothing as Asked::Map;
        deserialize_enum(name: &'static str, variants: &'static [&'static str])
            expects Expects::Anything;
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        if is_native(name) {
            return self.inner.deserialize_newtype_struct(name, visitor);
        }
        let visitor = Self::around(self.reading, visitor, Expects::Anything);
        self.inner.deserialize_newtype_struct(name, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let expects = if is_private_to_serde_json(name) {
            Expects::Anything
        } else if self.reading.may_be_null() {
            let (asked, reading) = (Asked::Struct(Struct { name, fields }), self.reading);
            return self.inner.deserialize_option(OrNothing {
                visitor,
                reading,
                asked,
            });
        } else {
            Expects::fields(self.reading.encoding, name, fields)
        };
        let visitor = Self::around(self.reading, visitor, expects);
        self.inner.deserialize_struct(name, fields, visitor)
    }

    fn is_human_readable(&self) -> bool {
        true
    }
}

/// What a type asked for.
#[derive(Clone, Copy)]
enum Expects {
    Anything,
    Integer,
    /// A string, or the name of a field or variant.
    Text,
    List,
    /// A struct, whose members are named as in .NET.
    Members(Struct),
}

impl Expects {
    fn fields(encoding: Encoding, name: &'static str, fields: &'static [&'static str]) -> Self {
        match encoding.names {
            Names::AsDeclared => Self::Anything,
            Names::DotNet | Names::DotNetPascalCase => Self::Members(Struct { name, fields }),
        }
    }
}

/// A visitor that hands on what it is given, wrapped.
struct Visit<'a, V> {
    inner: V,
    reading: Reading<'a>,
    expects: Expects,
}

impl<V> Visit<'_, V> {
    /// MessagePack has other values than strings where text is meant, and rmp-serde takes them:
    /// numbers as indices of variants and fields, bytes as text. .NET does not (M-08).
    fn refuse_for_text<'de, E: de::Error>(&self, found: Unexpected<'_>) -> Result<(), E>
    where
        V: Visitor<'de>,
    {
        match self.expects {
            Expects::Text => Err(E::invalid_type(found, self)),
            _ => Ok(()),
        }
    }
}

macro_rules! visit_scalars {
    ($($method:ident($type:ty) as $unexpected:expr;)+) => {$(
        fn $method<E: de::Error>(self, v: $type) -> Result<V::Value, E> {
            self.refuse_for_text($unexpected(v))?;
            self.inner.$method(v)
        }
    )+};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Visit<'_, V> {
    type Value = V::Value;

    visit_scalars! {
        visit_bool(bool) as Unexpected::Bool;
        visit_i8(i8) as |v| Unexpected::Signed(i64::from(v));
        visit_i16(i16) as |v| Unexpected::Signed(i64::from(v));
        visit_i32(i32) as |v| Unexpected::Signed(i64::from(v));
        visit_i64(i64) as Unexpected::Signed;
        visit_u8(u8) as |v| Unexpected::Unsigned(u64::from(v));
        visit_u16(u16) as |v| Unexpected::Unsigned(u64::from(v));
        visit_u32(u32) as |v| Unexpected::Unsigned(u64::from(v));
        visit_u64(u64) as Unexpected::Unsigned;
        visit_f32(f32) as |v| Unexpected::Float(f64::from(v));
    }

    fn visit_f64<E: de::Error>(self, v: f64) -> Result<V::Value, E> {
        self.refuse_for_text(Unexpected::Float(v))?;
        match (self.expects, self.reading.encoding.protocol) {
            // J-11: `-0` is an integer; serde_json has no negative one to show for it.
            (Expects::Integer, Protocol::Json) if v.to_bits() == (-0.0_f64).to_bits() => {
                self.inner.visit_u64(0)
            }
            _ => self.inner.visit_f64(v),
        }
    }

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    fn visit_i128<E: de::Error>(self, v: i128) -> Result<V::Value, E> {
        self.inner.visit_i128(v)
    }

    fn visit_u128<E: de::Error>(self, v: u128) -> Result<V::Value, E> {
        self.inner.visit_u128(v)
    }

    fn visit_char<E: de::Error>(self, v: char) -> Result<V::Value, E> {
        self.inner.visit_char(v)
    }

    fn visit_str<E: de::Error>(self, v: &str) -> Result<V::Value, E> {
        self.inner.visit_str(v)
    }

    fn visit_borrowed_str<E: de::Error>(self, v: &'de str) -> Result<V::Value, E> {
        self.inner.visit_borrowed_str(v)
    }

    fn visit_string<E: de::Error>(self, v: String) -> Result<V::Value, E> {
        self.inner.visit_string(v)
    }

    fn visit_bytes<E: de::Error>(self, v: &[u8]) -> Result<V::Value, E> {
        if let Expects::Text = self.expects {
            // rmp-serde shows a str here only when it is not UTF-8: anything else is a bin.
            return match String::from_utf8_lossy(v) {
                std::borrow::Cow::Owned(repaired) => self.inner.visit_string(repaired),
                std::borrow::Cow::Borrowed(_) => Err(E::invalid_type(Unexpected::Bytes(v), &self)),
            };
        }
        self.inner.visit_bytes(v)
    }

    fn visit_borrowed_bytes<E: de::Error>(self, v: &'de [u8]) -> Result<V::Value, E> {
        match self.expects {
            Expects::Text => self.visit_bytes(v),
            _ => self.inner.visit_borrowed_bytes(v),
        }
    }

    fn visit_byte_buf<E: de::Error>(self, v: Vec<u8>) -> Result<V::Value, E> {
        match self.expects {
            Expects::Text => self.visit_bytes(&v),
            _ => self.inner.visit_byte_buf(v),
        }
    }

    fn visit_none<E: de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        let deserializer = Read::new(deserializer, self.reading.begun());
        self.inner.visit_some(deserializer)
    }

    fn visit_unit<E: de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        let deserializer = Read::new(inner, self.reading);
        self.inner.visit_newtype_struct(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<V::Value, A::Error> {
        if let Expects::Members(_) = self.expects {
            return Err(A::Error::invalid_type(Unexpected::Seq, &self));
        }
        self.inner
            .visit_seq(Read::new(elements, self.reading.inside()))
    }

    fn visit_map<A: MapAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let Self {
            inner: visitor,
            reading,
            expects,
        } = self;
        let read = visitor.visit_map(Members {
            inner,
            reading: reading.inside(),
            expects,
            seen: Vec::new(),
            left_out: None,
        });
        read.map_err(|fault| {
            if let (Fault::Missing(field), Expects::Members(of), Some(defaults)) =
                (&fault, expects, reading.defaults)
            {
                defaults.missed(of, field);
            }
            fault.into_error()
        })
    }

    fn visit_enum<A: EnumAccess<'de>>(self, variant: A) -> Result<V::Value, A::Error> {
        self.inner.visit_enum(Read::new(variant, self.reading))
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Read<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.inner
            .deserialize(Read::new(deserializer, self.reading))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Read<'_, A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        self.inner.next_element_seed(Read::new(seed, self.reading))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

/// The entries of a map, or the members of a struct.
struct Members<'a, A> {
    inner: A,
    reading: Reading<'a>,
    expects: Expects,
    /// Where members may be left out: those that are there, and those that were put there.
    seen: Vec<&'static str>,
    /// The member that is read next is one that was left out.
    left_out: Option<&'a Defaults>,
}

impl<'a, A> Members<'a, A> {
    /// The next member that is left out and must not be.
    fn next_left_out(&mut self) -> Option<(&'static str, &'a Defaults)> {
        let (Some(defaults), Expects::Members(of)) = (self.reading.defaults, self.expects) else {
            return None;
        };
        let mut fields = of.fields.iter();
        let field = fields.find(|field| !self.seen.contains(field) && defaults.has(of, field))?;
        self.seen.push(field);
        Some((field, defaults))
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Members<'_, A> {
    type Error = Fault<A::Error>;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Self::Error> {
        let Expects::Members(of) = self.expects else {
            let key = self.inner.next_key_seed(Read::new(seed, self.reading));
            return key.map_err(Fault::Other);
        };
        if self.reading.defaults.is_none() {
            let key = self.inner.next_key_seed(MemberName {
                seed,
                of,
                seen: None,
            });
            return key.map_err(Fault::Other);
        }
        // The seed can be used once, and is handed back where the map has no more for it.
        let mut seed = Some(seed);
        let lent = Lent {
            seed: &mut seed,
            of,
            seen: &mut self.seen,
        };
        if let Some(key) = self.inner.next_key_seed(lent).map_err(Fault::Other)? {
            return Ok(Some(key));
        }
        match (seed, self.next_left_out()) {
            (Some(seed), Some((field, defaults))) => {
                self.left_out = Some(defaults);
                let key = seed.deserialize(StrDeserializer::new(field));
                key.map(Some).map_err(Fault::Other)
            }
            _ => Ok(None),
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, Self::Error> {
        let value = match self.left_out.take() {
            Some(defaults) => {
                let reading = self.reading.of_nothing();
                seed.deserialize(Read::new(defaults.nothing(), reading))
            }
            None => self.inner.next_value_seed(Read::new(seed, self.reading)),
        };
        value.map_err(Fault::Other)
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

/// Tells a seed the declared name of the field that a member is meant for, and takes it only where
/// there is a member.
struct Lent<'a, S> {
    seed: &'a mut Option<S>,
    of: Struct,
    seen: &'a mut Vec<&'static str>,
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Lent<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        let Some(seed) = self.seed.take() else {
            return Err(D::Error::custom("a name is read once"));
        };
        let (of, seen) = (self.of, Some(self.seen));
        MemberName { seed, of, seen }.deserialize(deserializer)
    }
}

/// Tells the seed the declared name of the field that a member is meant for.
struct MemberName<'a, S> {
    seed: S,
    of: Struct,
    seen: Option<&'a mut Vec<&'static str>>,
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for MemberName<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl<'de, S: DeserializeSeed<'de>> Visitor<'de> for MemberName<'_, S> {
    type Value = S::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_str<E: de::Error>(self, v: &str) -> Result<S::Value, E> {
        let field = field_named(v, self.of.fields);
        if let (Some(field), Some(seen)) = (field, self.seen) {
            seen.push(field);
        }
        let name = field.unwrap_or(v);
        self.seed.deserialize(StrDeserializer::new(name))
    }
}

impl<'de, 'a, A: EnumAccess<'de>> EnumAccess<'de> for Read<'a, A> {
    type Error = A::Error;
    type Variant = Read<'a, A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self::Variant), A::Error> {
        let name = Read::new(seed, self.reading.unsure());
        let (value, variant) = self.inner.variant_seed(name)?;
        Ok((value, Read::new(variant, self.reading.inside())))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Read<'_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.inner
            .newtype_variant_seed(Read::new(seed, self.reading))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        let visitor = Self::around(self.reading, visitor, Expects::Anything);
        self.inner.tuple_variant(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        let expects = Expects::fields(self.reading.encoding, "", fields);
        let visitor = Self::around(self.reading, visitor, expects);
        self.inner.struct_variant(fields, visitor)
    }
}
