//! Every metric and log line of this crate, one function each. Nothing here sees a payload, a
//! header or a query string.

#[cfg(feature = "serve")]
use std::sync::atomic::{AtomicBool, Ordering};

use metrics::{counter, gauge};

/// A connection was cut because its peer does not read.
pub(crate) fn slow_consumer() {
    counter!("raw_ws_slow_consumers_total").increment(1);
}

/// A WebSocket connection begins.
pub(crate) fn opened() {
    counter!("raw_ws_connections_total").increment(1);
    gauge!("raw_ws_connections").increment(1);
}

/// A WebSocket connection has ended.
pub(crate) fn ended() {
    gauge!("raw_ws_connections").decrement(1);
}

/// A connection was failed for what its peer did.
pub(crate) fn failed(close_code: u16) {
    counter!("raw_ws_failed_total", "code" => close_code.to_string()).increment(1);
}

/// A client was not let in.
pub(crate) fn refused(reason: &'static str) {
    counter!("raw_ws_refused_total", "reason" => reason).increment(1);
    tracing::debug!(reason, "refused a connection");
}

/// A page may not connect. Said once for each origin: pages try again.
pub(crate) fn foreign_origin(origin: Option<&str>, host: Option<&str>) {
    tracing::warn!(
        origin = origin.unwrap_or("none"),
        host = host.unwrap_or("none"),
        "refused a page of another origin: let it in with Upgrade::origins(Origins::list([…])); if \
         `host` is not what the browser asked for, name the proxy in ServeConfig::trusted_proxies \
         or let it pass Host on"
    );
}

/// The first client was not let in for this reason. Said once: a crowd would fill the log.
#[cfg(feature = "serve")]
pub(crate) fn begins_to_refuse(reason: &'static str, limit: usize, option: &'static str) {
    tracing::warn!(
        limit,
        option,
        "{reason}: from {limit} on they are refused; `option` says what allows more"
    );
}

/// A trusted proxy said what it ought not to. Said once: each of its clients may be behind it.
#[cfg(feature = "serve")]
pub(crate) fn proxy_is_malformed(reason: &'static str) {
    static LOGGED: AtomicBool = AtomicBool::new(false);
    refused("malformed by a proxy");
    if !LOGGED.swap(true, Ordering::Relaxed) {
        tracing::warn!("a trusted proxy's request was answered with 400: {reason}");
    }
}

/// The listener could not accept: the process is out of file descriptors or memory.
#[cfg(feature = "serve")]
pub(crate) fn accept_failed(error: &std::io::Error) {
    counter!("raw_ws_accept_failures_total").increment(1);
    tracing::error!(%error, "cannot accept connections");
}

/// A connection ended before it was upgraded or closed in order; its peer's doing.
#[cfg(feature = "serve")]
pub(crate) fn http_failed(error: &hyper::Error) {
    tracing::debug!(%error, "an HTTP connection failed");
}

/// The graceful stop ran out of time.
#[cfg(feature = "serve")]
pub(crate) fn shutdown_cut(connections: usize) {
    tracing::warn!(
        connections,
        "stopped before all connections had said goodbye"
    );
}
