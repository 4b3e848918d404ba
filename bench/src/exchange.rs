//! What goes to a server and what comes back, byte for byte: for a client that only counts bytes.

use crate::{
    load::{Dialect, HubProtocol, Opening, Work, hub_text, masked_frame},
    peers::Endpoint,
};

/// Some requests and the replies to them, for a connection that sends them over and over.
#[derive(Debug)]
pub struct Exchange {
    /// Where they are answered.
    pub endpoint: Endpoint,
    /// What is said first.
    pub opening: Opening,
    /// `in_flight` requests of one length.
    pub requests: Vec<u8>,
    /// As many replies of one length.
    pub replies: Vec<u8>,
    /// How many requests are sent before a reply is awaited.
    pub in_flight: usize,
}

impl Exchange {
    /// [`IN_FLIGHT`] messages of that size in this dialect, each answered by its like.
    ///
    /// # Panics
    ///
    /// For a dialect that no benchmark of an echo speaks.
    pub fn echo(dialect: Dialect, size: usize) -> Self {
        let text = hub_text(size);
        let alike = |opcode, request: &[u8], reply: &[u8]| {
            (
                masked_frame(opcode, request).repeat(IN_FLIGHT),
                server_frame(opcode, reply).repeat(IN_FLIGHT),
            )
        };
        let (path, opening, (requests, replies)) = match dialect {
            Dialect::Messages => {
                let message = payload(size);
                (
                    "/echo",
                    Opening::default(),
                    alike(BINARY, &message, &message),
                )
            }
            Dialect::Wire => ("/wire", Opening::default(), wire_calls(size)),
            Dialect::Hub(protocol) => {
                let call = protocol.call(Some(ID), "Echo", &[&text]);
                let completion = protocol.completion(ID, &text);
                let exchange = alike(protocol.opcode(), &call, &completion);
                ("/bench", hub_opening(protocol), exchange)
            }
            Dialect::SocketIo => {
                let event = format!("421[\"Echo\",\"{text}\"]");
                let acknowledgement = format!("431[\"{text}\"]");
                let exchange = alike(TEXT, event.as_bytes(), acknowledgement.as_bytes());
                (SOCKET_IO, socketioxide_opening(), exchange)
            }
            Dialect::HubBytes(_) => panic!("no benchmark sends them"),
        };
        Self {
            endpoint: Endpoint::WebSocket(path),
            opening,
            requests,
            replies,
            in_flight: IN_FLIGHT,
        }
    }

    /// The bytes of the messages of an echo, frames included, returned unread.
    pub fn bytes(size: usize) -> Self {
        let requests = Self::echo(Dialect::Messages, size).requests;
        Self {
            endpoint: Endpoint::RawTcp,
            opening: Opening::default(),
            replies: requests.clone(),
            requests,
            in_flight: IN_FLIGHT,
        }
    }

