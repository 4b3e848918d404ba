//! The transports for clients without WebSockets: an event stream or polls one way, POSTs the
//! other way (`SPEC.md`, sections 4, 6 and 7).

use axum::{body::Body, response::Response};
use http::{
    HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, EXPIRES, HeaderMap, PRAGMA},
    request::Parts,
};
use http_body::Body as _;
use raw_ws::{AckDeadline, BodyLimit, clock::now};
use tokio::time::sleep_until;

use super::{
    Endpoint,
    answers::{Refusal, text},
};
use crate::{
    endpoint::tokens::{NewStream, NotFound, Poll},
    identity::{
        connection_id::{ConnectionId, ConnectionToken},
        request::Transport,
        user::User,
    },
    transport::{
        long_polling::{Answer, LongPolling},
        posts::NotTaken,
        server_sent_events::event_stream,
    },
};

impl<S: Send + Sync + 'static> Endpoint<S> {
    /// An event stream, with headers that keep everybody between from buffering it (SSE-01 to SSE-03).
    pub(super) fn stream_events(&self, parts: &Parts, token: Option<ConnectionToken>) -> Response {
        let Some(token) = token else {
            return Refusal::NoId.answer();
        };
        let may = |asks| self.may(asks, parts, Transport::ServerSentEvents);
        let found = self.present(&token, parts, |presented| {
            self.tokens.event_stream(presented, may)
        });
        let NewStream {
            id,
            posts,
            reconnect,
        } = match found {
            Ok(found) => found,
            Err(refusal) => return Refusal::answer(refusal),
        };
        let options = &self.options;
        let in_use = self.in_use(token.clone());
        let ack_deadline = parts.extensions.get::<AckDeadline>().cloned();
        let config = self.config.clone();
        let (stream, body) = event_stream(config, posts, options, ack_deadline, in_use);
        // Both ends count where both wish it, though nobody can come back (SR-21).
        let arrival = self.arrival(id, parts, Transport::ServerSentEvents, reconnect);
        self.spawn(token, stream, arrival);
        let mut response = Response::new(Body::new(body));
        let headers = response.headers_mut();
        set(headers, CONTENT_TYPE, "text/event-stream");
        set(headers, CACHE_CONTROL, "no-cache,no-store");
        set(headers, PRAGMA, "no-cache");
        set(headers, CONTENT_ENCODING, "identity");
        // Row 165: nginx would keep events back.
        let buffering = http::HeaderName::from_static("x-accel-buffering");
        set(headers, buffering, "no");
        response
    }

    /// A poll, whose answer nobody may keep for another (LP-01 to LP-09).
    pub(super) async fn poll(&self, parts: &Parts, token: Option<ConnectionToken>) -> Response {
        let mut response = match token {
            None => Refusal::NoId.answer(),
            Some(token) => self.poll_by(parts, token).await,
        };
        // No cache between may answer the next poll (LP-02).
        let headers = response.headers_mut();
        set(headers, CACHE_CONTROL, "no-cache, no-store");
        set(headers, PRAGMA, "no-cache");
        set(headers, EXPIRES, "Thu, 01 Jan 1970 00:00:00 GMT");
        response
    }

    async fn poll_by(&self, parts: &Parts, token: ConnectionToken) -> Response {
        let may = |asks| self.may(asks, parts, Transport::LongPolling);
        let found = self.present(&token, parts, |presented| self.tokens.poll(presented, may));
        let (id, polls) = match found {
            Ok(Poll::Later(id, polls)) => (id, polls),
            // LP-01: the first poll begins the connection, and is answered at once.
            Ok(Poll::First {
                id,
                posts,
                polls,
                reconnect,
            }) => {
                let transport = LongPolling::new(self.config.clone(), posts, polls);
                let arrival = self.arrival(id, parts, Transport::LongPolling, reconnect);
                self.spawn(token, transport, arrival);
                return octets(Body::empty());
            }
            Err(refusal) => return Refusal::answer(refusal),
        };
        self.renew_user(&id, parts);
        match polls.poll().await {
            Answer::Messages(messages) => octets(Body::new(messages)),
            // The client polls again (LP-04).
            Answer::Nothing => text(StatusCode::OK, ""),
            // A newer poll has come (LP-06).
            Answer::GivenWay => text(StatusCode::NO_CONTENT, ""),
            // The connection is over (LP-05).
            Answer::Ended => {
                self.tokens.remove(&token);
                text(StatusCode::NO_CONTENT, "")
            }
            // It was dropped (C-13).
            Answer::Disposed => text(StatusCode::NOT_FOUND, ""),
        }
    }

    /// AU-04: what the newest request says of the user holds, its expiry too.
    fn renew_user(&self, id: &ConnectionId, parts: &Parts) {
        if let Some(user) = parts.extensions.get::<User>()
            && let Some(live) = self.hub.registry.find(id.as_str())
        {
            live.set_user(user.clone());
        }
    }

    /// What a client sends over the transports that go one way (section 4).
    pub(super) async fn post(
        &self,
        parts: &Parts,
        body: Body,
        token: Option<ConnectionToken>,
    ) -> Response {
        let Some(token) = token else {
            return Refusal::NoId.answer();
        };
        let found = self.present(&token, parts, |presented| self.tokens.posts(presented));
        let (posts, dies) = match found {
            Ok(found) => found,
            Err(refused @ (NotFound::Unknown | NotFound::OtherUser)) => {
                return Refusal::from(refused).answer();
            }
            // Who has a WebSocket sends over that (P-06).
            Err(NotFound::OtherTransport | NotFound::Active | NotFound::TooOften) => {
                let reason = "POST requests are not allowed for WebSocket connections.";
                return text(StatusCode::METHOD_NOT_ALLOWED, reason);
            }
        };
        let max = self.options.endpoint.maximum_request_body_size;
        let max = max.unwrap_or(usize::MAX);
        if let Some(limit) = parts.extensions.get::<BodyLimit>() {
            limit.set(u64::MAX); // the server's own; the hub's is looked at here
        }
        if body.size_hint().lower() > max as u64 {
            return too_large(max);
        }
        let mut writing = std::pin::pin!(posts.write(body.into_data_stream(), max));
        let written = match dies {
            None => writing.await,
            // While it waits, nobody else may come by to see the connection die (C-05).
            Some(dies) => tokio::select! {
                written = &mut writing => written,
                () = sleep_until(dies.into()) => {
                    self.tokens.expire(now());
                    writing.await
                }
            },
        };
        match written {
            // All of it was taken (P-02).
            Ok(()) => text(StatusCode::OK, ""),
            // The connection ended meanwhile (P-08).
            Err(NotTaken::Gone) => text(StatusCode::NOT_FOUND, ""),
            // The client has broken it off (P-09).
            Err(NotTaken::Broken) => text(StatusCode::BAD_REQUEST, ""),
            Err(NotTaken::TooLarge) => too_large(max),
        }
    }

    /// The goodbye of a client that polls (LP-12 to LP-14).
    pub(super) fn delete(&self, parts: &Parts, token: Option<ConnectionToken>) -> Response {
        let Some(token) = token else {
            return Refusal::NoId.answer();
        };
        match self.present(&token, parts, |presented| self.tokens.delete(presented)) {
            Ok(()) => text(StatusCode::ACCEPTED, ""),
            Err(refused @ (NotFound::Unknown | NotFound::OtherUser)) => {
                Refusal::from(refused).answer()
            }
            Err(NotFound::OtherTransport | NotFound::Active | NotFound::TooOften) => text(
                StatusCode::BAD_REQUEST,
                "Cannot terminate this connection using the DELETE endpoint.",
            ),
        }
    }
}

/// As Kestrel says it.
fn too_large(max: usize) -> Response {
    text(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("Request body too large. The max request body size is {max} bytes."),
    )
}

/// Bytes, whatever the protocol (LP-03).
fn octets(body: Body) -> Response {
    let mut response = Response::new(body);
    set(
        response.headers_mut(),
        CONTENT_TYPE,
        "application/octet-stream",
    );
    response
}

fn set(headers: &mut HeaderMap, name: http::HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}
