//! What .NET says of a value that has another type than was asked for, as far as a Rust type is known
//! there; in our own words otherwise (CR-08, UP-06).

use std::any::type_name;

use crate::protocol::{Encoding, Protocol, ValueError};

/// The name by which .NET's errors call a type: `Int32` for `i32`, its own simple name otherwise.
pub(crate) fn name_of<T>() -> String {
    let name = type_name::<T>();
    match (optional(name), known(name)) {
        (Some(inner), _) => match known(inner) {
            Some("String") | None => simple(inner).to_owned(),
            Some(_) => "Nullable`1".to_owned(),
        },
        (None, Some(known)) => known.to_owned(),
        (None, None) => simple(name).to_owned(),
    }
}

/// The class of the error and its text, for a value that is no `T`. MessagePack names the `field`
/// of the message that it was in.
pub(crate) fn mismatch<T>(
    encoding: Encoding,
    value: &[u8],
    field: &str,
    error: &ValueError,
) -> (&'static str, String) {
    if encoding.protocol != Protocol::Json {
        let name = name_of::<T>();
        let text = format!("Deserializing object of the `{name}` type for '{field}' failed.");
        return ("InvalidDataException", text);
    }
    let name = type_name::<T>();
    let full_name = match (optional(name), known(name)) {
        (Some(inner), _) => known(inner).map(|inner| match inner {
            "String" => "System.String".to_owned(),
            inner => format!("System.Nullable`1[System.{inner}]"),
        }),
        (None, known) => known.map(|known| format!("System.{known}")),
    };
    let text = match full_name {
        Some(name) => {
            let end = end_of_token(value);
            format!(
                "The JSON value could not be converted to {name}. Path: $ | LineNumber: 0 | BytePositionInLine: {end}."
            )
        }
        // Where in a larger value the fault lies, and in which line, only .NET's parser says.
        None => error.to_string(),
    };
    ("JsonException", text)
}

/// Where the first token of a JSON value ends.
fn end_of_token(value: &[u8]) -> usize {
    match value.first() {
        Some(b'[' | b'{') => 1,
        _ => value.trim_ascii_end().len(),
    }
}

fn optional(name: &'static str) -> Option<&'static str> {
    name.strip_prefix("core::option::Option<")?
        .strip_suffix('>')
}

/// Types that stand for one value each. A missing one is no exception in .NET.
fn known(name: &str) -> Option<&'static str> {
    let known = match name {
        "alloc::string::String" => "String",
        "bool" => "Boolean",
        "f32" => "Single",
        "f64" => "Double",
        "i8" => "SByte",
        "i16" => "Int16",
        "i32" => "Int32",
        "i64" => "Int64",
        "u8" => "Byte",
        "u16" => "UInt16",
        "u32" => "UInt32",
        "u64" => "UInt64",
        "uuid::Uuid" => "Guid",
        "hub::values::wire_types::timestamp::Timestamp" => "DateTime",
        _ => return None,
    };
    Some(known)
}

/// `Error` of `core::num::error::Error<T>`.
fn simple(name: &'static str) -> &'static str {
    let name = name.split('<').next().unwrap_or(name);
    name.rsplit("::").next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Names;

    #[test]
    fn cr_08_a_type_has_the_name_that_it_has_in_dotnet() {
        assert_eq!(name_of::<i32>(), "Int32");
        assert_eq!(name_of::<Option<String>>(), "String");
        assert_eq!(name_of::<Option<i32>>(), "Nullable`1");
        assert_eq!(name_of::<Encoding>(), "Encoding");
        assert_eq!(name_of::<Vec<i32>>(), "Vec");
        assert_eq!(
            name_of::<crate::values::wire_types::Timestamp>(),
            "DateTime"
        );
    }

    #[test]
    fn up_06_a_scalar_of_another_type_is_told_as_dotnet_tells_it() {
        let told = |protocol, value: &[u8]| {
            let names = Names::DotNet;
            let encoding = Encoding { protocol, names };
            let error = encoding.decode::<i32>(value).unwrap_err();
            mismatch::<i32>(encoding, value, "item", &error)
        };
        for (value, end) in [
            ("null", 4),
            ("\"x\"", 3),
            ("[1]", 1),
            ("{\"a\":1}", 1),
            ("1.5", 3),
        ] {
            let text = format!(
                "The JSON value could not be converted to System.Int32. Path: $ | LineNumber: 0 | BytePositionInLine: {end}."
            );
            assert_eq!(
                told(Protocol::Json, value.as_bytes()),
                ("JsonException", text)
            );
        }
        let text = "Deserializing object of the `Int32` type for 'item' failed.".to_owned();
        assert_eq!(
            told(Protocol::MessagePack, &[0xC0]),
            ("InvalidDataException", text)
        );
    }
}
