//! Every metric and log line of this crate, one function each. Nothing here sees a payload, a
//! header or a query string.

use std::panic::{AssertUnwindSafe, catch_unwind};
#[cfg(feature = "serve")]
use std::sync::atomic::{AtomicBool, Ordering};

use metrics::{counter, gauge};

/// A server begins: what it counts is there from the start, at zero.
#[cfg(feature = "serve")]
pub(crate) fn begins() {
    told(|| {
        counter!("raw_ws_connections_total").increment(0);
        gauge!("raw_ws_connections").increment(0);
        counter!("raw_ws_slow_consumers_total").increment(0);
        counter!("raw_ws_accept_failures_total").increment(0);
    });
}

/// A connection was cut because its peer does not read.
pub(crate) fn slow_consumer() {
    told(|| {
        counter!("raw_ws_slow_consumers_total").increment(1);
    });
}

/// A WebSocket connection begins.
pub(crate) fn opened() {
    told(|| {
        counter!("raw_ws_connections_total").increment(1);
        gauge!("raw_ws_connections").increment(1);
    });
}

/// A WebSocket connection has ended.
pub(crate) fn ended() {
    told(|| {
        gauge!("raw_ws_connections").decrement(1);
    });
}

/// A connection was failed for what its peer did.
pub(crate) fn failed(close_code: u16) {
    told(|| {
        counter!("raw_ws_failed_total", "code" => close_code.to_string()).increment(1);
    });
}

/// A client was not let in.
pub(crate) fn refused(reason: &'static str) {
    told(|| {
        counter!("raw_ws_refused_total", "reason" => reason).increment(1);
        tracing::debug!(reason, "refused a connection");
    });
}

/// A page may not connect. Said once for each origin: pages try again.
pub(crate) fn foreign_origin(origin: Option<&str>, host: Option<&str>) {
    told(|| {
        tracing::warn!(
            origin = origin.unwrap_or("none"),
            host = host.unwrap_or("none"),
            "refused a page of another origin: let it in with Upgrade::origins(Origins::list([…])); if \
             `host` is not what the browser asked for, name the proxy in ServeConfig::trusted_proxies \
             or let it pass Host on"
        );
    });
}

/// The first client was not let in for this reason. Said once: a crowd would fill the log.
#[cfg(feature = "serve")]
pub(crate) fn begins_to_refuse(reason: &'static str, limit: usize, option: &'static str) {
    told(|| {
        tracing::warn!(
            limit,
            option,
            "{reason}: from {limit} on they are refused; `option` says what allows more"
        );
    });
}

/// A trusted proxy said what it ought not to. Said once: each of its clients may be behind it.
#[cfg(feature = "serve")]
pub(crate) fn proxy_is_malformed(reason: &'static str) {
    told(|| {
        static LOGGED: AtomicBool = AtomicBool::new(false);
        refused("malformed by a proxy");
        if !LOGGED.swap(true, Ordering::Relaxed) {
            tracing::warn!("a trusted proxy's request was answered with 400: {reason}");
        }
    });
}

/// The listener could not accept: the process is out of file descriptors or memory.
#[cfg(feature = "serve")]
pub(crate) fn accept_failed(error: &std::io::Error) {
    told(|| {
        counter!("raw_ws_accept_failures_total").increment(1);
        tracing::error!(%error, "cannot accept connections");
    });
}

/// A connection ended before it was upgraded or closed in order; its peer's doing.
#[cfg(feature = "serve")]
pub(crate) fn http_failed(error: &hyper::Error) {
    told(|| {
        tracing::debug!(%error, "an HTTP connection failed");
    });
}

/// A handler or a layer of the app panicked; its client got 500.
#[cfg(feature = "serve")]
pub(crate) fn app_panicked() {
    told(|| {
        tracing::error!("an HTTP handler panicked");
    });
}

/// The graceful stop ran out of time.
#[cfg(feature = "serve")]
pub(crate) fn shutdown_cut(connections: usize) {
    told(|| {
        tracing::warn!(
            connections,
            "stopped before all connections had said goodbye"
        );
    });
}

/// Tells the application's subscriber and recorder. A panic in them is theirs alone: it must not
/// take with it the connection that something is said of.
fn told(tell: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(tell));
}
