//! Streams: items, ends, errors, and peers that do not keep up.

use std::{sync::atomic::Ordering, time::Duration};

use futures_util::{SinkExt, StreamExt};
use raw_ws::{Config, wire::Packet};
use tokio_tungstenite::tungstenite::Message;

use super::support::{
    COUNT, ECHO, ENDLESS, FAILS_AND_HANGS, FAILS_MIDWAY, STREAM_PANICS, Server, error, item,
    response, soon, unharmed,
};
use crate::lateness::on_time;

#[tokio::test]
async fn items_come_in_order_and_then_the_end() {
    unharmed(Server::start().await, async |server| {
        let mut peer = server.peer().await;
        for count in [0_u32, 1, 10_000] {
            peer.request(COUNT, count, &count.to_be_bytes()).await;
            for i in 0..count {
                let expected = item(count, i.to_be_bytes().to_vec());
                assert_eq!(peer.packet().await, expected);
            }
            assert_eq!(peer.packet().await, response(count, ""));
        }
        peer.synchronise().await;
    })
    .await;
}

#[tokio::test]
async fn an_error_ends_a_stream() {
    unharmed(Server::start().await, async |server| {
        let mut peer = server.peer().await;
        peer.request(FAILS_MIDWAY, 3, b"").await;
        assert_eq!(peer.packet().await, item(3, "a"));
        assert_eq!(peer.packet().await, item(3, "b"));
        assert_eq!(peer.packet().await, error(3, 1234, "midway"));
        peer.synchronise().await;
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_failed_is_not_asked_for_more_and_its_id_is_free() {
    unharmed(Server::start().await, async |server| {
        let mut peer = server.peer().await;
        for _ in 0..1000 {
            peer.request(FAILS_AND_HANGS, 3, b"").await;
            assert_eq!(peer.packet().await, error(3, 1234, "over"));
        }
        // While the connection lives.
        server.until_idle().await;
        peer.synchronise().await;
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_panics_answers_4_and_the_connection_lives() {
    unharmed(Server::start().await, async |server| {
        let mut peer = server.peer().await;
        peer.request(STREAM_PANICS, 3, b"").await;
        assert_eq!(peer.packet().await, item(3, "a"));
        assert_eq!(peer.packet().await, error(3, 4, "internal error"));
        peer.synchronise().await;
    })
    .await;
}

#[tokio::test]
async fn an_endless_stream_starves_neither_requests_nor_pings() {
    unharmed(Server::start().await, async |server| {
        let mut peer = server.peer().await;
        peer.request(ENDLESS, 1, b"").await;
        for round in 2..50 {
            peer.request(ECHO, round, b"still there").await;
            while peer.packet().await != response(round, "still there") {}
        }
        peer.ws.send(Message::Ping("?".into())).await.unwrap();
        soon("the pong", async {
            while !matches!(peer.ws.next().await, Some(Ok(Message::Pong(_)))) {}
        })
        .await;
        peer.ws.close(None).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_stream_nobody_reads_is_held_back_and_then_cut() {
    let config = Config::new().progress_timeout(Duration::from_millis(300));
    on_time(async || {
        unharmed(Server::with(config.clone()).await, async |server| {
            let mut peer = server.peer().await;
            peer.request(ENDLESS, 1, b"").await;
            peer.packet().await;
            assert_eq!(server.alive.load(Ordering::SeqCst), 1);
            // Nothing is read from here on, until the server has given up.
            server.until_idle().await;
            let mut received = 0;
            let end = soon("the end", async {
                loop {
                    match peer.ws.next().await {
                        Some(Ok(Message::Binary(packet))) => {
                            assert!(matches!(Packet::parse(packet), Ok(Packet::Response { .. })));
                            received += 1;
                        }
                        end => return end,
                    }
                }
            });
            // Cut, not closed: there is no room for a Close.
            assert!(!matches!(end.await, Some(Ok(_))));
            // What was made is what the sockets' buffers hold, not what an endless stream would give.
            assert!(received < 32 * 1024, "{received} items of 1 KiB");
        })
        .await;
    })
    .await;
}
