//! The fields of a record, read one after the other as .NET's reader takes them (M-06).

use std::fmt::Display;

use bytes::Bytes;
use bytestring::ByteString;
use rmp::{
    Marker,
    decode::{self, RmpReadErr, ValueReadError},
};

use super::skip::{Endless, skip};
use crate::protocol::ProtocolError;

/// A record and what of it is not read yet. Whatever it returns is a slice of the record.
pub(super) struct Reader<'a> {
    record: &'a Bytes,
    rest: &'a [u8],
}

/// Why a value could not be read.
enum Unreadable {
    /// The record ends first.
    End,
    /// A value of another type.
    Type(Marker),
}

impl<'a> Reader<'a> {
    pub(super) fn new(record: &'a Bytes) -> Self {
        Self {
            record,
            rest: record,
        }
    }

    /// The header of the array that a message is: how many items it has.
    pub(super) fn message(&mut self) -> Result<u32, ProtocolError> {
        Ok(self.array()?)
    }

    pub(super) fn int32(&mut self, field: &str) -> Result<i32, ProtocolError> {
        decode::read_int(&mut self.rest).map_err(|_| unread(field, "Int32"))
    }

    pub(super) fn int64(&mut self, field: &str) -> Result<i64, ProtocolError> {
        decode::read_int(&mut self.rest).map_err(|_| unread(field, "Int64"))
    }

    pub(super) fn boolean(&mut self, field: &str) -> Result<bool, ProtocolError> {
        decode::read_bool(&mut self.rest).map_err(|_| unread(field, "Boolean"))
    }

    /// A string, or nil.
    pub(super) fn string(&mut self, field: &str) -> Result<Option<ByteString>, ProtocolError> {
        let text = self.text().map_err(|_| unread(field, "String"))?;
        Ok(text.map(|text| self.share(text)))
    }

    /// A string that must not be empty or nil; `what` says so where it is.
    pub(super) fn required(
        &mut self,
        field: &str,
        what: impl Display,
    ) -> Result<ByteString, ProtocolError> {
        self.string(field)?
            .filter(|text| !text.is_empty())
            .ok_or_else(|| empty(what))
    }

    /// Checks the headers and skips them: nothing here needs them (M-03).
    pub(super) fn headers(&mut self) -> Result<(), ProtocolError> {
        // .NET does not read a map that cannot be whole; a key and its value are two bytes.
        let count = decode::read_map_len(&mut self.rest)
            .ok()
            .filter(|&count| 2 * u64::from(count) <= self.rest.len() as u64)
            .ok_or_else(|| ProtocolError::invalid("Reading map length for 'headers' failed."))?;
        for index in 0..count {
            for (part, what) in [("Key", "key in header"), ("Value", "value in header")] {
                let text = self
                    .text()
                    .map_err(|_| unread(format_args!("headers[{index}].{part}"), "String"))?;
                if text.is_none_or(<[u8]>::is_empty) {
                    return Err(empty(what));
                }
            }
        }
        Ok(())
    }

    /// The arguments, and whether stream ids can be read behind them. Bad arguments are no fault
    /// of the connection (M-07): what is no array is returned as it is, and where the end cannot
    /// be found, all that is left of the record.
    pub(super) fn arguments(&mut self) -> (Bytes, bool) {
        let array = self.rest.first().is_some_and(|&code| {
            matches!(
                Marker::from_u8(code),
                Marker::FixArray(_) | Marker::Array16 | Marker::Array32
            )
        });
        let end = skip(self.rest);
        (self.take(end.ok()), array && end.is_ok())
    }

    /// One encoded value, or all that is left of the record when its end cannot be found.
    pub(super) fn value(&mut self) -> Bytes {
        self.take(skip(self.rest).ok())
    }

    /// The result of a completion. One that is cut short harms who reads it (CR-08), or the
    /// connection if nobody does; no value at all always the connection.
    pub(super) fn result(&mut self) -> Result<Bytes, ProtocolError> {
        match skip(self.rest) {
            Err(Endless::Malformed) => Err(Unreadable::Type(Marker::Reserved).into()),
            end => Ok(self.take(end.ok())),
        }
    }

    pub(super) fn stream_ids(&mut self) -> Result<Vec<ByteString>, ProtocolError> {
        let count = self
            .array()
            .map_err(|_| ProtocolError::invalid("Reading array length for 'streamIds' failed."))?;
        // Not with the capacity that is announced.
        let mut ids = Vec::new();
        for _ in 0..count {
            let id = self.text()?.filter(|id| !id.is_empty());
            let id = id.ok_or_else(|| empty("value in streamIds received"))?;
            ids.push(self.share(id));
        }
        Ok(ids)
    }

