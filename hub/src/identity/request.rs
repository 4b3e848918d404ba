//! The HTTP request that a connection came with (C-14), kept small: it lives as long as the
//! connection.

use std::{fmt, net::SocketAddr, num::NonZeroU32};

use axum::extract::ConnectInfo;
use http::{header::COOKIE, request::Parts, uri::Scheme};
use raw_ws::{Connections, Remote};

use crate::identity::query::query_value;

/// The HTTP request that started a connection: the upgrade for WebSockets, the one for the event
/// stream, or the first poll.
pub struct Request {
    path_and_query: Box<str>,
    /// `name:value`, each ended by a line feed, which neither may hold: copied out of the head, which
    /// would otherwise be kept whole, buffers included.
    headers: Box<[u8]>,
    remote: Option<SocketAddr>,
    is_https: bool,
    /// Under which server it came, if that has a graceful stop.
    server: Option<NonZeroU32>,
    transport: Transport,
}

/// How a connection's bytes travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transport {
    /// A WebSocket connection.
    WebSockets,
    /// An event stream to the client, and POSTs to the server. Text alone.
    ServerSentEvents,
    /// Requests that wait for something to be sent, and POSTs to the server.
    LongPolling,
}

impl Transport {
    /// All of them, in the order in which clients try them (N-04).
    pub const ALL: [Self; 3] = [Self::WebSockets, Self::ServerSentEvents, Self::LongPolling];

    /// The name in negotiate answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::WebSockets => "WebSockets",
            Self::ServerSentEvents => "ServerSentEvents",
            Self::LongPolling => "LongPolling",
        }
    }

    /// K-01, LP-15: whether the hub pings.
    pub(crate) fn needs_pings(self) -> bool {
        match self {
            Self::WebSockets | Self::ServerSentEvents => true,
            Self::LongPolling => false,
        }
    }

    /// H-09: whether it carries text alone.
    pub(crate) fn is_text_only(self) -> bool {
        match self {
            Self::ServerSentEvents => true,
            Self::WebSockets | Self::LongPolling => false,
        }
    }
}

impl Request {
    pub(crate) fn new(parts: &Parts, transport: Transport) -> Self {
        let path_and_query = parts
            .uri
            .path_and_query()
            .map_or("", |target| target.as_str());
        let remote = parts.extensions.get::<Remote>();
        let mut headers = Vec::new();
        for name in parts.headers.keys() {
            headers.extend_from_slice(name.as_str().as_bytes());
            let between: &[u8] = if name == COOKIE { b"; " } else { b"," };
            let mut before: &[u8] = b":";
            for value in parts.headers.get_all(name) {
                headers.extend_from_slice(before);
                headers.extend_from_slice(value.as_bytes());
                before = between;
            }
            headers.push(b'\n');
        }
        Self {
            path_and_query: path_and_query.into(),
            headers: headers.into(),
            remote: remote.map(Remote::address).or_else(|| {
                let info = parts.extensions.get::<ConnectInfo<SocketAddr>>();
                info.map(|info| info.0)
            }),
            is_https: match remote {
                Some(remote) => remote.is_https(),
                None => parts.uri.scheme() == Some(&Scheme::HTTPS),
            },
            server: server_of(parts).map(Connections::id),
            transport,
        }
    }

    /// The path, without the query.
    pub fn path(&self) -> &str {
        self.path_and_query.split('?').next().unwrap_or_default()
    }

    /// The value of a header, if it is text; several are joined with commas, those of `Cookie` with
    /// semicolons. Names are matched without regard to case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let value = self.headers.split(|byte| *byte == b'\n').find_map(|line| {
            let (known, value) = line.split_at_checked(name.len())?;
            let value = value.strip_prefix(b":")?;
            known.eq_ignore_ascii_case(name.as_bytes()).then_some(value)
        });
        std::str::from_utf8(value?).ok()
    }

    /// The value of a query parameter, decoded; several are joined with commas.
    pub fn query(&self, name: &str) -> Option<String> {
        let (_, query) = self.path_and_query.split_once('?')?;
        query_value(query, name)
    }

    /// The client's address: behind trusted proxies what they say it is, with port 0 where they
    /// do not tell that. `None` where the server does not say: `axum::serve` does with
    /// `into_make_service_with_connect_info::<SocketAddr>()`, and tells the proxy's.
    pub fn remote_address(&self) -> Option<SocketAddr> {
        self.remote
    }

    /// Whether the client speaks TLS: to this server, or to its trusted proxy. Known under
    /// `raw_ws::serve`, or where a layer puts a `raw_ws::Remote` into the request.
    pub fn is_https(&self) -> bool {
        self.is_https
    }

    /// The id of its server's `Connections`.
    pub(crate) fn server(&self) -> Option<NonZeroU32> {
        self.server
    }

    /// How the connection's bytes travel.
    pub fn transport(&self) -> Transport {
        self.transport
    }
}

/// The connections of the server under which a request came.
pub(crate) fn server_of(parts: &Parts) -> Option<&Connections> {
    parts.extensions.get()
}

impl fmt::Debug for Request {
    /// Without query and headers: they may hold tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("path", &self.path())
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hb_06_headers_that_come_several_times_are_joined() {
        let request = http::Request::get("/hub")
            .header("X-Trace", "a")
            .header("Cookie", "c=1")
            .header("x-trace", "b, c")
            .header("X-Other", "d")
            .header("cookie", "e=2")
            .header("X-Bytes", &b"\xff"[..])
            .body(());
        let (parts, ()) = request.unwrap().into_parts();
        let request = Request::new(&parts, Transport::WebSockets);
        assert_eq!(request.header("X-TRACE"), Some("a,b, c"));
        assert_eq!(request.header("Cookie"), Some("c=1; e=2"));
        assert_eq!(request.header("X-Other"), Some("d"));
        assert_eq!(request.header("X-Bytes"), None);
        assert_eq!(request.header("X"), None);
    }
}
