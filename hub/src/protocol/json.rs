//! The hub protocol `json`.

mod quick;
pub(super) mod record;
pub(super) mod scan;
pub(super) mod text;

#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use bytes::{BufMut, Bytes, BytesMut};
use bytestring::ByteString;

use self::record::{Fault, Token, Value, missing};
use super::ProtocolError;
use crate::protocol::message::{Call, Completion, HubMessage, Invocation};

/// Ends every record (F-01).
pub(super) const RECORD_SEPARATOR: u8 = 0x1E;

/// Decodes one record; `None` for an unknown type (J-09).
pub(super) fn decode(record: &Bytes) -> Result<Option<HubMessage>, ProtocolError> {
    match quick::read(record) {
        Some(members) => members.into_message(),
        None => decode_any(record),
    }
}

/// The same for every record there can be.
fn decode_any(record: &Bytes) -> Result<Option<HubMessage>, ProtocolError> {
    let mut members = Members::default();
    record::read_object(record, |name, value| members.take(name, value)).map_err(|fault| {
        match fault {
            Fault::Protocol(error) => error,
            Fault::Syntax(text) => record::unreadable(text),
        }
    })?;
    members.into_message()
}

/// The members of a message, as far as they have been read. Each is checked when it is met,
/// whatever the type, and the last of the same name counts (J-01, J-06).
#[derive(Default)]
struct Members {
    kind: Option<i32>,
    invocation_id: Option<ByteString>,
    target: Option<ByteString>,
    arguments: Option<Bytes>,
    stream_ids: Vec<ByteString>,
    item: Option<Bytes>,
    result: Option<Bytes>,
    error: Option<ByteString>,
    allow_reconnect: bool,
    sequence_id: Option<i64>,
}

impl Members {
    fn take(&mut self, name: &str, value: &Value<'_>) -> Result<(), ProtocolError> {
        match name {
            "type" => self.kind = Some(value.int32(name)?),
            "invocationId" => self.invocation_id = Some(value.string(name)?),
            "target" => self.target = Some(value.string(name)?),
            "arguments" => self.arguments = Some(value.array(name)?),
            "streamIds" => self.stream_ids = value.strings(name)?,
            "item" => self.item = Some(value.bytes()),
            // Another server gets it as it came (RD-09).
            "result" => self.result = Some(value.bytes_and_space_before()),
            "error" => self.error = Some(value.string(name)?),
            "allowReconnect" => self.allow_reconnect = boolean(name, value)?,
            // Unlike the type, a sequence id may be null, and is then missing.
            "sequenceId" if value.token() == Token::Null => self.sequence_id = None,
            "sequenceId" => self.sequence_id = Some(value.int64(name)?),
            "headers" => value.check_headers(name)?,
            _ => {}
        }
        Ok(())
    }

    fn into_message(self) -> Result<Option<HubMessage>, ProtocolError> {
        let message = match self.kind.ok_or_else(|| missing("type"))? {
            1 => HubMessage::Invocation(self.into_invocation(false)?),
            2 => HubMessage::StreamItem {
                invocation_id: required_id(self.invocation_id)?,
                item: self.item.ok_or_else(|| missing("item"))?,
            },
            3 => HubMessage::Completion {
                invocation_id: required_id(self.invocation_id)?,
                completion: completion(self.error, self.result)?,
            },
            4 => HubMessage::StreamInvocation(self.into_invocation(true)?),
            5 => HubMessage::CancelInvocation {
                invocation_id: required_id(self.invocation_id)?,
            },
            6 => HubMessage::Ping,
            7 => HubMessage::Close {
                error: self.error,
                allow_reconnect: self.allow_reconnect,
            },
            8 => HubMessage::Ack {
                sequence_id: self.sequence_id.ok_or_else(|| missing("sequenceId"))?,
            },
            9 => HubMessage::Sequence {
                sequence_id: self.sequence_id.ok_or_else(|| missing("sequenceId"))?,
            },
            _ => return Ok(None),
        };
        Ok(Some(message))
    }

    /// Types 1 and 4, faults in the order of the real server: an empty target is one that no
    /// method has, but counts as missing on type 1 when there are no arguments either.
    fn into_invocation(self, needs_id: bool) -> Result<Invocation, ProtocolError> {
        let target = self.target.ok_or_else(|| missing("target"))?;
        let invocation_id = if needs_id {
            Some(required_id(self.invocation_id)?)
        } else {
            // An empty id means that nobody waits for an answer (J-07).
            self.invocation_id.filter(|id| !id.is_empty())
        };
        let arguments = self.arguments.ok_or_else(|| {
            missing(if target.is_empty() && !needs_id {
                "target"
            } else {
                "arguments"
            })
        })?;
        Ok(Invocation {
            invocation_id,
            target,
            arguments,
            stream_ids: self.stream_ids,
        })
    }
}

