//! Every event and metric of this crate, one function each. Tokens, query strings and payloads are
//! in none of them.

#[cfg(feature = "redis")]
use std::fmt::Display;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use http::StatusCode;

use crate::{
    error::HubError,
    identity::{connection_id::ConnectionId, request::Transport},
};

/// A hub begins: what it counts is there from the start, at zero.
pub(crate) fn begins() {
    told(|| {
        for transport in Transport::ALL {
            let transport = transport.name();
            metrics::gauge!("signalr.server.active_connections", "signalr.transport" => transport)
                .increment(0.0);
        }
        metrics::counter!("hub.resumed").increment(0);
        metrics::counter!("hub.detached_evicted").increment(0);
    });
}

pub(crate) fn transport_failed(error: &raw_ws::Error) {
    told(|| {
        tracing::debug!(%error, "the transport failed");
    });
}

/// Said once for each origin: pages try again.
pub(crate) fn foreign_origin(origin: Option<&str>, host: Option<&str>) {
    told(|| {
        tracing::warn!(
            origin = origin.unwrap_or("none"),
            host = host.unwrap_or("none"),
            "refused a page of another origin: let it in with HubOptions::origins(Origins::list([…])); \
             if `host` is not what the browser asked for, name the proxy in \
             raw_ws::ServeConfig::trusted_proxies or let it pass Host on"
        );
    });
}

/// A client of an event stream or of polls takes nothing, or too little (C-17, LP-11). `raw_ws` tells
/// of those with WebSockets.
pub(crate) fn client_does_not_read() {
    told(|| {
        tracing::debug!("a client that does not read was dropped");
    });
}

/// A connection is live: one more under its transport (O-02).
pub(crate) fn connected(id: &ConnectionId, transport: &'static str) {
    told(|| {
        metrics::gauge!("signalr.server.active_connections", "signalr.transport" => transport)
            .increment(1.0);
        tracing::debug!(%id, transport, "connected");
    });
}

/// A connection is over: how long it lived, and why it ended (O-02).
pub(crate) fn disconnected(
    id: &ConnectionId,
    transport: &'static str,
    end: &'static str,
    status: &'static str,
    lived: Duration,
) {
    told(|| {
        metrics::gauge!("signalr.server.active_connections", "signalr.transport" => transport)
            .decrement(1.0);
        metrics::histogram!(
            "signalr.server.connection.duration",
            "signalr.connection.status" => status,
            "signalr.transport" => transport,
        )
        .record(lived);
        tracing::debug!(%id, transport, end, status, "disconnected");
    });
}

/// A connection is kept for a client whose socket is lost (SR-12).
pub(crate) fn detached() {
    told(|| {
        tracing::debug!("a connection lost its socket and waits for another");
    });
}

/// A client is back on another socket (SR-07).
pub(crate) fn resumed(id: &ConnectionId) {
    told(|| {
        metrics::counter!("hub.resumed").increment(1);
        tracing::debug!(%id, "resumed");
    });
}

/// Too much was kept for clients that are away, and the oldest had to go (row 186).
pub(crate) fn detached_evicted() {
    told(|| {
        metrics::counter!("hub.detached_evicted").increment(1);
        tracing::warn!("a connection was ended while its client was away: too much was kept");
    });
}

/// A request does not lead to a connection, or not to the one that it names.
pub(crate) fn refused(status: StatusCode, why: &'static str) {
    told(|| {
        metrics::counter!("hub.requests_refused", "why" => why).increment(1);
        tracing::debug!(status = status.as_u16(), why, "a request was refused");
    });
}

/// A request has some of a WebSocket upgrade, and is none: it is taken for a poll (WS-03).
pub(crate) fn no_upgrade(error: &raw_ws::HandshakeError) {
    told(|| {
        tracing::debug!(%error, "a request that would be a WebSocket upgrade is none");
    });
}

pub(crate) fn handshake_failed(why: &'static str) {
    told(|| {
        tracing::debug!(why, "the hub handshake failed");
    });
}

pub(crate) fn method_failed(method: &str, error: &HubError) {
    told(|| {
        if error.is_shown() {
            tracing::debug!(method, error = %error, sources = error.sources(), "a hub method refused");
        } else {
            tracing::error!(
                method,
                class = error.class(),
                error = %error,
                sources = error.sources(),
                "a hub method failed"
            );
        }
    });
}

