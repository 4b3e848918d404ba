//! Clients that abuse it (rows 180 to 185).

use super::support::{Peer, Step::*, millis, options, start};
use crate::live::Client;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const ECHO_1: &str = r#"{"type":1,"invocationId":"1","target":"Echo","arguments":[1]}"#;
const GOT_1: &str = r#"{"type":3,"invocationId":"1","result":1}"#;

#[tokio::test(start_paused = true)]
async fn row_181_acks_of_what_was_not_sent() {
    // The real server ignores them (SR-06): nothing is lost by it.
    for id in [
        "7",
        "-1",
        "0",
        "9223372036854775807",
        "-9223372036854775808",
    ] {
        let (server, _) = start(options());
        let mut peer = Peer::counting(&server).await;
        peer.says(&format!(r#"{{"type":8,"sequenceId":{id}}}"#))
            .await;
        peer.says(ECHO_1).await;
        peer.hears(GOT_1).await;
        peer.does(Drops).await;
        peer.does(Returns).await;
        peer.hears(r#"{"type":9,"sequenceId":1}"#).await;
        peer.hears(GOT_1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn row_180_a_resume_that_is_cut_at_every_byte() {
    let (server, shared) = start(options().disconnect_timeout(millis(60_000)));
    let mut peer = Peer::counting(&server).await;
    peer.says(ECHO_1).await;
    peer.hears(GOT_1).await;
    peer.drops();
    let request = format!(
        "GET /hub?id={} HTTP/1.1\r\nHost: hub\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        peer.token
    );
    for length in 0..=request.len() {
        let mut socket = server.socket();
        socket
            .write_all(&request.as_bytes()[..length])
            .await
            .unwrap();
        drop(socket);
    }
    // What comes back, too.
    for length in (1..200).step_by(3) {
        let mut socket = server.socket();
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = vec![0; length];
        socket.read_exact(&mut answer).await.unwrap();
        drop(socket);
        tokio::time::sleep(millis(200)).await;
    }
    peer.does(Waits(millis(11_000))).await;
    peer.does(Returns).await;
    peer.hears(r#"{"type":9,"sequenceId":1}"#).await;
    peer.hears(GOT_1).await;
    assert_eq!(shared.disconnected.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn row_185_a_client_that_never_acknowledges_harms_nobody_else() {
    let options = options()
        .stateful_reconnect_buffer_size(1000)
        .max_queued_bytes(20_000);
    let (server, shared) = start(options);
    let mut bad = Peer::counting(&server).await;
    bad.says(ECHO_1).await;
    bad.hears(GOT_1).await;
    let mut good: Client = server.client().await;
    server.connections(2).await;
    for number in 0..300 {
        server
            .handle
            .all()
            .send("News", (number, "x".repeat(100)))
            .unwrap();
        let next = good.next().await;
        assert!(next.contains(&format!("[{number},")), "{next}");
    }
    // It was cut, not served in part: its token leads nowhere.
    shared.disconnected.reaches(1).await;
    server.connections(1).await;
    bad.does(Waits(millis(6000))).await;
    bad.does(IsRefused(404)).await;
}