    /// One request and [`ITEMS`] items of that size for it, or as many items and one answer.
    ///
    /// # Panics
    ///
    /// For a dialect that no benchmark of streams speaks.
    pub fn stream(work: Work, dialect: Dialect, size: usize) -> Self {
        let wanted = [(ITEMS as u32).to_be_bytes(), (size as u32).to_be_bytes()].concat();
        let item = vec![b'a'; size];
        let (path, opening, opcode, requests, replies) = match (work, dialect) {
            (Work::Stream, Dialect::Messages) => {
                let items = vec![item; ITEMS];
                ("/stream", Opening::default(), BINARY, vec![wanted], items)
            }
            (Work::Upload, Dialect::Messages) => {
                let requests = [vec![item; ITEMS], vec![Vec::new()]].concat();
                let reply = (ITEMS as u32).to_be_bytes().to_vec();
                ("/upload", Opening::default(), BINARY, requests, vec![reply])
            }
            (Work::Stream, Dialect::Wire) => {
                let item = wire_packet(RESPONSE, MORE, 0, 1, &item);
                let end = wire_packet(RESPONSE, 0, 0, 1, &[]);
                let replies = [vec![item; ITEMS], vec![end]].concat();
                let request = wire_packet(REQUEST, 0, WIRE_ITEMS, 1, &wanted);
                ("/wire", Opening::default(), BINARY, vec![request], replies)
            }
            (Work::Stream, Dialect::Hub(protocol)) => {
                let numbers = [ITEMS as u32, size as u32];
                let request = protocol.stream_invocation(ID, "Texts", &numbers);
                let item = protocol.stream_item(ID, &hub_text(size));
                let replies = [vec![item; ITEMS], vec![protocol.end(ID)]].concat();
                let (opening, opcode) = (hub_opening(protocol), protocol.opcode());
                ("/bench", opening, opcode, vec![request], replies)
            }
            (Work::Upload, Dialect::Hub(protocol)) => {
                let item = protocol.stream_item(ID, &hub_text(size));
                let requests = [
                    vec![protocol.upload_invocation(ID, "Count", ID)],
                    vec![item; ITEMS],
                    vec![protocol.end(ID)],
                ];
                let reply = protocol.completion_of_number(ID, ITEMS as u32);
                let (opening, opcode) = (hub_opening(protocol), protocol.opcode());
                ("/bench", opening, opcode, requests.concat(), vec![reply])
            }
            _ => panic!("no benchmark does {work:?} in {dialect:?}"),
        };
        let framed = |messages: &[Vec<u8>], frame: fn(u8, &[u8]) -> Vec<u8>| {
            let frames = messages.iter().flat_map(|message| frame(opcode, message));
            frames.collect()
        };
        Self {
            endpoint: Endpoint::WebSocket(path),
            opening,
            requests: framed(&requests, masked_frame),
            replies: framed(&replies, server_frame),
            in_flight: 1,
        }
    }

    /// [`IN_FLIGHT`] events of a topic of the binary protocol, published by their only subscriber.
    pub fn publish(topic: u32) -> Self {
        let packet = |kind, payload: &[u8]| wire_packet(kind, 0, 0, topic, payload);
        let subscribe = masked_frame(BINARY, &packet(SUBSCRIBE, &[]));
        let request = masked_frame(BINARY, &wire_packet(REQUEST, 0, WIRE_ECHO, 0, &[]));
        Self {
            endpoint: Endpoint::WebSocket("/wire"),
            // A subscription has no answer; a request behind it has.
            opening: vec![[subscribe, request].concat()].into(),
            requests: masked_frame(BINARY, &packet(PUBLISH, &payload(20))).repeat(IN_FLIGHT),
            replies: server_frame(BINARY, &packet(EVENT, &payload(20))).repeat(IN_FLIGHT),
            in_flight: IN_FLIGHT,
        }
    }

    /// [`IN_FLIGHT`] broadcasts to a group of this number, by its only member.
    pub fn broadcast(protocol: HubProtocol, group: u32) -> Self {
        let (name, text) = (format!("group {group}"), hub_text(20));
        let frame = |record: &[u8]| masked_frame(protocol.opcode(), record);
        let join = frame(&protocol.call(Some(ID), "Join", &[&name]));
        let call = frame(&protocol.call(None, "Broadcast", &[&name, &text]));
        let delivery = protocol.call(None, "Received", &[&text]);
        Self {
            endpoint: Endpoint::WebSocket("/bench"),
            opening: vec![masked_frame(TEXT, &protocol.handshake()), join].into(),
            requests: call.repeat(IN_FLIGHT),
            replies: server_frame(protocol.opcode(), &delivery).repeat(IN_FLIGHT),
            in_flight: IN_FLIGHT,
        }
    }

    /// [`IN_FLIGHT`] calls by turns: to join a group of this number, and to leave it.
    pub fn groups(protocol: HubProtocol, group: u32) -> Self {
        let name = format!("group {group}");
        let call = |target| {
            masked_frame(
                protocol.opcode(),
                &protocol.call(Some(ID), target, &[&name]),
            )
        };
        let answer = server_frame(protocol.opcode(), &protocol.completion_of_nothing(ID));
        Self {
            endpoint: Endpoint::WebSocket("/bench"),
            opening: hub_opening(protocol),
            requests: [call("Join"), call("Leave")].concat().repeat(IN_FLIGHT / 2),
            replies: answer.repeat(IN_FLIGHT),
            in_flight: IN_FLIGHT,
        }
    }

