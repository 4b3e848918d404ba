//! However the wire is cut, the same comes out at the other end.

use super::*;
#[cfg(feature = "deflate")]
use crate::deflate::{Deflate, Negotiated, deflate_alone};

/// The two ends of a connection, and what is compressed on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wire {
    Plain,
    #[cfg(feature = "deflate")]
    Deflate {
        server_takeover: bool,
        client_takeover: bool,
    },
}

impl Wire {
    fn keeps_no_window(self) -> bool {
        match self {
            Self::Plain => true,
            #[cfg(feature = "deflate")]
            Self::Deflate { .. } => self == NO_TAKEOVER,
        }
    }
}

#[cfg(feature = "deflate")]
const NO_TAKEOVER: Wire = Wire::Deflate {
    server_takeover: false,
    client_takeover: false,
};

const WIRES: &[Wire] = &[
    Wire::Plain,
    #[cfg(feature = "deflate")]
    NO_TAKEOVER,
    #[cfg(feature = "deflate")]
    Wire::Deflate {
        server_takeover: true,
        client_takeover: true,
    },
    #[cfg(feature = "deflate")]
    Wire::Deflate {
        server_takeover: true,
        client_takeover: false,
    },
    #[cfg(feature = "deflate")]
    Wire::Deflate {
        server_takeover: false,
        client_takeover: true,
    },
];

#[cfg(feature = "deflate")]
pub(super) fn agreed(deflate: &Deflate) -> Negotiated {
    let mut headers = http::HeaderMap::new();
    let offer = "permessage-deflate; client_max_window_bits";
    headers.insert("sec-websocket-extensions", offer.parse().unwrap());
    deflate.negotiate(&headers).unwrap()
}

fn end(role: Role, wire: Wire, now: Instant) -> End {
    let config = Config::new().max_message_size(70_000);
    let proto = Connection::new(role, Arc::new(config), now);
    End::of(match wire {
        Wire::Plain => proto,
        #[cfg(feature = "deflate")]
        Wire::Deflate {
            server_takeover,
            client_takeover,
        } => {
            let deflate = Deflate::new()
                .context_takeover(server_takeover, client_takeover)
                .min_size(1);
            proto.with_deflate(&agreed(&deflate))
        }
    })
}

const ROLES: [(Role, Role); 2] = [(CLIENT, Role::Server), (Role::Server, CLIENT)];

/// Everything that a receiver lets be seen.
#[derive(Debug, PartialEq)]
struct Outcome {
    events: Vec<Event>,
    error: Option<String>,
    state: State,
    answer: Vec<u8>,
    input_left: usize,
}

fn received(role: Role, wire: Wire, parts: &[&[u8]]) -> Outcome {
    let now = Instant::now();
    let mut end = end(role, wire, now);
    for part in parts {
        end.take(part, now);
    }
    Outcome {
        answer: end.transmit(),
        error: end.error.map(|error| error.to_string()),
        state: end.proto.state(),
        input_left: end.input.len(),
        events: end.events,
    }
}

/// What each of the short sessions says, as bytes, and the messages in it.
fn short_session(sender: Role, wire: Wire) -> (Vec<u8>, Vec<Event>) {
    let now = Instant::now();
    let mut end = end(sender, wire, now);
    let mut bytes = Vec::new();
    for message in ["hello", ""] {
        end.proto.send(message.into()).unwrap();
    }
    for message in [vec![1, 2, 3], vec![]] {
        end.proto.send(message.into()).unwrap();
    }
    bytes.extend(end.transmit());
    // One at a time, or the control frames would go first.
    let frames = [
        Frame::text(&b"gr\xc3"[..], false),
        Frame::ping("between").unwrap(),
        Frame::continuation(&b""[..], false),
        Frame::pong("").unwrap(),
        Frame::continuation(&b"\xbcn"[..], true),
        Frame::binary(&b""[..], false),
        Frame::continuation(&b"\xff\xfe"[..], true),
    ];
    for frame in &frames {
        end.proto.send_frame(frame).unwrap();
        bytes.extend(end.transmit());
    }
    #[cfg(feature = "deflate")]
    if wire == NO_TAKEOVER {
        bytes.extend(deflated_in_fragments(sender));
    }
    end.proto.send("hello".into()).unwrap();
    end.proto.close(Some(&close_frame(1000, "bye")), now);
    bytes.extend(end.transmit());

    let message = |message: Message| Event::Message(message);
    #[cfg_attr(not(feature = "deflate"), expect(unused_mut))]
    let mut events = vec![
        message("hello".into()),
        message("".into()),
        message(vec![1, 2, 3].into()),
        message(vec![].into()),
        Event::Ping("between".into()),
        Event::Pong("".into()),
        message("grün".into()),
        message(vec![0xff, 0xfe].into()),
        message("hello".into()),
        Event::Close(Some(close_frame(1000, "bye"))),
    ];
    #[cfg(feature = "deflate")]
    if wire == NO_TAKEOVER {
        events.splice(8..8, [Event::Ping("".into()), message(COMPRESSED.into())]);
    }
    (bytes, events)
}

#[cfg(feature = "deflate")]
const COMPRESSED: &str = "größer, größer, größer, größer";

