//! axum's `ws`, with defaults.

use axum::{
    Router,
    extract::ws::{Message, WebSocket, WebSocketUpgrade},
    routing::any,
    serve::ListenerExt,
};
use tokio::net::TcpListener;

use super::{Endpoint, Peer, Serving, echo_alone};
use crate::load::{Dialect, Work};

/// axum's `ws` with defaults.
pub struct Axum;

impl Peer for Axum {
    fn name(&self) -> &'static str {
        "axum"
    }

    fn about(&self) -> &'static str {
        "axum's ws with defaults"
    }

    fn endpoint(&self, work: Work, dialect: Dialect) -> Option<Endpoint> {
        echo_alone(work, dialect)
    }

    fn serve(&self, listener: TcpListener) -> Serving {
        Box::pin(async {
            // It was set on a stream that has just been accepted: it cannot fail in a way that
            // matters.
            let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
            let upgrade = |upgrade: WebSocketUpgrade| async move { upgrade.on_upgrade(echo) };
            axum::serve(listener, Router::new().route("/echo", any(upgrade))).await
        })
    }
}

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        let is_data = matches!(message, Message::Text(_) | Message::Binary(_));
        if is_data && socket.send(message).await.is_err() {
            return;
        }
    }
}
