//! What this process has used, as far as the system tells, and what HTTP has carried to and from
//! the hub.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::{
    Router,
    body::{Body, HttpBody as _},
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::{Next, from_fn},
    response::Response,
};
use bench::process::Process;
use http_body_util::BodyExt as _;
use serde::Serialize;

/// Counters that only grow.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Usage {
    /// Processor time of the process; `None` where the system does not tell.
    cpu_microseconds: Option<f64>,
    /// Bytes of requests to the hub, and of its answers, that did not become WebSockets.
    http_bytes: u64,
}

/// What HTTP has carried so far.
static HTTP_BYTES: AtomicU64 = AtomicU64::new(0);

pub(crate) fn now() -> Usage {
    let cpu = Process::current().and_then(|process| process.cpu_time());
    Usage {
        cpu_microseconds: cpu.ok().map(|time| time.total().as_secs_f64() * 1e6),
        http_bytes: HTTP_BYTES.load(Ordering::Relaxed),
    }
}

/// Counts what `routes` are asked and answer: a browser does not tell its page how large the heads
/// are that it sends.
pub(crate) fn metered(routes: Router) -> Router {
    routes.layer(from_fn(count))
}

async fn count(request: Request, next: Next) -> Response {
    if request.headers().contains_key(header::UPGRADE) {
        return next.run(request).await;
    }
    let line = format!("{} {} HTTP/1.1\r\n", request.method(), request.uri());
    let body = request.body().size_hint().exact().unwrap_or_default();
    add(line.len() + size_of(request.headers()));
    add(body as usize);
    let response = next.run(request).await;
    let reason = response.status().canonical_reason().unwrap_or_default();
    // What the server adds below this.
    let added = "date: Tue, 15 Nov 1994 08:12:31 GMT\r\ncontent-length: 10\r\n";
    add("HTTP/1.1 200 \r\n".len() + reason.len() + size_of(response.headers()) + added.len());
    match response.body().size_hint().exact() {
        Some(body) => {
            add(body as usize);
            response
        }
        // An event stream, each part of it a chunk.
        None => response.map(|body| {
            Body::new(body.map_frame(|frame| {
                let data = frame.data_ref().map_or(0, |data| data.len());
                add(format!("{data:x}\r\n\r\n").len() + data);
                frame
            }))
        }),
    }
}

fn size_of(headers: &HeaderMap) -> usize {
    let each = |(name, value): (&HeaderName, &HeaderValue)| {
        name.as_str().len() + value.len() + ": \r\n".len()
    };
    headers.iter().map(each).sum::<usize>() + "\r\n".len()
}

fn add(bytes: usize) {
    HTTP_BYTES.fetch_add(bytes as u64, Ordering::Relaxed);
}