    fn array(&mut self) -> Result<u32, Unreadable> {
        let count = decode::read_array_len(&mut self.rest)?;
        // .NET does not read an array that cannot be whole; an item is a byte at least.
        if u64::from(count) > self.rest.len() as u64 {
            return Err(Unreadable::End);
        }
        Ok(count)
    }

    /// The bytes of a string, whatever they are; `None` for nil.
    fn text(&mut self) -> Result<Option<&'a [u8]>, Unreadable> {
        let length = match decode::read_str_len(&mut self.rest) {
            Ok(length) => length as usize,
            Err(ValueReadError::TypeMismatch(Marker::Null)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let (text, rest) = self.rest.split_at_checked(length).ok_or(Unreadable::End)?;
        self.rest = rest;
        Ok(Some(text))
    }

    fn take(&mut self, length: Option<usize>) -> Bytes {
        let (value, rest) = self.rest.split_at(length.unwrap_or(self.rest.len()));
        self.rest = rest;
        self.record.slice_ref(value)
    }

    fn share(&self, text: &[u8]) -> ByteString {
        // .NET reads what is not UTF-8 as U+FFFD.
        ByteString::try_from(self.record.slice_ref(text))
            .unwrap_or_else(|_| String::from_utf8_lossy(text).into_owned().into())
    }
}

impl<E: RmpReadErr> From<ValueReadError<E>> for Unreadable {
    fn from(error: ValueReadError<E>) -> Self {
        match error {
            ValueReadError::TypeMismatch(marker) => Self::Type(marker),
            ValueReadError::InvalidMarkerRead(_) | ValueReadError::InvalidDataRead(_) => Self::End,
        }
    }
}

/// Why a value that nobody reads cannot be skipped.
pub(super) fn unskippable(value: &[u8]) -> Option<ProtocolError> {
    (skip(value) == Err(Endless::Cut)).then(|| Unreadable::End.into())
}

impl From<Unreadable> for ProtocolError {
    fn from(reason: Unreadable) -> Self {
        match reason {
            Unreadable::End => Self::new(
                "EndOfStreamException",
                "Attempted to read past the end of the stream.",
            ),
            Unreadable::Type(marker) => Self::new(
                "MessagePackSerializationException",
                format!(
                    "Unexpected msgpack code {} ({}) encountered.",
                    marker.to_u8(),
                    name(marker)
                ),
            ),
        }
    }
}

fn unread(field: impl Display, as_type: &str) -> ProtocolError {
    ProtocolError::invalid(format!("Reading '{field}' as {as_type} failed."))
}

fn empty(what: impl Display) -> ProtocolError {
    ProtocolError::invalid(format!("Null or empty {what}."))
}

/// What .NET calls the code of a value.
fn name(marker: Marker) -> &'static str {
    match marker {
        Marker::FixPos(_) => "positive fixint",
        Marker::FixNeg(_) => "negative fixint",
        Marker::FixMap(_) => "fixmap",
        Marker::FixArray(_) => "fixarray",
        Marker::FixStr(_) => "fixstr",
        Marker::Null => "nil",
        Marker::Reserved => "(never used)",
        Marker::False => "false",
        Marker::True => "true",
        Marker::Bin8 => "bin 8",
        Marker::Bin16 => "bin 16",
        Marker::Bin32 => "bin 32",
        Marker::Ext8 => "ext 8",
        Marker::Ext16 => "ext 16",
        Marker::Ext32 => "ext 32",
        Marker::F32 => "float 32",
        Marker::F64 => "float 64",
        Marker::U8 => "uint 8",
        Marker::U16 => "uint 16",
        Marker::U32 => "uint 32",
        Marker::U64 => "uint 64",
        Marker::I8 => "int 8",
        Marker::I16 => "int 16",
        Marker::I32 => "int 32",
        Marker::I64 => "int 64",
        Marker::FixExt1 => "fixext 1",
        Marker::FixExt2 => "fixext 2",
        Marker::FixExt4 => "fixext 4",
        Marker::FixExt8 => "fixext 8",
        Marker::FixExt16 => "fixext 16",
        Marker::Str8 => "str 8",
        Marker::Str16 => "str 16",
        Marker::Str32 => "str 32",
        Marker::Array16 => "array 16",
        Marker::Array32 => "array 32",
        Marker::Map16 => "map 16",
        Marker::Map32 => "map 32",
    }
}