/// An id that must be there and not empty (J-06, J-07).
fn required_id(id: Option<ByteString>) -> Result<ByteString, ProtocolError> {
    id.filter(|id| !id.is_empty())
        .ok_or_else(|| missing("invocationId"))
}

fn completion(
    error: Option<ByteString>,
    result: Option<Bytes>,
) -> Result<Completion, ProtocolError> {
    match (error, result) {
        (None, None) => Ok(Completion::Void),
        (None, Some(result)) => Ok(Completion::Result(result)),
        (Some(error), None) => Ok(Completion::Error(error)),
        (Some(_), Some(_)) => Err(ProtocolError::invalid(
            "The 'error' and 'result' properties are mutually exclusive.",
        )),
    }
}

fn boolean(name: &str, value: &Value<'_>) -> Result<bool, ProtocolError> {
    match value.token() {
        Token::True => Ok(true),
        Token::False => Ok(false),
        _ => Err(ProtocolError::invalid(format!(
            "Expected '{name}' to be true or false."
        ))),
    }
}

/// Appends a message as a record. Its values must be JSON.
pub(super) fn encode(message: &HubMessage, out: &mut BytesMut) {
    match message {
        HubMessage::Invocation(invocation) => write_call(b'1', invocation.parts(), out),
        HubMessage::StreamItem {
            invocation_id,
            item,
        } => {
            begin(b'2', Some(invocation_id), out);
            write_raw_member("item", item, out);
        }
        HubMessage::Completion {
            invocation_id,
            completion,
        } => {
            if let Completion::Result(result) = completion {
                return encode_result(invocation_id, result, out);
            }
            begin(b'3', Some(invocation_id), out);
            match completion {
                // An empty error is not written: to every client it is none (J-04).
                Completion::Error(error) if error.is_empty() => {}
                Completion::Error(error) => write_string_member("error", error, out),
                Completion::Void | Completion::Result(_) => {}
            }
        }
        HubMessage::StreamInvocation(invocation) => write_call(b'4', invocation.parts(), out),
        HubMessage::CancelInvocation { invocation_id } => begin(b'5', Some(invocation_id), out),
        HubMessage::Ping => begin(b'6', None, out),
        HubMessage::Close {
            error,
            allow_reconnect,
        } => {
            begin(b'7', None, out);
            if let Some(error) = error {
                write_string_member("error", error, out);
            }
            if *allow_reconnect {
                write_raw_member("allowReconnect", b"true", out);
            }
        }
        HubMessage::Ack { sequence_id } => write_sequence_id(b'8', *sequence_id, out),
        HubMessage::Sequence { sequence_id } => write_sequence_id(b'9', *sequence_id, out),
    }
    end(out);
}

/// Appends a completion with a result as a record.
pub(super) fn encode_result(invocation_id: &str, result: &[u8], out: &mut BytesMut) {
    begin(b'3', Some(invocation_id), out);
    write_raw_member("result", result, out);
    end(out);
}

/// Appends a call as a record.
pub(super) fn encode_call(call: Call<'_>, out: &mut BytesMut) {
    write_call(b'1', call, out);
    end(out);
}

fn end(out: &mut BytesMut) {
    out.put_slice(&[b'}', RECORD_SEPARATOR]);
}

/// Type and id stand first; an id that is empty is absent, never null (J-02, J-05).
fn begin(kind: u8, invocation_id: Option<&str>, out: &mut BytesMut) {
    out.put_slice(b"{\"type\":");
    out.put_u8(kind);
    if let Some(id) = invocation_id.filter(|id| !id.is_empty()) {
        write_string_member("invocationId", id, out);
    }
}

fn write_call(kind: u8, call: Call<'_>, out: &mut BytesMut) {
    begin(kind, call.invocation_id, out);
    write_string_member("target", call.target, out);
    write_raw_member("arguments", call.arguments, out);
    if let Some((first, others)) = call.stream_ids.split_first() {
        write_name("streamIds", out);
        out.put_u8(b'[');
        text::write_string(first, out);
        for id in others {
            out.put_u8(b',');
            text::write_string(id, out);
        }
        out.put_u8(b']');
    }
}

fn write_sequence_id(kind: u8, sequence_id: i64, out: &mut BytesMut) {
    begin(kind, None, out);
    write_name("sequenceId", out);
    write!(out, "{sequence_id}").expect("a BytesMut grows");
}

fn write_string_member(name: &str, value: &str, out: &mut BytesMut) {
    write_name(name, out);
    text::write_string(value, out);
}

fn write_raw_member(name: &str, value: &[u8], out: &mut BytesMut) {
    write_name(name, out);
    out.put_slice(value);
}

fn write_name(name: &str, out: &mut BytesMut) {
    out.put_slice(b",\"");
    out.put_slice(name.as_bytes());
    out.put_slice(b"\":");
}
