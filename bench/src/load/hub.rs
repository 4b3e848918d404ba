//! The few messages of the hub protocol that a load needs, written out by hand: neither side of a
//! comparison should use the code of the other.

use std::{fmt, str::FromStr};

/// An encoding of the hub protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HubProtocol {
    /// Text, each record ended by 0x1E.
    Json,
    /// Binary, each record behind its length.
    MessagePack,
}

impl HubProtocol {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Json, Self::MessagePack];

    /// Its name in the hub handshake.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::MessagePack => "messagepack",
        }
    }

    /// The opcode of the WebSocket messages that carry it.
    pub fn opcode(self) -> u8 {
        match self {
            Self::Json => 1,
            Self::MessagePack => 2,
        }
    }

    /// What the client says first.
    pub fn handshake(self) -> Vec<u8> {
        format!("{{\"protocol\":\"{}\",\"version\":1}}\u{1e}", self.name()).into_bytes()
    }

    /// A call with arguments that need no escapes; without an id nobody answers it.
    pub fn call(self, id: Option<&str>, target: &str, arguments: &[&str]) -> Vec<u8> {
        match self {
            Self::Json => {
                let id = id.map_or_else(String::new, |id| format!("\"invocationId\":\"{id}\","));
                let arguments = format!("[\"{}\"]", arguments.join("\",\""));
                let members = format!("{id}\"target\":\"{target}\",\"arguments\":{arguments}");
                format!("{{\"type\":1,{members}}}\u{1e}").into_bytes()
            }
            Self::MessagePack => {
                let mut record = vec![FIX_ARRAY | 6, 1, FIX_MAP];
                match id {
                    Some(id) => string(&mut record, id),
                    None => record.push(NIL),
                }
                string(&mut record, target);
                record.push(FIX_ARRAY | arguments.len() as u8);
                for argument in arguments {
                    string(&mut record, argument);
                }
                record.push(FIX_ARRAY);
                with_length(&record)
            }
        }
    }

    /// The answer to a call, a text.
    pub fn completion(self, id: &str, result: &str) -> Vec<u8> {
        match self {
            Self::Json => {
                let members = format!("\"invocationId\":\"{id}\",\"result\":\"{result}\"");
                format!("{{\"type\":3,{members}}}\u{1e}").into_bytes()
            }
            Self::MessagePack => {
                let mut record = vec![FIX_ARRAY | 5, 3, FIX_MAP];
                string(&mut record, id);
                record.push(3);
                string(&mut record, result);
                with_length(&record)
            }
        }
    }

    /// A call whose answers are a stream, with a few numbers.
    pub fn stream_invocation(self, id: &str, target: &str, numbers: &[u32]) -> Vec<u8> {
        match self {
            Self::Json => {
                let members = format!("\"invocationId\":\"{id}\",\"target\":\"{target}\"");
                format!("{{\"type\":4,{members},\"arguments\":{numbers:?}}}\u{1e}").into_bytes()
            }
            Self::MessagePack => {
                let mut record = vec![FIX_ARRAY | 6, 4, FIX_MAP];
                string(&mut record, id);
                string(&mut record, target);
                record.push(FIX_ARRAY | numbers.len() as u8);
                for number in numbers {
                    record.push(0xce);
                    record.extend(number.to_be_bytes());
                }
                record.push(FIX_ARRAY);
                with_length(&record)
            }
        }
    }

    /// A call with a stream of its caller and nothing else.
    pub fn upload_invocation(self, id: &str, target: &str, stream: &str) -> Vec<u8> {
        match self {
            Self::Json => {
                let members = format!("\"invocationId\":\"{id}\",\"target\":\"{target}\"");
                format!(
                    "{{\"type\":1,{members},\"arguments\":[],\"streamIds\":[\"{stream}\"]}}\u{1e}"
                )
                .into_bytes()
            }
            Self::MessagePack => {
                let mut record = vec![FIX_ARRAY | 6, 1, FIX_MAP];
                string(&mut record, id);
                string(&mut record, target);
                record.extend([FIX_ARRAY, FIX_ARRAY | 1]);
                string(&mut record, stream);
                with_length(&record)
            }
        }
    }

    /// The answer to a call, a number.
    pub fn completion_of_number(self, id: &str, result: u32) -> Vec<u8> {
        match self {
            Self::Json => {
                let members = format!("\"invocationId\":\"{id}\",\"result\":{result}");
                format!("{{\"type\":3,{members}}}\u{1e}").into_bytes()
            }
            Self::MessagePack => {
                let mut record = vec![FIX_ARRAY | 5, 3, FIX_MAP];
                string(&mut record, id);
                record.push(3);
                number(&mut record, result);
                with_length(&record)
            }
        }
    }

    /// The answer to a call that has no result.
    pub fn completion_of_nothing(self, id: &str) -> Vec<u8> {
        match self {
            Self::Json => format!("{{\"type\":3,\"invocationId\":\"{id}\",\"result\":null}}\u{1e}")
                .into_bytes(),
            Self::MessagePack => {
                let mut record = vec![FIX_ARRAY | 5, 3, FIX_MAP];
                string(&mut record, id);
                record.extend([3, NIL]);
                with_length(&record)
            }
        }
    }

    /// One item of a stream, a text.
    pub fn stream_item(self, id: &str, item: &str) -> Vec<u8> {
        match self {
            Self::Json => {
                let members = format!("\"invocationId\":\"{id}\",\"item\":\"{item}\"");
                format!("{{\"type\":2,{members}}}\u{1e}").into_bytes()
            }
            Self::MessagePack => {
                let mut record = vec![FIX_ARRAY | 4, 2, FIX_MAP];
                string(&mut record, id);
                string(&mut record, item);
                with_length(&record)
            }
        }
    }

    /// One item of a stream, a number.
    pub fn stream_item_of_number(self, id: &str, item: u32) -> Vec<u8> {
        match self {
            Self::Json => format!("{{\"type\":2,\"invocationId\":\"{id}\",\"item\":{item}}}\u{1e}")
                .into_bytes(),
            Self::MessagePack => {
                let mut record = vec![FIX_ARRAY | 4, 2, FIX_MAP];
                string(&mut record, id);
                number(&mut record, item);
                with_length(&record)
            }
        }
    }

    /// The end of a stream.
    pub fn end(self, id: &str) -> Vec<u8> {
        match self {
            Self::Json => format!("{{\"type\":3,\"invocationId\":\"{id}\"}}\u{1e}").into_bytes(),
            Self::MessagePack => {
                let mut record = vec![FIX_ARRAY | 4, 3, FIX_MAP];
                string(&mut record, id);
                record.push(2);
                with_length(&record)
            }
        }
    }

    /// What either side sends to show that it is there.
    pub fn ping(self) -> Vec<u8> {
        match self {
            Self::Json => b"{\"type\":6}\x1e".to_vec(),
            Self::MessagePack => with_length(&[FIX_ARRAY | 1, 6]),
        }
    }
}

