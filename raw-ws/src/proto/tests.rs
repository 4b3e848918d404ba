//! Both ends of a connection in simulated time, with a wire in between that can be cut anywhere.

mod keeping_time;
mod limits;
mod short_way;
mod splits;
mod writing;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};

use crate::{
    proto::{
        Connection, Event, Role, State,
        config::{CloseAnswer, Config},
    },
    vocabulary::{
        close::{CloseCode, CloseFrame},
        error::{ApiMisuse, Error, ProtocolError},
        frame::{Frame, FrameHeader, OpCode},
        mask::mask,
        message::Message,
    },
};

const KEY: [u8; 4] = [7, 1, 8, 2];

const CLIENT: Role = Role::Client {
    masking_key: || KEY,
};

const SECOND: Duration = Duration::from_secs(1);

/// One end, and everything that came out of it.
struct End {
    proto: Connection,
    input: BytesMut,
    events: Vec<Event>,
    error: Option<Error>,
}

impl End {
    fn new(role: Role, config: Config, now: Instant) -> Self {
        Self::of(Connection::new(role, Arc::new(config), now))
    }

    fn of(proto: Connection) -> Self {
        Self {
            proto,
            input: BytesMut::new(),
            events: Vec::new(),
            error: None,
        }
    }

    /// Takes bytes from the wire, and every event they make.
    fn take(&mut self, bytes: &[u8], now: Instant) -> &mut Self {
        self.input.extend_from_slice(bytes);
        loop {
            match self.proto.handle_input(&mut self.input, now) {
                Ok(Some(event)) => self.events.push(event),
                Ok(None) => return self,
                Err(error) => {
                    assert!(self.error.is_none(), "a second error: {error}");
                    self.error = Some(error);
                }
            }
        }
    }

    fn transmit(&mut self) -> Vec<u8> {
        let mut out = BytesMut::new();
        self.proto.transmit_into(&mut out);
        assert_eq!(self.proto.unwritten(), 0);
        out.to_vec()
    }

    /// The Close that waits to be written, and nothing but it.
    fn close_queued(&mut self) -> (u16, String) {
        let frames = parse(&self.transmit());
        let [(OpCode::Close, payload)] = &frames[..] else {
            panic!("not a single Close: {frames:?}");
        };
        let close = CloseFrame::parse(payload).unwrap().unwrap();
        (close.code().as_u16(), close.reason().to_owned())
    }

    fn messages(&self) -> Vec<&Message> {
        let messages = self.events.iter().filter_map(|event| match event {
            Event::Message(message) => Some(message),
            _ => None,
        });
        messages.collect()
    }
}

/// A client, a server and a clock that only tests move.
struct Pair {
    now: Instant,
    client: End,
    server: End,
}

impl Pair {
    fn new(config: &Config) -> Self {
        let now = Instant::now();
        Self {
            now,
            client: End::new(CLIENT, config.clone(), now),
            server: End::new(Role::Server, config.clone(), now),
        }
    }

    /// Carries what both have to say, once; whether there was anything.
    fn step(&mut self) -> bool {
        let (to_server, to_client) = (self.client.transmit(), self.server.transmit());
        self.server.take(&to_server, self.now);
        self.client.take(&to_client, self.now);
        !(to_server.is_empty() && to_client.is_empty())
    }

    /// Carries bytes until both are silent.
    fn drive(&mut self) {
        while self.step() {}
    }

    fn states(&self) -> (State, State) {
        (self.client.proto.state(), self.server.proto.state())
    }
}

/// A frame as a client sends it.
fn masked(opcode: OpCode, is_final: bool, payload: &[u8]) -> Vec<u8> {
    encode(opcode, is_final, false, Some(KEY), payload)
}

fn encode(
    opcode: OpCode,
    is_final: bool,
    rsv1: bool,
    key: Option<[u8; 4]>,
    payload: &[u8],
) -> Vec<u8> {
    let mut out = BytesMut::new();
    let header = FrameHeader {
        opcode,
        is_final,
        rsv1,
        mask: key,
        payload_len: payload.len() as u64,
    };
    header.encode(&mut out);
    let at = out.len();
    out.extend_from_slice(payload);
    if let Some(key) = key {
        mask(&mut out[at..], key);
    }
    out.to_vec()
}

