//! Where a request came from.

use std::net::SocketAddr;

/// Where a request came from: the client's address, and whether it came by TLS. In the extensions
/// of every request under [`serve`](crate::serve()).
///
/// Both are the client's own also behind proxies, if these are among the
/// `ServeConfig::trusted_proxies`. The host that the client asked for is the request's `Host`.
/// Under another server, a layer may put one into the request for what is above it.
///
/// ```
/// # #[cfg(feature = "axum")] {
/// use axum::{Extension, Router, routing::get};
/// use raw_ws::Remote;
///
/// async fn who(Extension(remote): Extension<Remote>) -> String {
///     format!("{}, https: {}", remote.address().ip(), remote.is_https())
/// }
///
/// let app: Router = Router::new().route("/who", get(who));
/// # }
/// assert!(raw_ws::Remote::https(([203, 0, 113, 7], 0).into()).is_https());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remote {
    address: SocketAddr,
    is_https: bool,
}

impl Remote {
    /// A client without TLS, for a layer that knows its address from elsewhere.
    pub fn http(address: SocketAddr) -> Self {
        let is_https = false;
        Self { address, is_https }
    }

    /// A client with TLS.
    pub fn https(address: SocketAddr) -> Self {
        let is_https = true;
        Self { address, is_https }
    }

    /// The client's address. Its port is 0 where a proxy does not tell it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether the client speaks TLS: to this server, or to its trusted proxy.
    pub fn is_https(&self) -> bool {
        self.is_https
    }
}
