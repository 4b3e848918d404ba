//! The hub protocol `json`.

use bytes::{Bytes, BytesMut};

use super::ProtocolError;
use crate::message::HubMessage;

pub(super) fn decode(_record: &Bytes) -> Result<Option<HubMessage>, ProtocolError> {
    Ok(None)
}

pub(super) fn encode(_message: &HubMessage, _out: &mut BytesMut) {}
