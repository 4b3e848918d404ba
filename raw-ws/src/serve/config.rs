//! The limits and deadlines of a server.

use std::time::Duration;

/// What a server allows before a connection is a WebSocket, and how it stops. Every limit is on by
/// default.
///
/// ```
/// use raw_ws::ServeConfig;
/// let config = ServeConfig::new().max_connections_per_address(10_000); // all behind one proxy
/// assert_eq!(config.max_connections, 10_000);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServeConfig {
    /// Connections held at once, WebSockets included; 10,000 by default, and never more than 90 %
    /// of the file descriptors the process may open. Over it: 503 with `Retry-After`.
    pub max_connections: usize,
    /// Connections held from one address; 256 by default. Over it: 429 with `Retry-After`. Behind
    /// a proxy every connection comes from its address.
    pub max_connections_per_address: usize,
    /// Connections that have not finished their first request's head; 1,024 by default. Over it:
    /// 503.
    pub max_unfinished_heads: usize,
    /// The same from one address; 64 by default. Over it: 429.
    pub max_unfinished_heads_per_address: usize,
    /// Bytes of a request's head; 16 KiB by default, at least 8 KiB. Over it: 431.
    pub max_head_size: usize,
    /// Headers of a request; 64 by default. Over it: 431.
    pub max_headers: usize,
    /// Bytes of a request's target; 8 KiB by default. Over it: 414.
    pub max_target_size: usize,
    /// From the connection, or the last response, to the end of a request's head; 10 s by
    /// default. Then the connection is closed. A TLS handshake gets the same time.
    pub head_timeout: Duration,
    /// Bytes of a request's body; 1 MiB by default. Over it: 413.
    pub max_body_size: usize,
    /// Bytes per second a request's body must come with, after `body_grace`; 240 by default. Too
    /// slow: 408.
    pub min_body_rate: u32,
    /// How long a body may be slower; 5 s by default.
    pub body_grace: Duration,
    /// The hosts this server answers to, as in `Host` (with the port, if it has one); `None`, the
    /// default, is any. Others get 421: it stops DNS rebinding.
    pub allowed_hosts: Option<Vec<String>>,
    /// How long a graceful stop waits for connections to end; 10 s by default.
    pub shutdown_timeout: Duration,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            max_connections_per_address: 256,
            max_unfinished_heads: 1024,
            max_unfinished_heads_per_address: 64,
            max_head_size: 16 * 1024,
            max_headers: 64,
            max_target_size: 8 * 1024,
            head_timeout: Duration::from_secs(10),
            max_body_size: 1024 * 1024,
            min_body_rate: 240,
            body_grace: Duration::from_secs(5),
            allowed_hosts: None,
            shutdown_timeout: Duration::from_secs(10),
        }
    }
}

impl ServeConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`max_connections`](Self#structfield.max_connections).
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// Sets [`max_connections_per_address`](Self#structfield.max_connections_per_address).
    pub fn max_connections_per_address(mut self, connections: usize) -> Self {
        self.max_connections_per_address = connections;
        self
    }

    /// Sets [`max_unfinished_heads`](Self#structfield.max_unfinished_heads), in all and from one
    /// address.
    pub fn max_unfinished_heads(mut self, in_all: usize, per_address: usize) -> Self {
        self.max_unfinished_heads = in_all;
        self.max_unfinished_heads_per_address = per_address;
        self
    }

    /// Sets [`max_head_size`](Self#structfield.max_head_size), in bytes.
    pub fn max_head_size(mut self, bytes: usize) -> Self {
        self.max_head_size = bytes;
        self
    }

    /// Sets [`head_timeout`](Self#structfield.head_timeout).
    pub fn head_timeout(mut self, after: Duration) -> Self {
        self.head_timeout = after;
        self
    }

    /// Sets [`max_body_size`](Self#structfield.max_body_size), in bytes.
    pub fn max_body_size(mut self, bytes: usize) -> Self {
        self.max_body_size = bytes;
        self
    }

    /// Sets [`min_body_rate`](Self#structfield.min_body_rate) in bytes per second, and
    /// [`body_grace`](Self#structfield.body_grace).
    pub fn min_body_rate(mut self, bytes_per_second: u32, grace: Duration) -> Self {
        self.min_body_rate = bytes_per_second;
        self.body_grace = grace;
        self
    }

    /// Sets [`allowed_hosts`](Self#structfield.allowed_hosts).
    pub fn allowed_hosts<H: Into<String>>(mut self, hosts: impl IntoIterator<Item = H>) -> Self {
        self.allowed_hosts = Some(hosts.into_iter().map(Into::into).collect());
        self
    }

    /// Sets [`shutdown_timeout`](Self#structfield.shutdown_timeout).
    pub fn shutdown_timeout(mut self, after: Duration) -> Self {
        self.shutdown_timeout = after;
        self
    }
}
