//! How long the names may be that a client gives: they are kept while what they name lives,
//! and come back in answers and logs.

use bytestring::ByteString;

use crate::{
    options::HubOptions,
    protocol::{
        ProtocolError,
        message::{HubMessage, Invocation},
    },
};

/// Whether every name in a message keeps to the limits.
pub(super) fn check(message: &HubMessage, options: &HubOptions) -> Result<(), ProtocolError> {
    let id = |id: &ByteString| fits("id", id, options.maximum_id_length);
    match message {
        HubMessage::Invocation(call) | HubMessage::StreamInvocation(call) => {
            check_call(call, options)
        }
        HubMessage::StreamItem { invocation_id, .. }
        | HubMessage::Completion { invocation_id, .. }
        | HubMessage::CancelInvocation { invocation_id } => id(invocation_id),
        HubMessage::Ping
        | HubMessage::Close { .. }
        | HubMessage::Ack { .. }
        | HubMessage::Sequence { .. } => Ok(()),
    }
}

pub(super) fn check_call(call: &Invocation, options: &HubOptions) -> Result<(), ProtocolError> {
    let id = |id: &ByteString| fits("id", id, options.maximum_id_length);
    fits("target", &call.target, options.maximum_target_length)?;
    call.invocation_id.iter().try_for_each(id)?;
    call.stream_ids.iter().try_for_each(id)
}

fn fits(what: &str, name: &str, limit: usize) -> Result<(), ProtocolError> {
    if name.len() <= limit {
        return Ok(());
    }
    Err(ProtocolError::invalid(format!(
        "The {what} of a message is longer than {limit} bytes."
    )))
}