/// A text of that many bytes which needs no escapes.
pub fn hub_text(size: usize) -> String {
    ('a'..='z').cycle().take(size).collect()
}

impl FromStr for HubProtocol {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|known| known.name() == name);
        known.ok_or_else(|| format!("the hub protocols are json and messagepack, not {name:?}"))
    }
}

impl fmt::Display for HubProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The most letters that [`hub_text`] may have in a load: a length of 16 bits, and a hub takes
/// 32 KiB at a time by default.
pub const LARGEST_TEXT: usize = 16 * 1024;

/// As short as can be, as everybody writes it.
fn number(record: &mut Vec<u8>, number: u32) {
    match number {
        0..128 => record.push(number as u8),
        128..256 => record.extend([0xcc, number as u8]),
        256..65_536 => {
            record.push(0xcd);
            record.extend((number as u16).to_be_bytes());
        }
        _ => {
            record.push(0xce);
            record.extend(number.to_be_bytes());
        }
    }
}

fn string(record: &mut Vec<u8>, text: &str) {
    let length = text.len();
    match length {
        0..32 => record.push(0xa0 | length as u8),
        32..256 => record.extend([0xd9, length as u8]),
        _ => {
            let length = u16::try_from(length).expect("a load sends less than 64 KiB at a time");
            record.push(0xda);
            record.extend(length.to_be_bytes());
        }
    }
    record.extend_from_slice(text.as_bytes());
}

/// Seven bits of the length in each byte, the lowest first.
fn with_length(record: &[u8]) -> Vec<u8> {
    let mut framed = Vec::new();
    let mut length = record.len();
    while length > 0x7f {
        framed.push(length as u8 | 0x80);
        length >>= 7;
    }
    framed.push(length as u8);
    framed.extend_from_slice(record);
    framed
}

const FIX_MAP: u8 = 0x80;
const FIX_ARRAY: u8 = 0x90;
const NIL: u8 = 0xc0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_what_the_official_client_writes() {
        assert_eq!(
            HubProtocol::Json.call(Some("1"), "Echo", &["hi", "you"]),
            b"{\"type\":1,\"invocationId\":\"1\",\"target\":\"Echo\",\"arguments\":[\"hi\",\"you\"]}\x1e"
        );
    }

    #[test]
    fn messagepack_is_what_the_official_client_writes() {
        assert_eq!(
            HubProtocol::MessagePack.call(None, "Echo", &["hi"]),
            b"\x0e\x96\x01\x80\xc0\xa4Echo\x91\xa2hi\x90"
        );
        let long = HubProtocol::MessagePack.completion("1", &hub_text(300));
        assert_eq!(long[..2], [0xb5, 2], "300 and 9 bytes");
    }
}
