//! The hub protocol `messagepack` (M-01 to M-10).

mod reader;
mod skip;
mod writer;

use bytes::{BufMut, Bytes, BytesMut};
use bytestring::ByteString;

use self::reader::Reader;
use super::ProtocolError;
use crate::protocol::message::{Call, Completion, HubMessage, Invocation};

/// Decodes a record without its length; everything in the message is a slice of it. `None` for a
/// type that is not known (M-05). Items that are too many and bytes behind them are ignored.
pub(super) fn decode(record: &Bytes) -> Result<Option<HubMessage>, ProtocolError> {
    let mut reader = Reader::new(record);
    let items = reader.message()?;
    let message = match reader.int32("messageType")? {
        1 => HubMessage::Invocation(invocation(&mut reader, items, false)?),
        2 => HubMessage::StreamItem {
            invocation_id: start(&mut reader, "StreamItem")?,
            // A malformed item is found when it is bound, and harms its stream alone (UP-06).
            item: reader.value(),
        },
        3 => HubMessage::Completion {
            invocation_id: start(&mut reader, "Completion")?,
            completion: completion(&mut reader)?,
        },
        4 => HubMessage::StreamInvocation(invocation(&mut reader, items, true)?),
        5 => HubMessage::CancelInvocation {
            invocation_id: start(&mut reader, "CancelInvocation")?,
        },
        6 => HubMessage::Ping,
        7 => HubMessage::Close {
            error: reader.string("error")?,
            // M-02: old clients send two items.
            allow_reconnect: items > 2 && reader.boolean("allowReconnect")?,
        },
        8 => HubMessage::Ack {
            sequence_id: reader.int64("sequenceId")?,
        },
        9 => HubMessage::Sequence {
            sequence_id: reader.int64("sequenceId")?,
        },
        _ => return Ok(None),
    };
    Ok(Some(message))
}

/// Appends a message, framed with its length (F-02).
pub(super) fn encode(message: &HubMessage, out: &mut BytesMut) {
    put_length(writer::measure(message), out);
    writer::append(message, out);
}

/// Appends a completion with a result, framed with its length.
pub(super) fn encode_result(invocation_id: &str, result: &[u8], out: &mut BytesMut) {
    put_length(writer::measure_result(invocation_id, result), out);
    writer::append_result(invocation_id, result, out);
}

/// Appends a call, framed with its length.
pub(super) fn encode_call(call: Call<'_>, out: &mut BytesMut) {
    put_length(writer::measure_call(call), out);
    writer::append_call(call, out);
}

fn put_length(length: usize, out: &mut BytesMut) {
    // A length takes ten bytes at most.
    out.reserve(length + 10);
    let mut rest = length;
    while rest >= 0x80 {
        out.put_u8(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.put_u8(rest as u8);
}

/// The headers and the id of a message that must have one.
fn start(reader: &mut Reader<'_>, message: &str) -> Result<ByteString, ProtocolError> {
    reader.headers()?;
    reader.required(
        "invocationId",
        format_args!("invocation ID for {message} message"),
    )
}

fn invocation(
    reader: &mut Reader<'_>,
    items: u32,
    stream: bool,
) -> Result<Invocation, ProtocolError> {
    let (message, invocation_id) = if stream {
        let message = "StreamInvocation";
        (message, Some(start(reader, message)?))
    } else {
        reader.headers()?;
        // M-04: an empty id is none.
        let id = reader.string("invocationId")?.filter(|id| !id.is_empty());
        ("Invocation", id)
    };
    let target = reader.required("target", format_args!("target for {message} message"))?;
    let (arguments, bindable) = reader.arguments();
    let mut invocation = Invocation {
        invocation_id,
        target,
        arguments,
        stream_ids: Vec::new(),
    };
    // M-01: old clients send five items. M-07: behind bad arguments .NET reads nothing.
    if items > 5 && bindable {
        invocation.stream_ids = match reader.stream_ids() {
            Ok(stream_ids) => stream_ids,
            // Behind arguments that cannot be bound neither: whether they can is known later.
            Err(fault) => return Err(fault.behind(invocation, stream)),
        };
    }
    Ok(invocation)
}

/// Why the result of a completion that belongs to nobody ends the connection.
pub(super) fn unskippable(result: &[u8]) -> Option<ProtocolError> {
    reader::unskippable(result)
}

fn completion(reader: &mut Reader<'_>) -> Result<Completion, ProtocolError> {
    match reader.int32("resultKind")? {
        // As in .NET, an error that is nil is none.
        1 => Ok(reader
            .string("error")?
            .map_or(Completion::Void, Completion::Error)),
        2 => Ok(Completion::Void),
        3 => Ok(Completion::Result(reader.result()?)),
        _ => Err(ProtocolError::invalid("Invalid invocation result kind.")),
    }
}

#[cfg(test)]
mod tests;
