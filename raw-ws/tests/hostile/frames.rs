//! Rows 50 to 66, 73 to 75 and 80: frames.

use std::net::Ipv4Addr;

use raw_ws::Config;
use tokio::io::AsyncWriteExt;

use crate::support::*;

const LIMIT: usize = 64 * 1024;

/// After `sent` the server closes with this code, and the peer can read it.
async fn closes(server: &Server, sent: &[u8], code: u16, why: &str) -> String {
    let mut peer = Peer::upgraded(server, "/echo").await;
    peer.send(sent).await;
    let (op, payload) = peer.frame().await;
    assert_eq!(op, Op::CLOSE, "{why}");
    let said = payload.first_chunk().map(|said| u16::from_be_bytes(*said));
    assert_eq!(said, Some(code), "{why}");
    assert_eq!(peer.ends().await, (End::Fin, vec![]), "{why}");
    String::from_utf8(payload[2..].to_vec()).unwrap()
}

/// After `sent` these messages come back, and the connection lives.
async fn echoes(server: &Server, sent: &[u8], answers: &[(Op, &[u8])]) {
    let mut peer = Peer::upgraded(server, "/echo").await;
    peer.send(sent).await;
    peer.send(&text_frame("end")).await;
    for (op, payload) in answers.iter().chain(&[(Op::TEXT, &b"end"[..])]) {
        assert_eq!(peer.frame().await, (*op, payload.to_vec()));
    }
}

#[tokio::test]
async fn row_50_reserved_opcodes_get_1002() {
    unharmed(Setup::default(), async |server| {
        for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
            for flags in [0x00, 0x80] {
                let sent = frame(Op(flags | opcode), b"x");
                closes(server, &sent, 1002, &format!("opcode {opcode}")).await;
            }
        }
        assert_eq!(server.seen.now().messages, 0);
    })
    .await;
}

