//! The limits L1 to L9: one test at the limit and one past it. L3 is in rows 23 to 26, L6 in rows
//! 58 to 60, L7 in rows 61 to 63, L9's other half in row 11.

use std::{net::Ipv4Addr, time::Duration};

use futures_util::future::{join, join_all};
use raw_ws::{Config, ServeConfig};
use tokio::time::Instant;

use crate::support::*;

/// An address of one's own.
fn guest(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 2, n)
}

/// The answer to an upgrade that is sent, if there is none before it.
async fn asks(server: &Server, from: Ipv4Addr) -> (Peer, Answer) {
    let mut peer = Peer::connect_from(from, server.address).await;
    peer.send(upgrade_request("/echo").as_bytes()).await;
    let answer = peer.answer().await;
    (peer, answer)
}

/// The next connection from there is refused in words, and with a FIN.
async fn is_refused(server: &Server, from: Ipv4Addr, status: u16) {
    let (mut peer, answer) = asks(server, from).await;
    assert_eq!(answer.status, status);
    assert_eq!(answer.header("retry-after"), Some("5"));
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(peer.ends().await, (End::Fin, vec![]));
}

async fn echoes(peer: &mut Peer) {
    peer.send(&text_frame("well?")).await;
    assert_eq!(peer.frame().await, (Op::TEXT, b"well?".to_vec()));
}

