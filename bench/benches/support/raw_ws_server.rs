//! Our server, in the few lines that its users write.

use std::{io, sync::Arc};

use axum::{Router, response::Response, routing::any};
use raw_ws::{Topics, Upgrade, WebSocket, wire};
use tokio::net::TcpListener;

/// Serves `/echo`, `/fanout` and, at `/wire`, operation [`ECHO`] of the binary protocol. All limits
/// and deadlines are on, as they are by default.
pub(crate) async fn serve(listener: TcpListener) -> io::Result<()> {
    let everybody = Topics::new();
    let operations = Arc::new(wire::Server::new().operation(ECHO, async |_, payload| Ok(payload)));
    let app = Router::new()
        .route(
            "/echo",
            any(async |upgrade: Upgrade| -> Response { upgrade.on_upgrade(echo) }),
        )
        .route(
            "/fanout",
            any(async move |upgrade: Upgrade| -> Response {
                let everybody = everybody.clone();
                upgrade.on_upgrade(|ws| fan_out(ws, everybody))
            }),
        )
        .route(
            "/wire",
            any(async move |upgrade: Upgrade| -> Response { operations.serve(upgrade) }),
        );
    raw_ws::serve(listener, app).await
}

async fn echo(mut ws: WebSocket) -> raw_ws::Result<()> {
    while let Some(message) = ws.recv().await? {
        ws.feed(message)?;
    }
    Ok(())
}

async fn fan_out(mut ws: WebSocket, everybody: Topics<()>) -> raw_ws::Result<()> {
    everybody.subscribe((), &ws.sender());
    while let Some(message) = ws.recv().await? {
        everybody.publish(&(), &message.into());
    }
    Ok(())
}

/// The operation that answers with what it was given.
pub(crate) const ECHO: u16 = 1;