/// The frames of an unmasked byte stream, which must be whole.
fn parse(mut bytes: &[u8]) -> Vec<(OpCode, Bytes)> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let (header, len) = FrameHeader::parse(bytes).unwrap().expect("a whole header");
        let end = len + header.payload_len as usize;
        frames.push((header.opcode, Bytes::copy_from_slice(&bytes[len..end])));
        bytes = &bytes[end..];
    }
    frames
}

fn close_frame(code: u16, reason: &'static str) -> CloseFrame {
    CloseFrame::new(CloseCode::new(code), reason).unwrap()
}

#[test]
fn either_side_closes_and_both_end_closed_with_the_same_code() {
    for client_closes in [true, false] {
        let mut pair = Pair::new(&Config::new());
        let bye = close_frame(4001, "bye");
        let (closing, other) = if client_closes {
            (&mut pair.client, &mut pair.server)
        } else {
            (&mut pair.server, &mut pair.client)
        };
        closing.proto.send("last words".into()).unwrap();
        closing.proto.close(Some(&bye), pair.now);
        assert_eq!(closing.proto.state(), State::Closing);

        let said = closing.transmit();
        other.take(&said, pair.now);
        let heard = [
            Event::Message("last words".into()),
            Event::Close(Some(bye.clone())),
        ];
        assert_eq!(other.events, heard);
        assert_eq!(other.proto.state(), State::Closed);
        assert_eq!(other.proto.peer_close(), Some(&bye));

        let answer = other.transmit();
        closing.take(&answer, pair.now);
        // The code comes back without the reason.
        let echoed = close_frame(4001, "");
        assert_eq!(closing.events, [Event::Close(Some(echoed.clone()))]);
        assert_eq!(closing.proto.peer_close(), Some(&echoed));
        assert_eq!(pair.states(), (State::Closed, State::Closed));
        assert!(pair.server.proto.handle_eof().is_ok());
        assert!(pair.client.proto.handle_eof().is_ok());
        assert!(!pair.step(), "nothing follows a Close");
    }
}

#[test]
fn closes_that_cross_are_not_answered() {
    let mut pair = Pair::new(&Config::new());
    pair.client
        .proto
        .close(Some(&close_frame(1000, "")), pair.now);
    pair.server
        .proto
        .close(Some(&close_frame(1001, "")), pair.now);
    assert!(pair.step());
    assert_eq!(pair.states(), (State::Closed, State::Closed));
    assert_eq!(pair.client.proto.peer_close(), Some(&close_frame(1001, "")));
    assert_eq!(pair.server.proto.peer_close(), Some(&close_frame(1000, "")));
    assert!(!pair.step());
}

#[test]
fn a_close_without_a_code_is_answered_without_one() {
    let mut pair = Pair::new(&Config::new());
    pair.client.proto.close(None, pair.now);
    let close = pair.client.transmit();
    pair.server.take(&close, pair.now);
    assert_eq!(pair.server.events, [Event::Close(None)]);
    assert_eq!(pair.server.proto.peer_close(), None);
    assert_eq!(pair.server.transmit(), [0x88, 0]);
}

#[test]
fn every_close_can_be_answered_with_1000() {
    let now = Instant::now();
    for payload in [&[][..], &4001_u16.to_be_bytes(), b"\x03\xe9going"] {
        let config = Config::new().close_answer(CloseAnswer::Normal);
        let mut server = End::new(Role::Server, config, now);
        server.take(&masked(OpCode::Close, true, payload), now);
        assert_eq!(server.close_queued(), (1000, String::new()));
        let came = CloseFrame::parse(&Bytes::copy_from_slice(payload)).unwrap();
        assert_eq!(server.proto.peer_close(), came.as_ref());
    }
}

