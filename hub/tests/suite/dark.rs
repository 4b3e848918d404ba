//! Clients that go dark: their network is gone, and no word of it comes (rows 15 and 166).

use std::time::Duration;

use hub::{Context, Hub, HubOptions};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{Instant, sleep},
};

use crate::live::{Heard, RS, Server};

fn server(options: HubOptions) -> Server {
    let hub = Hub::with_options((), options).method("Echo", async |_: Context, n: i32| Ok(n));
    Server::start(hub)
}

/// A client whose WebSocket answers nothing by itself, its handshake done.
async fn dark(server: &Server) -> tokio::io::DuplexStream {
    let mut socket = server.socket();
    let upgrade = "GET /hub HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    socket.write_all(upgrade.as_bytes()).await.unwrap();
    let handshake = format!("{{\"protocol\":\"json\",\"version\":1}}{RS}");
    let mut frame = vec![0x81, 0x80 | handshake.len() as u8, 0, 0, 0, 0];
    frame.extend_from_slice(handshake.as_bytes());
    socket.write_all(&frame).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(format!("{{}}{RS}").as_bytes()) {
        let mut more = [0; 512];
        let read = socket.read(&mut more).await.unwrap();
        answer.extend_from_slice(&more[..read]);
    }
    socket
}

#[tokio::test(start_paused = true)]
async fn row_15_a_client_that_never_pinged_is_dropped_after_30_s() {
    let server = server(HubOptions::new());
    let _dark = dark(&server).await;
    server.connections(1).await;
    let begun = Instant::now();
    while server.handle.connections() > 0 {
        sleep(Duration::from_millis(100)).await; // of simulated time
    }
    assert_eq!(begun.elapsed().as_secs(), 30);
}

/// K-05: it need not ping, if it answers the pings of WebSockets, as each does by itself.
#[tokio::test(start_paused = true)]
async fn k_05_a_client_that_never_pings_stays_while_its_websocket_answers() {
    let server = server(HubOptions::new());
    let mut client = server.client().await;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(600) {
        assert_eq!(
            client.heard().await,
            Heard::Text(format!("{{\"type\":6}}{RS}"))
        );
    }
    assert_eq!(client.ask("Echo", "[1]").await, "1");
}

/// WS-05: from its first ping on it is missed by the hub alone.
#[tokio::test(start_paused = true)]
async fn ws_05_a_client_that_pings_gets_no_pings_of_websockets() {
    let server = server(HubOptions::new());
    let mut socket = dark(&server).await;
    let ping = format!("{{\"type\":6}}{RS}");
    let mut frame = vec![0x81, 0x80 | ping.len() as u8, 0, 0, 0, 0];
    frame.extend_from_slice(ping.as_bytes());
    for _ in 0..10 {
        socket.write_all(&frame).await.unwrap();
        sleep(Duration::from_secs(25)).await;
    }
    let mut heard = vec![0; 4096];
    let read = socket.read(&mut heard).await.unwrap();
    assert!(
        read > 0 && !heard[..read].contains(&0x89),
        "a ping of WebSockets"
    );
    assert_eq!(server.handle.connections(), 1);
    sleep(Duration::from_secs(6)).await;
    server.connections(0).await; // K-05
}
