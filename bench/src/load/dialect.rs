//! What a load says, and what comes back.

use std::{iter::repeat_n, sync::Arc};

use super::{
    content::Meaning,
    hub::{HubProtocol, hub_text},
    replies::masked_frame,
    socket_io,
    target::Opening,
};

/// What the messages of a load are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Binary WebSocket messages, of a size.
    Messages,
    /// Requests of the binary protocol (`raw-ws/PROTOCOL.md`), with a payload of a size.
    Wire,
    /// Calls of a SignalR hub, with a text of a size.
    Hub(HubProtocol),
    /// The bytes of those calls (of a delivery, in a fan-out) as plain WebSocket messages: what the
    /// same traffic costs a server that does not look into it.
    HubBytes(HubProtocol),
    /// Events of a Socket.IO server that acknowledges them, with a text of a size.
    SocketIo,
}

/// One load's part of the conversation.
#[derive(Debug)]
pub(super) struct Script {
    /// What each connection says first.
    pub(super) opening: Opening,
    /// What it says over and over, one after the other: frames of one length.
    pub(super) requests: Vec<Vec<u8>>,
    pub(super) reply: Reply,
    /// The same without frames, for the transports of a hub that are no WebSockets.
    pub(super) posted: Option<Posted>,
}

/// What is said in POSTs.
#[derive(Debug)]
pub(super) struct Posted {
    /// What each connection says first. Only the hub handshake is answered.
    pub(super) opening: Vec<Vec<u8>>,
    pub(super) request: Vec<u8>,
}

/// A record of a server, byte for byte, and what it is.
pub(super) type Record = (Arc<[u8]>, Meaning);

/// What comes back for a request.
#[derive(Debug)]
pub(super) enum Reply {
    /// A WebSocket message of so many bytes, the answer to so many messages.
    Message { length: usize, answers: u64 },
    /// So many of them.
    Messages { length: usize, count: u64 },
    /// Any number of them, and one of another length as their end.
    MessagesAndEnd { length: usize, end: usize },
    /// Records of a protocol, wherever WebSocket messages begin and end; no others come.
    Records {
        /// These, one after the other, and over again.
        in_turn: Arc<[Record]>,
        /// These in between, at any time.
        others: Arc<[Record]>,
    },
}

impl Dialect {
    /// Messages that come back.
    pub(super) fn echo(self, size: usize) -> Script {
        let text = hub_text(size);
        match self {
            Self::Messages => Script::messages(&payload(size), Reply::echo(size)),
            Self::Wire => Script::wire(
                wire_packet(REQUEST, ECHO, &payload(size)),
                Reply::echo(HEADER + size),
            ),
            Self::Hub(protocol) => Script::hub(
                protocol,
                &[],
                protocol.call(Some(ID), "Echo", &[&text]),
                [(protocol.completion(ID, &text).into(), Meaning::ANSWER)].into(),
            ),
            Self::SocketIo => Script::socket_io(
                &[],
                &socket_io::event(Some(0), "Echo", &[&text]),
                &socket_io::acknowledgement(0, &[&text]),
            ),
            Self::HubBytes(protocol) => {
                Script::bytes(protocol, &protocol.call(Some(ID), "Echo", &[&text]))
            }
        }
    }

    /// Messages that come back to everybody.
    pub(super) fn fan_out(self, size: usize) -> Script {
        let text = hub_text(size);
        let delivery = |protocol: HubProtocol| protocol.call(None, "Received", &[&text]);
        match self {
            Self::Messages => Script::messages(&payload(size), Reply::echo(size)),
            Self::Wire => {
                let subscribe = masked_frame(BINARY, &packet(SUBSCRIBE, 0, TOPIC, &[]));
                // A subscription has no answer; a request behind it has.
                let request = masked_frame(BINARY, &packet(REQUEST, ECHO, 0, &[]));
                Script {
                    opening: vec![[subscribe, request].concat()].into(),
                    requests: vec![masked_frame(
                        BINARY,
                        &packet(PUBLISH, 0, TOPIC, &payload(size)),
                    )],
                    reply: Reply::echo(HEADER + size),
                    posted: None,
                }
            }
            Self::Hub(protocol) => Script::hub(
                protocol,
                &[("Join", &[GROUP])],
                protocol.call(None, "Broadcast", &[GROUP, &text]),
                [(delivery(protocol).into(), Meaning::ANSWER)].into(),
            ),
            Self::SocketIo => Script::socket_io(
                &[("Join", &[GROUP])],
                &socket_io::event(None, "Broadcast", &[GROUP, &text]),
                &socket_io::event(None, "Received", &[&text]),
            ),
            Self::HubBytes(protocol) => Script::bytes(protocol, &delivery(protocol)),
        }
    }

