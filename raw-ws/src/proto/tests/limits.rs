//! Every limit, at it and one past it; and the Close that says so.

use super::*;
use crate::vocabulary::{error::CapacityError, message::MessageKind};

fn server(config: Config) -> (End, Instant) {
    let now = Instant::now();
    (End::new(Role::Server, config, now), now)
}

fn fragments(count: usize, payload: &[u8]) -> Vec<u8> {
    let mut bytes = masked(OpCode::Binary, count == 1, payload);
    for nth in 1..count {
        bytes.extend(masked(OpCode::Continuation, nth + 1 == count, payload));
    }
    bytes
}

fn refusal(end: &End) -> Option<CapacityError> {
    match &end.error {
        None => None,
        Some(Error::Capacity(error)) => Some(*error),
        Some(error) => panic!("{error}"),
    }
}

#[test]
fn a_message_may_come_in_max_fragments_frames_and_no_more() {
    for len in [0, 3] {
        let config = Config::new().max_fragments(5);
        let (mut server, now) = server(config.clone());
        server.take(&fragments(5, &vec![1; len]), now);
        assert_eq!(server.messages(), [&Message::binary(vec![1; 5 * len])]);

        let (mut server, now) = self::server(config);
        server.take(&fragments(6, &vec![1; len]), now);
        assert_eq!(refusal(&server), Some(CapacityError::TooManyFragments));
        assert_eq!(server.close_queued(), (1008, "too many fragments".into()));
        assert!(server.messages().is_empty());
    }
}

#[test]
fn a_frame_may_be_max_frame_size_long_and_one_byte_more_is_refused_by_its_header() {
    for limit in [0, 125, 126, 1000, 65_535, 65_536] {
        let mut config = Config::new().max_message_size(1 << 20);
        config.max_frame_size = limit;
        let (mut server, now) = server(config.clone());
        server.take(&masked(OpCode::Binary, true, &vec![1; limit]), now);
        assert_eq!(server.messages(), [&Message::binary(vec![1; limit])]);

        let (mut server, now) = self::server(config);
        let frame = masked(OpCode::Binary, true, &vec![1; limit + 1]);
        let header_len = frame.len() - (limit + 1);
        server.take(&frame[..header_len], now);
        assert_eq!(refusal(&server), Some(CapacityError::FrameTooBig));
        assert_eq!(server.close_queued(), (1009, "message too big".into()));
    }
}

#[test]
fn a_message_may_be_max_message_size_long_however_it_is_cut() {
    for pieces in [1, 2, 5] {
        let mut config = Config::new().max_message_size(100);
        config.max_frame_size = 1000;
        let (mut server, now) = server(config.clone());
        server.take(&fragments(pieces, &vec![1; 100 / pieces]), now);
        assert_eq!(server.messages(), [&Message::binary(vec![1; 100])]);

        let (mut server, now) = self::server(config);
        let mut bytes = fragments(pieces, &vec![1; 100 / pieces]);
        bytes[0] &= 0x7f; // not final
        let last = bytes.len() - 100 / pieces - 6;
        bytes[last] &= 0x7f;
        bytes.extend(masked(OpCode::Continuation, true, b"x"));
        server.take(&bytes, now);
        assert_eq!(refusal(&server), Some(CapacityError::MessageTooBig));
        assert_eq!(server.close_queued(), (1009, "message too big".into()));
    }
}

#[test]
fn a_length_beyond_all_memory_is_refused_by_its_header() {
    for len in [u64::from(u32::MAX), u64::MAX >> 1] {
        let (mut server, now) = server(Config::new());
        let mut header = vec![0x82, 0xff];
        header.extend(len.to_be_bytes());
        server.take(&header, now);
        assert_eq!(refusal(&server), None, "the key belongs to the header");
        server.take(&KEY, now);
        assert_eq!(refusal(&server), Some(CapacityError::FrameTooBig));
    }
}

#[test]
fn control_frames_come_in_a_burst_and_then_at_the_rate() {
    let config = Config::new().control_frames(10, 4);
    let (mut server, start) = server(config);
    for opcode in [OpCode::Ping, OpCode::Pong, OpCode::Ping, OpCode::Pong] {
        server.take(&masked(opcode, true, b""), start);
    }
    assert_eq!(server.events.len(), 4);
    let mut now = start;
    for _ in 0..100 {
        now += SECOND / 10;
        server.take(&masked(OpCode::Ping, true, b""), now);
    }
    assert_eq!(server.events.len(), 104, "ten a second for ten seconds");
    assert_eq!(parse(&server.transmit()).len(), 102, "Pongs");

    server.take(&masked(OpCode::Pong, true, b""), now);
    assert_eq!(refusal(&server), Some(CapacityError::TooManyControlFrames));
    let said = server.close_queued();
    assert_eq!(said, (1008, "too many control frames".into()));
}

