//! Rows 81 to 94, but 93, which is the client's.

use bytes::Bytes;
use futures_util::SinkExt;
use raw_ws::wire::Packet;
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    },
};

use super::support::{ECHO, GATED, Server, error, item, response, unharmed};

/// Each of these alone, on a connection of its own, closes it with 4400 and this reason.
async fn each_is_malformed(cases: Vec<(Vec<u8>, String)>) {
    unharmed(Server::start().await, async |server| {
        for (bytes, reason) in cases {
            let mut peer = server.peer().await;
            peer.send_bytes(bytes).await;
            peer.closes_with(4400, &reason).await;
        }
    })
    .await;
}

fn header(kind: u8, flags: u8, code: u16, id: u32) -> Vec<u8> {
    let mut header = vec![kind, flags];
    header.extend(code.to_be_bytes());
    header.extend(id.to_be_bytes());
    header
}

#[tokio::test]
async fn row_81_a_header_truncated_at_every_byte() {
    let whole = header(1, 0, ECHO, 7);
    let cases = (0..8).map(|len| {
        let reason = "packet shorter than its header".to_owned();
        (whole[..len].to_vec(), reason)
    });
    each_is_malformed(cases.collect()).await;
}

#[tokio::test]
async fn row_82_every_unknown_kind() {
    let kinds = [0].into_iter().chain(8..=255_u8);
    let cases = kinds.map(|kind| (header(kind, 0, 0, 7), format!("unknown kind 0x{kind:02X}")));
    each_is_malformed(cases.collect()).await;
}

#[tokio::test]
async fn row_82_a_kind_of_the_other_direction() {
    let cases = [
        response(1, "x"),
        item(1, "x"),
        error(1, 1000, "x"),
        Packet::Event {
            topic: 1,
            payload: Bytes::new(),
        },
    ];
    let reason = "this kind is only for the other side to send";
    let cases = cases.map(|packet| (packet.encode().to_vec(), reason.to_owned()));
    each_is_malformed(cases.into()).await;
}

/// There are no varints: integers have a fixed size, and every value of one is taken.
#[tokio::test]
async fn row_83_integers_at_their_bounds() {
    unharmed(Server::start().await, async |server| {
        let mut peer = server.peer().await;
        for id in [0, 1, i32::MAX as u32, 1 << 31, u32::MAX] {
            peer.request(ECHO, id, b"x").await;
            assert_eq!(peer.packet().await, response(id, "x"));
        }
        for operation in [0, 1 << 15, u16::MAX] {
            peer.request(operation, 1, b"").await;
            assert_eq!(peer.packet().await, error(1, 1, "unknown operation"));
        }
    })
    .await;
}

/// There are no lengths beside that of the WebSocket message: its limit is the only one.
#[tokio::test]
async fn row_84_a_message_of_the_limit_and_one_byte_more() {
    unharmed(Server::start().await, async |server| {
        let mut peer = server.peer().await;
        let largest = vec![7; 64 * 1024 - 8];
        peer.request(ECHO, 1, &largest).await;
        assert_eq!(peer.packet().await, response(1, largest));
        peer.request(ECHO, 1, &[7; 64 * 1024 - 7]).await;
        peer.closes_with(1009, "message too big").await;
    })
    .await;
}

/// There are no counts of elements. A client's count of things under way is bounded in
/// `requests::too_many_under_way_are_busy` and `topics::one_subscription_too_many`. What is left
/// is a claim without bytes: a flag or a code where none is defined.
#[tokio::test]
async fn row_85_flags_and_codes_that_say_nothing() {
    let mut cases = Vec::new();
    for kind in 1..=7 {
        for flags in 1..=255 {
            if kind != 2 || flags > 1 {
                cases.push((header(kind, flags, 0, 1), "unknown flags".to_owned()));
            }
        }
    }
    // A few of each: every connection costs a handshake.
    let cases = cases.into_iter().step_by(17);
    let codes = [2, 4, 5, 6, 7].into_iter().flat_map(|kind| {
        [1, 0x100, u16::MAX].map(|code| (header(kind, 0, code, 1), "code must be 0".to_owned()))
    });
    each_is_malformed(cases.chain(codes).collect()).await;
}

/// Nothing nests. A packet inside a packet is a payload.
#[tokio::test]
async fn row_86_a_packet_inside_a_packet_is_a_payload() {
    unharmed(Server::start().await, async |server| {
        let mut packet = Bytes::new();
        for id in 0..5000 {
            let payload = packet;
            packet = Packet::Request {
                operation: ECHO,
                id,
                payload,
            }
            .encode();
        }
        let mut peer = server.peer().await;
        peer.send_bytes(packet.clone()).await;
        assert_eq!(peer.packet().await, response(4999, packet.slice(8..)));
    })
    .await;
}

