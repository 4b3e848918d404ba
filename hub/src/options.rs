//! What a hub allows its clients, and how long it waits for them.

mod endpoint;

use std::time::Duration;

pub use endpoint::EndpointOptions;
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
    /// How long [`Client::invoke`](crate::Client::invoke) waits for a client's answer; 30 s by default.
    /// `Client::invoke_within` takes another time.
    pub client_result_timeout: Duration,
    /// Whether clients see the texts of all errors; `false` by default (E-01).
    pub enable_detailed_errors: bool,
    /// The hub protocols offered; all by default.
    pub supported_protocols: Vec<Protocol>,
    /// How the members of structs are named on the wire; as serde says by default.
    pub names: Names,
    /// Bytes that may wait for a client to read them before it is cut as a slow consumer; 1 MiB by
    /// default. A single message to others must be smaller.
    pub max_queued_bytes: usize,
    /// Messages that may wait for a client to read them before it is cut; 4,096 by default.
    pub max_queued_messages: usize,
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
    /// Bytes sent to a client that are kept until it says that they have arrived, where stateful
    /// reconnect is on; 100,000 by default (SR-04). Over it nothing more is sent until it does. More
    /// lets a client be away for longer before its calls rest, and costs that memory for each.
    pub stateful_reconnect_buffer_size: usize,
    /// Over how much time a graceful stop spreads its goodbyes, so that the clients do not all
    /// come back at once; 1 s by default.
    pub shutdown_spread: Duration,
    /// What holds at each of the hub's paths, unless [`Hub::map_with`](crate::Hub::map_with) says
    /// otherwise: transports, origins, limits of requests. Its setters are here too.
    pub endpoint: EndpointOptions,
}

impl Default for HubOptions {
    fn default() -> Self {
        Self {
            handshake_timeout: Duration::from_secs(15),
            keep_alive_interval: Duration::from_secs(15),
            client_timeout_interval: Duration::from_secs(30),
            maximum_receive_message_size: Some(32 * 1024),
            maximum_parallel_invocations_per_client: 1,
            client_result_timeout: Duration::from_secs(30),
            enable_detailed_errors: false,
            supported_protocols: Protocol::ALL.to_vec(),
            names: Names::default(),
            max_queued_bytes: 1024 * 1024,
            max_queued_messages: 4096,
            maximum_streams_per_client: 1000,
            maximum_groups_per_connection: 128,
            maximum_group_name_length: 256,
            maximum_id_length: 128,
            maximum_target_length: 256,
            stateful_reconnect_buffer_size: 100_000,
            shutdown_spread: Duration::from_secs(1),
            endpoint: EndpointOptions::default(),
        }
    }
}

/// Writes the setters of what each path has.
macro_rules! of_endpoint {
    ($($field:ident: $type:ty,)*) => {$(
        #[doc = concat!("Sets [`", stringify!($field), "`](EndpointOptions#structfield.", stringify!($field), ") for all paths.")]
        #[must_use]
        pub fn $field(mut self, $field: $type) -> Self {
            self.endpoint = self.endpoint.$field($field);
            self
        }
    )*};
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
        client_result_timeout: Duration,
        enable_detailed_errors: bool,
        names: Names,
        max_queued_bytes: usize,
        max_queued_messages: usize,
        maximum_streams_per_client: usize,
        maximum_groups_per_connection: usize,
        maximum_group_name_length: usize,
        maximum_id_length: usize,
        maximum_target_length: usize,
        stateful_reconnect_buffer_size: usize,
        shutdown_spread: Duration,
        endpoint: EndpointOptions,
    }

    of_endpoint! {
        transports: impl IntoIterator<Item = Transport>,
        application_max_buffer_size: usize,
        transport_max_buffer_size: usize,
        transport_send_timeout: Duration,
        close_timeout: Duration,
        minimum_protocol_version: i32,
        poll_timeout: Duration,
        disconnect_timeout: Duration,
        max_unused_connections: usize,
        maximum_request_body_size: impl Into<Option<usize>>,
        origins: Origins,
        close_on_authentication_expiration: bool,
        authentication_refresh: bool,
        allow_stateful_reconnects: bool,
        max_detached_connections: usize,
        max_detached_bytes: usize,
    }

    /// Sets [`supported_protocols`](Self#structfield.supported_protocols).
    #[must_use]
    pub fn supported_protocols(mut self, protocols: impl IntoIterator<Item = Protocol>) -> Self {
        self.supported_protocols = protocols.into_iter().collect();
        self
    }
}