#[test]
fn a_quiet_time_restores_the_burst_and_not_more() {
    let (mut server, start) = server(Config::new().control_frames(10, 4));
    let later = start + 3600 * SECOND;
    for _ in 0..4 {
        server.take(&masked(OpCode::Ping, true, b""), later);
    }
    assert_eq!(refusal(&server), None);
    server.take(&masked(OpCode::Close, true, b""), later);
    assert_eq!(refusal(&server), Some(CapacityError::TooManyControlFrames));
}

#[test]
fn control_frames_count_for_readers_of_frames_too() {
    let (mut server, now) = server(Config::new().control_frames(10, 1));
    let mut input = BytesMut::from(&masked(OpCode::Ping, true, b"").repeat(2)[..]);
    assert!(server.proto.handle_input_frame(&mut input, now).is_ok());
    assert!(matches!(
        server.proto.handle_input_frame(&mut input, now),
        Err(Error::Capacity(CapacityError::TooManyControlFrames))
    ));
}

#[test]
fn an_endpoint_of_one_kind_refuses_the_other_with_1003() {
    let kinds = [
        (MessageKind::Text, OpCode::Text, OpCode::Binary),
        (MessageKind::Binary, OpCode::Binary, OpCode::Text),
    ];
    for (only, taken, refused) in kinds {
        let (mut server, now) = server(Config::new().only(only));
        server.take(&masked(taken, true, b"x"), now);
        assert_eq!(server.messages().len(), 1);
        server.take(&masked(refused, false, b"x")[..6], now);
        assert!(matches!(
            server.error,
            Some(Error::Protocol(ProtocolError::UnsupportedKind))
        ));
        let said = server.close_queued();
        assert_eq!(said, (1003, "message kind not accepted here".into()));
    }
}

