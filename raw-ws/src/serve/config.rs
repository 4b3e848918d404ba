//! The limits and deadlines of a server.

use std::time::Duration;

use super::proxies::{ForwardedHeaders, Network};

/// What a server allows before a connection is a WebSocket, which proxies it believes, and how it
/// stops. Every limit is on by default, but for those per address.
///
/// ```
/// use raw_ws::ServeConfig;
/// let config = ServeConfig::new()
///     .trusted_proxies(["10.0.0.0/8", "::1"])
///     .max_connections_per_address(100);
/// assert_eq!(config.max_connections, 10_000);
/// assert_eq!(config.max_connections_per_address, Some(100));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServeConfig {
    /// Connections held at once, WebSockets included; 10,000 by default, and never more than 90 %
    /// of the files the process may open, whose limit [`serve`](crate::serve()) raises as far as
    /// it may. Over it a client waits up to a second for the place of one that leaves, and then
    /// gets 503 with `Retry-After`.
    pub max_connections: usize,
    /// Connections held from one address, an IPv6 network of 64 bits counting as one; `None`, the
    /// default, for no limit. Over it: 429 with `Retry-After`.
    ///
    /// An address is no person: all clients of a proxy that is not among the
    /// [`trusted_proxies`](Self#structfield.trusted_proxies) share one, and so do all of an office
    /// or a mobile network. Of clients behind trusted proxies, requests at work are counted, of
    /// which a WebSocket is one.
    pub max_connections_per_address: Option<usize>,
    /// Connections that have not finished their first request's head; 1,024 by default, and one at
    /// least. Over it nobody is refused for coming: the next are accepted when heads have come, or
    /// when the oldest is late. Late is who takes two seconds, or four times as long as others do
    /// just now; that one gets 503 with `Retry-After`.
    pub max_unfinished_heads: usize,
    /// The same from one address; `None`, the default, for no limit. Over it: 429. Does not count
    /// those of trusted proxies.
    pub max_unfinished_heads_per_address: Option<usize>,
    /// The proxies in front of this server, by address or network; none by default. What they say
    /// in `Forwarded` or `X-Forwarded-For`, `-Proto` and `-Host` of a client's address and scheme,
    /// and of the host that it asked for, holds for everything that looks at these: limits per
    /// address, [`Origins`](crate::Origins), [`Remote`](crate::Remote), axum's `ConnectInfo`, and
    /// the request's `Host`. Of anybody else these headers are ignored.
    ///
    /// Several proxies, one behind the other, are followed from the nearest on, as far as they are
    /// trusted. Header fields that they ought not to send are answered with 400.
    ///
    /// A trusted proxy must set or remove every one of these fields: what it passes on as its
    /// client sent it is believed as its own word.
    pub trusted_proxies: Vec<Network>,
    /// Which header fields of trusted proxies count; by default either kind.
    pub forwarded_headers: ForwardedHeaders,
    /// Whether trusted proxies begin every connection with the PROXY protocol, version 1 or 2;
    /// `false` by default. They must, then, and nobody else may.
    pub proxy_protocol: bool,
    /// Bytes of a request's head; 16 KiB by default, at least 8 KiB. Over it: 431.
    pub max_head_size: usize,
    /// Headers of a request; 64 by default. Over it: 431.
    pub max_headers: usize,
    /// Bytes of a request's target; 8 KiB by default. Over it: 414.
    pub max_target_size: usize,
    /// From the connection, or from the first byte of a later request, to the end of the request's
    /// head; 10 s by default. Then what has come of it is answered with 408, and the connection
    /// closed. The PROXY protocol and a TLS handshake get the same time, and no answer.
    pub head_timeout: Duration,
    /// How long a connection may wait for its next request; 120 s by default, which is longer than
    /// common proxies keep one for theirs. Less costs them new connections, and now and then a
    /// request that is on its way while the connection is closed.
    pub keep_alive_timeout: Duration,
    /// Bytes of a request's body; 1 MiB by default. Over it: 413. A handler whose bodies are larger
    /// says so with [`BodyLimit`](crate::BodyLimit), as hubs do.
    pub max_body_size: usize,
    /// Bytes per second a request's body must come with, while it is waited for and after
    /// `body_grace`; 240 by default. Too slow: 408.
    pub min_body_rate: u32,
    /// How long a body may be slower; 5 s by default.
    pub body_grace: Duration,
    /// The hosts this server answers to, as in `Host` (with the port, if it has one); `None`, the
    /// default, is any. Others get 421: it stops DNS rebinding.
    pub allowed_hosts: Option<Vec<String>>,
    /// How long a graceful stop goes on as if nothing had happened, but for
    /// [`Connections::is_stopping`](crate::Connections::is_stopping): time for a load balancer to
    /// see that the server is no longer ready. Zero by default.
    pub shutdown_delay: Duration,
    /// How long a graceful stop waits for connections to end; 7 s by default, so that all is over
    /// within the 10 s that containers get.
    pub shutdown_timeout: Duration,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            max_connections_per_address: None,
            max_unfinished_heads: 1024,
            max_unfinished_heads_per_address: None,
            trusted_proxies: Vec::new(),
            forwarded_headers: ForwardedHeaders::Either,
            proxy_protocol: false,
            max_head_size: 16 * 1024,
            max_headers: 64,
            max_target_size: 8 * 1024,
            head_timeout: Duration::from_secs(10),
            keep_alive_timeout: Duration::from_secs(120),
            max_body_size: 1024 * 1024,
            min_body_rate: 240,
            body_grace: Duration::from_secs(5),
            allowed_hosts: None,
            shutdown_delay: Duration::ZERO,
            shutdown_timeout: Duration::from_secs(7),
        }
    }
}

impl ServeConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    crate::setters::setters! {
        max_connections: usize,
        max_connections_per_address?: usize,
        max_unfinished_heads: usize,
        max_unfinished_heads_per_address?: usize,
        forwarded_headers: ForwardedHeaders,
        proxy_protocol: bool,
        max_head_size: usize,
        head_timeout: Duration,
        keep_alive_timeout: Duration,
        max_body_size: usize,
        shutdown_delay: Duration,
        shutdown_timeout: Duration,
    }

    /// Sets [`trusted_proxies`](Self#structfield.trusted_proxies), from texts: `"10.0.0.7"`,
    /// `"10.0.0.0/8"`, `"fd00::/8"`. To take texts that may be wrong, parse each as a [`Network`]
    /// and set the field.
    ///
    /// # Panics
    /// On a text that is neither an address nor a network.
    #[track_caller]
    pub fn trusted_proxies<P: AsRef<str>>(mut self, proxies: impl IntoIterator<Item = P>) -> Self {
        self.trusted_proxies = proxies
            .into_iter()
            .map(|proxy| match proxy.as_ref().parse() {
                Ok(network) => network,
                Err(error) => panic!("{error}"),
            })
            .collect();
        self
    }

    /// Sets [`min_body_rate`](Self#structfield.min_body_rate) in bytes per second, and
    /// [`body_grace`](Self#structfield.body_grace).
    #[must_use]
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
}
