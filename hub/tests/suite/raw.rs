//! Connections without the hub protocol, over each transport.

use std::time::Duration;

use axum::{Extension, Router, body::Body};
use http::{Request, StatusCode, header::ACCEPT};
use hub::{
    EndpointOptions, HubError, RawConnection, RawConnections, Transport, User, testing::TestServer,
};
use tokio::time::timeout;

use crate::{
    fallbacks::support::{next, read},
    live::{Client, Count, Heard, PATIENCE},
};

async fn echo(mut connection: RawConnection) -> hub::Result<()> {
    while let Some(bytes) = connection.recv().await {
        match bytes.as_ref() {
            b"bytes" => connection.send_bytes(b"\0\xff")?,
            b"fail" => return Err(HubError::new("as asked")),
            b"panic" => panic!("as asked"),
            b"end" => return Ok(()),
            b"who" => connection.send_text(connection.user_identifier().unwrap_or("nobody"))?,
            text => connection.send_text(&String::from_utf8_lossy(text))?,
        }
    }
    Ok(())
}

fn app() -> Router {
    RawConnections::new(echo).router("/echo")
}

async fn client(app: Router) -> Client {
    let server = TestServer::new(app);
    Client::connect(server.socket_of(64 * 1024), "/echo").await
}

#[tokio::test(start_paused = true)]
async fn bytes_over_a_websocket() {
    let mut ann = client(app()).await;
    ann.text("hello").await;
    assert_eq!(ann.heard().await, Heard::Text("hello".into()));
    ann.bytes(b"bytes").await;
    assert_eq!(ann.heard().await, Heard::Binary(vec![0, 0xff]));
    ann.text("end").await;
    assert_eq!(ann.heard().await, Heard::Close(1000));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_fails_or_panics_closes_its_connection_alone() {
    let app = app();
    let mut other = client(app.clone()).await;
    for how in ["fail", "panic"] {
        let mut ann = client(app.clone()).await;
        ann.text(how).await;
        assert_eq!(ann.heard().await, Heard::Close(1011), "{how}");
    }
    other.text("still").await;
    assert_eq!(other.heard().await, Heard::Text("still".into()));
}

async fn token(app: &Router) -> String {
    let request = Request::post("/echo/negotiate?negotiateVersion=1");
    let answer = send(app, request.body(Body::empty()).unwrap()).await;
    let body: serde_json::Value = serde_json::from_str(&read(answer).await.body).unwrap();
    let transports = body["availableTransports"].as_array().unwrap().len();
    assert_eq!(transports, 3);
    body["connectionToken"].as_str().unwrap().to_owned()
}

async fn send(app: &Router, request: Request<Body>) -> axum::response::Response {
    let answer = tower::ServiceExt::oneshot(app.clone(), request).await;
    answer.unwrap_or_else(|never| match never {})
}

fn post(token: &str, body: &'static str) -> Request<Body> {
    let request = Request::post(format!("/echo?id={token}"));
    request.body(body.into()).unwrap()
}

fn get(token: &str) -> http::request::Builder {
    Request::get(format!("/echo?id={token}"))
}

#[tokio::test(start_paused = true)]
async fn bytes_over_an_event_stream() {
    let app = app();
    let token = token(&app).await;
    let stream = get(&token).header(ACCEPT, "text/event-stream");
    let stream = send(&app, stream.body(Body::empty()).unwrap()).await;
    let mut events = stream.into_body().into_data_stream();
    assert_eq!(next(&mut events).await.as_deref(), Some(":\r\n"));
    assert_eq!(send(&app, post(&token, "two\nlines")).await.status(), 200);
    let event = next(&mut events).await;
    assert_eq!(event.as_deref(), Some("data: two\r\ndata: lines\r\n\r\n"));
    // It carries text alone: the handler learns so, and ends.
    send(&app, post(&token, "bytes")).await;
    assert_eq!(next(&mut events).await, None);
}

#[tokio::test(start_paused = true)]
async fn bytes_over_polls() {
    let app = app();
    let token = token(&app).await;
    let poll = async || {
        let answer = send(&app, get(&token).body(Body::empty()).unwrap()).await;
        (answer.status(), read_bytes(answer).await)
    };
    assert_eq!(poll().await, (StatusCode::OK, vec![]));
    send(&app, post(&token, "hello")).await;
    assert_eq!(poll().await, (StatusCode::OK, b"hello".to_vec()));
    send(&app, post(&token, "bytes")).await;
    assert_eq!(poll().await, (StatusCode::OK, vec![0, 0xff]));
    send(&app, post(&token, "end")).await;
    assert_eq!(poll().await, (StatusCode::NO_CONTENT, vec![]));
}

async fn read_bytes(answer: axum::response::Response) -> Vec<u8> {
    let body = axum::body::to_bytes(answer.into_body(), 1000).await;
    body.unwrap().to_vec()
}

#[tokio::test(start_paused = true)]
async fn who_sends_faster_than_it_is_read_waits() {
    const SIZE: usize = 4096;
    let options = EndpointOptions::new().application_max_buffer_size(SIZE);
    let taken = Count::default();
    let count = taken.clone();
    let app = RawConnections::with_options(
        move |mut connection| {
            let count = count.clone();
            async move {
                connection.send_text("here")?;
                tokio::time::sleep(Duration::from_secs(60)).await;
                while let Some(bytes) = connection.recv().await {
                    for _ in 0..bytes.len() {
                        count.add();
                    }
                }
                Ok(())
            }
        },
        options,
    )
    .router("/echo");
    let mut ann = client(app).await;
    assert_eq!(ann.heard().await, Heard::Text("here".into()));
    // 64 KiB fill the socket; the handler's own part is one buffer more.
    let sends = async {
        for _ in 0..100 {
            ann.text(&"x".repeat(SIZE)).await;
        }
    };
    tokio::pin!(sends);
    let early = timeout(Duration::from_secs(30), &mut sends).await;
    assert!(early.is_err(), "nobody has read it");
    sends.await;
    taken.reaches(100 * SIZE).await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_learns_that_its_client_is_gone_and_reads_what_it_left() {
    let gone = Count::default();
    let count = gone.clone();
    let app = RawConnections::new(move |mut connection: RawConnection| {
        let count = count.clone();
        async move {
            let token = connection.cancellation_token();
            connection.disconnected().await;
            assert!(token.is_cancelled());
            while let Some(bytes) = connection.recv().await {
                assert_eq!(bytes, "last words");
                count.add();
            }
            Ok(())
        }
    })
    .router("/echo");
    let mut ann = client(app).await;
    ann.text("last words").await;
    ann.leave().await;
    gone.reaches(1).await;
}

#[tokio::test(start_paused = true)]
async fn who_it_is_and_who_may() {
    let known = RawConnections::new(echo).require_user().router("/echo");
    let layered = known.clone().layer(Extension(User::new("ann")));
    let request = Request::post("/echo/negotiate")
        .body(Body::empty())
        .unwrap();
    assert_eq!(send(&known, request).await.status(), 401);
    let mut ann = client(layered).await;
    ann.text("who").await;
    assert_eq!(ann.heard().await, Heard::Text("ann".into()));
}

/// Not in paused time: users end by the calendar's, which goes on at its own pace.
#[tokio::test]
async fn what_holds_at_a_path_holds_here() {
    let polled = EndpointOptions::new().transports([Transport::LongPolling]);
    let app = RawConnections::with_options(echo, polled).router("/echo");
    let server = TestServer::new(app);
    let refused = Client::try_connect(server.socket(), "/echo").await;
    assert_eq!(refused.err(), Some(404));

    let ends = EndpointOptions::new().close_on_authentication_expiration(true);
    let soon = User::new("ann").expires_in(Duration::from_millis(50));
    let app = RawConnections::with_options(echo, ends).router("/echo");
    let mut ann = client(app.layer(Extension(soon))).await;
    let end = timeout(PATIENCE, ann.heard()).await;
    assert_eq!(end.unwrap(), Heard::Close(1000));
}
