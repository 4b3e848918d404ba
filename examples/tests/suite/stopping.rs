//! SIGTERM, as a container gets it: all is over within the 10 s that it has.

use std::{
    net::{Ipv4Addr, SocketAddr},
    process::Command,
    time::{Duration, Instant},
};

use crate::{
    children::{Server, example},
    lateness::on_time,
    peers::{Peer, free_address},
};

/// What a server has by default: less than Docker's and Kubernetes' 10 and 30 s.
const WITHIN: Duration = Duration::from_secs(8);

const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;

fn start(name: &str, options: &[&str]) -> (Server, SocketAddr) {
    let server = Server::spawn(Command::new(example(name)).args(options)).0;
    let address = server.address().parse().unwrap();
    (server, address)
}

async fn stopped(mut server: Server) -> Option<i32> {
    let ended = tokio::task::spawn_blocking(move || server.ended());
    ended.await.unwrap()
}

#[tokio::test]
async fn who_does_not_read_is_waited_for_8_s_at_most() {
    for (name, path) in [("raw_server", "/echo"), ("hub_server", "/chat")] {
        on_time(async || {
            let (server, address) = start(name, &[]);
            let (mut deaf, answer) = Peer::upgrade(HERE, address, path, "").await;
            assert_eq!(answer.status, 101);
            if path == "/chat" {
                let handshake = b"{\"protocol\":\"json\",\"version\":1}\x1e";
                let header = [0x81, 0x80 | handshake.len() as u8, 0, 0, 0, 0];
                deaf.send(&[&header[..], handshake].concat()).await;
                // Its answer stays unread, and so does the goodbye.
                let mut half = Peer::connect(HERE, address).await;
                half.send(b"POST /chat/negotiate HTTP/1.1\r\nHost: h\r\n")
                    .await;
            }
            let begun = Instant::now();
            server.signal("TERM");
            assert_eq!(stopped(server).await, Some(0));
            let took = begun.elapsed();
            assert!(took < WITHIN, "{name} took {took:?}");
            drop(deaf);
        })
        .await;
    }
}

#[tokio::test]
async fn half_a_head_does_not_delay_a_stop() {
    on_time(async || {
        let (server, address) = start("hub_server", &[]);
        let mut half = Peer::connect(HERE, address).await;
        half.send(b"POST /chat/negotiate HTTP/1.1\r\nHost: h\r\n")
            .await;
        // It has been read when what came behind it is answered.
        assert_eq!(Peer::get(address, "/readyz").await, Some(200));
        let begun = Instant::now();
        server.signal("TERM");
        assert_eq!(stopped(server).await, Some(0));
        assert!(begun.elapsed() < Duration::from_secs(2));
        half.ends().await;
    })
    .await;
}

#[tokio::test]
async fn readyz_turns_red_first_and_a_restart_finds_the_address_free() {
    let address = free_address();
    let mut command = Command::new(example("hub_server"));
    command.args(["--shutdown-delay", "1"]);
    let server = Server::spawn_at(&address.to_string(), &mut command).0;
    let (mut open, answer) = Peer::upgrade(HERE, address, "/chat", "").await;
    assert_eq!(answer.status, 101);
    server.signal("TERM");
    // Red, while all else goes on.
    while Peer::get(address, "/readyz").await == Some(200) {}
    assert_eq!(Peer::get(address, "/readyz").await, Some(503));
    assert_eq!(Peer::get(address, "/healthz").await, Some(200));
    // Closed, while the first still takes leave of its clients.
    while Peer::get(address, "/healthz").await.is_some() {}
    let mut next = Command::new(example("hub_server"));
    let (next, _) = Server::spawn_at(&address.to_string(), &mut next);
    assert_eq!(Peer::get(address, "/readyz").await, Some(200));
    open.ends().await;
    drop(open);
    assert_eq!(stopped(server).await, Some(0));
    drop(next);
}