#[tokio::test]
async fn row_87_bytes_behind_a_complete_packet() {
    let cases = [5, 6].map(|kind| {
        let mut packet = header(kind, 0, 0, 1);
        packet.push(0);
        (packet, "payload must be empty".to_owned())
    });
    each_is_malformed(cases.into()).await;
}

#[tokio::test]
async fn row_88_an_id_reused_while_the_first_is_under_way() {
    unharmed(Server::start().await, async |server| {
        let mut peer = server.peer().await;
        peer.request(GATED, 7, b"first").await;
        peer.request(GATED, 7, b"second").await;
        assert_eq!(peer.packet().await, error(7, 2, "duplicate id"));
        server.gate.notify_one();
        assert_eq!(peer.packet().await, response(7, "first"));
        // Answered once, and free again.
        peer.request(ECHO, 7, b"third").await;
        assert_eq!(peer.packet().await, response(7, "third"));
    })
    .await;
}

#[tokio::test]
async fn row_89_an_answer_of_one_connection_never_reaches_another() {
    unharmed(Server::start().await, async |server| {
        let (mut one, mut other) = (server.peer().await, server.peer().await);
        one.request(GATED, 7, b"one").await;
        one.synchronise().await;
        other.send(response(7, "forged")).await;
        other
            .closes_with(4400, "this kind is only for the other side to send")
            .await;
        let mut other = server.peer().await;
        other.request(ECHO, 7, b"other").await;
        assert_eq!(other.packet().await, response(7, "other"));
        server.gate.notify_one();
        assert_eq!(one.packet().await, response(7, "one"));
    })
    .await;
}

/// There are no sequence numbers: ids may come in any order, and again when they are free.
#[tokio::test]
async fn row_90_ids_in_any_order() {
    unharmed(Server::start().await, async |server| {
        let mut peer = server.peer().await;
        for id in [9, 3, 3, u32::MAX - 1, 0, 9] {
            peer.request(ECHO, id, b"").await;
            assert_eq!(peer.packet().await, response(id, ""));
        }
    })
    .await;
}

/// The only text is an error's, which a client may not send: `packets` tests its bytes, and here
/// invalid UTF-8 is the first thing said about such a packet.
#[tokio::test]
async fn row_91_an_error_whose_text_is_not_utf_8() {
    let mut packet = header(3, 0, 1000, 1);
    packet.extend([0xC3, 0x28]);
    each_is_malformed(vec![(packet, "error text is not UTF-8".to_owned())]).await;
}

/// [`packets`](super::packets) has the property for every packet; this is the way over the wire.
#[tokio::test]
async fn row_92_payloads_come_back_as_they_went() {
    unharmed(Server::start().await, async |server| {
        let mut peer = server.peer().await;
        for len in [0, 1, 117, 118, 125, 126, 4087, 4088, 4096, 65_527, 65_528] {
            let payload: Vec<u8> = (0..len).map(|at| at as u8).collect();
            peer.request(ECHO, len, &payload).await;
            assert_eq!(peer.packet().await, response(len, payload));
        }
    })
    .await;
}

#[tokio::test]
async fn row_94_the_same_bytes_in_every_split_into_frames() {
    unharmed(Server::start().await, async |server| {
        let packet = Packet::Request {
            operation: ECHO,
            id: 7,
            payload: "hello".into(),
        };
        let bytes = packet.encode();
        let mut peer = server.peer().await;
        for at in 0..=bytes.len() {
            let (first, second) = (bytes.slice(..at), bytes.slice(at..));
            let begin = Frame::message(first, OpCode::Data(Data::Binary), false);
            let end = Frame::message(second, OpCode::Data(Data::Continue), true);
            peer.ws.feed(Message::Frame(begin)).await.unwrap();
            peer.ws.send(Message::Frame(end)).await.unwrap();
            assert_eq!(peer.packet().await, response(7, "hello"), "split at {at}");
        }
    })
    .await;
}

#[tokio::test]
async fn row_94_the_same_bytes_in_every_split_into_segments() {
    unharmed(Server::start().await, async |server| {
        // Two masked frames with the key 0.
        let mut bytes = Vec::new();
        for id in [1, 2] {
            let mut packet = header(1, 0, ECHO, id);
            packet.push(b'x');
            bytes.extend([0x82, 0x80 | packet.len() as u8, 0, 0, 0, 0]);
            bytes.extend(packet);
        }
        let mut peer = server.peer().await;
        for at in 0..bytes.len() {
            for piece in [&bytes[..at], &bytes[at..]] {
                peer.ws.get_mut().write_all(piece).await.unwrap();
                peer.ws.get_mut().flush().await.unwrap();
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
            assert_eq!(peer.packet().await, response(1, "x"), "split at {at}");
            assert_eq!(peer.packet().await, response(2, "x"), "split at {at}");
        }
    })
    .await;
}
