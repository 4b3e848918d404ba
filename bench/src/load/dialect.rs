//! What a load says, and what comes back.

use super::{
    hub::{HubProtocol, hub_text},
    replies::{binary_message, masked_frame},
};

/// What the messages of a load are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Binary WebSocket messages, of a size.
    Messages,
    /// Calls of a SignalR hub, with a text of a size.
    Hub(HubProtocol),
    /// The bytes of those calls (of a delivery, in a fan-out) as plain WebSocket messages: what the
    /// same traffic costs a server that does not look into it.
    HubBytes(HubProtocol),
}

/// One load's part of the conversation, in frames.
#[derive(Debug)]
pub(super) struct Script {
    /// What each connection says first, each answered by one message.
    pub(super) opening: Vec<Vec<u8>>,
    pub(super) request: Vec<u8>,
    pub(super) reply: Reply,
}

/// What comes back for a request.
#[derive(Debug)]
pub(super) enum Reply {
    /// A WebSocket message of so many bytes.
    Message(usize),
    /// This record of the hub protocol, wherever WebSocket messages begin and end.
    Record { expected: Vec<u8>, ping: Vec<u8> },
}

impl Dialect {
    /// Messages that come back.
    pub(super) fn echo(self, size: usize) -> Script {
        match self {
            Self::Messages => Script::messages(size),
            Self::Hub(protocol) => Script {
                opening: vec![text_frame(&protocol.handshake())],
                request: call_frame(protocol, Some(ID), "Echo", &[&hub_text(size)]),
                reply: Reply::record(protocol, protocol.completion(ID, &hub_text(size))),
            },
            Self::HubBytes(protocol) => Script::bytes(
                protocol,
                &protocol.call(Some(ID), "Echo", &[&hub_text(size)]),
            ),
        }
    }

    /// Messages that come back to everybody.
    pub(super) fn fan_out(self, size: usize) -> Script {
        let delivery = |protocol: HubProtocol| protocol.call(None, "Received", &[&hub_text(size)]);
        match self {
            Self::Messages => Script::messages(size),
            Self::Hub(protocol) => Script {
                opening: vec![
                    text_frame(&protocol.handshake()),
                    call_frame(protocol, Some(ID), "Join", &[GROUP]),
                ],
                request: call_frame(protocol, None, "Broadcast", &[GROUP, &hub_text(size)]),
                reply: Reply::record(protocol, delivery(protocol)),
            },
            Self::HubBytes(protocol) => Script::bytes(protocol, &delivery(protocol)),
        }
    }
}

impl Script {
    fn messages(size: usize) -> Self {
        Self {
            opening: Vec::new(),
            request: binary_message(size),
            reply: Reply::Message(size),
        }
    }

    fn bytes(protocol: HubProtocol, record: &[u8]) -> Self {
        Self {
            opening: Vec::new(),
            request: masked_frame(protocol.opcode(), record),
            reply: Reply::Message(record.len()),
        }
    }
}

impl Reply {
    fn record(protocol: HubProtocol, expected: Vec<u8>) -> Self {
        let ping = protocol.ping();
        Self::Record { expected, ping }
    }
}

fn call_frame(
    protocol: HubProtocol,
    id: Option<&str>,
    target: &str,
    arguments: &[&str],
) -> Vec<u8> {
    masked_frame(protocol.opcode(), &protocol.call(id, target, arguments))
}

fn text_frame(payload: &[u8]) -> Vec<u8> {
    masked_frame(1, payload)
}

/// All calls have it, so that all answers are alike.
const ID: &str = "1";
const GROUP: &str = "everybody";
