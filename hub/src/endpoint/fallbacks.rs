//! The transports for clients without WebSockets: an event stream or polls one way, POSTs the
//! other way (spec sections 4, 6 and 7).

use axum::{body::Body, response::Response};
use http::{
    HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, EXPIRES, HeaderMap, PRAGMA},
    request::Parts,
};
use tokio::time::sleep_until;

use super::{Endpoint, not_found, now, text};
use crate::{
    connection,
    connection_id::ConnectionToken,
    request::{Request, Transport},
    tokens::{Found, NotFound, Unused},
    transport::{
        long_polling::{Answer, LongPolling},
        posts::Refused,
        server_sent_events::event_stream,
    },
};

impl<S: Send + Sync + 'static> Endpoint<S> {
    /// SSE-01 to SSE-03.
    pub(super) fn stream_events(&self, parts: &Parts, token: Option<ConnectionToken>) -> Response {
        let Some(token) = token else {
            return id_required();
        };
        let found = match self.find(&token, Transport::ServerSentEvents) {
            Ok(found) => found,
            Err(refusal) => return refusal,
        };
        let Found::Unused(Unused {
            id,
            posts: Some(posts),
            ..
        }) = found
        else {
            return text(StatusCode::CONFLICT, ""); // never
        };
        let options = &self.hub.registry.options;
        let (in_use, in_use_too) = (self.in_use(token.clone()), self.in_use(token));
        let (stream, body) = event_stream(self.config.clone(), posts, options, in_use);
        let who = self.hub.who(id, parts);
        let request = Request::new(parts, Transport::ServerSentEvents);
        let hub = self.hub.clone();
        tokio::spawn(async move {
            let _in_use = in_use_too;
            connection::run(hub, stream, request, who).await;
        });
        let mut response = Response::new(Body::new(body));
        let headers = response.headers_mut();
        set(headers, CONTENT_TYPE, "text/event-stream");
        set(headers, CACHE_CONTROL, "no-cache,no-store");
        set(headers, PRAGMA, "no-cache");
        set(headers, CONTENT_ENCODING, "identity");
        response
    }

    /// LP-01 to LP-09.
    pub(super) async fn poll(&self, parts: &Parts, token: Option<ConnectionToken>) -> Response {
        let mut response = match token {
            None => id_required(),
            Some(token) => match self.find(&token, Transport::LongPolling) {
                Err(refusal) => refusal,
                Ok(Found::Unused(unused)) => self.begin_polling(parts, token, unused),
                Ok(Found::Polled(polls)) => match polls.poll().await {
                    Answer::Messages(messages) => octets(Body::new(messages)),
                    Answer::Nothing => text(StatusCode::OK, ""), // LP-04
                    Answer::GivenWay => text(StatusCode::NO_CONTENT, ""), // LP-06
                    Answer::Ended => {
                        self.tokens.remove(&token);
                        text(StatusCode::NO_CONTENT, "") // LP-05
                    }
                    Answer::Disposed => text(StatusCode::NOT_FOUND, ""), // C-13
                },
            },
        };
        // LP-02
        let headers = response.headers_mut();
        set(headers, CACHE_CONTROL, "no-cache, no-store");
        set(headers, PRAGMA, "no-cache");
        set(headers, EXPIRES, "Thu, 01 Jan 1970 00:00:00 GMT");
        response
    }

    /// LP-01: the first poll begins the connection, and is answered at once.
    fn begin_polling(&self, parts: &Parts, token: ConnectionToken, unused: Unused) -> Response {
        let Unused {
            id,
            posts: Some(posts),
            polls: Some(polls),
        } = unused
        else {
            return text(StatusCode::INTERNAL_SERVER_ERROR, ""); // never
        };
        let transport = LongPolling::new(self.config.clone(), posts, polls);
        let who = self.hub.who(id, parts);
        let request = Request::new(parts, Transport::LongPolling);
        let in_use = self.in_use(token);
        let hub = self.hub.clone();
        tokio::spawn(async move {
            let _in_use = in_use;
            connection::run(hub, transport, request, who).await;
        });
        octets(Body::empty())
    }

    /// Section 4.
    pub(super) async fn post(&self, body: Body, token: Option<ConnectionToken>) -> Response {
        let Some(token) = token else {
            return id_required();
        };
        let (posts, dies) = match self.tokens.posts(&token, now()) {
            Ok(found) => found,
            Err(NotFound::Unknown) => return not_found(),
            // P-06
            Err(NotFound::OtherTransport | NotFound::Active) => {
                let reason = "POST requests are not allowed for WebSocket connections.";
                return text(StatusCode::METHOD_NOT_ALLOWED, reason);
            }
        };
        let mut writing = std::pin::pin!(posts.write(body.into_data_stream()));
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
            Ok(()) => text(StatusCode::OK, ""),                        // P-02
            Err(Refused::Gone) => text(StatusCode::NOT_FOUND, ""),     // P-08
            Err(Refused::Broken) => text(StatusCode::BAD_REQUEST, ""), // P-09
        }
    }

    /// LP-12 to LP-14.
    pub(super) fn delete(&self, token: Option<ConnectionToken>) -> Response {
        let Some(token) = token else {
            return id_required();
        };
        match self.tokens.delete(&token, now()) {
            Ok(()) => text(StatusCode::ACCEPTED, ""),
            Err(NotFound::Unknown) => not_found(),
            Err(NotFound::OtherTransport | NotFound::Active) => text(
                StatusCode::BAD_REQUEST,
                "Cannot terminate this connection using the DELETE endpoint.",
            ),
        }
    }
}

/// C-10.
fn id_required() -> Response {
    text(StatusCode::BAD_REQUEST, "Connection ID required")
}

/// LP-03.
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