#[tokio::test]
async fn row_51_reserved_bits_get_1002() {
    unharmed(Setup::default(), async |server| {
        for bits in [0x40, 0x20, 0x10, 0x70] {
            for op in [
                Op::TEXT,
                Op::BINARY,
                Op::PING,
                Op::PONG,
                Op::CLOSE,
                Op::GOES_OUT,
            ] {
                let sent = frame(Op(op.0 | bits), b"");
                closes(server, &sent, 1002, &format!("bits {bits:#x} on {op:?}")).await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn row_52_an_unmasked_frame_gets_1002() {
    unharmed(Setup::default(), async |server| {
        for sent in [
            &[0x81, 0x05, b'h', b'e', b'l', b'l', b'o'][..],
            &[0x89, 0x00],
            &[0x88, 0x02, 0x03, 0xE8],
            &[0x82, 0x7E, 0x00, 0x80],
        ] {
            closes(server, sent, 1002, &format!("{sent:?}")).await;
        }
        assert_eq!(server.seen.now().messages, 0);
    })
    .await;
}

#[tokio::test]
async fn row_53_long_and_fragmented_control_frames_get_1002() {
    unharmed(Setup::default(), async |server| {
        for op in [Op::PING, Op::PONG, Op::CLOSE] {
            closes(server, &frame(op, &[b'x'; 126]), 1002, "126 bytes").await;
            closes(server, &header(op, 1 << 40), 1002, "2^40 bytes").await;
            closes(server, &frame(Op(op.0 & 0x0F), b""), 1002, "without FIN").await;
        }
    })
    .await;
}

#[tokio::test]
async fn row_54_fragments_out_of_order_get_1002() {
    unharmed(Setup::default(), async |server| {
        let begun = frame(Op::TEXT_BEGINS, b"a");
        for (sent, why) in [
            (frame(Op::GOES_OUT, b"x"), "a last fragment of nothing"),
            (frame(Op::GOES_ON, b"x"), "a fragment of nothing"),
            (
                [begun.clone(), text_frame("x")].concat(),
                "a text in a text",
            ),
            (
                [begun.clone(), frame(Op::BINARY, b"x")].concat(),
                "a binary in a text",
            ),
            (
                [begun.clone(), begun].concat(),
                "a fragmented text in a text",
            ),
            (
                [text_frame("whole"), frame(Op::GOES_OUT, b"x")].concat()[11..].to_vec(),
                "a last fragment after a whole message",
            ),
        ] {
            closes(server, &sent, 1002, why).await;
        }
    })
    .await;
}

#[tokio::test]
async fn row_55_text_that_is_not_utf_8_gets_1007() {
    let cases: [(&[u8], &str); 9] = [
        (b"\xFF", "no such byte"),
        (b"ok\x80", "a continuation of nothing"),
        (b"\xC0\xAF", "overlong in two bytes"),
        (b"\xE0\x80\xAF", "overlong in three"),
        (b"\xF0\x80\x80\xAF", "overlong in four"),
        (b"\xED\xA0\x80", "a surrogate"),
        (b"\xF4\x90\x80\x80", "past U+10FFFF"),
        (b"\xE2\x82", "truncated"),
        (b"\xE2\x28\xA1", "interrupted"),
    ];
    unharmed(Setup::default(), async |server| {
        for (bytes, why) in cases {
            let (first, rest) = bytes.split_at(1);
            let in_fragments = [
                frame(Op::TEXT_BEGINS, first),
                frame(Op::GOES_ON, rest),
                frame(Op::GOES_OUT, b""),
            ];
            for sent in [frame(Op::TEXT, bytes), in_fragments.concat()] {
                assert_eq!(closes(server, &sent, 1007, why).await, "invalid UTF-8");
            }
        }
        assert_eq!(server.seen.now().messages, 0);

        // At the first bad byte, not when the frame is whole.
        let mut unfinished = frame(Op::TEXT, &[b"good \xFF", &[b'x'; 200][..]].concat());
        unfinished.truncate(8 + 6);
        closes(server, &unfinished, 1007, "inside a frame").await;
    })
    .await;
}

#[tokio::test]
async fn row_56_a_code_point_may_be_split_across_fragments() {
    unharmed(Setup::default(), async |server| {
        let text = "a\u{e9}\u{20ac}\u{1f980}z";
        for at in 0..=text.len() {
            let (first, rest) = text.as_bytes().split_at(at);
            let sent = [
                frame(Op::TEXT_BEGINS, first),
                frame(Op::GOES_ON, b""),
                frame(Op::GOES_OUT, rest),
            ]
            .concat();
            echoes(server, &sent, &[(Op::TEXT, text.as_bytes())]).await;
        }
    })
    .await;
}

#[tokio::test]
async fn row_57_a_length_with_the_top_bit_gets_1002() {
    unharmed(Setup::default(), async |server| {
        for len in [1_u64 << 63, u64::MAX, (1 << 63) + 5] {
            let sent = header_in_form(Op::BINARY, 127, &len.to_be_bytes());
            closes(server, &sent, 1002, &format!("{len:#x}")).await;
        }
    })
    .await;
}

#[tokio::test]
async fn row_58_a_length_of_2_to_the_40_gets_1009_by_its_header_alone() {
    unharmed(Setup::default(), async |server| {
        for len in [1 << 40, u64::MAX >> 1, LIMIT as u64 + 1] {
            let why = closes(server, &header(Op::BINARY, len), 1009, &format!("{len}")).await;
            assert_eq!(why, "message too big");
        }
    })
    .await;
}

#[tokio::test]
async fn row_59_a_frame_at_the_limit_is_taken_and_one_byte_more_gets_1009() {
    unharmed(Setup::default(), async |server| {
        let full = vec![b'x'; LIMIT];
        echoes(server, &frame(Op::BINARY, &full), &[(Op::BINARY, &full)]).await;
        closes(
            server,
            &frame(Op::BINARY, &vec![b'x'; LIMIT + 1]),
            1009,
            "limit + 1",
        )
        .await;
        assert_eq!(server.seen.now().messages, 2);
    })
    .await;
}

/// Bytes that are left unread when a socket is closed turn the close into a reset, which can take
/// the Close frame with it.
#[tokio::test]
async fn row_59_a_peer_that_sends_on_can_read_1009_and_meets_no_reset() {
    unharmed(Setup::default(), async |server| {
        for behind in [1, 4 * 1024, 64 * 1024, 1024 * 1024] {
            let sent = [header(Op::BINARY, 1 << 20), vec![0; behind]].concat();
            closes(server, &sent, 1009, &format!("{behind} bytes behind it")).await;

            let mut peer = Peer::upgraded(server, "/echo").await;
            peer.send(&header(Op::BINARY, 1 << 20)).await;
            assert_eq!(peer.frame().await.0, Op::CLOSE);
            for piece in vec![0; behind].chunks(16 * 1024) {
                soon("room to write", peer.stream.write_all(piece))
                    .await
                    .unwrap();
            }
            assert_eq!(peer.ends().await, (End::Fin, vec![]));
            assert!(peer.stream.take_error().unwrap().is_none());
        }
        // There is an end to that.
        let mut peer = Peer::upgraded(server, "/echo").await;
        peer.send(&header(Op::BINARY, 1 << 20)).await;
        peer.shout(&[0; 64 * 1024]).await;
    })
    .await;
}

#[tokio::test]
async fn row_60_fragments_over_the_limit_get_1009_at_the_one_that_crosses() {
    unharmed(Setup::default(), async |server| {
        let half = vec![b'x'; LIMIT / 2];
        let fits = [frame(Op::BINARY_BEGINS, &half), frame(Op::GOES_ON, &half)].concat();
        let full = [&fits[..], &frame(Op::GOES_OUT, b"")].concat();
        echoes(server, &full, &[(Op::BINARY, &half.repeat(2))]).await;

        // Its header alone is enough, and not before.
        let mut peer = Peer::upgraded(server, "/echo").await;
        peer.send(&fits).await;
        peer.send(&frame(Op::PING, b"so far so good")).await;
        assert_eq!(peer.frame().await, (Op::PONG, b"so far so good".to_vec()));
        peer.send(&header(Op::GOES_OUT, 1)).await;
        peer.closes_with(1009).await;
    })
    .await;
}

async fn one_fragment_too_many(server: &Server, payload: &[u8]) {
    let first = frame(Op::TEXT_BEGINS, payload);
    let next = frame(Op::GOES_ON, payload);
    let last = frame(Op::GOES_OUT, payload);
    // 128 are taken.
    let sent = [first.clone(), next.repeat(126), last].concat();
    echoes(server, &sent, &[(Op::TEXT, &payload.repeat(128))]).await;

    let mut peer = Peer::upgraded(server, "/echo").await;
    peer.send(&[first, next.repeat(127), frame(Op::PING, b"128")].concat())
        .await;
    assert_eq!(peer.frame().await, (Op::PONG, b"128".to_vec()));
    peer.send(&next).await;
    assert_eq!(peer.closes_with(1008).await, "too many fragments");
}

#[tokio::test]
async fn row_61_empty_fragments_get_1008_at_the_129th() {
    unharmed(Setup::default(), async |server| {
        one_fragment_too_many(server, b"").await
    })
    .await;
}

/// GHSA-96hv…, ws#2331.
#[tokio::test]
async fn row_62_one_byte_fragments_get_1008_at_the_129th() {
    unharmed(Setup::default(), async |server| {
        one_fragment_too_many(server, b"x").await
    })
    .await;
}

#[tokio::test]
async fn row_64_lengths_not_in_their_shortest_form_get_1002() {
    unharmed(Setup::default(), async |server| {
        for len in [0_u16, 5, 125] {
            let sent = header_in_form(Op::BINARY, 126, &len.to_be_bytes());
            closes(server, &sent, 1002, &format!("{len} in 16 bits")).await;
        }
        for len in [0_u64, 5, 125, 126, 65_535] {
            let sent = header_in_form(Op::BINARY, 127, &len.to_be_bytes());
            closes(server, &sent, 1002, &format!("{len} in 64 bits")).await;
        }
        for len in [125, 126, 65_535, 65_536] {
            let payload = vec![b'x'; len];
            echoes(
                server,
                &frame(Op::BINARY, &payload),
                &[(Op::BINARY, &payload)],
            )
            .await;
        }
    })
    .await;
}

#[tokio::test]
async fn row_65_a_flood_of_pings_gets_1008() {
    unharmed(Setup::default(), async |server| {
        let mut peer = Peer::upgraded(server, "/echo").await;
        peer.send(&frame(Op::PING, b"are you there?").repeat(20_000))
            .await;
        let (op, payload) = loop {
            let (op, payload) = peer.frame().await;
            if op != Op::PONG {
                break (op, payload);
            }
        };
        assert_eq!(
            (op, &payload[..2]),
            (Op::CLOSE, &1008_u16.to_be_bytes()[..])
        );
        assert_eq!(&payload[2..], b"too many control frames");
        assert_eq!(peer.ends().await, (End::Fin, vec![]));
    })
    .await;
}

#[tokio::test]
async fn row_66_unsolicited_pongs_are_counted_and_pings_come_back_exactly() {
    let ws = Config::new().control_frames(1, 20);
    unharmed(Setup::ws(ws), async |server| {
        let payload: Vec<u8> = (0..125).collect();
        let sent = [
            frame(Op::PONG, b"unasked").repeat(19),
            frame(Op::PING, &payload),
        ]
        .concat();
        echoes(server, &sent, &[(Op::PONG, &payload)]).await;

        let sent = frame(Op::PONG, b"unasked").repeat(21);
        closes(server, &sent, 1008, "the 21st pong").await;
    })
    .await;
}

#[tokio::test]
async fn row_73_the_kind_that_an_endpoint_does_not_take_gets_1003() {
    unharmed(Setup::default(), async |server| {
        for (path, taken, other) in [
            ("/text", Op::TEXT, Op::BINARY),
            ("/binary", Op::BINARY, Op::TEXT),
        ] {
            for refused in [
                frame(other, b"x"),
                frame(Op(other.0 & 0x0F), b"x"),
                header(other, 9),
            ] {
                let mut peer = Peer::upgraded(server, path).await;
                peer.send(&frame(taken, b"taken")).await;
                assert_eq!(peer.frame().await, (taken, b"taken".to_vec()));
                peer.send(&refused).await;
                peer.closes_with(1003).await;
            }
        }
        assert_eq!(server.seen.now().messages, 6);
    })
    .await;
}

#[tokio::test]
async fn row_74_empty_messages_and_fragments_are_delivered() {
    unharmed(Setup::default(), async |server| {
        let around = [
            frame(Op::TEXT_BEGINS, b""),
            frame(Op::GOES_ON, b"real"),
            frame(Op::GOES_OUT, b""),
        ]
        .concat();
        let nothing = [frame(Op::BINARY_BEGINS, b""), frame(Op::GOES_OUT, b"")].concat();
        let sent = [
            frame(Op::TEXT, b""),
            frame(Op::BINARY, b""),
            around,
            nothing,
        ]
        .concat();
        let answers: [(Op, &[u8]); 4] = [
            (Op::TEXT, b""),
            (Op::BINARY, b""),
            (Op::TEXT, b"real"),
            (Op::BINARY, b""),
        ];
        echoes(server, &sent, &answers).await;
    })
    .await;
}

#[tokio::test]
async fn row_75_a_ping_between_fragments_is_answered_before_the_message() {
    unharmed(Setup::default(), async |server| {
        let mut peer = Peer::upgraded(server, "/echo").await;
        peer.send(&frame(Op::TEXT_BEGINS, b"in ")).await;
        peer.send(&frame(Op::PING, b"now?")).await;
        assert_eq!(peer.frame().await, (Op::PONG, b"now?".to_vec()));
        assert_eq!(server.seen.now().messages, 0);
        peer.send(&frame(Op::GOES_OUT, b"parts")).await;
        assert_eq!(peer.frame().await, (Op::TEXT, b"in parts".to_vec()));
    })
    .await;
}

#[tokio::test]
async fn row_80_random_bytes_after_the_upgrade_end_the_connection() {
    // Half are noise; half are a valid session with a few bytes changed, which gets further.
    let session = [
        text_frame("hello"),
        frame(Op::TEXT_BEGINS, b"a"),
        frame(Op::PING, b"p"),
        frame(Op::GOES_OUT, b"b"),
        frame(Op::BINARY, &[7; 300]),
        close_frame(1000, "bye"),
    ]
    .concat();
    unharmed(Setup::default(), async |server| {
        for seed in 0..400 {
            let mut random = Random(seed);
            let mut sent = session.clone();
            if seed % 2 == 0 {
                let len = 1 + random.below(2_000);
                sent = random.bytes(len);
            } else {
                for _ in 0..=random.below(4) {
                    let at = random.below(sent.len());
                    sent[at] = random.next() as u8;
                }
            }
            let path = ["/echo", "/frames", "/text", "/deflate"][random.below(4)];
            let from = Ipv4Addr::new(127, 0, 1, 1);
            let mut peer = Peer::upgraded_from(from, server.address, path).await;
            peer.send(&sent).await;
            let socket = socket2::SockRef::from(&peer.stream);
            let _ = socket.shutdown(std::net::Shutdown::Write);
            let (end, _) = peer.ends().await;
            assert_eq!(end, End::Fin, "seed {seed} on {path}");
        }
        server.until_alone().await;
    })
    .await;
}
