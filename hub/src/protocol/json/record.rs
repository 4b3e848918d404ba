//! Reads the JSON object of a record, member by member; values stay slices of the record.

use std::{borrow::Cow, fmt, str};

use bytes::Bytes;
use bytestring::ByteString;
use serde::{
    Deserializer as _,
    de::{Error as _, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::protocol::ProtocolError;

/// The object and 63 levels in it (J-10).
const MAX_DEPTH: usize = 64;

/// Why a record could not be read.
#[derive(Debug)]
pub(in crate::protocol) enum Fault {
    /// It is no JSON, or too deep; why, in the parser's words.
    Syntax(String),
    /// It is JSON, but not what the protocol wants.
    Protocol(ProtocolError),
}

impl From<ProtocolError> for Fault {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self::Syntax(error.to_string())
    }
}

/// Hands each member of the object in `record` to `each`, as name and value, in the order of the
/// record. Stops at the first fault; ignores what stands behind the object (J-14).
///
/// # Errors
/// When there is no object, when it is no JSON, or what `each` says.
pub(in crate::protocol) fn read_object(
    record: &Bytes,
    mut each: impl FnMut(&str, &Value<'_>) -> Result<(), ProtocolError>,
) -> Result<(), Fault> {
    let text = text_of(record);
    let root = Value {
        record,
        text: &text,
        raw: text.trim_start_matches([' ', '\t', '\n', '\r']),
    };
    if !root.raw.starts_with('{') {
        return Err(no_object(root.raw));
    }
    if is_too_deep(root.raw.as_bytes()) {
        return Err(Fault::Syntax(format!("deeper than {MAX_DEPTH} levels")));
    }
    root.members(|name, value| each(&name.name()?, value))
}

/// The record as text in which every value has the place that it has in the record. Bytes that
/// are not UTF-8 become question marks: legal inside a string, where .NET minds them only when
/// the string is read (J-06), and as illegal as they were everywhere else.
fn text_of(record: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = str::from_utf8(record) {
        return Cow::Borrowed(text);
    }
    let mut repaired = String::with_capacity(record.len());
    for chunk in record.utf8_chunks() {
        repaired.push_str(chunk.valid());
        repaired.extend(chunk.invalid().iter().map(|_| '?'));
    }
    Cow::Owned(repaired)
}

/// What is wrong with a record whose first byte begins no object (J-06).
fn no_object(raw: &str) -> Fault {
    // Like .NET, look at the first token only: what an array holds does not matter.
    if !raw.starts_with('[') {
        match serde_json::Deserializer::from_str(raw)
            .into_iter::<IgnoredAny>()
            .next()
        {
            Some(Ok(_)) => {}
            Some(Err(error)) => return error.into(),
            None => return Fault::Syntax("empty".to_owned()),
        }
    }
    let kind = match Token::of(raw) {
        Token::StartArray => "Array".to_owned(),
        token => format!("{token:?}"),
    };
    ProtocolError::invalid(format!(
        "Unexpected JSON Token Type '{kind}'. Expected a JSON Object."
    ))
    .into()
}

/// Whether the object at the start of `json` nests deeper than allowed (J-10). serde_json skips
/// values without recursion and without a limit, so that it must be checked before.
fn is_too_deep(json: &[u8]) -> bool {
    // Nearly every record ends here, after a count that needs no look into strings.
    // In bytes, of which many fit into a register, and so few at a time that none overflows.
    let opened = json.chunks(255).map(|chunk| {
        let opened = chunk.iter().map(|b| u8::from(matches!(b, b'[' | b'{')));
        usize::from(opened.sum::<u8>())
    });
    opened.sum::<usize>() > MAX_DEPTH && exceeds_depth(json)
}

fn exceeds_depth(json: &[u8]) -> bool {
    let mut depth = 0_usize;
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' if depth == MAX_DEPTH => return true,
            b'[' | b'{' => depth += 1,
            b']' | b'}' if depth <= 1 => return false,
            b']' | b'}' => depth -= 1,
            b'"' => {
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'\\' => drop(bytes.next()),
                        b'"' => break,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    false
}

/// The kinds of JSON values, as .NET names their first token in error texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) enum Token {
    /// An object.
    StartObject,
    /// An array.
    StartArray,
    /// A string.
    String,
    /// A number.
    Number,
    /// `true`.
    True,
    /// `false`.
    False,
    /// `null`.
    Null,
}

impl Token {
    /// The token that begins valid JSON.
    fn of(raw: &str) -> Self {
        match raw.as_bytes().first() {
            Some(b'{') => Self::StartObject,
            Some(b'[') => Self::StartArray,
            Some(b'"') => Self::String,
            Some(b't') => Self::True,
            Some(b'f') => Self::False,
            Some(b'n') => Self::Null,
            _ => Self::Number,
        }
    }
}

/// A value in a record: known to be JSON, not looked at yet.
pub(in crate::protocol) struct Value<'a> {
    record: &'a Bytes,
    /// `record` as text, byte for byte.
    text: &'a str,
    /// The part of `text` that is this value, without white space around it.
    raw: &'a str,
}

impl<'a> Value<'a> {
    /// What kind of value it is.
    pub(in crate::protocol) fn token(&self) -> Token {
        Token::of(self.raw)
    }

    /// The value as it stands in the record; a string in it may be broken UTF-8.
    pub(in crate::protocol) fn bytes(&self) -> Bytes {
        self.slice(0)
    }

    /// The same, with the white space between it and its name.
    pub(in crate::protocol) fn bytes_and_space_before(&self) -> Bytes {
        let start = self.raw.as_ptr().addr() - self.text.as_ptr().addr();
        let space = self.record[..start].iter().rev();
        let space = space.take_while(|byte| byte.is_ascii_whitespace()).count();
        self.record.slice(start - space..start + self.raw.len())
    }

    /// The value without `trimmed` bytes on either side.
    fn slice(&self, trimmed: usize) -> Bytes {
        let start = self.raw.as_ptr().addr() - self.text.as_ptr().addr();
        self.record
            .slice(start + trimmed..start + self.raw.len() - trimmed)
    }

    /// The value of the member `name`, which must be a string.
    pub(in crate::protocol) fn string(&self, name: &str) -> Result<ByteString, ProtocolError> {
        if self.token() != Token::String {
            return Err(expected(name, "String"));
        }
        self.unquote()
    }

    /// The value of the member `name`, which must be an array.
    pub(in crate::protocol) fn array(&self, name: &str) -> Result<Bytes, ProtocolError> {
        if self.token() != Token::StartArray {
            return Err(expected(name, "Array"));
        }
        Ok(self.bytes())
    }

    /// The value of the member `name`, which must be an integer without fraction or exponent.
    pub(in crate::protocol) fn int32(&self, name: &str) -> Result<i32, ProtocolError> {
        self.integer(name, "Int32")
    }

    /// As [`Self::int32`], with 64 bits.
    pub(in crate::protocol) fn int64(&self, name: &str) -> Result<i64, ProtocolError> {
        self.integer(name, "Int64")
    }

    /// The value of the member `name`, which must be an array of strings.
    pub(in crate::protocol) fn strings(
        &self,
        name: &str,
    ) -> Result<Vec<ByteString>, ProtocolError> {
        self.array(name)?;
        let elements: Vec<&RawValue> = serde_json::from_str(self.raw).map_err(unreadable)?;
        let mut strings = Vec::with_capacity(elements.len());
        for element in elements {
            let element = self.part(element);
            strings.push(match element.token() {
                Token::String => element.unquote()?,
                Token::Null => {
                    let text = format!("Null value for '{name}' is not valid.");
                    return Err(ProtocolError::invalid(text));
                }
                token => {
                    let text =
                        format!("Cannot get the value of a token type '{token:?}' as a string.");
                    return Err(ProtocolError::new("InvalidOperationException", text));
                }
            });
        }
        Ok(strings)
    }

    /// Checks that the value of the member `name` is an object whose members are all strings.
    pub(in crate::protocol) fn check_headers(&self, name: &str) -> Result<(), ProtocolError> {
        if self.token() != Token::StartObject {
            return Err(expected(name, "StartObject"));
        }
        let checked = self.members(|key, value| {
            let key = key.unquote()?;
            if value.token() != Token::String {
                let text = format!("Expected header '{key}' to be of type String.");
                return Err(ProtocolError::invalid(text));
            }
            value.unquote().map(drop)
        });
        checked.map_err(|fault| match fault {
            Fault::Protocol(error) => error,
            Fault::Syntax(text) => unreadable(text),
        })
    }

    fn integer<T: str::FromStr>(&self, name: &str, width: &str) -> Result<T, ProtocolError> {
        if self.token() != Token::Number {
            return Err(expected(name, "Number"));
        }
        self.raw.parse().map_err(|_| {
            let text = format!(
                "Either the JSON value is not in a supported format, or is out of bounds for an {width}."
            );
            ProtocolError::new("FormatException", text)
        })
    }

    /// The text of a string: a slice of the record unless something in it is escaped.
    fn unquote(&self) -> Result<ByteString, ProtocolError> {
        let inner = ByteString::try_from(self.slice(1)).map_err(|_| {
            let text = "Cannot transcode invalid UTF-8 JSON text to UTF-16 string.";
            ProtocolError::new("InvalidOperationException", text)
        })?;
        if !inner.as_bytes().contains(&b'\\') {
            return Ok(inner);
        }
        unescape(self.raw).map(ByteString::from)
    }

    /// The text of a member's name. Broken UTF-8 in it is no fault: .NET compares bytes.
    fn name(&self) -> Result<Cow<'a, str>, ProtocolError> {
        if self.raw.as_bytes().contains(&b'\\') {
            return unescape(self.raw).map(Cow::Owned);
        }
        Ok(Cow::Borrowed(&self.raw[1..self.raw.len() - 1]))
    }

    /// Reads this value, an object, member by member.
    fn members(
        &self,
        each: impl FnMut(&Value<'_>, &Value<'_>) -> Result<(), ProtocolError>,
    ) -> Result<(), Fault> {
        let mut fault = None;
        let walk = Walk {
            object: self,
            each,
            fault: &mut fault,
        };
        let walked = serde_json::Deserializer::from_str(self.raw).deserialize_map(walk);
        match fault {
            Some(fault) => Err(Fault::Protocol(fault)),
            None => walked.map_err(Fault::from),
        }
    }

    fn part(&self, raw: &'a RawValue) -> Self {
        Self {
            raw: raw.get(),
            ..*self
        }
    }
}

