//! Peers that take their time: rows 15, 16 and 63.

use std::time::Duration;

use raw_ws::{Config, ServeConfig};
use tokio::time::Instant;

use crate::support::*;

const INTERVAL: Duration = Duration::from_millis(200);
/// Longer than a busy machine keeps a peer from answering.
const SILENCE: Duration = Duration::from_secs(1);

/// One place beside the neighbour's, and peers are asked early whether they live.
fn one_place() -> Setup {
    Setup {
        serve: ServeConfig::new().max_connections(2),
        ws: Config::new()
            .keep_alive_interval(INTERVAL)
            .keep_alive_timeout(SILENCE),
        ..Setup::default()
    }
}

/// Connects as soon as there is a place.
async fn takes_the_place(server: &Server) -> Peer {
    soon("a free place", async {
        loop {
            let mut peer = Peer::connect(server).await;
            peer.send(upgrade_request("/echo").as_bytes()).await;
            match peer.answer().await.status {
                101 => break peer,
                status => assert_eq!(status, 503),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}

#[tokio::test]
async fn row_15_a_peer_behind_a_black_hole_is_dropped_and_its_place_taken() {
    timely(one_place(), async |server| {
        let begun = Instant::now();
        let mut gone = takes_the_place(server).await;
        assert_eq!(gone.frame().await, (Op::PING, vec![]));
        // Nothing from here on, not even a FIN.
        let _next = takes_the_place(server).await;
        at_deadline(begun, INTERVAL + SILENCE);
        assert_eq!(gone.ends().await, (End::Fin, vec![]));
    })
    .await;
}

#[tokio::test]
async fn row_16_a_peer_that_receives_but_whose_answers_are_lost_is_dropped() {
    timely(one_place(), async |server| {
        let mut lost = takes_the_place(server).await;
        lost.send(&text_frame("once")).await;
        assert_eq!(lost.frame().await.1, b"once");
        // It reads everything; none of its answers get through.
        assert_eq!(lost.ends().await, (End::Fin, vec![0x89, 0x00]));
        let _next = takes_the_place(server).await;
    })
    .await;
}

#[tokio::test]
async fn row_16_a_peer_that_answers_pings_or_speaks_by_itself_is_kept() {
    timely(one_place(), async |server| {
        let mut peer = takes_the_place(server).await;
        for _ in 0..4 {
            assert_eq!(peer.frame().await, (Op::PING, vec![]));
            peer.send(&frame(Op::PONG, b"")).await;
        }
        let begun = Instant::now();
        while begun.elapsed() < 2 * (INTERVAL + SILENCE) {
            peer.send(&text_frame("I am here")).await;
            assert_eq!(peer.frame().await.1, b"I am here");
            tokio::time::sleep(INTERVAL / 10).await;
        }
    })
    .await;
}

#[tokio::test]
async fn row_63_a_message_that_takes_too_long_gets_1008() {
    let deadline = Duration::from_millis(300);
    // What comes first, and what goes on coming and buys no more time.
    let cases = [
        (
            frame(Op::BINARY_BEGINS, b"a"),
            frame(Op::GOES_ON, b"a"),
            "an unfinished message",
        ),
        (
            header(Op::BINARY, 60_000),
            b"a".to_vec(),
            "an unfinished frame",
        ),
        (vec![0x82], vec![], "half a header"),
        (
            [text_frame("whole"), vec![0x82]].concat(),
            vec![],
            "half a header after a message",
        ),
    ];
    timely(
        Setup::ws(Config::new().message_timeout(deadline)),
        async |server| {
            for (first, next, what) in &cases {
                let mut peer = Peer::upgraded(server, "/topic").await;
                assert_eq!(peer.frame().await.1, b"subscribed");
                let begun = Instant::now();
                peer.send(first).await;
                let (op, payload) = loop {
                    match tokio::time::timeout(deadline / 10, peer.frame()).await {
                        Ok(frame) => break frame,
                        Err(_) => peer.send(next).await,
                    }
                };
                assert_eq!(
                    (op, &payload[..]),
                    (Op::CLOSE, &b"\x03\xF0message timeout"[..]),
                    "{what}"
                );
                at_deadline(begun, deadline);
                assert_eq!(peer.ends().await, (End::Fin, vec![]));
            }
        },
    )
    .await;
}

#[tokio::test]
async fn row_63_pings_that_straddle_reads_are_no_slow_message() {
    let deadline = Duration::from_secs(1);
    timely(
        Setup::ws(Config::new().message_timeout(deadline)),
        async |server| {
            let mut peer = Peer::upgraded(server, "/echo").await;
            // Whenever the server has read, half a ping is left over.
            let ping = frame(Op::PING, b"ping");
            let (first, second) = ping.split_at(5);
            let straddling = [second, first].concat();
            peer.send(first).await;
            let begun = Instant::now();
            while begun.elapsed() < 2 * deadline {
                tokio::time::sleep(deadline / 10).await;
                peer.send(&straddling).await;
                assert_eq!(peer.frame().await, (Op::PONG, b"ping".to_vec()));
            }
        },
    )
    .await;
}

/// It answers the ping when it comes to it, long after a silent peer would have been given up.
#[tokio::test]
async fn a_peer_that_reads_slowly_and_all_the_time_is_not_cut() {
    const PIECES: usize = 60;
    timely(one_place(), async |server| {
        let mut slow = Peer::upgraded(server, "/topic").await;
        assert_eq!(slow.frame().await.1, b"subscribed");
        for _ in 0..PIECES {
            server.topics.publish("all", &"x".repeat(1_000).into());
        }
        let begun = Instant::now();
        let mut pinged = false;
        for _ in 0..PIECES {
            tokio::time::sleep(Duration::from_millis(50)).await;
            pinged |= slow.frame().await.0 == Op::PING;
        }
        assert!(begun.elapsed() > 2 * (INTERVAL + SILENCE));
        while !pinged {
            pinged = slow.frame().await.0 == Op::PING;
        }
        slow.send(&frame(Op::PONG, b"")).await;
        server.topics.publish("all", &"still here".into());
        while slow.frame().await.1 != b"still here" {}
    })
    .await;
}

/// Its system would take it all, and acknowledge it, for minutes.
#[tokio::test]
async fn a_peer_that_is_written_little_and_reads_nothing_is_cut() {
    let patience = Duration::from_secs(2);
    let setup = Setup::ws(Config::new().progress_timeout(patience));
    timely(setup, async |server| {
        let mut stopped = Peer::upgraded(server, "/topic").await;
        assert_eq!(stopped.frame().await.1, b"subscribed");
        let begun = Instant::now();
        let published = async {
            loop {
                server.topics.publish("all", &"x".repeat(125).into());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            () = published => {}
            () = server.until_alone() => {}
        }
        assert!(begun.elapsed() > patience);
        assert!(begun.elapsed() < 3 * patience, "{:?}", begun.elapsed());
        // What it has not read is forgotten, and it learns of that.
        assert_eq!(stopped.ends().await.0, End::Reset);
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_is_written_to_and_reads_is_pinged_once_a_second_and_kept() {
    let patience = Duration::from_secs(1);
    let setup = Setup::ws(Config::new().progress_timeout(patience));
    timely(setup, async |server| {
        let mut reader = Peer::upgraded(server, "/topic").await;
        assert_eq!(reader.frame().await.1, b"subscribed");
        let begun = Instant::now();
        let mut pings = 0;
        while begun.elapsed() < 4 * patience {
            server.topics.publish("all", &"x".repeat(125).into());
            while reader.frame().await.0 == Op::PING {
                pings += 1;
                reader.send(&frame(Op::PONG, b"")).await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!((2..=4).contains(&pings), "{pings}");
        server.topics.publish("all", &"still here".into());
        while reader.frame().await.1 != b"still here" {}
    })
    .await;
}
