//! The rows about the end of a connection: closing, states, codes.

use std::{io, sync::Arc, time::Duration};

use axum::{http::StatusCode, response::IntoResponse};
use futures_util::{SinkExt, StreamExt};
use raw_ws::{CloseCode, CloseFrame, Config, Error, Outcome, WebSocket, proto::State};
use tokio::{sync::Notify, time::timeout};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{self, Message as Theirs},
};

use super::support::{
    Client, accepting, assert_closes, close, closed_by, connect, connect_with, handling, next, soon,
};

#[tokio::test]
async fn close_async() {
    let (mut client, outcome) = handling(Config::new(), async |mut ws| {
        ws.close(CloseCode::NORMAL, "Goodbye").await
    })
    .await;
    assert_closes(&mut client, 1000, "Goodbye").await;
    // The library answers while it is polled.
    assert!(soon(client.next()).await.is_none());
    let answer = soon(outcome).await.unwrap().unwrap().unwrap();
    assert_eq!(answer.code(), CloseCode::NORMAL);

    // A client that does not answer is waited for no longer than this.
    let config = Config::new().close_timeout(Duration::from_millis(10));
    let (client, outcome) = handling(config, async |mut ws| {
        ws.close(CloseCode::NORMAL, "Goodbye").await
    })
    .await;
    assert_eq!(soon(outcome).await.unwrap().unwrap(), None);
    drop(client);
}

#[tokio::test]
async fn close_output_async() {
    let (mut client, outcome) = handling(Config::new(), async |mut ws| {
        let close = CloseFrame::new(CloseCode::GOING_AWAY, "enough").unwrap();
        ws.sender().close(close);
        let received = ws.recv().await.unwrap();
        (received, ws.peer_close().map(CloseFrame::code))
    })
    .await;
    client.send("too late".into()).await.unwrap();
    assert_closes(&mut client, 1001, "enough").await;
    assert!(soon(client.next()).await.is_none());
    let received = soon(outcome).await.unwrap();
    assert_eq!(received, (None, Some(CloseCode::GOING_AWAY)));
}

// ---------------------------------------------------------------------------------------------
// State

#[tokio::test]
async fn state() {
    let (mut client, outcome) = handling(Config::new(), async |mut ws| {
        let before = ws.state();
        ws.recv().await.unwrap();
        (before, ws.state())
    })
    .await;
    client.send(close(1000)).await.unwrap();
    assert!(next(&mut client).await.is_close());
    assert_eq!(soon(outcome).await.unwrap(), (State::Open, State::Closed));
}

#[tokio::test]
async fn web_socket_state_none() {
    let (_client, outcome) = handling(Config::new(), async |ws| ws.state()).await;
    assert_eq!(soon(outcome).await.unwrap(), State::Open);
}

#[tokio::test]
async fn web_socket_state_connecting() {
    // An `Upgrade` can still be answered otherwise.
    let url = accepting(|upgrade| {
        drop(upgrade);
        StatusCode::IM_A_TEAPOT.into_response()
    })
    .await;
    let Err(tungstenite::Error::Http(answer)) = connect_async(url).await else {
        panic!("an answer over HTTP");
    };
    assert_eq!(answer.status(), 418);
}

#[tokio::test]
async fn web_socket_state_open() {
    let (mut client, outcome) = handling(Config::new(), async |mut ws| {
        ws.recv().await.unwrap();
        ws.state()
    })
    .await;
    client.send("hello".into()).await.unwrap();
    assert_eq!(soon(outcome).await.unwrap(), State::Open);
}

#[tokio::test]
async fn web_socket_state_close_sent() {
    let looked = Arc::new(Notify::new());
    let has_looked = looked.clone();
    let (mut client, outcome) = handling(Config::new(), async move |mut ws| {
        let waited = timeout(Duration::from_millis(10), ws.close(CloseCode::NORMAL, "")).await;
        assert!(waited.is_err(), "the client has not answered yet");
        let (state, refused) = (ws.state(), ws.send("more").await);
        looked.notify_one();
        (state, refused.is_err(), ws.recv().await.unwrap())
    })
    .await;
    soon(has_looked.notified()).await;
    // It answers when it is polled.
    assert_closes(&mut client, 1000, "").await;
    assert!(soon(client.next()).await.is_none());
    let outcome = soon(outcome).await.unwrap();
    assert_eq!(outcome, (State::Closing, true, None));
}

#[tokio::test]
async fn web_socket_state_close_received() {
    let (mut client, outcome) = handling(Config::new(), async |mut ws| {
        let received = ws.recv().await.unwrap();
        (received, ws.state(), ws.send("more").await.is_err())
    })
    .await;
    client.send(close(1001)).await.unwrap();
    // Answered, although the handler did not.
    assert_closes(&mut client, 1001, "").await;
    assert_eq!(soon(outcome).await.unwrap(), (None, State::Closed, true));
}

#[tokio::test]
async fn web_socket_state_closed() {
    let (mut client, outcome) = handling(Config::new(), async |mut ws| {
        ws.close(CloseCode::NORMAL, "").await.unwrap();
        (ws.state(), ws.recv().await.unwrap())
    })
    .await;
    assert_closes(&mut client, 1000, "").await;
    assert!(soon(client.next()).await.is_none());
    assert_eq!(soon(outcome).await.unwrap(), (State::Closed, None));
}

