//! The README's table for people who know ASP.NET Core: each row by a test of its name.

mod closing;
mod receiving_and_sending;
mod support;

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use axum::{
    Router,
    response::{IntoResponse, Response},
    routing::any,
};
use raw_ws::{Config, Deflate, HandshakeError, Origins, Upgrade};
use support::{accepting, assert_echoes, connect, connect_with, echo, handling, next, serve, soon};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{self, Message as Theirs},
};

#[test]
fn every_row_has_a_test_and_every_test_a_row() {
    let readme = include_str!("../../README.md");
    let (_, section) = readme
        .split_once("\n## For people who know ASP.NET Core\n")
        .unwrap();
    let rows: BTreeSet<String> = section
        .split("\n#")
        .next()
        .unwrap()
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split(" | ").next())
        .map(in_snake_case)
        .collect();

    let lines: Vec<&str> = [
        include_str!("aspnetcore_table/closing.rs"),
        include_str!("aspnetcore_table.rs"),
        include_str!("aspnetcore_table/receiving_and_sending.rs"),
    ]
    .iter()
    .flat_map(|source| source.lines())
    .collect();
    let tests: BTreeSet<String> = lines
        .windows(2)
        .filter(|two| two[0] == "#[tokio::test]")
        .filter_map(|two| two[1].strip_prefix("async fn ")?.split('(').next())
        .map(str::to_owned)
        .collect();
    assert_eq!(rows, tests);
    assert!(rows.len() > 30, "{rows:?}");
}

/// "`ReceiveAsync` with `EndOfMessage`" is "receive_async_with_end_of_message".
fn in_snake_case(row: &str) -> String {
    let mut name = String::new();
    for char in row.chars() {
        let goes_on = name.ends_with(|last: char| last.is_lowercase());
        if char.is_uppercase() && goes_on || char == ' ' || char == '.' {
            name.push('_');
        }
        if char.is_alphanumeric() {
            name.extend(char.to_lowercase());
        }
    }
    name
}

// ---------------------------------------------------------------------------------------------
// UseWebSockets

#[tokio::test]
async fn use_web_sockets() {
    async fn upgrade(upgrade: Upgrade) -> Response {
        upgrade.on_upgrade(echo)
    }
    let address = serve(Router::new().route("/ws", any(upgrade))).await;
    assert_echoes(&mut connect(&format!("ws://{address}/ws")).await).await;
}

#[tokio::test]
async fn use_web_sockets_with_keep_alive_interval() {
    assert_eq!(
        Config::new().keep_alive_interval,
        Some(Duration::from_secs(15))
    );
    let config = Config::new().keep_alive_interval(Duration::from_millis(10));
    let (mut client, _) = handling(config, echo).await;
    assert_eq!(next(&mut client).await, Theirs::Ping("".into()));

    // Never: nothing comes before the answer.
    let config = Config::new().keep_alive_interval(None);
    let (mut client, _) = handling(config, echo).await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(3600)).await;
    tokio::time::resume();
    assert_echoes(&mut client).await;
}

#[tokio::test]
async fn use_web_sockets_with_keep_alive_timeout() {
    assert_eq!(Config::new().keep_alive_timeout, Duration::from_secs(15));
    let config = Config::new()
        .keep_alive_interval(Duration::from_millis(10))
        .keep_alive_timeout(Duration::from_millis(10));
    // Not polled, the client answers no Ping.
    let (client, outcome) = handling(config, echo).await;
    let error = soon(outcome).await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "the peer answers nothing");
    drop(client);
}

#[tokio::test]
async fn use_web_sockets_with_allowed_origins() {
    let by_default = accepting(|upgrade| upgrade.on_upgrade(echo)).await;
    let listed = accepting(|upgrade| {
        let origins = Origins::list(["https://example.com"]);
        upgrade.origins(origins).on_upgrade(echo)
    })
    .await;
    let same_host = by_default.replace("ws", "http");
    for (url, origin, status) in [
        (&by_default, same_host.trim_end_matches('/'), 101),
        (&by_default, "https://example.com", 403),
        (&listed, "https://example.com", 101),
        (&listed, "https://evil.example", 403),
    ] {
        let answered = match connect_with(url, "Origin", origin).await {
            Ok((_, answer)) => answer.status(),
            Err(tungstenite::Error::Http(answer)) => answer.status(),
            Err(error) => panic!("{error}"),
        };
        assert_eq!(answered, status, "{origin} at {url}");
    }
}

// ---------------------------------------------------------------------------------------------
// HttpContext.WebSockets

#[tokio::test]
async fn is_web_socket_request() {
    async fn refusing(upgrade: Upgrade) -> Response {
        upgrade.on_upgrade(echo)
    }
    async fn either(upgrade: Result<Upgrade, HandshakeError>) -> Response {
        match upgrade {
            Ok(upgrade) => upgrade.on_upgrade(echo),
            Err(_) => "a page".into_response(),
        }
    }
    let app = Router::new()
        .route("/refusing", any(refusing))
        .route("/either", any(either));
    let address = serve(app).await;
    assert!(get(address, "/refusing").await.starts_with("HTTP/1.1 400 "));
    assert!(get(address, "/either").await.ends_with("\r\n\r\na page"));
    for path in ["refusing", "either"] {
        assert_echoes(&mut connect(&format!("ws://{address}/{path}")).await).await;
    }
}

async fn get(address: SocketAddr, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.unwrap();
    answer
}

#[tokio::test]
async fn web_socket_requested_protocols() {
    let url = accepting(|upgrade| {
        let offered = upgrade.headers()["sec-websocket-protocol"].clone();
        assert_eq!(offered, "one, two");
        upgrade.subprotocols(["two"]).on_upgrade(echo)
    })
    .await;
    let protocols = connect_with(&url, "Sec-WebSocket-Protocol", "one, two").await;
    assert_echoes(&mut protocols.unwrap().0).await;
}

#[tokio::test]
async fn accept_web_socket_async() {
    let url = accepting(|upgrade| upgrade.on_upgrade(echo)).await;
    let (mut client, answer) = connect_async(url).await.unwrap();
    assert_eq!(answer.status(), 101);
    assert_echoes(&mut client).await;
}

#[tokio::test]
async fn accept_web_socket_async_with_sub_protocol() {
    let url = accepting(|upgrade| {
        let spoken = upgrade.subprotocols(["v2.example", "v1.example"]);
        spoken.on_upgrade(echo)
    })
    .await;
    let offer = "v1.example, v2.example";
    let (_, answer) = connect_with(&url, "Sec-WebSocket-Protocol", offer)
        .await
        .unwrap();
    assert_eq!(answer.headers()["sec-websocket-protocol"], "v2.example");
}

#[tokio::test]
async fn accept_web_socket_async_with_dangerous_enable_compression() {
    let offered = async |config: Config| {
        let url = accepting(move |upgrade| upgrade.config(config.clone()).on_upgrade(echo)).await;
        let offer = "permessage-deflate";
        // That library does not speak it, and says so when the server agrees.
        let (name, value) = ("Sec-WebSocket-Extensions", offer);
        match connect_with(&url, name, value).await {
            Ok((_, answer)) => answer.headers().get(name).cloned(),
            Err(tungstenite::Error::Http(answer)) => answer.headers().get(name).cloned(),
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(offered(Config::new()).await, None);
    let agreed = offered(Config::new().deflate(Deflate::new()))
        .await
        .unwrap();
    assert!(agreed.to_str().unwrap().starts_with("permessage-deflate"));
}
