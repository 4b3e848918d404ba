//! What those who are away may cost: how many they are, what is kept for one and for all of them
//! (row 186).

use std::time::Duration;

use super::support::{Peer, Step::*, millis, options, start};
use crate::live::eventually;

const ECHO_1: &str = r#"{"type":1,"invocationId":"1","target":"Echo","arguments":[1]}"#;
const GOT_1: &str = r#"{"type":3,"invocationId":"1","result":1}"#;

#[tokio::test(start_paused = true)]
async fn row_186_of_too_many_the_oldest_goes_first() {
    let (server, shared) = start(options().max_detached_connections(2));
    let mut peers = Vec::new();
    for _ in 0..3 {
        let mut peer = Peer::counting(&server).await;
        peer.says(ECHO_1).await;
        peer.hears(GOT_1).await;
        peers.push(peer);
    }
    for peer in &mut peers {
        assert_eq!(shared.disconnected.get(), 0);
        peer.does(Drops).await;
    }
    shared.disconnected.reaches(1).await;
    peers[0].does(IsRefused(404)).await;
    for peer in &mut peers[1..] {
        peer.does(Returns).await;
        peer.hears(r#"{"type":9,"sequenceId":1}"#).await;
        peer.hears(GOT_1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn row_186_of_too_much_the_oldest_goes_first() {
    // Each counts as 8 KiB and what is kept for it.
    let (server, shared) = start(options().max_detached_bytes(3 * 8 * 1024 + 10_000));
    let mut peers = Vec::new();
    for _ in 0..3 {
        let mut peer = Peer::counting(&server).await;
        peer.does(Drops).await;
        peers.push(peer);
    }
    server
        .handle
        .all()
        .send("News", ("x".repeat(3000),))
        .unwrap();
    tokio::time::sleep(millis(10)).await;
    assert_eq!(shared.disconnected.get(), 0);
    server
        .handle
        .all()
        .send("News", ("x".repeat(3000),))
        .unwrap();
    shared.disconnected.reaches(1).await;
    peers[0].does(IsRefused(404)).await;
    peers[1].does(Returns).await;
    peers[1].hears(r#"{"type":9,"sequenceId":1}"#).await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_would_miss_something_ends_instead() {
    let (server, shared) = start(options().max_queued_bytes(10_000));
    let mut peer = Peer::counting(&server).await;
    peer.does(Drops).await;
    for _ in 0..20 {
        server
            .handle
            .all()
            .send("News", ("x".repeat(1000),))
            .unwrap();
        tokio::time::sleep(millis(1)).await;
    }
    shared.disconnected.reaches(1).await;
    peer.does(IsRefused(404)).await;
}

#[test]
fn row_186_ten_thousand_that_fill_their_buffers_and_drop() {
    const LIMIT: usize = 8 * 1024 * 1024;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let attack = async {
        let options = options()
            .max_detached_connections(20_000)
            .max_detached_bytes(LIMIT)
            .disconnect_timeout(Duration::from_secs(3600));
        let (server, shared) = start(options);
        let fill = r#"{"type":1,"invocationId":"1","target":"Fill","arguments":[15000]}"#;
        for count in 1..=10_000 {
            let mut peer = Peer::counting(&server).await;
            peer.says(fill).await;
            let told = peer.client.as_mut().unwrap().next().await;
            assert!(told.contains("Told"));
            drop(peer);
            if count % 100 == 0 {
                // Nobody outstays the limit.
                tokio::time::sleep(millis(10)).await;
            }
        }
        let alive = LIMIT / (15_000 + 8 * 1024);
        eventually("evicted", || server.handle.connections() <= alive + 1).await;
        assert!(shared.disconnected.get() > 9_000);
        // Those who come properly are served.
        let mut peer = Peer::counting(&server).await;
        peer.says(ECHO_1).await;
        peer.hears(GOT_1).await;
    };
    let counted = allocation_counter::measure(|| runtime.block_on(attack));
    // A hundred of them not yet noticed, each with two ends of a socket, beside what is kept.
    let most = (LIMIT + 24 * 1024 * 1024) as u64;
    assert!(counted.bytes_max < most, "{}", counted.bytes_max);
}