/// A call is not begun. `method` is as it is declared, and none where there is no such method: what
/// clients call it is theirs. Of arguments only what kinds they are.
pub(crate) fn call_refused(method: Option<&str>, why: &'static str, misfit: Option<&Misfit>) {
    told(|| {
        let method = method.unwrap_or("none");
        metrics::counter!("hub.calls_refused", "method" => method.to_owned(), "why" => why)
            .increment(1);
        match misfit {
            Some(Misfit::Count { provided, expected }) => {
                tracing::debug!(method, why, provided, expected, "a call was refused");
            }
            Some(Misfit::Type {
                position,
                wanted,
                found,
            }) => tracing::debug!(method, why, position, wanted, found, "a call was refused"),
            None => tracing::debug!(method, why, "a call was refused"),
        }
    });
}

/// How arguments do not fit a method.
pub(crate) enum Misfit {
    /// Their number.
    Count { provided: usize, expected: usize },
    /// One of them, the first being 1: its parameter's type, and what kind of value came.
    Type {
        position: usize,
        wanted: &'static str,
        found: &'static str,
    },
}

pub(crate) fn upload_stuck() {
    told(|| {
        tracing::warn!("an upload that nobody reads was ended");
    });
}

/// A connection of a backplane is lost. `why` is `None` where the other end closed it.
#[cfg(feature = "redis")]
pub(crate) fn backplane_lost(connection: &'static str, why: Option<&dyn Display>) {
    told(|| {
        let why = why.map(ToString::to_string);
        let why = why.as_deref().unwrap_or("it was closed");
        tracing::warn!(
            connection,
            why,
            "the backplane is lost: clients of other servers are out of reach"
        );
    });
}

/// A backplane cannot be reached, and is tried again; said aloud once.
#[cfg(feature = "redis")]
pub(crate) fn backplane_away(connection: &'static str, why: &dyn Display, is_first: bool) {
    told(|| {
        if is_first {
            tracing::warn!(connection, %why, "the backplane cannot be reached, and is tried again");
        } else {
            tracing::debug!(connection, %why, "the backplane cannot be reached");
        }
    });
}

/// A backplane is there, at first or again.
pub(crate) fn backplane_joined() {
    told(|| {
        tracing::info!("the backplane is there");
    });
}

/// A hub joins others: what it counts is there from the start, at zero. `hub` is the prefix of their
/// channels.
pub(crate) fn backplane_begins(hub: &str) {
    told(|| {
        for name in [
            "hub.backplane_refused",
            "hub.backplane_gaps",
            "hub.backplane_missed",
        ] {
            metrics::counter!(name, "hub" => hub.to_owned()).increment(0);
        }
    });
}

/// A message for other servers was refused: too much waits for a backplane that is away.
pub(crate) fn publication_refused(hub: &str) {
    told(|| {
        metrics::counter!("hub.backplane_refused", "hub" => hub.to_owned()).increment(1);
    });
}

/// Messages of other servers may have been missed, or lost on their way.
pub(crate) fn backplane_gap(hub: &str, missed: u64, is_complete: bool, lasted: Duration) {
    told(|| {
        metrics::counter!("hub.backplane_gaps", "hub" => hub.to_owned()).increment(1);
        metrics::counter!("hub.backplane_missed", "hub" => hub.to_owned()).increment(missed);
        tracing::warn!(
            hub,
            missed,
            is_complete,
            ?lasted,
            "messages of other servers were out of reach"
        );
    });
}

/// Another server has not been heard for long.
pub(crate) fn server_gone(server: &str) {
    told(|| {
        tracing::info!(server, "another server of the hub is gone");
    });
}

/// What came from another server cannot be read.
pub(crate) fn unreadable_arrival() {
    told(|| {
        tracing::warn!("what another server has published cannot be read, and was skipped");
    });
}

/// A backplane did not take what was published.
#[cfg(feature = "redis")]
pub(crate) fn backplane_refuses(why: &dyn Display) {
    told(|| {
        tracing::error!(%why, "the backplane refuses what is published");
    });
}

/// A handler of a client failed, panicked, or does not fit what came.
#[cfg(feature = "client")]
pub(crate) fn handler_failed(method: &str, error: &HubError) {
    told(|| {
        let sources = error.sources();
        let class = error.class();
        tracing::error!(method, class, %error, sources, "a handler of a client failed");
    });
}

/// A server calls what its client has no handler for.
#[cfg(feature = "client")]
pub(crate) fn no_handler(method: &str) {
    told(|| {
        tracing::warn!(method, "the server calls a method that has no handler");
    });
}

/// Tells the application's subscriber and recorder. A panic in them is theirs alone: it must not
/// take with it the connection that something is said of.
fn told(tell: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(tell));
}