#[tokio::test]
async fn web_socket_state_aborted() {
    let (client, outcome) = handling(Config::new(), async |mut ws| {
        let error = ws.recv().await.unwrap_err();
        (ws.state(), error)
    })
    .await;
    drop(client); // without a Close
    let (state, error) = soon(outcome).await.unwrap();
    assert_eq!(state, State::Closed);
    let Error::Io(error) = error else {
        panic!("{error}");
    };
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

// ---------------------------------------------------------------------------------------------
// Properties

#[tokio::test]
async fn close_status() {
    assert_eq!(closed_by(close(4001)).await.unwrap().0, 4001);
    assert_eq!(closed_by(close(None)).await, None);
}

#[tokio::test]
async fn close_status_description() {
    assert_eq!(closed_by(close(1000)).await.unwrap().1, "why not");
}

#[tokio::test]
async fn sub_protocol() {
    let url = accepting(|upgrade| {
        let spoken = upgrade.subprotocols(["v1.example"]);
        spoken.on_upgrade(async |mut ws: WebSocket| {
            let agreed = ws.subprotocol().unwrap_or("none").to_owned();
            ws.send(agreed).await
        })
    })
    .await;
    let (mut client, _) = connect_with(&url, "Sec-WebSocket-Protocol", "v1.example")
        .await
        .unwrap();
    assert_eq!(next(&mut client).await, Theirs::text("v1.example"));
    let mut client = connect(&url).await;
    assert_eq!(next(&mut client).await, Theirs::text("none"));
}

#[tokio::test]
async fn abort() {
    let (mut client, outcome) = handling(Config::new(), async |mut ws| {
        ws.send("hello").await.unwrap();
        drop(ws); // does not wait for the client
    })
    .await;
    soon(outcome).await.unwrap();
    assert_eq!(next(&mut client).await, Theirs::text("hello"));
    assert!(next(&mut client).await.is_close());
}

#[tokio::test]
async fn dispose() {
    async fn returning<T: Outcome + 'static>(
        outcome: impl Fn() -> T + Clone + Send + Sync + 'static,
    ) -> Client {
        let url = accepting(move |upgrade| {
            let outcome = outcome.clone();
            upgrade.on_upgrade(async move |_ws: WebSocket| outcome())
        })
        .await;
        connect(&url).await
    }
    assert_closes(&mut returning(|| ()).await, 1000, "").await;
    assert_closes(&mut returning(|| Ok::<(), ()>(())).await, 1000, "").await;
    assert_closes(&mut returning(|| Err::<(), ()>(())).await, 1011, "").await;
    assert_closes(&mut returning(|| -> () { panic!("meant") }).await, 1011, "").await;
}

// ---------------------------------------------------------------------------------------------
// WebSocketCloseStatus

/// Both ways: a handler sends the constant, and sees it when the client does.
async fn assert_is_on_the_wire(code: CloseCode, number: u16) {
    assert_eq!(closed_by(close(number)).await.unwrap().0, number);
    let (mut client, _) = handling(Config::new(), async move |mut ws| {
        ws.close(code, "so").await.map(drop)
    })
    .await;
    assert_closes(&mut client, number, "so").await;
}

#[tokio::test]
async fn web_socket_close_status_normal_closure() {
    assert_is_on_the_wire(CloseCode::NORMAL, 1000).await;
}

#[tokio::test]
async fn web_socket_close_status_endpoint_unavailable() {
    assert_is_on_the_wire(CloseCode::GOING_AWAY, 1001).await;
}

#[tokio::test]
async fn web_socket_close_status_protocol_error() {
    assert_is_on_the_wire(CloseCode::PROTOCOL_ERROR, 1002).await;
}

#[tokio::test]
async fn web_socket_close_status_invalid_message_type() {
    assert_is_on_the_wire(CloseCode::UNSUPPORTED_DATA, 1003).await;
}

#[tokio::test]
async fn web_socket_close_status_empty() {
    assert_eq!(closed_by(close(None)).await, None);
    assert!(CloseFrame::new(CloseCode::new(1005), "").is_err());
}

#[tokio::test]
async fn web_socket_close_status_invalid_payload_data() {
    assert_is_on_the_wire(CloseCode::INVALID_PAYLOAD, 1007).await;
}

#[tokio::test]
async fn web_socket_close_status_policy_violation() {
    assert_is_on_the_wire(CloseCode::POLICY_VIOLATION, 1008).await;
}

#[tokio::test]
async fn web_socket_close_status_message_too_big() {
    assert_is_on_the_wire(CloseCode::MESSAGE_TOO_BIG, 1009).await;
}

#[tokio::test]
async fn web_socket_close_status_mandatory_extension() {
    assert_is_on_the_wire(CloseCode::MANDATORY_EXTENSION, 1010).await;
}

#[tokio::test]
async fn web_socket_close_status_internal_server_error() {
    assert_is_on_the_wire(CloseCode::INTERNAL_ERROR, 1011).await;
}
