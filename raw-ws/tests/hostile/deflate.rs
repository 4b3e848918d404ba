//! Rows 76 and 77: compressed messages.

use std::io::Write;

use flate2::{Compression, write::DeflateEncoder};
use raw_ws::Config;

use crate::support::*;

const LIMIT: usize = 64 * 1024;

async fn upgraded(server: &Server) -> Peer {
    let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    let mut peer = Peer::connect(server).await;
    peer.send(upgrade_request_with("/deflate", offer).as_bytes())
        .await;
    let answer = peer.answer().await;
    assert_eq!(answer.status, 101);
    assert!(answer.header("sec-websocket-extensions").is_some());
    peer
}

/// A payload as RFC 7692 wants it: a DEFLATE stream whose last block is empty and left out.
fn deflated(payload: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(payload).unwrap();
    encoder.flush().unwrap();
    let mut deflated = encoder.get_ref().clone();
    assert_eq!(deflated.split_off(deflated.len() - 4), b"\0\0\xFF\xFF");
    deflated
}

fn compressed(op: Op, payload: &[u8]) -> Vec<u8> {
    frame(Op(op.0 | 0x40), payload)
}

#[tokio::test]
async fn row_76_a_message_that_inflates_past_the_limit_gets_1009() {
    unharmed(Setup::default(), async |server| {
        let full = deflated(&vec![0; LIMIT]);
        let mut peer = upgraded(server).await;
        peer.send(&compressed(Op::BINARY, &full)).await;
        assert_eq!(peer.frame().await.0, Op(0xC2));
        server
            .seen
            .until("the message", |seen| seen.messages == 1)
            .await;

        for size in [LIMIT + 1, 60 << 20] {
            let bomb = deflated(&vec![0; size]);
            assert!(bomb.len() <= LIMIT, "{}", bomb.len());
            upgraded(server).await; // and gone again
            let mut peer = upgraded(server).await;
            peer.send(&compressed(Op::BINARY, &bomb)).await;
            peer.closes_with(1009).await;

            // In fragments, of which none inflates past the limit by much.
            let mut peer = upgraded(server).await;
            let mut pieces = bomb.chunks(bomb.len().div_ceil(20));
            let mut sent = compressed(Op::BINARY_BEGINS, pieces.next().unwrap());
            pieces.for_each(|piece| sent.extend(frame(Op::GOES_ON, piece)));
            sent.extend(frame(Op::GOES_OUT, b""));
            peer.send(&sent).await;
            peer.closes_with(1009).await;
        }
        assert_eq!(server.seen.now().messages, 1);
    })
    .await;
}

#[tokio::test]
async fn row_77_what_does_not_inflate_gets_1007() {
    let mut broken = deflated(b"a text that is long enough to have something to break in it");
    for byte in &mut broken[8..] {
        *byte ^= 0xA5;
    }
    let cases = [
        (vec![0x07], "a block of the reserved type"),
        (
            vec![0x78, 0xBB, 0, 0, 0, 1, 0xFF],
            "zlib with a preset dictionary",
        ),
        (
            vec![0x00, 0x05, 0x00, 0x05, 0x00, b'h'],
            "a stored block whose lengths disagree",
        ),
        (
            vec![0x63, 0x00, 0x02, 0x00, 0xFF],
            "a distance before the beginning",
        ),
        (vec![0xFF; 64], "noise"),
        (broken, "a broken stream"),
    ];
    unharmed(Setup::default(), async |server| {
        for (payload, what) in &cases {
            let mut peer = upgraded(server).await;
            peer.send(&compressed(Op::BINARY, payload)).await;
            let (op, payload) = peer.frame().await;
            assert_eq!(op, Op::CLOSE, "{what}");
            assert_eq!(&payload[..2], 1007_u16.to_be_bytes(), "{what}");
            assert_eq!(peer.ends().await, (End::Fin, vec![]), "{what}");
        }
        assert_eq!(server.seen.now().messages, 0);

        let mut peer = upgraded(server).await;
        peer.send(&compressed(Op::TEXT, &deflated(b"not \xFF UTF-8")))
            .await;
        peer.closes_with(1007).await;
    })
    .await;
}

#[tokio::test]
async fn row_51_rsv1_gets_1002_where_compression_does_not_allow_it() {
    unharmed(Setup::default(), async |server| {
        let begun = compressed(Op::BINARY_BEGINS, &deflated(b"x"));
        for sent in [
            compressed(Op::PING, b""),
            [begun, compressed(Op::GOES_OUT, b"")].concat(),
            frame(Op(Op::BINARY.0 | 0x20), b""),
        ] {
            let mut peer = upgraded(server).await;
            peer.send(&sent).await;
            peer.closes_with(1002).await;
        }
    })
    .await;
}

#[tokio::test]
async fn row_58_compressed_frames_are_refused_by_their_header_too() {
    unharmed(
        Setup::ws(Config::new().max_message_size(1_000)),
        async |server| {
            let mut peer = upgraded(server).await;
            peer.send(&header(Op(0xC2), 1_001)).await;
            peer.closes_with(1009).await;
        },
    )
    .await;
}