#[tokio::test]
async fn row_07_l1_an_address_may_hold_so_many_connections_and_the_next_gets_429() {
    let serve = ServeConfig::new().max_connections_per_address(256);
    unharmed(Setup::serve(serve), async |server| {
        let mut held = Vec::new();
        for n in 0..256 {
            let (peer, answer) = asks(server, guest(1)).await;
            assert_eq!(answer.status, 101, "connection {n}");
            held.push(peer);
        }
        for _ in 0..44 {
            is_refused(server, guest(1), 429).await;
        }
        for peer in held.iter_mut().chain([&mut asks(server, guest(2)).await.0]) {
            echoes(peer).await;
        }
        // A place that is given back is taken again.
        held.pop();
        soon("a free place", async {
            while asks(server, guest(1)).await.1.status != 101 {}
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn l1_by_default_an_address_may_hold_as_many_as_the_server() {
    unharmed(Setup::default(), async |server| {
        let mut held = Vec::new();
        for n in 0..1000 {
            let (peer, answer) = asks(server, guest(1)).await;
            assert_eq!(answer.status, 101, "connection {n}");
            held.push(peer);
        }
        echoes(&mut held[999]).await;
    })
    .await;
}

#[tokio::test]
async fn row_08_l1_the_server_holds_so_many_connections_and_the_next_gets_503() {
    // One is the neighbour's.
    unharmed(
        Setup::serve(ServeConfig::new().max_connections(101)),
        async |server| {
            Peer::upgraded(server, "/echo").await; // the neighbour is in by now
            server.until_alone().await;
            let mut held = Vec::new();
            for n in 0..100 {
                let (peer, answer) = asks(server, guest(n)).await;
                assert_eq!(answer.status, 101, "connection {n}");
                held.push(peer);
            }
            join_all((100..150).map(|n| is_refused(server, guest(n), 503))).await;
            for peer in &mut held {
                echoes(peer).await;
            }
            // Who comes as others go is let in.
            let come = join_all((150..200).map(|n| asks(server, guest(n))));
            let go = async { held.truncate(50) };
            for (mut peer, answer) in join(come, go).await.0 {
                assert_eq!(answer.status, 101);
                echoes(&mut peer).await;
            }
        },
    )
    .await;
}

#[tokio::test]
async fn l2_an_address_may_have_so_many_unfinished_heads() {
    let serve = ServeConfig::new().max_unfinished_heads_per_address(4);
    unharmed(Setup::serve(serve), async |server| {
        let mut upgraded = Peer::upgraded(server, "/echo").await;
        let mut unfinished = Vec::new();
        for _ in 0..4 {
            let mut peer = Peer::connect_from(guest(1), server.address).await;
            peer.send(b"GET /get HTTP/1.1\r\n").await;
            unfinished.push(peer);
        }
        is_refused(server, guest(1), 429).await;
        assert_eq!(asks(server, guest(2)).await.1.status, 101);
        echoes(&mut upgraded).await;

        // A head that is finished makes room.
        unfinished[0].send(b"Host: ok.example\r\n\r\n").await;
        assert_eq!(unfinished[0].answer().await.status, 200);
        assert_eq!(asks(server, guest(1)).await.1.status, 101);
    })
    .await;
}

#[tokio::test]
async fn l2_who_comes_while_heads_are_unfinished_waits_and_the_slowest_is_refused() {
    const HEADS: usize = 6;
    let serve = ServeConfig::new().max_unfinished_heads(HEADS);
    timely(Setup::serve(serve), async |server| {
        let mut upgraded = Peer::upgraded(server, "/echo").await;
        let mut slow = Vec::new();
        for _ in 0..HEADS {
            let mut peer = Peer::connect(server).await;
            peer.send(b"GET /get HTTP/1.1\r\n").await;
            slow.push(peer);
        }
        // As many come at once: all are let in, and those before them make room, told in words.
        let begun = Instant::now();
        let mut crowd: Vec<_> = join_all((0..HEADS).map(|_| asks(server, guest(1)))).await;
        assert!(
            begun.elapsed() > Duration::from_millis(1_500),
            "they waited"
        );
        for (peer, answer) in &mut crowd {
            assert_eq!(answer.status, 101);
            echoes(peer).await;
        }
        let mut refused = 0;
        for mut peer in slow {
            // Of those that nobody had to make room for, the heads are taken.
            peer.send(b"Host: ok.example\r\n\r\n").await;
            let answer = peer.answer().await;
            if answer.status == 503 {
                assert_eq!(answer.header("retry-after"), Some("5"));
                assert_eq!(answer.header("connection"), Some("close"));
                assert_eq!(peer.ends().await, (End::Fin, vec![]));
                refused += 1;
            } else {
                assert_eq!(answer.status, 200);
            }
        }
        assert!(refused > 0);
        echoes(&mut upgraded).await;
    })
    .await;
}

#[tokio::test]
async fn l3_a_head_may_have_16_kib_and_not_much_more() {
    unharmed(Setup::default(), async |server| {
        for (size, taken) in [(16 * 1024 - 1, true), (16 * 1024 + 512, false)] {
            let mut more = String::new();
            while upgrade_request_with("/echo", &more).len() < size - 600 {
                more += &format!("X-A: {}\r\n", "a".repeat(500));
            }
            let rest = size - upgrade_request_with("/echo", &more).len() - "X-A: \r\n".len();
            more += &format!("X-A: {}\r\n", "a".repeat(rest));
            let request = upgrade_request_with("/echo", &more);
            assert_eq!(request.len(), size);
            let mut peer = Peer::connect(server).await;
            peer.send(request.as_bytes()).await;
            let status = peer.answer().await.status;
            assert_eq!(status, if taken { 101 } else { 431 }, "{size} bytes");
        }
    })
    .await;
}

#[tokio::test]
async fn l4_a_head_in_time_is_taken() {
    let serve = ServeConfig::new().head_timeout(Duration::from_secs(5));
    timely(Setup::serve(serve), async |server| {
        let request = upgrade_request("/echo");
        let mut peer = Peer::connect(server).await;
        for piece in request.as_bytes().chunks(request.len().div_ceil(10)) {
            peer.send(piece).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(peer.answer().await.status, 101);
        // The deadline was the head's alone.
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(6)).await;
        tokio::time::resume();
        echoes(&mut peer).await;
    })
    .await;
}

#[tokio::test]
async fn row_47_l5_a_body_at_the_limit_is_taken_and_one_byte_more_gets_413() {
    unharmed(
        Setup::serve(ServeConfig::new().max_body_size(100_000)),
        async |server| {
            for (size, status) in [(100_000, 200), (100_001, 413)] {
                let body = vec![b'x'; size];
                let whole = [format!("Content-Length: {size}\r\n\r\n").as_bytes(), &body].concat();
                let mut chunked = b"Transfer-Encoding: chunked\r\n\r\n".to_vec();
                for chunk in body.chunks(10_000) {
                    chunked.extend(format!("{:x}\r\n", chunk.len()).as_bytes());
                    chunked.extend(chunk);
                    chunked.extend(b"\r\n");
                }
                chunked.extend(b"0\r\n\r\n");
                for rest in [whole, chunked] {
                    let mut peer = Peer::connect(server).await;
                    peer.send(b"POST /post HTTP/1.1\r\nHost: ok.example\r\n")
                        .await;
                    peer.send(&rest).await;
                    let answer = peer.answer().await;
                    assert_eq!(answer.status, status, "{size} bytes");
                    if status == 200 {
                        assert_eq!(answer.body, size.to_string());
                    }
                }
            }
            assert_eq!(server.seen.now().bodies, 2);

            // By its length alone, and without an end.
            let mut peer = Peer::connect(server).await;
            let head =
                "POST /post HTTP/1.1\r\nHost: ok.example\r\nContent-Length: 1000000000\r\n\r\n";
            peer.send(head.as_bytes()).await;
            assert_eq!(peer.answer().await.status, 413);
            let mut peer = Peer::connect(server).await;
            let head =
                "POST /post HTTP/1.1\r\nHost: ok.example\r\nTransfer-Encoding: chunked\r\n\r\n";
            peer.send(head.as_bytes()).await;
            let chunk = [b"2710\r\n", &[b'x'; 10_000][..], b"\r\n"].concat();
            peer.flood(&chunk).await;
            assert_eq!(peer.answer().await.status, 413);
            assert_eq!(server.seen.now().bodies, 2);
        },
    )
    .await;
}

#[tokio::test]
async fn l5_a_body_that_is_fast_enough_is_taken_however_long_it_takes() {
    let serve = ServeConfig::new().min_body_rate(100, Duration::from_millis(300));
    timely(Setup::serve(serve), async |server| {
        let mut peer = Peer::connect(server).await;
        let head = "POST /post HTTP/1.1\r\nHost: ok.example\r\nContent-Length: 2000\r\n\r\n";
        peer.send(head.as_bytes()).await;
        for _ in 0..20 {
            peer.send(&[b'x'; 100]).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let answer = peer.answer().await;
        assert_eq!((answer.status, &answer.body[..]), (200, "2000"));
    })
    .await;
}

#[tokio::test]
async fn l6_frame_and_message_have_limits_of_their_own() {
    let mut ws = Config::new().max_message_size(1_000);
    ws.max_frame_size = 600;
    unharmed(Setup::ws(ws), async |server| {
        let mut peer = Peer::upgraded(server, "/echo").await;
        peer.send(&frame(Op::BINARY_BEGINS, &[b'x'; 600])).await;
        peer.send(&frame(Op::GOES_OUT, &[b'x'; 400])).await;
        assert_eq!(peer.frame().await, (Op::BINARY, vec![b'x'; 1_000]));
        peer.send(&header(Op::BINARY, 601)).await;
        peer.closes_with(1009).await;
    })
    .await;
}

#[tokio::test]
async fn l8_so_many_control_frames_are_answered_and_the_next_gets_1008() {
    // So slow a rate that the time of the test does not count.
    unharmed(
        Setup::ws(Config::new().control_frames(1, 200)),
        async |server| {
            let mut peer = Peer::upgraded(server, "/echo").await;
            peer.send(&frame(Op::PING, b"p").repeat(200)).await;
            for n in 0..200 {
                assert_eq!(peer.frame().await, (Op::PONG, b"p".to_vec()), "ping {n}");
            }
            peer.send(&frame(Op::PING, b"p")).await;
            assert_eq!(peer.closes_with(1008).await, "too many control frames");
        },
    )
    .await;
}

#[tokio::test]
async fn l8_control_frames_at_the_allowed_rate_go_on_for_ever() {
    unharmed(
        Setup::ws(Config::new().control_frames(100, 5)),
        async |server| {
            let mut peer = Peer::upgraded(server, "/echo").await;
            for _ in 0..60 {
                peer.send(&frame(Op::PING, b"p")).await;
                assert_eq!(peer.frame().await.0, Op::PONG);
                tokio::time::sleep(Duration::from_millis(11)).await;
            }
        },
    )
    .await;
}

/// The bounds themselves, at the limit and one past it, are in `backpressure.rs`; row 11 has a peer
/// that does not read.
#[tokio::test]
async fn l9_a_peer_that_reads_is_not_cut_for_what_was_published_without_a_pause() {
    let by_messages = Config::new().max_queued_messages(50);
    let by_bytes = Config::new().max_queued_bytes(50 * 6);
    for ws in [by_messages, by_bytes] {
        unharmed(Setup::ws(ws), async |server| {
            let mut peer = Peer::upgraded(server, "/topic").await;
            assert_eq!(peer.frame().await.1, b"subscribed");
            for _ in 0..151 {
                assert_eq!(server.topics.publish("all", &"news".into()), 1);
            }
            for _ in 0..151 {
                assert_eq!(peer.frame().await, (Op::TEXT, b"news".to_vec()));
            }
        })
        .await;
    }
}

/// What unfinished messages hold is counted over the whole process: 1013 says to try again later.
#[tokio::test]
async fn l18_a_message_that_is_one_too_many_for_the_process_gets_1013() {
    unharmed(
        Setup::ws(Config::new().max_unfinished_bytes(0)),
        async |server| {
            let mut whole = Peer::upgraded(server, "/echo").await;
            let mut half = Peer::upgraded(server, "/echo").await;
            half.send(&header(Op::BINARY, 1_000)).await;
            half.send(b"only the beginning").await;
            assert_eq!(half.closes_with(1013).await, "overloaded");
            whole.send(&frame(Op::TEXT, b"whole")).await;
            assert_eq!(whole.frame().await, (Op::TEXT, b"whole".to_vec()));
        },
    )
    .await;
}