    /// The opening, and the first request.
    pub fn first_request(&self) -> Opening {
        let request = self.requests[..self.requests.len() / self.in_flight].to_vec();
        self.opening.clone().and(request)
    }

    /// As many bytes in each direction, asked for with two numbers
    /// ([`RawTcpAsked`](crate::peers::RawTcpAsked)).
    pub fn asked(&self) -> Self {
        let length = self.requests.len().max(8);
        let mut request = vec![0; length];
        request[..4].copy_from_slice(&(length as u32).to_be_bytes());
        request[4..8].copy_from_slice(&(self.replies.len() as u32).to_be_bytes());
        Self {
            endpoint: Endpoint::RawTcp,
            opening: Opening::default(),
            requests: request,
            replies: vec![0; self.replies.len()],
            in_flight: 1,
        }
    }
}

/// Calls of the binary protocol, each with an id of its own, and their answers.
fn wire_calls(size: usize) -> (Vec<u8>, Vec<u8>) {
    let ids = 0..IN_FLIGHT as u32;
    let payload = payload(size);
    let request = |id| masked_frame(BINARY, &wire_packet(REQUEST, 0, WIRE_ECHO, id, &payload));
    let response = |id| server_frame(BINARY, &wire_packet(RESPONSE, 0, 0, id, &payload));
    (
        ids.clone().flat_map(request).collect(),
        ids.flat_map(response).collect(),
    )
}

/// A packet of the binary protocol (`raw-ws/PROTOCOL.md`).
fn wire_packet(kind: u8, flags: u8, code: u16, id: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![kind, flags];
    packet.extend(code.to_be_bytes());
    packet.extend(id.to_be_bytes());
    packet.extend_from_slice(payload);
    packet
}

fn hub_opening(protocol: HubProtocol) -> Opening {
    vec![masked_frame(TEXT, &protocol.handshake())].into()
}

/// Joins the namespace and a group. socketioxide pings once when somebody has come.
pub fn socketioxide_opening() -> Opening {
    let packet = |packet: &str| masked_frame(TEXT, packet.as_bytes());
    let pong_and_join = [packet("3"), packet(r#"420["Join","everybody"]"#)].concat();
    vec![Vec::new(), packet("40"), Vec::new(), pong_and_join].into()
}

/// A payload in which no byte repeats the one before.
pub fn payload(size: usize) -> Vec<u8> {
    (0..size).map(|i| (i % 251) as u8).collect()
}

/// A final frame as a server sends it.
///
/// # Panics
///
/// When the payload has 64 KiB or more.
pub fn server_frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match payload.len() {
        length @ 0..126 => frame.push(length as u8),
        length => {
            let length = u16::try_from(length).expect("messages here are smaller than 64 KiB");
            frame.push(126);
            frame.extend(length.to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}

/// The opcode of text messages.
pub const TEXT: u8 = 1;
/// The opcode of binary messages.
pub const BINARY: u8 = 2;

/// Messages of an echo that are on their way at any time.
pub const IN_FLIGHT: usize = 16;
/// Items of one stream.
pub const ITEMS: usize = 64;

/// The bytes of the request that upgrades a connection, about.
pub const UPGRADE: usize = 170;

/// Where a Socket.IO server takes WebSockets.
pub const SOCKET_IO: &str = "/socket.io/?EIO=4&transport=websocket";

/// All calls have it, so that all answers are alike.
const ID: &str = "1";

/// Of the binary protocol: kinds, a flag, and operations.
const REQUEST: u8 = 1;
const RESPONSE: u8 = 2;
const EVENT: u8 = 4;
const SUBSCRIBE: u8 = 5;
const PUBLISH: u8 = 7;
const MORE: u8 = 1;
const WIRE_ECHO: u16 = 1;
const WIRE_ITEMS: u16 = 5;