    /// `items` messages that come for one. `None` where nobody streams.
    pub(super) fn stream(self, size: usize, items: u32) -> Option<Script> {
        let wanted = [items.to_be_bytes(), (size as u32).to_be_bytes()].concat();
        match self {
            Self::Messages => {
                let (length, count) = (size, u64::from(items));
                Some(Script::messages(&wanted, Reply::Messages { length, count }))
            }
            Self::Wire => {
                let (length, end) = (HEADER + size, HEADER);
                Some(Script::wire(
                    wire_packet(REQUEST, ITEMS, &wanted),
                    Reply::MessagesAndEnd { length, end },
                ))
            }
            Self::Hub(protocol) => {
                let item: Arc<[u8]> = protocol.stream_item(ID, &hub_text(size)).into();
                let all = repeat_n((item, Meaning::Item), items as usize);
                Some(Script::hub(
                    protocol,
                    &[],
                    protocol.stream_invocation(ID, "Texts", &[items, size as u32]),
                    all.chain([(protocol.end(ID).into(), Meaning::End)])
                        .collect(),
                ))
            }
            Self::HubBytes(_) | Self::SocketIo => None,
        }
    }

    /// The numbers below `items`, which come for one message. `None` where nobody counts.
    pub(super) fn items(self, items: u32) -> Option<Script> {
        match self {
            Self::Hub(protocol) => {
                let all = (0..items)
                    .map(|n| (protocol.stream_item_of_number(ID, n).into(), Meaning::Item));
                Some(Script::hub(
                    protocol,
                    &[],
                    protocol.stream_invocation(ID, "Items", &[items]),
                    all.chain([(protocol.end(ID).into(), Meaning::End)])
                        .collect(),
                ))
            }
            // As long as the longest of them.
            Self::HubBytes(protocol) => {
                let longest = protocol.stream_item_of_number(ID, items.saturating_sub(1));
                Self::Messages.stream(longest.len(), items)
            }
            Self::Messages | Self::Wire | Self::SocketIo => None,
        }
    }

    /// One answer to `items` messages. `None` where nobody takes them.
    pub(super) fn upload(self, size: usize, items: u32) -> Option<Script> {
        let answers = u64::from(items);
        match self {
            Self::Messages => {
                let item = masked_frame(BINARY, &payload(size));
                let end = masked_frame(BINARY, &[]);
                let length = 4;
                Some(Script {
                    opening: Opening::default(),
                    requests: vec![[item.repeat(items as usize), end].concat()],
                    reply: Reply::Message { length, answers },
                    posted: None,
                })
            }
            Self::Hub(protocol) => {
                // Numbers: every server that is compared has a method for their sum.
                let item = protocol.stream_item_of_number(ID, 1);
                let records = [
                    vec![protocol.upload_invocation(ID, "Sum", ID)],
                    vec![item; items as usize],
                    vec![protocol.end(ID)],
                ];
                let completion = protocol.completion_of_number(ID, items);
                let answer = [(completion.into(), Meaning::Answers(answers))].into();
                Some(Script::hub_records(
                    protocol,
                    &[],
                    &records.concat(),
                    answer,
                ))
            }
            Self::Wire | Self::HubBytes(_) | Self::SocketIo => None,
        }
    }
}

impl Script {
    fn messages(payload: &[u8], reply: Reply) -> Self {
        Self {
            opening: Opening::default(),
            requests: vec![masked_frame(BINARY, payload)],
            reply,
            posted: None,
        }
    }

    /// An id is free again when its request is answered, and no sooner: there are more of them than
    /// requests in flight.
    fn wire(packet: impl Fn(u32) -> Vec<u8>, reply: Reply) -> Self {
        let request = |id| masked_frame(BINARY, &packet(id));
        Self {
            opening: Opening::default(),
            requests: (0..WIRE_IDS).map(request).collect(),
            reply,
            posted: None,
        }
    }

