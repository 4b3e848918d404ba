//! The HTTP request that a connection came with (C-14), kept small: it lives as long as the
//! connection.

use std::{fmt, net::SocketAddr, num::NonZeroU32};

use axum::extract::{ConnectInfo, FromRequestParts as _, RawPathParams};
use futures_util::FutureExt as _;
use http::{Extensions, HeaderMap, header::COOKIE, request::Parts, uri::Scheme};
use raw_ws::{Connections, Remote};

use crate::identity::{
    query::query_value,
    user::{Challenge, User},
};

/// The HTTP request that started a connection: the upgrade for WebSockets, the one for the event
/// stream, or the first poll.
pub struct Request {
    path_and_query: Box<str>,
    /// `name:value`, each ended by a line feed, which neither may hold: copied out of the head, which
    /// would otherwise be kept whole, buffers included. Several values of a name are joined; they
    /// follow as they came, each as a line without a name.
    headers: Box<[u8]>,
    /// What layers of the app have put there.
    extensions: Extensions,
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
        Self {
            headers: copied(&parts.headers),
            extensions: of_layers(&parts.extensions),
            path_and_query: path_and_query.into(),
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
        let (value, _) = self.header_lines(name)?;
        str::from_utf8(value).ok()
    }

    /// All values of a header as they came, those that are text. Names are matched without regard to
    /// case.
    pub fn header_values(&self, name: &str) -> impl Iterator<Item = &str> {
        let (one, several) = match self.header_lines(name) {
            Some((value, rest)) if !rest.starts_with(b":") => (Some(value), &[][..]),
            Some((_, rest)) => (None, rest),
            None => (None, &[][..]),
        };
        let several = lines(several).map_while(|line| line.strip_prefix(b":"));
        one.into_iter()
            .chain(several)
            .filter_map(|value| str::from_utf8(value).ok())
    }

    /// The value of a header, and the lines behind it.
    fn header_lines(&self, name: &str) -> Option<(&[u8], &[u8])> {
        let mut rest = &*self.headers;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line = &rest[..end];
            rest = &rest[end + 1..];
            if let Some((known, value)) = line.split_at_checked(name.len())
                && let Some(value) = value.strip_prefix(b":")
                && !known.is_empty()
                && known.eq_ignore_ascii_case(name.as_bytes())
            {
                return Some((value, rest));
            }
        }
        None
    }

    /// The value of a cookie, as it was sent: percent-encoding and quotes, where there are any, are the
    /// application's own. Of several of one name the first, which is that of the longest path.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies()
            .find_map(|(known, value)| (known == name).then_some(value))
    }

    /// All cookies, names and values, in the order in which they came (RFC 6265, section 4.2).
    pub fn cookies(&self) -> impl Iterator<Item = (&str, &str)> {
        let cookies = self.header("cookie").unwrap_or_default().split(';');
        cookies.filter_map(|cookie| cookie.trim().split_once('='))
    }

    /// What layers of the app have put into the request, as
    /// `request.extensions_mut().insert(Tenant(…))`, or axum's `Extension` layer: of the request that
    /// began the connection, over every transport. What only the server beneath needs is not there.
    ///
    /// ```
    /// use axum::Extension;
    /// use hub::{Context, Hub};
    ///
    /// #[derive(Clone)]
    /// struct Tenant(&'static str);
    ///
    /// let app: axum::Router = Hub::new(())
    ///     .method("Tenant", async |cx: Context| {
    ///         Ok(cx.request().extensions().get::<Tenant>().map(|tenant| tenant.0))
    ///     })
    ///     .router("/chat")
    ///     .layer(Extension(Tenant("acme")));
    /// ```
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// The value of a query parameter, decoded; several are joined with commas (R-03).
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

    /// `https` or `http`, by [`is_https`](Self::is_https); for WebSockets too.
    pub fn scheme(&self) -> &'static str {
        if self.is_https { "https" } else { "http" }
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

/// Headers in the form in which they are kept.
fn copied(headers: &HeaderMap) -> Box<[u8]> {
    let mut copied = Vec::new();
    for name in headers.keys() {
        copied.extend_from_slice(name.as_str().as_bytes());
        let between: &[u8] = if name == COOKIE { b"; " } else { b"," };
        let values = headers.get_all(name);
        let mut before: &[u8] = b":";
        for value in &values {
            copied.extend_from_slice(before);
            copied.extend_from_slice(value.as_bytes());
            before = between;
        }
        copied.push(b'\n');
        if values.iter().nth(1).is_some() {
            for value in &values {
                copied.push(b':');
                copied.extend_from_slice(value.as_bytes());
                copied.push(b'\n');
            }
        }
    }
    copied.into()
}

fn lines(lines: &[u8]) -> impl Iterator<Item = &[u8]> {
    lines.split(|byte| *byte == b'\n')
}

/// What layers of the app have put into a request. Where they have put nothing, nothing is kept: most
/// connections need none of it.
fn of_layers(extensions: &Extensions) -> Extensions {
    let mut kept = raw_ws::__of_layers(extensions.clone());
    kept.remove::<ConnectInfo<SocketAddr>>(); // `remote_address` has it
    kept.remove::<User>(); // it may be renewed: `Context::current_user` has it
    kept.remove::<Challenge>();
    // axum's router leaves the parameters of its path, of a type that only itself can name.
    if kept.len() == 1 {
        let (mut parts, ()) = http::Request::new(()).into_parts();
        parts.extensions = kept.clone();
        let parameters = RawPathParams::from_request_parts(&mut parts, &()).now_or_never();
        if let Some(Ok(_)) = parameters {
            return Extensions::new();
        }
    }
    kept
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
        assert_eq!(request.header(""), None);
        let values = |name| request.header_values(name).collect::<Vec<_>>();
        assert_eq!(values("x-trace"), ["a", "b, c"]);
        assert_eq!(values("x-other"), ["d"]);
        assert_eq!(values("cookie"), ["c=1", "e=2"]);
        assert!(values("x-bytes").is_empty() && values("x").is_empty());
        assert_eq!(request.cookie("e"), Some("2"));
        assert_eq!(request.cookie("E"), None);
    }

    #[test]
    fn cookies_as_they_came() {
        let request = http::Request::get("/hub").header("Cookie", r#"a=1;b="x=y" ; a=2; c; d="#);
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let request = Request::new(&parts, Transport::WebSockets);
        let cookies: Vec<_> = request.cookies().collect();
        assert_eq!(
            cookies,
            [("a", "1"), ("b", "\"x=y\""), ("a", "2"), ("d", "")]
        );
        assert_eq!(request.cookie("a"), Some("1"));
    }

    /// An idle connection pays for what is kept of its request.
    #[test]
    fn what_is_kept_of_the_extensions_is_what_layers_put_there() {
        #[derive(Clone, Debug, PartialEq)]
        struct Tenant(u8);

        let (mut parts, ()) = http::Request::new(()).into_parts();
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        parts.extensions.insert(ConnectInfo(address));
        parts.extensions.insert(Remote::http(address));
        parts.extensions.insert(User::new("ann"));
        assert!(of_layers(&parts.extensions).is_empty());
        parts.extensions.insert(Tenant(7));
        let kept = of_layers(&parts.extensions);
        assert_eq!(kept.get::<Tenant>(), Some(&Tenant(7)));
        assert_eq!(kept.len(), 1);
    }
}
