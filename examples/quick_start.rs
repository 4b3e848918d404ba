//! A hub in a few lines: what both READMEs begin with.
//!
//! Run it:     `cargo run --release --example quick_start`
//! Talk to it: any SignalR client, at `http://127.0.0.1:5000/chat`

use hub::{Context, Hub, HubError};

async fn join(cx: Context, room: String) -> hub::Result<usize> {
    if room.is_empty() {
        return Err(HubError::new("a room needs a name")); // the client sees this text
    }
    cx.groups().join(&room)?;
    Ok(cx.groups().members(&room).len())
}

async fn say(cx: Context, room: String, text: String) -> hub::Result<()> {
    cx.group(&room).send("Said", (cx.connection_id(), text)) // encoded once, never waits
}

/// The hub at its path: a part of any axum app.
pub fn app() -> axum::Router {
    Hub::new(())
        .method("Join", join)
        .method("Say", say)
        .router("/chat")
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    examples::help(include_str!("quick_start.rs"));
    let listener = raw_ws::listen("127.0.0.1:5000").await?;
    raw_ws::serve(listener, app()).await
}
