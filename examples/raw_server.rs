//! The raw layer alone: an echo, a fan-out, and the binary protocol.
//!
//! Run it:
//!
//! ```text
//! cargo run --release --example raw_server
//! ```
//!
//! Talk to it: `cargo run --release --example raw_client -- echo`, or any WebSocket client.
//!
//! | path | does |
//! |---|---|
//! | `/echo` | returns every message as it came |
//! | `/fanout` | sends every message to every connection of this path, the sender included |
//! | `/wire` | the binary protocol: 1 echo, 2 add, 3 clock, 4 fail, and topics |
//! | `/healthz`, `/metrics` | for whoever watches it |

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, response::Response, routing::any};
use bytes::{Buf, Bytes};
use clap::Parser;
use examples::{Error, ServerOptions};
use futures_util::{Stream, StreamExt, stream};
use raw_ws::{
    Config, Deflate, Topics, Upgrade, WebSocket,
    wire::{self, Context, WireError},
};
use tokio::time::{Instant, interval};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The raw layer alone: /echo, /fanout and the binary protocol at /wire.
#[derive(Debug, Parser)]
struct Options {
    /// Where to listen
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9001")]
    listen: SocketAddr,
    /// The largest message taken, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 64 * 1024)]
    max_message_size: usize,
    /// The most fragments a message may come in
    #[arg(long, value_name = "N", default_value_t = 128)]
    max_fragments: usize,
    /// Compress messages where the client offers it (permessage-deflate)
    #[arg(long)]
    deflate: bool,
    #[command(flatten)]
    server: ServerOptions,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let options = Options::parse();
    examples::observe()?;
    let config = Config::new()
        .max_message_size(options.max_message_size)
        .max_fragments(options.max_fragments)
        .deflate(options.deflate.then(Deflate::new));
    examples::run(options.listen, &options.server, app(Arc::new(config))).await
}

fn app(config: Arc<Config>) -> Router {
    let everybody = Topics::new();
    let wire = Arc::new(wire_server());
    let echo_config = config.clone();
    let fanout_config = config.clone();
    Router::new()
        .route(
            "/echo",
            any(async move |upgrade: Upgrade| -> Response {
                upgrade.config(echo_config.clone()).on_upgrade(echo)
            }),
        )
        .route(
            "/fanout",
            any(async move |upgrade: Upgrade| -> Response {
                let everybody = everybody.clone();
                upgrade
                    .config(fanout_config.clone())
                    .on_upgrade(|ws| fan_out(ws, everybody))
            }),
        )
        .route(
            "/wire",
            any(async move |upgrade: Upgrade| -> Response {
                wire.serve(upgrade.config(config.clone()))
            }),
        )
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

const ECHO: u16 = 1;
const ADD: u16 = 2;
const CLOCK: u16 = 3;
const FAIL: u16 = 4;

fn wire_server() -> wire::Server {
    wire::Server::new()
        .operation(ECHO, async |_, payload| Ok(payload))
        .operation(ADD, add)
        .stream(CLOCK, clock)
        .operation(FAIL, fail)
        .topics()
}

/// Two i64 in, their sum out.
async fn add(_: Context, mut payload: Bytes) -> Result<Bytes, WireError> {
    if payload.len() != 16 {
        return Err(WireError::bad_request("add takes two i64: 16 bytes"));
    }
    let sum = payload.get_i64().checked_add(payload.get_i64());
    let sum = sum.ok_or_else(|| WireError::bad_request("the sum is out of range"))?;
    Ok(Bytes::copy_from_slice(&sum.to_be_bytes()))
}

/// Count and interval in ms as u32 in; that many u64 out, the milliseconds since the first.
fn clock(_: Context, mut payload: Bytes) -> impl Stream<Item = Result<Bytes, WireError>> {
    let request = (payload.len() == 8).then(|| (payload.get_u32(), payload.get_u32()));
    let Some((count, every)) = request else {
        let error = WireError::bad_request("clock takes a count and an interval in ms: two u32");
        return stream::iter([Err(error)]).left_stream();
    };
    let ticks = interval(Duration::from_millis(u64::from(every.max(1))));
    stream::unfold(
        (ticks, None, 0),
        move |(mut ticks, first, sent)| async move {
            if sent == count {
                return None;
            }
            let now = ticks.tick().await;
            let first: Instant = first.unwrap_or(now);
            let elapsed = now.duration_since(first).as_millis() as u64;
            Some((
                Ok(Bytes::copy_from_slice(&elapsed.to_be_bytes())),
                (ticks, Some(first), sent + 1),
            ))
        },
    )
    .right_stream()
}

/// Answers an error with the request's text.
async fn fail(_: Context, payload: Bytes) -> Result<Bytes, WireError> {
    let text = String::from_utf8_lossy(&payload).into_owned();
    Err(WireError::new(1000, text))
}
