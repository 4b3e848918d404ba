//! Requests: answers, errors, limits, and what happens to them when the connection ends.

use std::{sync::atomic::Ordering, time::Duration};

use futures_util::SinkExt;
use raw_ws::Config;
use tokio_tungstenite::tungstenite::Message;

use super::support::{
    ECHO, ENDLESS, GATED, PANICS, PANICS_LATER, STREAM_PANICS_AT_ONCE, Server, error, response,
    soon, unharmed,
};

#[tokio::test]
async fn an_unknown_operation_is_an_error_packet() {
    unharmed(Server::start().await, async |server| {
        let mut peer = server.peer().await;
        peer.request(999, 5, b"x").await;
        assert_eq!(peer.packet().await, error(5, 1, "unknown operation"));
        peer.synchronise().await;
    })
    .await;
}

#[tokio::test]
async fn answers_may_overtake_each_other() {
    unharmed(Server::start().await, async |server| {
        let mut peer = server.peer().await;
        peer.request(GATED, 1, b"slow").await;
        peer.request(ECHO, 2, b"fast").await;
        assert_eq!(peer.packet().await, response(2, "fast"));
        server.gate.notify_one();
        assert_eq!(peer.packet().await, response(1, "slow"));
    })
    .await;
}

#[tokio::test]
async fn too_many_under_way_are_busy() {
    unharmed(Server::start().await, async |server| {
        let mut peer = server.peer().await;
        for id in 0..64 {
            peer.request(GATED, id, b"").await;
        }
        peer.request(ECHO, 64, b"").await;
        assert_eq!(
            peer.packet().await,
            error(64, 5, "too many requests under way")
        );
        // The 64 are answered, each once, and then there is room.
        server.gate.notify_waiters();
        let mut answered: Vec<_> = Vec::new();
        for _ in 0..64 {
            answered.push(peer.packet().await);
        }
        for id in 0..64 {
            assert!(answered.contains(&response(id, "")), "{id}");
        }
        peer.synchronise().await;
    })
    .await;
}

#[tokio::test]
async fn a_handler_that_panics_answers_4_and_the_connection_lives() {
    unharmed(Server::start().await, async |server| {
        let mut peer = server.peer().await;
        for operation in [PANICS, PANICS_LATER, STREAM_PANICS_AT_ONCE] {
            peer.request(operation, 9, b"").await;
            assert_eq!(peer.packet().await, error(9, 4, "internal error"));
        }
        peer.synchronise().await;
    })
    .await;
}

#[tokio::test]
async fn a_text_message_closes_with_1003() {
    unharmed(Server::start().await, async |server| {
        let mut peer = server.peer().await;
        peer.ws.send(Message::text("hello")).await.unwrap();
        peer.closes_with(1003, "message kind not accepted here")
            .await;
    })
    .await;
}

#[tokio::test]
async fn what_runs_is_dropped_when_the_connection_ends() {
    // Longer than anybody here waits.
    let config = Config::new().close_timeout(Duration::from_secs(300));
    unharmed(Server::with(config).await, async |server| {
        for how in ["lost", "closed", "malformed"] {
            let mut peer = server.peer().await;
            for id in 0..10 {
                peer.request(GATED, id, b"").await;
            }
            peer.synchronise().await;
            assert_eq!(server.alive.load(Ordering::SeqCst), 10, "{how}");
            match how {
                "lost" => drop(peer),
                "closed" => peer.ws.close(None).await.unwrap(),
                // The closing handshake is not waited for: this peer does not answer it.
                _ => {
                    peer.send_bytes(&b"x"[..]).await;
                    server.until_idle().await;
                    peer.closes_with(4400, "packet shorter than its header")
                        .await;
                }
            }
            server.until_idle().await;
        }
    })
    .await;
}

#[tokio::test]
async fn an_endless_stream_is_dropped_with_its_connection() {
    unharmed(Server::start().await, async |server| {
        let mut peer = server.peer().await;
        peer.request(ENDLESS, 1, b"").await;
        soon("an item", peer.packet()).await;
        drop(peer);
        server.until_idle().await;
    })
    .await;
}