/// What each violation is called and answered with, and after how many of its bytes.
#[test]
fn a_violation_is_refused_at_its_first_wrong_byte_with_its_code() {
    use ProtocolError::*;
    let key = [0; 4];
    let text = |bytes: &[u8]| encode(OpCode::Text, true, false, Some(key), bytes);
    let close = |bytes: &[u8]| encode(OpCode::Close, true, false, Some(key), bytes);
    let cases: Vec<(ProtocolError, u16, usize, Vec<u8>)> = vec![
        (ReservedBits, 1002, 1, vec![0x92, 0x80, 0, 0, 0, 0]),
        (ReservedBits, 1002, 1, vec![0xa2, 0x80, 0, 0, 0, 0]),
        (ReservedBits, 1002, 6, vec![0xc2, 0x80, 0, 0, 0, 0]),
        (ReservedOpcode, 1002, 1, vec![0x83, 0x80, 0, 0, 0, 0]),
        (ReservedOpcode, 1002, 1, vec![0x8b, 0x80, 0, 0, 0, 0]),
        (UnmaskedFrame, 1002, 2, vec![0x82, 0x01, 0]),
        (FragmentedControl, 1002, 1, vec![0x09, 0x80, 0, 0, 0, 0]),
        (ControlTooLong, 1002, 2, vec![0x89, 0xfe, 0, 126]),
        (ControlTooLong, 1002, 2, vec![0x88, 0xff]),
        (NonMinimalLength, 1002, 4, vec![0x82, 0xfe, 0, 125, 0]),
        (
            NonMinimalLength,
            1002,
            10,
            vec![0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
        ),
        (
            LengthTopBit,
            1002,
            10,
            vec![0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0],
        ),
        (
            UnexpectedContinuation,
            1002,
            6,
            vec![0x80, 0x80, 0, 0, 0, 0],
        ),
        (
            ExpectedContinuation,
            1002,
            12,
            [[0x01, 0x80, 0, 0, 0, 0], [0x82, 0x80, 0, 0, 0, 0]].concat(),
        ),
        (InvalidUtf8, 1007, 8, text(b"a\xffbc")),
        (InvalidUtf8, 1007, 8, text(b"\xed\xa0\x80")),
        (InvalidUtf8, 1007, 8, text(b"a\xc3")),
        (
            InvalidUtf8,
            1007,
            14,
            [
                encode(OpCode::Text, false, false, Some(key), b"\xf0"),
                encode(OpCode::Continuation, false, false, Some(key), b"\x80xx"),
            ]
            .concat(),
        ),
        (TruncatedClose, 1002, 7, close(b"\x03")),
        (InvalidCloseCode, 1002, 8, close(b"\x03\xed")),
        (InvalidCloseCode, 1002, 8, close(b"\x00\x00")),
        (InvalidCloseCode, 1002, 8, close(b"\x13\x88")),
        (InvalidUtf8, 1007, 9, close(b"\x03\xe8\xff")),
    ];
    for (expected, code, refused_after, bytes) in cases {
        let (mut server, now) = server(Config::new());
        for (nth, byte) in bytes.iter().enumerate() {
            server.take(&[*byte], now);
            let is_refused = nth + 1 >= refused_after;
            assert_eq!(
                server.error.is_some(),
                is_refused,
                "{expected:?}, byte {nth} of {bytes:x?}"
            );
        }
        let Some(Error::Protocol(error)) = server.error else {
            panic!("{:?}", server.error);
        };
        assert_eq!(error, expected);
        assert_eq!(server.proto.state(), State::Closed);
        assert_eq!(server.close_queued().0, code, "{expected:?}");
    }
}

#[test]
fn a_client_refuses_masked_frames() {
    let now = Instant::now();
    let mut client = End::new(CLIENT, Config::new(), now);
    client.take(&masked(OpCode::Text, true, b"x"), now);
    assert!(matches!(
        client.error,
        Some(Error::Protocol(ProtocolError::MaskedFrame))
    ));
}

#[test]
fn a_violation_while_closing_ends_the_connection_without_a_second_close() {
    let (mut server, now) = server(Config::new());
    server.proto.close(Some(&close_frame(1000, "")), now);
    server.take(&[0x83], now);
    assert!(server.error.is_some());
    assert_eq!(server.proto.state(), State::Closed);
    assert_eq!(server.close_queued(), (1000, String::new()));
}

#[cfg(feature = "deflate")]
mod deflated {
    use super::*;
    use crate::{
        deflate::{Deflate, Negotiated, deflate_alone},
        proto::tests::splits::agreed,
    };

    fn server(config: Config, agreed: &Negotiated) -> (End, Instant) {
        let now = Instant::now();
        let proto = Connection::new(Role::Server, Arc::new(config), now);
        (End::of(proto.with_deflate(agreed)), now)
    }

    fn deflated(payload: &[u8]) -> Vec<u8> {
        let payload = deflate_alone(15, 9, payload);
        encode(OpCode::Binary, true, true, Some(KEY), &payload)
    }

    #[test]
    fn the_limit_of_a_message_is_that_of_its_inflated_bytes() {
        let agreed = agreed(&Deflate::new());
        let config = Config::new().max_message_size(100_000);
        let (mut server, now) = server(config.clone(), &agreed);
        server.take(&deflated(&vec![0; 100_000]), now);
        assert_eq!(server.messages().len(), 1);

        let (mut server, now) = self::server(config, &agreed);
        server.take(&deflated(&vec![0; 100_001]), now);
        assert_eq!(refusal(&server), Some(CapacityError::MessageTooBig));
        assert_eq!(server.close_queued(), (1009, "message too big".into()));
    }

    #[test]
    fn a_message_at_the_limit_is_taken_though_deflate_made_it_longer() {
        let mut noise = vec![0; 1000];
        let mut state = 1_u32;
        noise.fill_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
        let mut config = Config::new().max_message_size(1000);
        config.max_frame_size = 2000;
        let (mut server, now) = server(config, &agreed(&Deflate::new()));
        let frame = deflated(&noise);
        assert!(frame.len() > 1000 + 8, "{} bytes", frame.len());
        server.take(&frame, now);
        assert_eq!(server.messages(), [&Message::binary(noise)]);
    }

    #[test]
    fn the_mark_of_compression_stands_on_the_first_frame_of_a_message_alone() {
        let cases = [
            encode(OpCode::Ping, true, true, Some(KEY), b""),
            [
                encode(OpCode::Binary, false, true, Some(KEY), b""),
                encode(OpCode::Continuation, true, true, Some(KEY), b"\0"),
            ]
            .concat(),
        ];
        for bytes in cases {
            let (mut server, now) = server(Config::new(), &agreed(&Deflate::new()));
            server.take(&bytes, now);
            assert!(matches!(
                server.error,
                Some(Error::Protocol(ProtocolError::ReservedBits))
            ));
        }
    }

    #[test]
    fn data_that_does_not_inflate_is_refused_with_1007() {
        let (mut server, now) = server(Config::new(), &agreed(&Deflate::new()));
        let frame = encode(OpCode::Binary, true, true, Some(KEY), &[0xff; 10]);
        server.take(&frame, now);
        assert_eq!(
            server.close_queued(),
            (1007, "invalid compressed data".into())
        );
    }

    #[test]
    fn inflated_text_is_validated_too() {
        let (mut server, now) = server(Config::new(), &agreed(&Deflate::new()));
        let payload = deflate_alone(15, 1, b"not \xff text");
        server.take(&encode(OpCode::Text, true, true, Some(KEY), &payload), now);
        assert_eq!(server.close_queued(), (1007, "invalid UTF-8".into()));
    }
}
