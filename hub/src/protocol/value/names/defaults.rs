//! What stands for what a client leaves out, where .NET's serialisers take a type's default.
//!
//! serde lets a type say by itself what it does without a member, and tells nobody else: only when it
//! complains is it known that it has no answer. So a value is read strictly first, and then anew, with
//! nothing in the place of each member that was missed.

use std::cell::{Cell, RefCell};
use std::fmt::{self, Display};
use std::marker::PhantomData;

use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer as _, MapAccess, SeqAccess,
    VariantAccess, Visitor, value::StrDeserializer,
};

use crate::protocol::value::native;

/// How deep nothing may nest: a type that holds itself would go on for ever.
const MAX_DEPTH: u32 = 16;

/// A struct as serde knows it: its name and its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Struct {
    pub(super) name: &'static str,
    pub(super) fields: &'static [&'static str],
}

/// Which members a value goes without, as far as that is known.
#[derive(Default)]
pub(crate) struct Defaults {
    left_out: RefCell<Vec<(Struct, &'static str)>>,
    /// The member for whose want the last reading failed.
    missed: Cell<Option<(Struct, &'static str)>>,
    depth: Cell<u32>,
}

impl Defaults {
    /// Whether the member may be left out.
    pub(super) fn has(&self, of: Struct, field: &'static str) -> bool {
        self.left_out.borrow().contains(&(of, field))
    }

    pub(super) fn missed(&self, of: Struct, field: &'static str) {
        self.missed.set(Some((of, field)));
    }

    /// After a reading that failed: whether another may go better.
    fn take_missed(&self) -> bool {
        let Some(missed) = self.missed.take() else {
            return false;
        };
        let mut left_out = self.left_out.borrow_mut();
        let is_new = !left_out.contains(&missed);
        if is_new {
            left_out.push(missed);
        }
        is_new
    }

    /// Nothing, to be read in the place of something.
    pub(super) fn nothing<E>(&self) -> Nothing<'_, E> {
        let defaults = self;
        Nothing {
            defaults,
            text: "",
            _error: PhantomData,
        }
    }
}

/// Reads a value that could not be read strictly, for this reason, as often as something more is found
/// that may be left out: no more often than its types have members.
pub(crate) fn without<T, E>(error: E, read: impl Fn(&Defaults) -> Result<T, E>) -> Result<T, E> {
    let defaults = Defaults::default();
    loop {
        match read(&defaults) {
            Ok(value) => return Ok(value),
            Err(_) if defaults.take_missed() => {}
            Err(_) => return Err(error),
        }
    }
}

/// Why a struct could not be read.
#[derive(Debug)]
pub(super) enum Fault<E> {
    /// The type wants this member.
    Missing(&'static str),
    Other(E),
}

impl<E: de::Error> Fault<E> {
    pub(super) fn into_error(self) -> E {
        match self {
            Self::Missing(field) => E::missing_field(field),
            Self::Other(error) => error,
        }
    }
}

impl<E: de::Error> de::Error for Fault<E> {
    fn custom<T: Display>(text: T) -> Self {
        Self::Other(E::custom(text))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field)
    }
}

impl<E: de::Error> Display for Fault<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(field) => write!(f, "missing field `{field}`"),
            Self::Other(error) => Display::fmt(error, f),
        }
    }
}

impl<E: de::Error> std::error::Error for Fault<E> {}

/// Reads as the least value of any type: zero, false, an empty text or list, no entry; the variant
/// that comes first, where it holds nothing; a struct without members.
pub(super) struct Nothing<'a, E> {
    defaults: &'a Defaults,
    text: &'static str,
    _error: PhantomData<E>,
}

impl<'a, E: de::Error> Nothing<'a, E> {
    /// The same one level further down.
    fn within<R>(self, read: impl FnOnce(Self) -> Result<R, E>) -> Result<R, E> {
        let depth = &self.defaults.depth;
        if depth.get() == MAX_DEPTH {
            return Err(E::custom("nothing within nothing, too often"));
        }
        depth.set(depth.get() + 1);
        let defaults = self.defaults;
        let result = read(self);
        defaults.depth.set(defaults.depth.get() - 1);
        result
    }
}

macro_rules! least {
    ($($method:ident => $visit:ident($value:expr);)+) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
            visitor.$visit($value)
        }
    )+};
}

impl<'de, E: de::Error> Deserializer<'de> for Nothing<'_, E> {
    type Error = E;

    least! {
        deserialize_bool => visit_bool(false);
        deserialize_i8 => visit_i64(0);
        deserialize_i16 => visit_i64(0);
        deserialize_i32 => visit_i64(0);
        deserialize_i64 => visit_i64(0);
        deserialize_i128 => visit_i64(0);
        deserialize_u8 => visit_u64(0);
        deserialize_u16 => visit_u64(0);
        deserialize_u32 => visit_u64(0);
        deserialize_u64 => visit_u64(0);
        deserialize_u128 => visit_u64(0);
        deserialize_f32 => visit_f64(0.0);
        deserialize_f64 => visit_f64(0.0);
        deserialize_char => visit_char('\0');
        deserialize_identifier => visit_str("");
        deserialize_bytes => visit_bytes(&[]);
        deserialize_byte_buf => visit_bytes(&[]);
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        visitor.visit_str(self.text)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        visitor.visit_str(self.text)
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        visitor.visit_unit()
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        visitor.visit_unit()
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        visitor.visit_none()
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, E> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, E> {
        self.within(|nothing| {
            // The first moment that a DateTime knows.
            let text = if name == native::TIMESTAMP {
                "0001-01-01T00:00:00"
            } else {
                ""
            };
            visitor.visit_newtype_struct(Nothing { text, ..nothing })
        })
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        visitor.visit_seq(Nothings(self, 0))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, E> {
        self.within(|nothing| visitor.visit_seq(Nothings(nothing, len)))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, E> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        visitor.visit_map(Nothings(self, 0))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, E> {
        self.within(|nothing| visitor.visit_map(Nothings(nothing, 0)))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, E> {
        match variants.first() {
            Some(first) => visitor.visit_enum(Least(first, PhantomData)),
            None => Err(E::custom("there is no variant")),
        }
    }

    fn is_human_readable(&self) -> bool {
        true
    }
}

/// So many elements or entries, each of them nothing.
struct Nothings<'a, E>(Nothing<'a, E>, usize);

impl<'de, E: de::Error> SeqAccess<'de> for Nothings<'_, E> {
    type Error = E;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, E> {
        let Some(left) = self.1.checked_sub(1) else {
            return Ok(None);
        };
        self.1 = left;
        seed.deserialize(self.0.defaults.nothing()).map(Some)
    }
}

impl<'de, E: de::Error> MapAccess<'de> for Nothings<'_, E> {
    type Error = E;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, _: S) -> Result<Option<S::Value>, E> {
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, E> {
        seed.deserialize(self.0.defaults.nothing())
    }
}

/// The variant of that name, which must hold nothing: what one that holds something has in it, nobody
/// said.
struct Least<E>(&'static str, PhantomData<E>);

impl<'de, E: de::Error> EnumAccess<'de> for Least<E> {
    type Error = E;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), E> {
        let name: StrDeserializer<'_, E> = self.0.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de, E: de::Error> VariantAccess<'de> for Least<E> {
    type Error = E;

    fn unit_variant(self) -> Result<(), E> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, _: S) -> Result<S::Value, E> {
        Err(E::custom("the first variant holds something"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, E> {
        Err(E::custom("the first variant holds something"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, E> {
        Err(E::custom("the first variant holds something"))
    }
}
