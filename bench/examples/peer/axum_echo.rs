//! axum's `ws`, with defaults.

use std::io;

use axum::{
    Router,
    extract::ws::{Message, WebSocket, WebSocketUpgrade},
    routing::any,
    serve::ListenerExt,
};
use tokio::net::TcpListener;

pub(crate) async fn serve(listener: TcpListener) -> io::Result<()> {
    // It was set on a stream that has just been accepted: it cannot fail in a way that matters.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    let upgrade = |upgrade: WebSocketUpgrade| async move { upgrade.on_upgrade(echo) };
    axum::serve(listener, Router::new().route("/echo", any(upgrade))).await
}

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        let is_data = matches!(message, Message::Text(_) | Message::Binary(_));
        if is_data && socket.send(message).await.is_err() {
            return;
        }
    }
}
