//! The first WebSocket server, step by step: two minutes to read, top to bottom.
//!
//! ```text
//! cargo run --release --example lesson
//! cargo run --release --example raw_client -- text --url ws://127.0.0.1:9002/lesson
//! ```
//!
//! Then type: `ping` is answered `pong`, `bye` closes, anything else comes back.

use std::net::SocketAddr;

use axum::{Router, response::Response, routing::get};
use clap::Parser;
use raw_ws::{CloseCode, Message, Upgrade, WebSocket};

/// The first WebSocket server, step by step.
#[derive(Debug, Parser)]
struct Options {
    /// Where to listen
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9002")]
    listen: SocketAddr,
    #[command(flatten)]
    server: examples::ServerOptions,
}

#[tokio::main]
async fn main() -> Result<(), examples::Error> {
    let options = Options::parse();
    examples::observe()?;

    // 1. A route of an ordinary axum app.
    let app = Router::new().route("/lesson", get(accept));
    examples::run(options.listen, &options.server, app).await
}

/// 2. Accept. A request that is no WebSocket upgrade never gets here: `Upgrade` has answered it,
///    a plain GET with 400.
async fn accept(upgrade: Upgrade) -> Response {
    upgrade.on_upgrade(converse)
}

/// 3. The conversation, in a task of its own.
async fn converse(mut ws: WebSocket) -> raw_ws::Result<()> {
    // 4. Receive whole messages: fragments are stitched, pings are answered. `None` comes after a
    //    clean close; a client that vanishes is an `Err`, at the latest when it answers no ping,
    //    and ends this task and nothing else.
    while let Some(message) = ws.recv().await? {
        // 5. Text is known to be UTF-8; this server reads binary messages as text too.
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(bytes) => String::from_utf8_lossy(&bytes).into_owned().into(),
        };
        // 6. Answer, or say goodbye: `close` sends the Close frame and waits for the client's.
        match text.as_str() {
            "ping" => ws.send("pong").await?,
            "bye" => {
                ws.close(CloseCode::NORMAL, "Goodbye").await?;
                return Ok(());
            }
            text => ws.send(format!("Echo: {text}")).await?,
        }
    }
    Ok(())
}
