//! Our server, in the few lines that its users write.

use std::sync::Arc;

use axum::{Router, response::Response, routing::any};
use bytes::{Buf, Bytes};
use futures_util::stream;
use raw_ws::{Topics, Upgrade, WebSocket, wire};
use tokio::net::TcpListener;

use super::{Endpoint, Peer, Serving};
use crate::load::{Dialect, Work};

/// Ours: `/echo`, `/fanout`, `/stream`, `/upload`, and the binary protocol at `/wire`. All limits and
/// deadlines are on, as they are by default.
pub struct RawWs;

impl RawWs {
    /// Its app, without the server below.
    pub fn app() -> Router {
        let everybody = Topics::new();
        let operations = Arc::new(
            wire::Server::new()
                .operation(ECHO, async |_, payload| Ok(payload))
                .stream(ITEMS, |_, payload: Bytes| {
                    let (count, item) = wanted(payload);
                    stream::iter((0..count).map(move |_| Ok(item.clone())))
                })
                .topics(),
        );
        let fan_out = any(async move |upgrade: Upgrade| -> Response {
            let everybody = everybody.clone();
            upgrade.on_upgrade(|ws| fan_out(ws, everybody))
        });
        let wire = any(async move |upgrade: Upgrade| -> Response { operations.serve(upgrade) });
        Router::new()
            .route(
                "/echo",
                any(async |upgrade: Upgrade| -> Response { upgrade.on_upgrade(echo) }),
            )
            .route("/fanout", fan_out)
            .route(
                "/stream",
                any(async |upgrade: Upgrade| -> Response { upgrade.on_upgrade(items) }),
            )
            .route(
                "/upload",
                any(async |upgrade: Upgrade| -> Response { upgrade.on_upgrade(count) }),
            )
            .route("/wire", wire)
    }
}

impl Peer for RawWs {
    fn name(&self) -> &'static str {
        "raw-ws"
    }

    fn about(&self) -> &'static str {
        "ours: messages at /echo, /fanout, /stream and /upload, the binary protocol at /wire"
    }

    fn endpoint(&self, work: Work, dialect: Dialect) -> Option<Endpoint> {
        let path = match (dialect, work) {
            (Dialect::Wire, Work::Items | Work::Upload) => return None,
            (Dialect::Wire, _) => "/wire",
            (Dialect::Messages | Dialect::HubBytes(_), Work::Echo) => "/echo",
            (Dialect::Messages | Dialect::HubBytes(_), Work::FanOut) => "/fanout",
            (Dialect::Messages, Work::Stream) | (Dialect::HubBytes(_), Work::Items) => "/stream",
            (Dialect::Messages, Work::Upload) => "/upload",
            _ => return None,
        };
        Some(Endpoint::WebSocket(path))
    }

    fn serve(&self, listener: TcpListener) -> Serving {
        Box::pin(async { raw_ws::serve(listener, Self::app()).await })
    }
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
        let (count, item) = wanted(message.into_bytes());
        for _ in 0..count {
            ws.feed(item.clone())?;
            if ws.unwritten() > WRITE_AT_ONCE {
                ws.flush().await?; // no further than the peer reads
            }
        }
    }
    Ok(())
}

/// Answers an empty message with how many came since the last, as u32.
async fn count(mut ws: WebSocket) -> raw_ws::Result<()> {
    let mut came = 0_u32;
    while let Some(message) = ws.recv().await? {
        if message.into_bytes().is_empty() {
            ws.feed(Bytes::copy_from_slice(&came.to_be_bytes()))?;
            came = 0;
        } else {
            came += 1;
        }
    }
    Ok(())
}

/// How many items, and one of them; none of what is not two u32.
fn wanted(mut payload: Bytes) -> (u32, Bytes) {
    match (payload.try_get_u32(), payload.try_get_u32()) {
        (Ok(count), Ok(size)) => (count, vec![b'a'; size as usize].into()),
        _ => (0, Bytes::new()),
    }
}

const ECHO: u16 = 1;
const ITEMS: u16 = 5;
const WRITE_AT_ONCE: usize = 64 * 1024;
