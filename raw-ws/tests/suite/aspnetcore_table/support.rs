//! Servers of this crate, and a client of another library.

use std::{
    future::{Future, IntoFuture},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, response::Response, routing::any};
use futures_util::{SinkExt, StreamExt};
use raw_ws::{Config, Upgrade, WebSocket};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
    time::timeout,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{
        self, ClientRequestBuilder, Message as Theirs,
        handshake::client::Response as Answer,
        protocol::{
            CloseFrame as TheirClose,
            frame::{
                Frame as TheirFrame,
                coding::{CloseCode as TheirCode, Data, OpCode as TheirOpCode},
            },
        },
    },
};

/// Ends a test that hangs. Nothing passes because of it.
const GUARD: Duration = Duration::from_secs(15);

pub(crate) type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub(crate) async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(raw_ws::serve(listener, app).into_future());
    address
}

/// A server whose every path upgrades as `accept` says.
pub(crate) async fn accepting(
    accept: impl Fn(Upgrade) -> Response + Clone + Send + Sync + 'static,
) -> String {
    let route = any(async move |upgrade: Upgrade| accept(upgrade));
    let address = serve(Router::new().fallback(route)).await;
    format!("ws://{address}/")
}

/// A server for one connection: `handler` has it, and its result comes out at the other end.
pub(crate) async fn handling<F, Fut, T>(
    config: Config,
    handler: F,
) -> (Client, oneshot::Receiver<T>)
where
    F: FnOnce(WebSocket) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let (result, outcome) = oneshot::channel();
    let once = Arc::new(Mutex::new(Some(result)));
    let url = accepting(move |upgrade| {
        let handler = handler.clone();
        let result = once.lock().unwrap().take().expect("one connection");
        upgrade.config(config.clone()).on_upgrade(async move |ws| {
            let _ = result.send(handler(ws).await);
        })
    })
    .await;
    (connect(&url).await, outcome)
}

pub(crate) async fn connect(url: &str) -> Client {
    connect_async(url).await.unwrap().0
}

pub(crate) async fn connect_with(
    url: &str,
    header: &str,
    value: &str,
) -> tungstenite::Result<(Client, Answer)> {
    let request = ClientRequestBuilder::new(url.parse().unwrap()).with_header(header, value);
    connect_async(request).await
}

pub(crate) async fn soon<T>(event: impl Future<Output = T>) -> T {
    timeout(GUARD, event).await.expect("waited in vain")
}

pub(crate) async fn next(client: &mut Client) -> Theirs {
    soon(client.next()).await.unwrap().unwrap()
}

pub(crate) async fn echo(mut ws: WebSocket) -> raw_ws::Result<()> {
    while let Some(message) = ws.recv().await? {
        ws.feed(message)?;
    }
    Ok(())
}

pub(crate) async fn assert_echoes(client: &mut Client) {
    client.send("hello".into()).await.unwrap();
    assert_eq!(next(client).await, Theirs::text("hello"));
}

/// The client's Close of this code, or none.
pub(crate) fn close(code: impl Into<Option<u16>>) -> Theirs {
    let code = code.into().map(|code| TheirClose {
        code: TheirCode::from(code),
        reason: "why not".into(),
    });
    Theirs::Close(code)
}

pub(crate) fn fragment(opcode: Data, payload: &'static str, is_final: bool) -> Theirs {
    let payload = payload.as_bytes();
    Theirs::Frame(TheirFrame::message(
        payload,
        TheirOpCode::Data(opcode),
        is_final,
    ))
}

pub(crate) async fn assert_closes(client: &mut Client, code: u16, reason: &str) {
    let Theirs::Close(Some(close)) = next(client).await else {
        panic!("no Close, or without a code");
    };
    assert_eq!(
        (u16::from(close.code), close.reason.as_str()),
        (code, reason)
    );
}

/// The code and reason that a handler sees when the client closes so.
pub(crate) async fn closed_by(theirs: Theirs) -> Option<(u16, String)> {
    let (mut client, outcome) = handling(Config::new(), async |mut ws| {
        while ws.recv().await.unwrap().is_some() {}
        let close = ws.peer_close()?;
        Some((close.code().as_u16(), close.reason().to_owned()))
    })
    .await;
    client.send(theirs).await.unwrap();
    soon(outcome).await.unwrap()
}
