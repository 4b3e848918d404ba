//! Writing: a serde serializer around another.

use serde::ser::{self, Error as _, Serialize, Serializer};

use super::{Case, is_private_to_serde_json};
use crate::protocol::value::native::is_native;
use crate::protocol::{Encoding, Protocol};

/// A value that writes itself through [`Write`].
pub(crate) struct WriteAs<'a, T: ?Sized> {
    value: &'a T,
    encoding: Encoding,
}

impl<'a, T: ?Sized> WriteAs<'a, T> {
    pub(crate) fn new(value: &'a T, encoding: Encoding) -> Self {
        Self { value, encoding }
    }
}

impl<T: Serialize + ?Sized> Serialize for WriteAs<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(Write {
            inner: serializer,
            encoding: self.encoding,
        })
    }
}

/// A serializer that names members as the encoding says.
struct Write<S> {
    inner: S,
    encoding: Encoding,
}

impl<S: Serializer> Write<S> {
    fn compound<C>(
        self,
        open: impl FnOnce(S) -> Result<C, S::Error>,
    ) -> Result<Compound<C>, S::Error> {
        Ok(Compound {
            inner: open(self.inner)?,
            encoding: self.encoding,
        })
    }

    /// J-11: in JSON whole numbers have neither `.0` nor, below 1E+17, an exponent. From `exact` on
    /// not every integer is such a number: Rust's own `digits` are the shortest ones, as .NET's.
    fn whole(
        &self,
        v: f64,
        exact: f64,
        digits: impl Fn() -> String,
    ) -> Result<Option<i64>, S::Error> {
        let is_whole = v.fract() == 0.0 && v.abs() < 1e17 && !(v == 0.0 && v.is_sign_negative());
        if !is_whole || self.encoding.protocol != Protocol::Json {
            return Ok(None);
        }
        if v.abs() < exact {
            return Ok(Some(v as i64));
        }
        digits().parse().map(Some).map_err(S::Error::custom)
    }

    /// JSON has no such number, and serde_json would write null for it (CL-08).
    fn check_finite(&self, finite: bool) -> Result<(), S::Error> {
        if finite || self.encoding.protocol != Protocol::Json {
            return Ok(());
        }
        Err(S::Error::custom("JSON has no NaN and no infinities"))
    }
}

macro_rules! forward {
    ($($method:ident($type:ty);)+) => {$(
        fn $method(self, v: $type) -> Result<S::Ok, S::Error> {
            self.inner.$method(v)
        }
    )+};
}

