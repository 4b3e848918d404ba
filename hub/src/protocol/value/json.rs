//! Values in JSON. serde_json writes and reads them; a text without escapes, which most arguments and
//! results are, is copied in one piece.

use std::{cell::RefCell, fmt, io, str};

use bytes::{Buf as _, Bytes};
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned, Visitor},
    forward_to_deserialize_any,
    ser::{Serialize, SerializeSeq, SerializeTuple, Serializer},
};

use crate::protocol::json::scan::plain_len;

/// Appends a value.
pub(super) fn write<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> serde_json::Result<()> {
    let out = Out(RefCell::new(out));
    let mut json = serde_json::Serializer::new(&out);
    value.serialize(Root {
        json: &mut json,
        out: &out,
    })
}

/// What serde_json writes to, and we beside it.
struct Out<'a>(RefCell<&'a mut Vec<u8>>);

impl Out<'_> {
    fn put(&self, byte: u8) {
        self.0.borrow_mut().push(byte);
    }
}

impl io::Write for &Out<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A value that is no part of a map or a struct: texts here are ours, everything else serde_json's.
struct Root<'r, 'o> {
    json: &'r mut serde_json::Serializer<&'o Out<'o>>,
    out: &'o Out<'o>,
}

/// The elements of an array at the root.
struct Elements<'r, 'o> {
    root: Root<'r, 'o>,
    is_first: bool,
}

type Json<'r, 'o> = &'r mut serde_json::Serializer<&'o Out<'o>>;

macro_rules! forward {
    ($($method:ident($($name:ident: $type:ty),*) -> $output:ty;)+) => {$(
        fn $method(self, $($name: $type),*) -> serde_json::Result<$output> {
            self.json.$method($($name),*)
        }
    )+};
}

impl<'r, 'o> Serializer for Root<'r, 'o> {
    type Ok = ();
    type Error = serde_json::Error;
    type SerializeSeq = Elements<'r, 'o>;
    type SerializeTuple = Elements<'r, 'o>;
    type SerializeTupleStruct = <Json<'r, 'o> as Serializer>::SerializeTupleStruct;
    type SerializeTupleVariant = <Json<'r, 'o> as Serializer>::SerializeTupleVariant;
    type SerializeMap = <Json<'r, 'o> as Serializer>::SerializeMap;
    type SerializeStruct = <Json<'r, 'o> as Serializer>::SerializeStruct;
    type SerializeStructVariant = <Json<'r, 'o> as Serializer>::SerializeStructVariant;

    fn serialize_str(self, text: &str) -> serde_json::Result<()> {
        if plain_len(text.as_bytes()) < text.len() {
            return self.json.serialize_str(text);
        }
        let mut out = self.out.0.borrow_mut();
        out.reserve(text.len() + 2);
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> serde_json::Result<Elements<'r, 'o>> {
        self.out.put(b'[');
        let is_first = true;
        let root = self;
        Ok(Elements { root, is_first })
    }

    fn serialize_tuple(self, len: usize) -> serde_json::Result<Elements<'r, 'o>> {
        self.serialize_seq(Some(len))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> serde_json::Result<()> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> serde_json::Result<()> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> serde_json::Result<()> {
        let json = self.json;
        json.serialize_newtype_variant(name, index, variant, value)
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> serde_json::Result<()> {
        self.json.collect_str(value)
    }

    forward! {
        serialize_bool(v: bool) -> ();
        serialize_i8(v: i8) -> ();
        serialize_i16(v: i16) -> ();
        serialize_i32(v: i32) -> ();
        serialize_i64(v: i64) -> ();
        serialize_i128(v: i128) -> ();
        serialize_u8(v: u8) -> ();
        serialize_u16(v: u16) -> ();
        serialize_u32(v: u32) -> ();
        serialize_u64(v: u64) -> ();
        serialize_u128(v: u128) -> ();
        serialize_f32(v: f32) -> ();
        serialize_f64(v: f64) -> ();
        serialize_char(v: char) -> ();
        serialize_bytes(v: &[u8]) -> ();
        serialize_none() -> ();
        serialize_unit() -> ();
        serialize_unit_struct(name: &'static str) -> ();
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str) -> ();
        serialize_tuple_struct(name: &'static str, len: usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, len: usize)
            -> Self::SerializeTupleVariant;
        serialize_map(len: Option<usize>) -> Self::SerializeMap;
        serialize_struct(name: &'static str, len: usize) -> Self::SerializeStruct;
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, len: usize)
            -> Self::SerializeStructVariant;
    }
}

impl Elements<'_, '_> {
    fn next<T: Serialize + ?Sized>(&mut self, value: &T) -> serde_json::Result<()> {
        let Root { json, out } = &mut self.root;
        if !std::mem::take(&mut self.is_first) {
            out.put(b',');
        }
        value.serialize(Root { json, out })
    }

    fn close(&self) {
        self.root.out.put(b']');
    }
}

impl SerializeSeq for Elements<'_, '_> {
    type Ok = ();
    type Error = serde_json::Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> serde_json::Result<()> {
        self.next(value)
    }

    fn end(self) -> serde_json::Result<()> {
        self.close();
        Ok(())
    }
}

impl SerializeTuple for Elements<'_, '_> {
    type Ok = ();
    type Error = serde_json::Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> serde_json::Result<()> {
        self.next(value)
    }

    fn end(self) -> serde_json::Result<()> {
        self.close();
        Ok(())
    }
}

/// The next element of an array of valid JSON whose `[` has been read.
pub(super) fn next<T: DeserializeOwned>(rest: &mut Bytes) -> Option<serde_json::Result<T>> {
    skip_white_space(rest);
    if rest.first() == Some(&b',') {
        rest.advance(1);
        skip_white_space(rest);
    }
    if matches!(rest.first(), None | Some(b']')) {
        return None;
    }
    if let Some((value, read)) = plain_text(rest) {
        rest.advance(read);
        return Some(Ok(value));
    }
    let mut stream = serde_json::Deserializer::from_slice(rest).into_iter::<T>();
    let result = stream.next()?;
    let read = stream.byte_offset();
    rest.advance(read);
    Some(result)
}

/// What is read from a string without escapes at the start of `json`, and that string's length with its
/// quotes; `None` where serde_json has to look.
fn plain_text<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Option<(T, usize)> {
    let rest = json.strip_prefix(b"\"")?;
    let (text, end) = rest.split_at(plain_len(rest));
    if end.first() != Some(&b'"') {
        return None;
    }
    let text = str::from_utf8(text).ok()?;
    let value = T::deserialize(PlainText(text)).ok()?;
    Some((value, text.len() + 2))
}

/// A text, for a type that asks for one. Of a type that asks for anything else nothing is said.
struct PlainText<'a>(&'a str);

impl<'de> Deserializer<'de> for PlainText<'de> {
    type Error = NoText;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, NoText> {
        Err(NoText)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NoText> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NoText> {
        visitor.visit_borrowed_str(self.0)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// The type is read by serde_json then, which knows what to say.
#[derive(Debug)]
struct NoText;

impl de::Error for NoText {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

impl fmt::Display for NoText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no plain text")
    }
}

impl std::error::Error for NoText {}

pub(super) fn skip_white_space(text: &mut Bytes) {
    let rest = text.trim_ascii_start().len();
    text.advance(text.len() - rest);
}