#[test]
fn what_arrives_after_our_close_is_discarded_and_not_answered() {
    let mut pair = Pair::new(&Config::new());
    pair.client.proto.send("too late".into()).unwrap();
    pair.client
        .proto
        .send_frame(&Frame::ping("there?").unwrap())
        .unwrap();
    pair.server
        .proto
        .close(Some(&close_frame(1000, "")), pair.now);
    let crossing = pair.client.transmit();
    pair.server.take(&crossing, pair.now);
    assert_eq!(pair.server.events, []);
    assert_eq!(pair.server.close_queued(), (1000, String::new()));
    assert!(
        matches!(
            pair.server.proto.send("no more".into()),
            Err(Error::ApiMisuse(ApiMisuse::SendAfterClose))
        ),
        "and nothing can be sent"
    );
}

#[test]
fn what_follows_the_peers_close_does_not_count() {
    let now = Instant::now();
    let mut server = End::new(Role::Server, Config::new(), now);
    let mut bytes = masked(OpCode::Close, true, &1000_u16.to_be_bytes());
    bytes.extend([0xff; 100]);
    server.take(&bytes, now);
    assert_eq!(server.events, [Event::Close(Some(close_frame(1000, "")))]);
    assert!(server.error.is_none() && server.input.is_empty());
}

#[test]
fn the_end_of_the_bytes_is_an_error_unless_the_closing_handshake_is_complete() {
    for begin_close in [false, true] {
        let mut pair = Pair::new(&Config::new());
        if begin_close {
            pair.server.proto.close(None, pair.now);
        }
        let error = pair.server.proto.handle_eof().unwrap_err();
        assert!(matches!(error, Error::Io(error)
            if error.kind() == std::io::ErrorKind::UnexpectedEof));
        assert_eq!(pair.server.proto.state(), State::Closed);
    }
}

#[test]
fn a_conversation_goes_both_ways_at_once() {
    let mut pair = Pair::new(&Config::new());
    for round in 0..10_u8 {
        pair.client.proto.send(vec![round; 200].into()).unwrap();
        pair.server.proto.send("reply".into()).unwrap();
        let ping = Frame::ping(vec![round]).unwrap();
        pair.client.proto.send_frame(&ping).unwrap();
    }
    pair.drive();
    let sent: Vec<Message> = (0..10_u8).map(|round| vec![round; 200].into()).collect();
    assert!(pair.server.messages().into_iter().eq(&sent));
    assert_eq!(pair.client.messages().len(), 10);
    let pongs = (0..10_u8).map(|round| Event::Pong(vec![round].into()));
    let is_pong = |event: &&Event| matches!(event, Event::Pong(_));
    assert!(pair.client.events.iter().filter(is_pong).cloned().eq(pongs));
}

#[test]
fn frames_that_may_not_stand_here_are_refused_and_nothing_is_queued() {
    let mut server = End::new(Role::Server, Config::new(), Instant::now());
    let mut refused = |frame: &Frame| match server.proto.send_frame(frame) {
        Err(Error::ApiMisuse(misuse)) => misuse,
        other => panic!("{other:?}"),
    };
    let orphan = Frame::continuation("x", true);
    assert_eq!(refused(&orphan), ApiMisuse::NothingToContinue);
    let not_text = Frame::text(&b"\xff"[..], true);
    assert_eq!(refused(&not_text), ApiMisuse::InvalidUtf8);
    let half_a_character = Frame::text(&b"\xc3"[..], true);
    assert_eq!(refused(&half_a_character), ApiMisuse::InvalidUtf8);
    // As a proxy might pass it on: it would end the connection behind the machine's back.
    let close = Frame::close(Some(&close_frame(1000, "")));
    assert_eq!(refused(&close), ApiMisuse::CloseAsFrame);
    assert_eq!(server.transmit(), []);
}

#[test]
fn a_fragmented_message_is_finished_before_the_next() {
    let mut pair = Pair::new(&Config::new());
    let server = &mut pair.server.proto;
    server
        .send_frame(&Frame::text(&b"gr\xc3"[..], false))
        .unwrap();
    assert!(server.is_sending_fragments());
    let unfinished = |result| matches!(result, Err(Error::ApiMisuse(ApiMisuse::UnfinishedMessage)));
    assert!(unfinished(server.send("other".into())));
    assert!(unfinished(server.send_frame(&Frame::binary("x", true))));
    assert!(matches!(
        server.send_frame(&Frame::continuation(&b"x"[..], false)),
        Err(Error::ApiMisuse(ApiMisuse::InvalidUtf8))
    ));
    server.send_frame(&Frame::ping("ok").unwrap()).unwrap();
    server
        .send_frame(&Frame::continuation(&b"\xbcn"[..], true))
        .unwrap();
    assert!(!server.is_sending_fragments());
    server.send("next".into()).unwrap();
    pair.drive();
    let sent = [Message::text("grün"), Message::text("next")];
    assert!(pair.client.messages().into_iter().eq(&sent));
}