impl<S: Serializer> Serializer for Write<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Compound<S::SerializeSeq>;
    type SerializeTuple = Compound<S::SerializeTuple>;
    type SerializeTupleStruct = Compound<S::SerializeTupleStruct>;
    type SerializeTupleVariant = Compound<S::SerializeTupleVariant>;
    type SerializeMap = Compound<S::SerializeMap>;
    type SerializeStruct = Struct<S>;
    type SerializeStructVariant = Compound<S::SerializeStructVariant>;

    forward! {
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_char(char);
        serialize_str(&str);
        serialize_bytes(&[u8]);
        serialize_unit_struct(&'static str);
    }

    fn serialize_i128(self, v: i128) -> Result<S::Ok, S::Error> {
        match (self.encoding.protocol, i64::try_from(v), u64::try_from(v)) {
            (Protocol::Json, ..) => self.inner.serialize_i128(v),
            #[cfg(feature = "messagepack")]
            (Protocol::MessagePack, Ok(v), _) => self.inner.serialize_i64(v),
            #[cfg(feature = "messagepack")]
            (Protocol::MessagePack, _, Ok(v)) => self.inner.serialize_u64(v),
            #[cfg(feature = "messagepack")]
            (Protocol::MessagePack, ..) => Err(S::Error::custom(TOO_LONG)),
        }
    }

    fn serialize_u128(self, v: u128) -> Result<S::Ok, S::Error> {
        match (self.encoding.protocol, u64::try_from(v)) {
            (Protocol::Json, _) => self.inner.serialize_u128(v),
            #[cfg(feature = "messagepack")]
            (Protocol::MessagePack, Ok(v)) => self.inner.serialize_u64(v),
            #[cfg(feature = "messagepack")]
            (Protocol::MessagePack, Err(_)) => Err(S::Error::custom(TOO_LONG)),
        }
    }

    fn serialize_f32(self, v: f32) -> Result<S::Ok, S::Error> {
        self.check_finite(v.is_finite())?;
        match self.whole(f64::from(v), 16_777_216.0, || v.to_string())? {
            Some(whole) => self.inner.serialize_i64(whole),
            None => self.inner.serialize_f32(v),
        }
    }

    fn serialize_f64(self, v: f64) -> Result<S::Ok, S::Error> {
        self.check_finite(v.is_finite())?;
        match self.whole(v, 9_007_199_254_740_992.0, || v.to_string())? {
            Some(whole) => self.inner.serialize_i64(whole),
            None => self.inner.serialize_f64(v),
        }
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.inner.serialize_none()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner
            .serialize_some(&WriteAs::new(value, self.encoding))
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit_variant(name, index, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        if is_native(name) {
            return self.inner.serialize_newtype_struct(name, value);
        }
        let value = WriteAs::new(value, self.encoding);
        self.inner.serialize_newtype_struct(name, &value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let value = WriteAs::new(value, self.encoding);
        self.inner
            .serialize_newtype_variant(name, index, variant, &value)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        self.compound(|inner| inner.serialize_seq(len))
    }

    fn serialize_tuple(self, len: usize) -> Result<Self::SerializeTuple, S::Error> {
        self.compound(|inner| inner.serialize_tuple(len))
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleStruct, S::Error> {
        self.compound(|inner| inner.serialize_tuple_struct(name, len))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        self.compound(|inner| inner.serialize_tuple_variant(name, index, variant, len))
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        self.compound(|inner| inner.serialize_map(len))
    }

    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Struct<S>, S::Error> {
        match Case::of(self.encoding) {
            Some(case) if !is_private_to_serde_json(name) => Ok(Struct::Renamed {
                map: self.inner.serialize_map(Some(len))?,
                case,
                encoding: self.encoding,
            }),
            _ => self
                .compound(|inner| inner.serialize_struct(name, len))
                .map(Struct::AsDeclared),
        }
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        self.compound(|inner| inner.serialize_struct_variant(name, index, variant, len))
    }

    fn collect_str<T: std::fmt::Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        true
    }
}

#[cfg(feature = "messagepack")]
const TOO_LONG: &str = "MessagePack has no integer of more than 64 bits";

/// What has elements, and hands each on as [`WriteAs`].
struct Compound<C> {
    inner: C,
    encoding: Encoding,
}

macro_rules! elements {
    ($($trait:ident::$method:ident;)+) => {$(
        impl<C: ser::$trait> ser::$trait for Compound<C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
                self.inner.$method(&WriteAs::new(value, self.encoding))
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.inner.end()
            }
        }
    )+};
}

elements! {
    SerializeSeq::serialize_element;
    SerializeTuple::serialize_element;
    SerializeTupleStruct::serialize_field;
    SerializeTupleVariant::serialize_field;
}

impl<C: ser::SerializeMap> ser::SerializeMap for Compound<C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), C::Error> {
        self.inner.serialize_key(&WriteAs::new(key, self.encoding))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        self.inner
            .serialize_value(&WriteAs::new(value, self.encoding))
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        self.inner.end()
    }
}

impl<C: ser::SerializeStructVariant> ser::SerializeStructVariant for Compound<C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), C::Error> {
        let key = Case::of(self.encoding).map_or(key, |case| case.interned(key));
        self.inner
            .serialize_field(key, &WriteAs::new(value, self.encoding))
    }

    fn skip_field(&mut self, key: &'static str) -> Result<(), C::Error> {
        self.inner.skip_field(key)
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        self.inner.end()
    }
}

/// The members of a struct.
enum Struct<S: Serializer> {
    AsDeclared(Compound<S::SerializeStruct>),
    /// As a map: serde lets no struct have names that are not `'static`.
    Renamed {
        map: S::SerializeMap,
        case: Case,
        encoding: Encoding,
    },
}

impl<S: Serializer> ser::SerializeStruct for Struct<S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), S::Error> {
        match self {
            Self::AsDeclared(fields) => fields
                .inner
                .serialize_field(key, &WriteAs::new(value, fields.encoding)),
            Self::Renamed {
                map,
                case,
                encoding,
            } => case.with_renamed(key, |name| {
                ser::SerializeMap::serialize_entry(map, name, &WriteAs::new(value, *encoding))
            }),
        }
    }

    fn skip_field(&mut self, key: &'static str) -> Result<(), S::Error> {
        match self {
            Self::AsDeclared(fields) => fields.inner.skip_field(key),
            Self::Renamed { .. } => Ok(()),
        }
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        match self {
            Self::AsDeclared(fields) => fields.inner.end(),
            Self::Renamed { map, .. } => ser::SerializeMap::end(map),
        }
    }
}
