//! Rows 67 to 72: the closing handshake.

use std::{net::Shutdown, time::Duration};

use raw_ws::Config;
use tokio::time::Instant;

use crate::support::*;

#[tokio::test]
async fn row_67_forbidden_close_codes_and_a_payload_of_one_byte_get_1002() {
    let codes = [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535];
    unharmed(Setup::default(), async |server| {
        for code in codes {
            let mut peer = Peer::upgraded(server, "/echo").await;
            peer.send(&close_frame(code, "")).await;
            peer.closes_with(1002).await;
        }
        let mut peer = Peer::upgraded(server, "/echo").await;
        peer.send(&frame(Op::CLOSE, b"\x03")).await;
        peer.closes_with(1002).await;
    })
    .await;
}

#[tokio::test]
async fn row_68_a_close_reason_that_is_not_utf_8_gets_1007() {
    unharmed(Setup::default(), async |server| {
        for reason in [&b"\xFF"[..], b"\xED\xA0\x80", b"cut \xE2\x82"] {
            let mut peer = Peer::upgraded(server, "/echo").await;
            peer.send(&frame(Op::CLOSE, &[b"\x03\xE8", reason].concat()))
                .await;
            peer.closes_with(1007).await;
        }
    })
    .await;
}

#[tokio::test]
async fn row_69_allowed_close_codes_are_echoed_once() {
    let registered = (1000..=1003).chain(1007..=1014);
    let codes: Vec<u16> = registered.chain([3000, 3999, 4000, 4999]).collect();
    unharmed(Setup::default(), async |server| {
        for path in ["/echo", "/frames"] {
            for &code in &codes {
                let mut peer = Peer::upgraded(server, path).await;
                peer.send(&close_frame(code, "\u{fc}ber")).await;
                peer.closes_with(code).await;
            }
        }
        // Without a code there is none to echo.
        let mut peer = Peer::upgraded(server, "/echo").await;
        peer.send(&frame(Op::CLOSE, b"")).await;
        assert_eq!(peer.frame().await, (Op::CLOSE, vec![]));
        assert_eq!(peer.ends().await, (End::Fin, vec![]));
    })
    .await;
}

#[tokio::test]
async fn row_70_what_comes_after_a_close_is_never_dispatched() {
    unharmed(Setup::default(), async |server| {
        let behind = [
            text_frame("late"),
            close_frame(4001, "again"),
            frame(Op::PING, b"late"),
            vec![0xFF; 5_000],
        ]
        .concat();
        for apart in [false, true] {
            let mut peer = Peer::upgraded(server, "/echo").await;
            let close = [text_frame("in time"), close_frame(4000, "")].concat();
            if apart {
                peer.send(&close).await;
                peer.send(&behind).await;
            } else {
                peer.send(&[close, behind.clone()].concat()).await;
            }
            assert_eq!(peer.frame().await.1, b"in time");
            peer.closes_with(4000).await;
        }
        assert_eq!(server.seen.now().messages, 2);
    })
    .await;
}

#[tokio::test]
async fn row_70_messages_between_our_close_and_theirs_are_discarded() {
    unharmed(Setup::default(), async |server| {
        let mut peer = Peer::upgraded(server, "/bye").await;
        peer.send(&text_frame("first")).await;
        let (op, payload) = peer.frame().await;
        assert_eq!((op, &payload[..]), (Op::CLOSE, &b"\x0F\xA0enough"[..]));
        peer.send(&[text_frame("late"), frame(Op::PING, b"late")].concat())
            .await;
        peer.send(&close_frame(4000, "")).await;
        assert_eq!(peer.ends().await, (End::Fin, vec![]));
        assert_eq!(server.seen.now().messages, 1);
    })
    .await;
}

/// What ends a connection that waits for the peer's Close.
async fn ends_at_the_close_deadline(meanwhile: impl AsyncFn(&mut Peer)) {
    let deadline = Duration::from_millis(300);
    timely(
        Setup::ws(Config::new().close_timeout(deadline)),
        async |server| {
            let mut peer = Peer::upgraded(server, "/bye").await;
            let begun = Instant::now();
            peer.send(&text_frame("close, please")).await;
            assert_eq!(peer.frame().await.0, Op::CLOSE);
            meanwhile(&mut peer).await;
            server
                .seen
                .until("the end of the handler", |seen| seen.ended == 1)
                .await;
            at_deadline(begun, deadline);
        },
    )
    .await;
}

#[tokio::test]
async fn row_71_a_peer_that_never_answers_our_close_gets_a_fin_at_the_deadline() {
    ends_at_the_close_deadline(async |peer| {
        assert_eq!(peer.ends().await, (End::Fin, vec![]));
    })
    .await;
}

/// Whoever keeps the server busy reading must not keep it from looking at the clock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_71_a_peer_that_floods_instead_of_answering_is_closed_at_the_deadline() {
    ends_at_the_close_deadline(async |peer| {
        peer.flood(&frame(Op::BINARY, b"").repeat(100_000)).await;
    })
    .await;
}

#[tokio::test]
async fn row_72_a_close_in_front_of_a_full_queue_ends_at_once() {
    let ws = Config::new()
        .max_queued_messages(20_000)
        .max_queued_bytes(1 << 30);
    timely(Setup::ws(ws), async |server| {
        let mut peer = Peer::upgraded(server, "/topic").await;
        assert_eq!(peer.frame().await.1, b"subscribed");
        let news = raw_ws::PreparedMessage::new(vec![7; 8 * 1024]);
        for _ in 0..10_000 {
            assert_eq!(server.topics.publish("all", &news), 1);
        }
        // It reads nothing of the 80 MB, and says goodbye.
        peer.send(&close_frame(1000, "")).await;
        let begun = Instant::now();
        server
            .seen
            .until("the end of the handler", |seen| seen.ended == 1)
            .await;
        assert!(begun.elapsed() < LATE);
        assert_eq!(server.topics.subscribers("all"), 0);

        // What it reads now ends soon: whole frames, then the Close.
        let mut frames = 0;
        loop {
            match peer.frame().await {
                (Op::BINARY, payload) if payload.len() == 8 * 1024 => frames += 1,
                (op, payload) => {
                    assert_eq!((op, &payload[..]), (Op::CLOSE, &b"\x03\xE8"[..]));
                    break;
                }
            }
        }
        assert!(frames < 10_000);
        assert_eq!(peer.ends().await, (End::Fin, vec![]));
        assert_eq!(server.seen.now().ended, 1);
    })
    .await;
}

#[tokio::test]
async fn row_72_a_peer_that_closes_and_is_gone_frees_its_place() {
    let ws = Config::new()
        .max_queued_messages(20_000)
        .max_queued_bytes(1 << 30);
    unharmed(Setup::ws(ws), async |server| {
        let mut peer = Peer::upgraded(server, "/topic").await;
        assert_eq!(peer.frame().await.1, b"subscribed");
        let news = raw_ws::PreparedMessage::new(vec![7; 8 * 1024]);
        for _ in 0..10_000 {
            assert_eq!(server.topics.publish("all", &news), 1);
        }
        peer.send(&close_frame(1000, "")).await;
        let socket = socket2::SockRef::from(&peer.stream);
        socket.shutdown(Shutdown::Both).unwrap();
        server.until_alone().await;
    })
    .await;
}

#[tokio::test]
async fn a_handler_that_panics_closes_with_1011() {
    unharmed(Setup::default(), async |server| {
        let mut peer = Peer::upgraded(server, "/panic").await;
        peer.send(&text_frame("now")).await;
        peer.closes_with(1011).await;
    })
    .await;
}
