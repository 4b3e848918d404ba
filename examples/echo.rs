//! The raw layer in a few lines: what both READMEs begin with.
//!
//! Run it:     `cargo run --release --example echo`
//! Talk to it: `cargo run --release --example raw_client -- text`, or any WebSocket client, at
//!             `ws://127.0.0.1:9001/echo`

use axum::{Router, response::Response, routing::any};
use raw_ws::{Upgrade, WebSocket};

async fn echo(mut ws: WebSocket) -> raw_ws::Result<()> {
    while let Some(message) = ws.recv().await? {
        ws.feed(message)?; // replies to what was read together leave in one write
    }
    Ok(())
}

async fn upgrade(upgrade: Upgrade) -> Response {
    upgrade.on_upgrade(echo)
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    examples::help(include_str!("echo.rs"));
    let app = Router::new().route("/echo", any(upgrade));
    let listener = raw_ws::listen("127.0.0.1:9001").await?;
    raw_ws::serve(listener, app).await
}
