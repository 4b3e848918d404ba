//! The raw layer, as servers of these examples have it: an echo, a fan-out, streams, and the binary
//! protocol.

use std::{sync::Arc, time::Duration};

use axum::{Router, response::Response, routing::any};
use bytes::{Buf, Bytes};
use futures_util::{Stream, StreamExt, stream};
use raw_ws::{
    CloseCode, Config, Topics, Upgrade, WebSocket,
    wire::{self, Context, WireError},
};
use tokio::time::{Instant, interval};

/// Three endpoints of plain messages, below `path`: `/echo` returns every message as it came,
/// `/fanout` sends it to every connection of this path, the sender included, and `/stream` takes two
/// u32, a count and a size, and sends that many messages of that size.
pub fn messages(path: &str, config: &Arc<Config>) -> Router {
    let everybody = Topics::new();
    let (for_echo, for_fan_out, for_stream) = (config.clone(), config.clone(), config.clone());
    Router::new()
        .route(
            &format!("{path}/echo"),
            any(async move |upgrade: Upgrade| -> Response {
                upgrade.config(for_echo.clone()).on_upgrade(echo)
            }),
        )
        .route(
            &format!("{path}/fanout"),
            any(async move |upgrade: Upgrade| -> Response {
                let everybody = everybody.clone();
                upgrade
                    .config(for_fan_out.clone())
                    .on_upgrade(|ws| fan_out(ws, everybody))
            }),
        )
        .route(
            &format!("{path}/stream"),
            any(async move |upgrade: Upgrade| -> Response {
                upgrade.config(for_stream.clone()).on_upgrade(items)
            }),
        )
}

/// The binary protocol at `path`.
pub fn binary_protocol(path: &str, server: Arc<wire::Server>, config: &Arc<Config>) -> Router {
    let config = config.clone();
    Router::new().route(
        path,
        any(async move |upgrade: Upgrade| -> Response {
            server.serve(upgrade.config(config.clone()))
        }),
    )
}

/// What it offers everywhere: 1 echo, 2 add, 3 clock, 4 fail, 5 items, and topics.
pub fn wire_server() -> wire::Server {
    wire::Server::new()
        .operation(ECHO, async |_, payload| Ok(payload))
        .operation(ADD, add)
        .stream(CLOCK, clock)
        .operation(FAIL, fail)
        .stream(ITEMS, wire_items)
        .topics()
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

async fn items(mut ws: WebSocket) -> raw_ws::Result<()> {
    while let Some(message) = ws.recv().await? {
        let Some((count, item)) = wanted_items(message.into_bytes()) else {
            ws.close(CloseCode::POLICY_VIOLATION, WANTED).await?;
            return Ok(());
        };
        for _ in 0..count {
            ws.feed(item.clone())?;
            if ws.unwritten() > WRITE_AT_ONCE {
                ws.flush().await?; // no further than the peer reads
            }
        }
    }
    Ok(())
}

const ECHO: u16 = 1;
const ADD: u16 = 2;
const CLOCK: u16 = 3;
const FAIL: u16 = 4;
const ITEMS: u16 = 5;

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

/// Count and size as u32 in; that many items of that many bytes out.
fn wire_items(_: Context, payload: Bytes) -> impl Stream<Item = Result<Bytes, WireError>> {
    match wanted_items(payload) {
        Some((count, item)) => {
            stream::iter((0..count).map(move |_| Ok(item.clone()))).left_stream()
        }
        None => stream::iter([Err(WireError::bad_request(WANTED))]).right_stream(),
    }
}

/// How many items, and one of them.
fn wanted_items(mut payload: Bytes) -> Option<(u32, Bytes)> {
    if payload.len() != 8 {
        return None;
    }
    let (count, size) = (payload.get_u32(), payload.get_u32());
    let is_fair = count <= MOST_ITEMS && size <= LARGEST_ITEM;
    is_fair.then(|| (count, Bytes::from(vec![b'a'; size as usize])))
}

/// Of one request, for somebody who wants to see how fast they come.
pub const MOST_ITEMS: u32 = 1_000_000;
/// In bytes.
pub const LARGEST_ITEM: u32 = 32 * 1024;
const WANTED: &str = "a stream takes a count up to 1000000 and a size up to 32768: two u32";
const WRITE_AT_ONCE: usize = 64 * 1024;
