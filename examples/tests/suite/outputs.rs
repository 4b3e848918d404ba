//! What servers and clients write, and nobody reads.

use std::{
    io::Read as _,
    net::Ipv4Addr,
    process::{Command, Stdio},
};

use serde_json::Value;
use tokio_tungstenite::tungstenite::{self, Message};

use crate::{
    children::{Server, example},
    peers::{Peer, free_address},
};

const HANDSHAKE: &str = "{\"protocol\":\"json\",\"version\":1}\u{1e}";

/// Calls a method of a hub; gives its completion.
fn call(ws: &mut tungstenite::WebSocket<std::net::TcpStream>, target: &str) -> Value {
    let call = format!(
        "{{\"type\":1,\"invocationId\":\"1\",\"target\":\"{target}\",\"arguments\":[\"why\"]}}\u{1e}"
    );
    ws.send(Message::text(call)).unwrap();
    let Message::Text(answer) = ws.read().unwrap() else {
        panic!("no text");
    };
    serde_json::from_str(answer.trim_end_matches('\u{1e}')).unwrap()
}

fn connect(address: &str) -> tungstenite::WebSocket<std::net::TcpStream> {
    let socket = std::net::TcpStream::connect(address).unwrap();
    let (mut ws, _) = tungstenite::client(format!("ws://{address}/spec"), socket).unwrap();
    ws.send(Message::text(HANDSHAKE)).unwrap();
    assert_eq!(ws.read().unwrap(), Message::text("{}\u{1e}"));
    ws
}

#[test]
fn a_log_whose_reader_is_gone_harms_no_connection() {
    let mut command = Command::new(example("spec_server"));
    command.env("RUST_LOG", "trace").stderr(Stdio::piped());
    let (mut server, stdout) = Server::spawn(&mut command);
    drop((server.stderr(), stdout));
    let mut ws = connect(server.address());
    for _ in 0..3 {
        let answer = call(&mut ws, "ThrowOther"); // an error, and logged
        assert!(answer["error"].is_string(), "{answer}");
        assert_eq!(call(&mut ws, "Echo")["result"], "why");
    }
    drop(ws);
    // The last words of a server are written there too.
    #[cfg(unix)]
    assert_eq!(server.interrupt(), Some(0));
}

/// `hub_server | true`
#[tokio::test]
async fn servers_start_though_nobody_reads_that_they_do() {
    for name in ["raw_server", "hub_server", "spec_server"] {
        let address = free_address();
        let mut child = Command::new(example(name))
            .args(["--listen", &address.to_string()])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let mut peer = loop {
            if std::net::TcpStream::connect(address).is_ok() {
                break Peer::connect(Ipv4Addr::LOCALHOST, address).await;
            }
            if let Some(ended) = child.try_wait().unwrap() {
                let mut said = String::new();
                child
                    .stderr
                    .take()
                    .unwrap()
                    .read_to_string(&mut said)
                    .unwrap();
                panic!("{name} ended: {ended}: {said}");
            }
            // Nobody is told when it listens.
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        };
        peer.send(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n").await;
        assert_eq!(peer.answer().await.status, 200, "{name}");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// Alerts are written for what is zero, not for what is not there.
#[tokio::test]
async fn a_fresh_server_has_metrics_and_they_are_zero() {
    for (name, metrics) in [
        (
            "raw_server",
            &["raw_ws_connections 0", "raw_ws_connections_total 0"][..],
        ),
        (
            "hub_server",
            &[
                "raw_ws_connections 0",
                "signalr_server_active_connections{signalr_transport=\"LongPolling\"} 0",
            ],
        ),
    ] {
        let server = Server::start(name);
        let address = server.address().parse().unwrap();
        let mut peer = Peer::connect(Ipv4Addr::LOCALHOST, address).await;
        peer.send(b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n").await;
        let shown = peer.answer().await.text;
        for metric in metrics {
            assert!(
                shown.lines().any(|line| line == *metric),
                "{metric}: {shown}"
            );
        }
    }
}

/// Servers print `http://`, and it is copied.
#[cfg(unix)]
#[test]
fn clients_take_the_address_that_servers_print() {
    let server = Server::start("hub_server");
    let url = format!("http://{}/chat", server.address());
    let told = Command::new(example("hub_chat_client"))
        .args(["--url", &url, "--room", "r", "--user", "u"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&told.stdout);
    assert!(said.starts_with("you are in r;"), "{told:?}");
    let server = Server::start("raw_server");
    let told = Command::new(example("raw_client"))
        .args(["echo", "hello", "--url"])
        .arg(format!("http://{}/wire", server.address()))
        .output()
        .unwrap();
    assert_eq!(told.stdout, b"hello\n", "{told:?}");
}
