//! How requests are answered that are not let in, and the forms that answers have.

use axum::{body::Body, response::Response};
use http::{HeaderValue, StatusCode, header::CONTENT_TYPE};

use crate::{endpoint::tokens::NotFound, events, identity::request::Transport};

/// Why a request does not lead to a connection (C-08).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The request names no connection (C-10).
    NoId,
    /// There is no such connection (C-11).
    Unknown,
    /// The hub does not offer the transport (C-09).
    NotOffered(Transport),
    /// The connection uses another transport (C-07).
    OtherTransport,
    /// The connection is in use (C-12).
    Active,
    /// A page that may not use this hub.
    ForeignOrigin,
    /// The connection belongs to another user.
    OtherUser,
    /// The connection was resumed too often.
    TooOften,
    /// The server stops.
    Stopping,
    /// Too many negotiated connections wait to be used (C-05).
    Overloaded,
    /// The method of the request means nothing here.
    Method,
    /// The user is known, and not let in (AU-01).
    Forbidden,
    /// The connection is another server's, and cannot go on here.
    OtherServer,
    /// The server that the connection was negotiated with does not answer.
    NoAnswer,
}

impl Refusal {
    /// For the log: the README's table "When a client does not connect" says more of each.
    fn why(self) -> &'static str {
        match self {
            Self::NoId => "no connection is named, and none begun",
            Self::Unknown => "there is no connection of that id",
            Self::NotOffered(_) => "the transport is not offered",
            Self::OtherTransport => "the connection uses another transport",
            Self::Active => "the connection is in use",
            Self::ForeignOrigin => "a page of another origin",
            Self::OtherUser => "the connection is another user's",
            Self::TooOften => "the connection was resumed too often",
            Self::Stopping => "the server stops",
            Self::Overloaded => "too many negotiated connections wait to be used",
            Self::Method => "the method of the request means nothing here",
            Self::Forbidden => "the user is not let in",
            Self::OtherServer => "the connection is another server's",
            Self::NoAnswer => "the server that has negotiated does not answer",
        }
    }

    pub(super) fn answer(self) -> Response {
        let answer = self.unsaid();
        events::refused(answer.status(), self.why());
        answer
    }

    fn unsaid(self) -> Response {
        match self {
            Self::NoId => text(StatusCode::BAD_REQUEST, "Connection ID required"),
            Self::Unknown => text(StatusCode::NOT_FOUND, "No Connection with that ID"),
            Self::NotOffered(transport) => {
                let transport = transport.name();
                let reason = format!("{transport} transport not supported by this end point type");
                text(StatusCode::NOT_FOUND, reason)
            }
            Self::OtherTransport => {
                let reason = "Cannot change transports mid-connection";
                text(StatusCode::BAD_REQUEST, reason)
            }
            Self::Active => text(StatusCode::CONFLICT, ""),
            Self::ForeignOrigin => {
                let reason = "Pages of this origin may not connect here.";
                text(StatusCode::FORBIDDEN, reason)
            }
            Self::OtherUser => empty(StatusCode::FORBIDDEN),
            Self::TooOften => text(StatusCode::TOO_MANY_REQUESTS, ""),
            Self::Stopping => text(StatusCode::SERVICE_UNAVAILABLE, "The server is stopping."),
            Self::Overloaded => {
                let reason = "Too many connections wait to be used.";
                text(StatusCode::SERVICE_UNAVAILABLE, reason)
            }
            Self::Method => text(StatusCode::METHOD_NOT_ALLOWED, ""),
            Self::Forbidden => empty(StatusCode::FORBIDDEN),
            Self::OtherServer => {
                let reason = "This connection is another server's. Server-sent events, long polling and \
                              stateful reconnect need all requests of a client to come to one server: have \
                              the load balancer keep it there.";
                text(StatusCode::MISDIRECTED_REQUEST, reason)
            }
            Self::NoAnswer => {
                let reason = "The server that this connection was negotiated with does not answer.";
                text(StatusCode::SERVICE_UNAVAILABLE, reason)
            }
        }
    }

    /// C-11: for a WebSocket the answer has no content type.
    pub(super) fn answer_to_upgrade(self) -> Response {
        let mut answer = self.answer();
        if self == Self::Unknown {
            answer.headers_mut().remove(CONTENT_TYPE);
        }
        answer
    }
}

impl From<NotFound> for Refusal {
    fn from(not_found: NotFound) -> Self {
        match not_found {
            NotFound::Unknown => Self::Unknown,
            NotFound::OtherTransport => Self::OtherTransport,
            NotFound::Active => Self::Active,
            NotFound::OtherUser => Self::OtherUser,
            NotFound::TooOften => Self::TooOften,
        }
    }
}

/// AU-01: no body, and no type of one.
pub(super) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// A short answer in words, as every refusal is.
pub(super) fn text(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

/// An answer to negotiate, also one that refuses (N-02).
pub(super) fn json(body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
