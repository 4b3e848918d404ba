//! The HTTP request that a connection came with (C-14), kept small: it lives as long as the
//! connection.

use std::{fmt, net::SocketAddr};

use axum::extract::ConnectInfo;
use http::request::Parts;

use crate::query::query_value;

/// The HTTP request that started a connection: the upgrade for WebSockets.
pub struct Request {
    path_and_query: Box<str>,
    /// Copied out of the head, which would otherwise be kept whole, buffers included.
    headers: Box<[Header]>,
    peer: Option<SocketAddr>,
    transport: Transport,
}

struct Header {
    name: Box<str>,
    value: Box<[u8]>,
}

/// How a connection's bytes travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transport {
    /// A WebSocket connection.
    WebSockets,
}

impl Transport {
    /// The name in negotiate answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::WebSockets => "WebSockets",
        }
    }

    /// K-01, LP-15: whether the hub pings.
    pub(crate) fn needs_pings(self) -> bool {
        match self {
            Self::WebSockets => true,
        }
    }

    /// H-09: whether it carries text alone.
    pub(crate) fn is_text_only(self) -> bool {
        match self {
            Self::WebSockets => false,
        }
    }
}

impl Request {
    pub(crate) fn new(parts: &Parts, transport: Transport) -> Self {
        let path_and_query = parts
            .uri
            .path_and_query()
            .map_or("", |target| target.as_str());
        let headers = parts.headers.iter();
        Self {
            path_and_query: path_and_query.into(),
            headers: headers
                .map(|(name, value)| Header {
                    name: name.as_str().into(),
                    value: value.as_bytes().into(),
                })
                .collect(),
            peer: parts
                .extensions
                .get::<ConnectInfo<SocketAddr>>()
                .map(|info| info.0),
            transport,
        }
    }

    /// The path, without the query.
    pub fn path(&self) -> &str {
        self.path_and_query.split('?').next().unwrap_or_default()
    }

    /// The first value of a header, if it is text. Names are matched without regard to case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let header = self
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(&header.value).ok()
    }

    /// The value of a query parameter, decoded; several are joined with commas.
    pub fn query(&self, name: &str) -> Option<String> {
        let (_, query) = self.path_and_query.split_once('?')?;
        query_value(query, name)
    }

    /// The address of the peer, when the server knows it.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// How the connection's bytes travel.
    pub fn transport(&self) -> Transport {
        self.transport
    }
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
