//! Every metric and log line of this crate, one function each. Nothing here sees a payload, a
//! header or a query string.

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
#[cfg(feature = "serve")]
pub(crate) fn refused(reason: &'static str) {
    counter!("raw_ws_refused_total", "reason" => reason).increment(1);
    tracing::debug!(reason, "refused a connection");
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
