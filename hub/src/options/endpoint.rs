//! What a hub allows at one of its paths.

use std::time::Duration;

use raw_ws::Origins;

use crate::identity::request::Transport;

/// What a hub allows at one of its paths: its transports, and how a connection comes, is kept and
/// goes. ASP.NET Core has these in `HttpConnectionDispatcherOptions`, with the same names and defaults
/// where it has them.
///
/// All paths of a hub have those of its [`HubOptions`](crate::HubOptions), and
/// [`Hub::map_with`](crate::Hub::map_with) others for one of them.
///
/// ```
/// use hub::{EndpointOptions, Transport};
/// let polled = EndpointOptions::new().transports([Transport::LongPolling]);
/// assert_eq!(polled.transports, [Transport::LongPolling]);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EndpointOptions {
    /// The transports offered; all by default (N-04).
    pub transports: Vec<Transport>,
    /// Bytes of a client's messages that may wait for their turn before nothing more is read from
    /// it, in bytes; 64 KiB by default (C-16). Uploads count too.
    pub application_max_buffer_size: usize,
    /// Bytes that may wait for a client to read them before its calls are no longer answered, in
    /// bytes; 64 KiB by default (C-16).
    pub transport_max_buffer_size: usize,
    /// How long a client may take nothing while something waits for it; 10 s by default (C-17).
    pub transport_send_timeout: Duration,
    /// How long a WebSocket client may take to answer a Close; 5 s by default (WS-11).
    pub close_timeout: Duration,
    /// The lowest negotiate version served; 0 by default (N-11).
    pub minimum_protocol_version: i32,
    /// How long a long poll waits for something to be sent; 90 s by default (LP-04).
    pub poll_timeout: Duration,
    /// How long a negotiated connection may stay unused, and a long-polling client may stay without
    /// a poll; 15 s by default (C-05). Also how long a call that its client has left behind waits
    /// for the one that runs before it.
    pub disconnect_timeout: Duration,
    /// Negotiated connections that may wait to be used; 10,000 by default. Over it: 503.
    pub max_unused_connections: usize,
    /// Bytes that one POST of a client may hold, where it has no WebSocket; 30,000,000 by default,
    /// and no limit but its messages' own where `None` (P-01). Clients put into one what waited for
    /// the one before. It is taken piece by piece, so it costs no memory. Over it: 413.
    pub maximum_request_body_size: Option<usize>,
    /// Whose pages may use the hub, over every transport; those of this host by default. Others
    /// get 403. Pages of another origin need CORS as well (R-08).
    pub origins: Origins,
    /// Whether a connection ends when its [`User`](crate::User) expires; `false` by default (CL-06).
    pub close_on_authentication_expiration: bool,
    /// Whether a client may bring a newer token while its connection goes on, at `refresh` below the
    /// hub's path; `false` by default (AU-06).
    pub authentication_refresh: bool,
    /// Whether clients that ask for it may replace a lost WebSocket without losing a message
    /// (stateful reconnect); `false` by default (SR-01). They have
    /// [`disconnect_timeout`](Self::disconnect_timeout) for that.
    pub allow_stateful_reconnects: bool,
    /// Connections that may be without a socket at a time, waiting for their clients; 1,000 by
    /// default. Over it the one that has waited longest ends.
    pub max_detached_connections: usize,
    /// Bytes kept for all of these together, in bytes, with 8 KiB for each; 64 MiB by default. Over it
    /// the one that has waited longest ends.
    pub max_detached_bytes: usize,
}

impl Default for EndpointOptions {
    fn default() -> Self {
        Self {
            transports: Transport::ALL.to_vec(),
            application_max_buffer_size: 64 * 1024,
            transport_max_buffer_size: 64 * 1024,
            transport_send_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(5),
            minimum_protocol_version: 0,
            poll_timeout: Duration::from_secs(90),
            disconnect_timeout: Duration::from_secs(15),
            max_unused_connections: 10_000,
            maximum_request_body_size: Some(30_000_000),
            origins: Origins::default(),
            close_on_authentication_expiration: false,
            authentication_refresh: false,
            allow_stateful_reconnects: false,
            max_detached_connections: 1000,
            max_detached_bytes: 64 * 1024 * 1024,
        }
    }
}

impl EndpointOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    raw_ws::__setters! {
        application_max_buffer_size: usize,
        transport_max_buffer_size: usize,
        transport_send_timeout: Duration,
        close_timeout: Duration,
        minimum_protocol_version: i32,
        poll_timeout: Duration,
        disconnect_timeout: Duration,
        max_unused_connections: usize,
        maximum_request_body_size?: usize,
        origins: Origins,
        close_on_authentication_expiration: bool,
        authentication_refresh: bool,
        allow_stateful_reconnects: bool,
        max_detached_connections: usize,
        max_detached_bytes: usize,
    }

    /// Sets [`transports`](Self#structfield.transports).
    #[must_use]
    pub fn transports(mut self, transports: impl IntoIterator<Item = Transport>) -> Self {
        self.transports = transports.into_iter().collect();
        self
    }
}
