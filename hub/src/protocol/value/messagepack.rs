//! Values in MessagePack. rmp-serde writes and reads them; what it takes and .NET refuses is found
//! before.

use bytes::{Buf as _, Bytes};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Encoding, Names, ValueError,
    names::{Bins, Defaults, Place, Read, Reading, without},
    skip::{self, Extent},
};

/// Appends a value, structs as maps.
pub(super) fn write<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), ValueError> {
    let mut serializer = rmp_serde::Serializer::new(out).with_struct_map();
    value.serialize(&mut serializer).map_err(ValueError::new)
}

/// Begins an array of so many values.
#[cfg(feature = "client")]
pub(super) fn begin_array(values: usize, out: &mut Vec<u8>) {
    let values = u32::try_from(values).expect("nobody has so many arguments");
    rmp::encode::write_array_len(out, values).expect("a Vec takes all");
}

/// Decodes one value, all of `bytes`.
pub(super) fn decode<T: DeserializeOwned>(
    encoding: Encoding,
    bytes: &[u8],
) -> Result<T, ValueError> {
    match skip::value(bytes) {
        Some(extent) if extent.len == bytes.len() => decode_extent(encoding, bytes, extent),
        _ => Err(ValueError::text("not exactly one MessagePack value")),
    }
}

/// What kind of value begins with this byte, for people.
pub(super) fn kind(first: u8) -> &'static str {
    match first {
        0xC0 => "null",
        0xC2 | 0xC3 => "a boolean",
        0xA0..=0xBF | 0xD9..=0xDB => "text",
        0xC4..=0xC6 => "bytes",
        0x90..=0x9F | 0xDC | 0xDD => "a list",
        0x80..=0x8F | 0xDE | 0xDF => "an object",
        0xC7..=0xC9 | 0xD4..=0xD8 => "an extension",
        0x00..=0x7F | 0xCA..=0xD3 | 0xE0..=0xFF => "a number",
        0xC1 => "no value",
    }
}

/// Takes the header of an array off the front, and gives how many elements follow.
pub(super) fn take_array_len(rest: &mut Bytes) -> Option<usize> {
    let mut reader = &rest[..];
    let len = rmp::decode::read_array_len(&mut reader).ok();
    // Each element takes a byte: a higher count is a lie, and .NET refuses it here.
    let len = len.map(|len| len as usize);
    let len = len.filter(|len| *len <= reader.len());
    rest.advance(rest.len() - reader.len());
    len
}

/// Takes the next of so many `declared` elements off the front.
pub(super) fn take<T: DeserializeOwned>(
    encoding: Encoding,
    rest: &mut Bytes,
    declared: &mut usize,
) -> Option<Result<T, ValueError>> {
    *declared = declared.checked_sub(1)?;
    let Some(extent) = skip::value(rest) else {
        return Some(Err(ValueError::text("not a MessagePack value")));
    };
    let result = decode_extent(encoding, rest, extent);
    rest.advance(extent.len);
    Some(result)
}

/// Decodes the value of this extent: every count in it is true, none nests too deeply. Where it has not
/// all that its type wants, it is read as .NET does, if that is how the hub names things.
fn decode_extent<T: DeserializeOwned>(
    encoding: Encoding,
    bytes: &[u8],
    extent: Extent,
) -> Result<T, ValueError> {
    let bytes = &bytes[..extent.len];
    let is_bin = extent.has_bins && skip::is_bin(bytes[0]);
    let read = if extent.has_bins && !is_bin {
        read_by_place(encoding, bytes, None)
    } else {
        let bins = if is_bin { Bins::Here } else { Bins::Nowhere };
        let mut deserializer = rmp_serde::Deserializer::from_read_ref(bytes);
        deserializer.set_max_depth(skip::MAX_DEPTH + 1);
        let reading = Reading::new(encoding, bins);
        T::deserialize(Read::new(&mut deserializer, reading)).map_err(ValueError::new)
    };
    match (read, encoding.names) {
        (Err(error), Names::DotNet | Names::DotNetPascalCase) => without(error, |defaults| {
            read_by_place(encoding, bytes, Some(defaults))
        }),
        (read, _) => read,
    }
}

/// Reads a value that may hold bytes: rmp-serde takes them for text and for lists of numbers, and does
/// not tell. Apart from what most values pass, so that the compiler sees through that.
#[inline(never)]
fn read_by_place<T: DeserializeOwned>(
    encoding: Encoding,
    bytes: &[u8],
    defaults: Option<&Defaults>,
) -> Result<T, ValueError> {
    let place = Place::new(bytes);
    let mut deserializer = rmp_serde::Deserializer::new(&place);
    deserializer.set_max_depth(skip::MAX_DEPTH + 1);
    let mut reading = Reading::new(encoding, Bins::Somewhere(&place));
    reading.defaults = defaults;
    T::deserialize(Read::new(&mut deserializer, reading)).map_err(ValueError::new)
}