/// Drives serde_json through the members of an object.
struct Walk<'a, 'v, F> {
    object: &'v Value<'a>,
    each: F,
    /// What `each` said: serde_json's own error would keep only its text.
    fault: &'v mut Option<ProtocolError>,
}

impl<'a, F> Visitor<'a> for Walk<'a, '_, F>
where
    F: FnMut(&Value<'_>, &Value<'_>) -> Result<(), ProtocolError>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some((name, value)) = map.next_entry::<&'a RawValue, &'a RawValue>()? {
            if let Err(fault) = (self.each)(&self.object.part(name), &self.object.part(value)) {
                *self.fault = Some(fault);
                return Err(A::Error::custom("refused"));
            }
        }
        Ok(())
    }
}

/// The text of a string with escapes, which may name halves of surrogate pairs.
fn unescape(raw: &str) -> Result<String, ProtocolError> {
    serde_json::from_str(raw).map_err(|_| {
        let text = "Cannot read a lone surrogate in JSON text as string.";
        ProtocolError::new("InvalidOperationException", text)
    })
}

/// The error for a required member that is not there (J-06).
pub(in crate::protocol) fn missing(name: &str) -> ProtocolError {
    ProtocolError::invalid(format!("Missing required property '{name}'."))
}

fn expected(name: &str, kind: &str) -> ProtocolError {
    ProtocolError::invalid(format!("Expected '{name}' to be of type {kind}."))
}

/// The error for what is no JSON (J-06); .NET shows no more of it.
pub(super) fn unreadable<T>(_: T) -> ProtocolError {
    ProtocolError::invalid("Error reading JSON.")
}