    fn hub(
        protocol: HubProtocol,
        before: &[(&str, &[&str])],
        request: Vec<u8>,
        in_turn: Arc<[Record]>,
    ) -> Self {
        Self::hub_records(protocol, before, &[request], in_turn)
    }

    /// A request of several records, each in a frame of its own.
    fn hub_records(
        protocol: HubProtocol,
        before: &[(&str, &[&str])],
        request: &[Vec<u8>],
        in_turn: Arc<[Record]>,
    ) -> Self {
        let frame = |record: &[u8]| masked_frame(protocol.opcode(), record);
        let calls = |id: Option<&'static str>| {
            before
                .iter()
                .map(move |(target, arguments)| protocol.call(id, target, arguments))
        };
        let opening = calls(Some(ID)).map(|call| frame(&call));
        Self {
            opening: [masked_frame(TEXT, &protocol.handshake())]
                .into_iter()
                .chain(opening)
                .collect::<Vec<_>>()
                .into(),
            requests: vec![request.iter().flat_map(|record| frame(record)).collect()],
            reply: Reply::Records {
                in_turn,
                others: [
                    (protocol.ping().into(), Meaning::Nothing),
                    (HANDSHAKE_ANSWER.into(), Meaning::Nothing),
                ]
                .into(),
            },
            posted: Some(Posted {
                opening: [protocol.handshake()]
                    .into_iter()
                    .chain(calls(None))
                    .collect(),
                request: request.concat(),
            }),
        }
    }

    fn socket_io(before: &[(&str, &[&str])], request: &str, answer: &str) -> Self {
        let frame = |packet: &str| masked_frame(TEXT, packet.as_bytes());
        let events = before
            .iter()
            .map(|(name, arguments)| frame(&socket_io::event(Some(0), name, arguments)));
        Self {
            // The server speaks first.
            opening: Opening::from(
                [Vec::new(), frame(socket_io::CONNECT)]
                    .into_iter()
                    .chain(events)
                    .collect::<Vec<_>>(),
            )
            .amid_pings(),
            requests: vec![frame(request)],
            reply: Reply::Records {
                in_turn: [(answer.as_bytes().into(), Meaning::ANSWER)].into(),
                others: [(socket_io::PING.as_bytes().into(), Meaning::Ping)].into(),
            },
            posted: None,
        }
    }

    fn bytes(protocol: HubProtocol, record: &[u8]) -> Self {
        Self {
            opening: Opening::default(),
            requests: vec![masked_frame(protocol.opcode(), record)],
            reply: Reply::echo(record.len()),
            posted: None,
        }
    }
}

impl Reply {
    /// A message of so many bytes for each that was sent.
    pub(super) fn echo(length: usize) -> Self {
        let answers = 1;
        Self::Message { length, answers }
    }
}

fn payload(size: usize) -> Vec<u8> {
    (0..size).map(|i| (i % 251) as u8).collect()
}

fn wire_packet(kind: u8, code: u16, payload: &[u8]) -> impl Fn(u32) -> Vec<u8> {
    move |id| packet(kind, code, id, payload)
}

/// A packet of the binary protocol.
fn packet(kind: u8, code: u16, id: u32, payload: &[u8]) -> Vec<u8> {
    let [high, low] = code.to_be_bytes();
    let mut packet = vec![kind, 0, high, low];
    packet.extend_from_slice(&id.to_be_bytes());
    packet.extend_from_slice(payload);
    packet
}

const TEXT: u8 = 1;
const BINARY: u8 = 2;

/// All calls have it, so that all answers are alike.
const ID: &str = "1";
const GROUP: &str = "everybody";
const HANDSHAKE_ANSWER: &[u8] = b"{}\x1e";

/// Of the binary protocol: the header's length, kinds, operations of the example server, and a topic.
const HEADER: usize = 8;
const REQUEST: u8 = 1;
const SUBSCRIBE: u8 = 5;
const PUBLISH: u8 = 7;
const ECHO: u16 = 1;
const ITEMS: u16 = 5;
const TOPIC: u32 = 1;
/// A server has 64 requests of a connection under way, at most.
const WIRE_IDS: u32 = 128;
