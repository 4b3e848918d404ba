//! What a hub allows its clients, and how long it waits for them.

use std::time::Duration;

use raw_ws::Origins;

use crate::{
    error::ErrorDetail,
    identity::request::Transport,
    protocol::{Names, Protocol},
};

/// The limits, deadlines and manners of a hub, with ASP.NET Core's names and defaults (`SPEC.md`,
/// section 20). One plain struct, read as data, written as a sentence; clone one to start several
/// hubs from the same settings (O-01).
///
/// ```
/// use std::time::Duration;
/// use hub::HubOptions;
/// let options = HubOptions::new().keep_alive_interval(Duration::from_secs(5));
/// assert_eq!(options.maximum_receive_message_size, Some(32 * 1024));
/// assert_eq!(options.keep_alive_interval, Duration::from_secs(5));
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HubOptions {
    /// How long a client may take for the hub handshake; 15 s by default (H-08).
    pub handshake_timeout: Duration,
    /// How often the server pings its clients; 15 s by default (K-01).
    pub keep_alive_interval: Duration,
    /// How long a client that has pinged once may be silent; 30 s by default (K-05).
    pub client_timeout_interval: Duration,
    /// The largest hub message taken, in bytes with its frame; 32 KiB by default (F-05). `None`
    /// for no limit but that of the transport: 64 MiB in one WebSocket message.
    pub maximum_receive_message_size: Option<usize>,
    /// How many plain invocations of one client run at a time; 1 by default (OR-02).
    pub maximum_parallel_invocations_per_client: usize,
    /// Whether clients see the texts of all errors; `false` by default (E-01).
    pub enable_detailed_errors: bool,
    /// The hub protocols offered; all by default.
    pub supported_protocols: Vec<Protocol>,
    /// The transports offered; all by default (N-04).
    pub transports: Vec<Transport>,
    /// How the members of structs are named on the wire; as serde says by default.
    pub names: Names,
    /// Bytes of a client's messages that may wait for their turn before nothing more is read from
    /// it, in bytes; 64 KiB by default (C-16). Uploads count too.
    pub application_max_buffer_size: usize,
    /// Bytes that may wait for a client to read them before its calls are no longer answered, in
    /// bytes; 64 KiB by default (C-16).
    pub transport_max_buffer_size: usize,
    /// Bytes that may wait for a client to read them before it is cut as a slow consumer; 1 MiB by
    /// default. A single message to others must be smaller.
    pub max_queued_bytes: usize,
    /// Messages that may wait for a client to read them before it is cut; 4,096 by default.
    pub max_queued_messages: usize,
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
    /// Streams that one client may have running, each way; 1,000 by default. Over it the call is
    /// refused (X-02).
    pub maximum_streams_per_client: usize,
    /// Groups that one connection may be in; 128 by default.
    pub maximum_groups_per_connection: usize,
    /// How long the name of a group may be, in bytes; 256 by default. Over it joining fails.
    pub maximum_group_name_length: usize,
    /// How long an invocation id or a stream id of a client may be, in bytes; 128 by default. Over
    /// it the connection ends. Official clients count: `1`, `2`.
    pub maximum_id_length: usize,
    /// How long the method name in a client's call may be, in bytes; 256 by default. Over it the
    /// connection ends.
    pub maximum_target_length: usize,
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
    /// Bytes sent to a client that are kept until it says that they have arrived, where stateful
    /// reconnect is on; 100,000 by default (SR-04). Over it nothing more is sent until it does. More
    /// lets a client be away for longer before its calls rest, and costs that memory for each.
    pub stateful_reconnect_buffer_size: usize,
    /// Connections that may be without a socket at a time, waiting for their clients; 1,000 by
    /// default. Over it the one that has waited longest ends.
    pub max_detached_connections: usize,
    /// Bytes kept for all of these together, in bytes, with 8 KiB for each; 64 MiB by default. Over it
    /// the one that has waited longest ends.
    pub max_detached_bytes: usize,
    /// Over how much time a graceful stop spreads its goodbyes, so that the clients do not all
    /// come back at once; 1 s by default.
    pub shutdown_spread: Duration,
}

impl Default for HubOptions {
    fn default() -> Self {
        Self {
            handshake_timeout: Duration::from_secs(15),
            keep_alive_interval: Duration::from_secs(15),
            client_timeout_interval: Duration::from_secs(30),
            maximum_receive_message_size: Some(32 * 1024),
            maximum_parallel_invocations_per_client: 1,
            enable_detailed_errors: false,
            supported_protocols: Protocol::ALL.to_vec(),
            transports: Transport::ALL.to_vec(),
            names: Names::default(),
            application_max_buffer_size: 64 * 1024,
            transport_max_buffer_size: 64 * 1024,
            max_queued_bytes: 1024 * 1024,
            max_queued_messages: 4096,
            transport_send_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(5),
            minimum_protocol_version: 0,
            poll_timeout: Duration::from_secs(90),
            disconnect_timeout: Duration::from_secs(15),
            max_unused_connections: 10_000,
            maximum_streams_per_client: 1000,
            maximum_groups_per_connection: 128,
            maximum_group_name_length: 256,
            maximum_id_length: 128,
            maximum_target_length: 256,
            maximum_request_body_size: Some(30_000_000),
            origins: Origins::default(),
            close_on_authentication_expiration: false,
            authentication_refresh: false,
            allow_stateful_reconnects: false,
            stateful_reconnect_buffer_size: 100_000,
            max_detached_connections: 1000,
            max_detached_bytes: 64 * 1024 * 1024,
            shutdown_spread: Duration::from_secs(1),
        }
    }
}

impl HubOptions {
    /// How much clients are told of errors that are not meant for them.
    pub(crate) fn detail(&self) -> ErrorDetail {
        if self.enable_detailed_errors {
            ErrorDetail::Full
        } else {
            ErrorDetail::Generic
        }
    }

    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    raw_ws::__setters! {
        maximum_receive_message_size?: usize,
        handshake_timeout: Duration,
        keep_alive_interval: Duration,
        client_timeout_interval: Duration,
        maximum_parallel_invocations_per_client: usize,
        enable_detailed_errors: bool,
        names: Names,
        application_max_buffer_size: usize,
        transport_max_buffer_size: usize,
        max_queued_bytes: usize,
        max_queued_messages: usize,
        transport_send_timeout: Duration,
        close_timeout: Duration,
        minimum_protocol_version: i32,
        poll_timeout: Duration,
        disconnect_timeout: Duration,
        max_unused_connections: usize,
        maximum_streams_per_client: usize,
        maximum_groups_per_connection: usize,
        maximum_group_name_length: usize,
        maximum_id_length: usize,
        maximum_target_length: usize,
        maximum_request_body_size?: usize,
        origins: Origins,
        close_on_authentication_expiration: bool,
        authentication_refresh: bool,
        allow_stateful_reconnects: bool,
        stateful_reconnect_buffer_size: usize,
        max_detached_connections: usize,
        max_detached_bytes: usize,
        shutdown_spread: Duration,
    }

    /// Sets [`supported_protocols`](Self#structfield.supported_protocols).
    #[must_use]
    pub fn supported_protocols(mut self, protocols: impl IntoIterator<Item = Protocol>) -> Self {
        self.supported_protocols = protocols.into_iter().collect();
        self
    }

    /// Sets [`transports`](Self#structfield.transports).
    #[must_use]
    pub fn transports(mut self, transports: impl IntoIterator<Item = Transport>) -> Self {
        self.transports = transports.into_iter().collect();
        self
    }
}
