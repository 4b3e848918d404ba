//! Messages as items, in the form that .NET writes (M-01 to M-04).

use bytes::BytesMut;
use rmp::Marker;

use crate::protocol::message::{Call, Completion, HubMessage};

/// How many bytes a message is.
pub(super) fn measure(message: &HubMessage) -> usize {
    let mut length = Length(0);
    write(message, &mut length);
    length.0
}

/// Appends a message, without its length.
pub(super) fn append(message: &HubMessage, out: &mut BytesMut) {
    write(message, out);
}

/// How many bytes a call is.
pub(super) fn measure_call(call: Call<'_>) -> usize {
    let mut length = Length(0);
    write_call(1, call, &mut length);
    length.0
}

/// Appends a call, without its length.
pub(super) fn append_call(call: Call<'_>, out: &mut BytesMut) {
    write_call(1, call, out);
}

/// How many bytes a completion with a result is.
pub(super) fn measure_result(invocation_id: &str, result: &[u8]) -> usize {
    let mut length = Length(0);
    write_result(invocation_id, result, &mut length);
    length.0
}

/// Appends a completion with a result, without its length.
pub(super) fn append_result(invocation_id: &str, result: &[u8], out: &mut BytesMut) {
    write_result(invocation_id, result, out);
}

fn write(message: &HubMessage, out: &mut impl Sink) {
    match message {
        HubMessage::Invocation(invocation) => write_call(1, invocation.parts(), out),
        HubMessage::StreamItem {
            invocation_id,
            item,
        } => {
            start(4, 2, Some(invocation_id), out);
            out.raw(item);
        }
        HubMessage::Completion {
            invocation_id,
            completion,
        } => match completion {
            Completion::Error(error) => {
                start(5, 3, Some(invocation_id), out);
                out.int(1);
                out.string(Some(error));
            }
            Completion::Void => {
                start(4, 3, Some(invocation_id), out);
                out.int(2);
            }
            Completion::Result(result) => write_result(invocation_id, result, out),
        },
        HubMessage::StreamInvocation(invocation) => write_call(4, invocation.parts(), out),
        HubMessage::CancelInvocation { invocation_id } => start(3, 5, Some(invocation_id), out),
        HubMessage::Ping => {
            out.array(1);
            out.int(6);
        }
        HubMessage::Close {
            error,
            allow_reconnect,
        } => {
            out.array(3);
            out.int(7);
            out.string(error.as_deref());
            out.boolean(*allow_reconnect);
        }
        HubMessage::Ack { sequence_id } => {
            out.array(2);
            out.int(8);
            out.int(*sequence_id);
        }
        HubMessage::Sequence { sequence_id } => {
            out.array(2);
            out.int(9);
            out.int(*sequence_id);
        }
    }
}

fn write_result(invocation_id: &str, result: &[u8], out: &mut impl Sink) {
    start(5, 3, Some(invocation_id), out);
    out.int(3);
    out.raw(result);
}

/// Six items, with or without streams (M-01).
fn write_call(message_type: i64, call: Call<'_>, out: &mut impl Sink) {
    start(6, message_type, call.invocation_id, out);
    out.string(Some(call.target));
    out.raw(call.arguments);
    out.array(call.stream_ids.len());
    for id in call.stream_ids {
        out.string(Some(id));
    }
}

/// What types 1 to 5 begin with; the headers are always empty (M-03).
fn start(items: usize, message_type: i64, invocation_id: Option<&str>, out: &mut impl Sink) {
    out.array(items);
    out.int(message_type);
    out.no_headers();
    out.string(invocation_id);
}

/// What a message is written to, item by item in the smallest form.
trait Sink {
    fn raw(&mut self, bytes: &[u8]);

    /// A code and the big-endian `width` lowest bytes of what belongs to it.
    fn head(&mut self, code: Marker, width: usize, number: u64) {
        let bytes = number.to_be_bytes();
        self.raw(&[code.to_u8()]);
        self.raw(&bytes[bytes.len() - width..]);
    }

    fn int(&mut self, value: i64) {
        let number = value as u64;
        match value {
            0..=0x7F => self.head(Marker::FixPos(value as u8), 0, 0),
            0x80..=0xFF => self.head(Marker::U8, 1, number),
            0x100..=0xFFFF => self.head(Marker::U16, 2, number),
            0x1_0000..=0xFFFF_FFFF => self.head(Marker::U32, 4, number),
            0x1_0000_0000.. => self.head(Marker::U64, 8, number),
            -0x20..=-1 => self.head(Marker::FixNeg(value as i8), 0, 0),
            -0x80..=-0x21 => self.head(Marker::I8, 1, number),
            -0x8000..=-0x81 => self.head(Marker::I16, 2, number),
            -0x8000_0000..=-0x8001 => self.head(Marker::I32, 4, number),
            ..=-0x8000_0001 => self.head(Marker::I64, 8, number),
        }
    }

    fn boolean(&mut self, value: bool) {
        let code = if value { Marker::True } else { Marker::False };
        self.head(code, 0, 0);
    }

    fn string(&mut self, value: Option<&str>) {
        let Some(text) = value else {
            return self.head(Marker::Null, 0, 0);
        };
        let length = text.len() as u64;
        match length {
            0..=0x1F => self.head(Marker::FixStr(length as u8), 0, 0),
            0x20..=0xFF => self.head(Marker::Str8, 1, length),
            0x100..=0xFFFF => self.head(Marker::Str16, 2, length),
            _ => self.head(Marker::Str32, 4, length),
        }
        self.raw(text.as_bytes());
    }

    fn array(&mut self, count: usize) {
        let count = count as u64;
        match count {
            0..=0xF => self.head(Marker::FixArray(count as u8), 0, 0),
            0x10..=0xFFFF => self.head(Marker::Array16, 2, count),
            _ => self.head(Marker::Array32, 4, count),
        }
    }

    fn no_headers(&mut self) {
        self.head(Marker::FixMap(0), 0, 0);
    }
}

/// Only counts what is written to it.
struct Length(usize);

impl Sink for Length {
    fn raw(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}

impl Sink for BytesMut {
    fn raw(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}