/// A compressed message in three frames, with a Ping between them.
#[cfg(feature = "deflate")]
fn deflated_in_fragments(sender: Role) -> Vec<u8> {
    let key = matches!(sender, Role::Client { .. }).then_some(KEY);
    let payload = deflate_alone(15, 9, COMPRESSED.as_bytes());
    [
        encode(OpCode::Text, false, true, key, &payload[..4]),
        encode(OpCode::Ping, true, false, key, b""),
        encode(OpCode::Continuation, false, false, key, &payload[4..4]),
        encode(OpCode::Continuation, true, false, key, &payload[4..]),
    ]
    .concat()
}

#[test]
fn a_session_in_any_three_parts_is_the_session() {
    for (sender, receiver) in ROLES {
        for &wire in WIRES {
            let (bytes, events) = short_session(sender, wire);
            let whole = received(receiver, wire, &[&bytes]);
            assert_eq!(whole.events, events, "{wire:?}");
            assert_eq!((whole.state, whole.input_left), (State::Closed, 0));
            for first in 0..=bytes.len() {
                for second in first..=bytes.len() {
                    let parts = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                    let outcome = received(receiver, wire, &parts);
                    assert_eq!(outcome, whole, "{wire:?}, cut at {first} and {second}");
                }
            }
        }
    }
}

#[test]
fn a_session_byte_by_byte_is_the_session() {
    for (sender, receiver) in ROLES {
        for &wire in WIRES {
            let (bytes, events) = short_session(sender, wire);
            let parts: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(received(receiver, wire, &parts).events, events);
        }
    }
}

#[test]
fn sessions_of_every_length_form_survive_every_cut_near_a_border() {
    const LENGTHS: [usize; 8] = [0, 1, 125, 126, 127, 4_096, 65_535, 65_536];
    for (sender, receiver) in ROLES {
        for &wire in WIRES {
            let now = Instant::now();
            let mut end = end(sender, wire, now);
            let (mut bytes, mut borders, mut events) = (Vec::new(), vec![0], Vec::new());
            for len in LENGTHS {
                let binary: Vec<u8> = (0..len).map(|i| ((i * i) >> 3) as u8).collect();
                for message in [Message::from(binary), Message::from("ü".repeat(len / 2))] {
                    end.proto.send(message.clone()).unwrap();
                    bytes.extend(end.transmit());
                    borders.push(bytes.len());
                    events.push(Event::Message(message));
                }
            }
            let whole = received(receiver, wire, &[&bytes]);
            assert!(whole.events == events, "{wire:?}");
            // Only the message that is cut goes through a fresh connection, where that is possible.
            let is_alone = wire.keeps_no_window();
            for (nth, border) in borders.windows(2).enumerate() {
                let (frame, event) = (&bytes[border[0]..border[1]], &events[nth]);
                let len = frame.len();
                let cuts = (0..=len.min(16)).chain(len.saturating_sub(6)..=len);
                for cut in cuts.filter(|_| is_alone) {
                    let outcome = received(receiver, wire, &[&frame[..cut], &frame[cut..]]);
                    assert!(
                        outcome.events == [event.clone()],
                        "{wire:?}, {len} at {cut}"
                    );
                }
            }
            for size in [1, 7, 1460, 32_768] {
                let parts: Vec<&[u8]> = bytes.chunks(size).collect();
                let outcome = received(receiver, wire, &parts);
                assert!(outcome.events == events, "{wire:?}, in parts of {size}");
            }
        }
    }
}

#[test]
fn a_violation_is_the_same_violation_wherever_the_wire_is_cut() {
    let good = masked(OpCode::Text, true, "grün".as_bytes());
    let ping = masked(OpCode::Ping, true, b"?");
    let bad = [
        masked(OpCode::Continuation, true, b"x"),
        masked(OpCode::Text, true, b"gr\xc3n and more"),
        masked(OpCode::Close, true, b"\x03\xedno"),
        vec![0x83, 0x80, 0, 0, 0, 0],
        vec![0x82, 0xfe, 0, 1, 0, 0, 0, 0],
        vec![0x82, 0x01, 0],
    ];
    for bad in bad {
        let bytes = [&good[..], &ping, &bad, &good].concat();
        let whole = received(Role::Server, Wire::Plain, &[&bytes]);
        assert_eq!(whole.events.len(), 2);
        assert!(whole.error.is_some());
        assert_eq!(parse(&whole.answer).len(), 2, "a Pong and a Close");
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let parts = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                let outcome = received(Role::Server, Wire::Plain, &parts);
                assert_eq!(outcome, whole, "cut at {first} and {second}");
            }
        }
    }
}

#[test]
fn frames_and_messages_are_cut_from_the_same_bytes() {
    let (bytes, events) = short_session(CLIENT, Wire::Plain);
    let now = Instant::now();
    for size in [1, 2, 3, 5, bytes.len()] {
        let mut server = end(Role::Server, Wire::Plain, now);
        let mut joined: Vec<(OpCode, Vec<u8>)> = Vec::new();
        for part in bytes.chunks(size) {
            server.input.extend_from_slice(part);
            while let Some(frame) = server
                .proto
                .handle_input_frame(&mut server.input, now)
                .unwrap()
            {
                match frame.opcode() {
                    OpCode::Text | OpCode::Binary => {
                        joined.push((frame.opcode(), frame.payload().to_vec()));
                    }
                    OpCode::Continuation => {
                        let begun = joined.last_mut().unwrap();
                        begun.1.extend_from_slice(frame.payload());
                    }
                    _ => {}
                }
            }
        }
        let messages = events.iter().filter_map(|event| match event {
            Event::Message(message) => Some((message.kind().into(), message.as_bytes().to_vec())),
            _ => None,
        });
        assert!(messages.eq(joined), "in parts of {size}");
    }
}