#[test]
fn frames_are_given_one_by_one_and_pings_are_left_to_the_reader() {
    let now = Instant::now();
    let mut server = End::new(Role::Server, Config::new(), now);
    let mut input = BytesMut::new();
    input.extend(masked(OpCode::Text, false, b"gr\xc3"));
    input.extend(masked(OpCode::Ping, true, b"there?"));
    input.extend(masked(OpCode::Continuation, true, b"\xbcn"));
    input.extend(masked(OpCode::Close, true, &1000_u16.to_be_bytes()));
    let mut frames = Vec::new();
    while let Some(frame) = server.proto.handle_input_frame(&mut input, now).unwrap() {
        frames.push(frame);
    }
    let expected = [
        Frame::text(&b"gr\xc3"[..], false),
        Frame::ping("there?").unwrap(),
        Frame::continuation(&b"\xbcn"[..], true),
        Frame::close(Some(&close_frame(1000, ""))),
    ];
    assert_eq!(frames, expected);
    assert_eq!(server.close_queued(), (1000, String::new()), "and no Pong");
}

#[test]
fn messages_are_refused_once_frames_of_one_are_taken_until_it_ends() {
    let now = Instant::now();
    let mut server = End::new(Role::Server, Config::new(), now);
    let mut input = BytesMut::from(&masked(OpCode::Text, false, b"gr\xc3")[..]);
    let first = server.proto.handle_input_frame(&mut input, now).unwrap();
    assert_eq!(first, Some(Frame::text(&b"gr\xc3"[..], false)));
    input.extend(masked(OpCode::Continuation, true, b"\xbcn"));
    input.extend(masked(OpCode::Text, true, b"next"));
    for _ in 0..2 {
        assert!(matches!(
            server.proto.handle_input(&mut input, now),
            Err(Error::ApiMisuse(ApiMisuse::FramesAlreadyTaken))
        ));
    }
    let last = server.proto.handle_input_frame(&mut input, now).unwrap();
    assert_eq!(last, Some(Frame::continuation(&b"\xbcn"[..], true)));
    let next = server.proto.handle_input(&mut input, now).unwrap();
    assert_eq!(next, Some(Event::Message("next".into())));
}

#[test]
fn a_message_half_taken_as_frames_does_not_stop_the_closing_handshake() {
    let now = Instant::now();
    let mut server = End::new(Role::Server, Config::new(), now);
    let mut input = BytesMut::from(&masked(OpCode::Text, false, b"gr\xc3")[..]);
    server.proto.handle_input_frame(&mut input, now).unwrap();
    server
        .proto
        .close(Some(&close_frame(1003, "binary only")), now);
    server.take(&masked(OpCode::Continuation, true, b"\xbcn"), now);
    server.take(&masked(OpCode::Close, true, &1003_u16.to_be_bytes()), now);
    assert!(server.error.is_none(), "{:?}", server.error);
    assert_eq!(server.events, [Event::Close(Some(close_frame(1003, "")))]);
}

#[test]
fn frames_of_text_are_validated_across_their_borders() {
    let now = Instant::now();
    let mut server = End::new(Role::Server, Config::new(), now);
    let mut input = BytesMut::from(&masked(OpCode::Text, false, b"gr\xc3")[..]);
    server.proto.handle_input_frame(&mut input, now).unwrap();
    input.extend(masked(OpCode::Continuation, true, b"n"));
    assert!(matches!(
        server.proto.handle_input_frame(&mut input, now),
        Err(Error::Protocol(ProtocolError::InvalidUtf8))
    ));
    assert_eq!(server.close_queued(), (1007, "invalid UTF-8".into()));
}
