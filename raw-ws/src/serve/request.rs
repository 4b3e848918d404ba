//! A request, from its head to the end of its answer: what is looked at before the app sees it, and
//! what the app finds in it.

use std::{
    net::SocketAddr,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{Router, body::Body, extract::ConnectInfo, response::Response};
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{
    HeaderMap, HeaderValue, Request, StatusCode,
    header::{CONNECTION, CONTENT_TYPE, HOST, RETRY_AFTER, TRANSFER_ENCODING},
};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tower::ServiceExt;

use super::{
    ServeConfig,
    forwarded::{self, Forwarded, Malformed},
    head::Findings,
    progress::{AtWork, Progress},
    rest::{self, Given},
    slots::{Place, Slot, Slots},
};
use crate::{
    events,
    extensions::{ack_deadline::AckDeadline, remote::Remote},
    outbound::connections::Connections,
    stream::upgraded::Takeover,
    sync::Mutex,
};

/// The requests of one connection, one after the other.
pub(super) struct Requests {
    pub(super) app: Router,
    pub(super) config: Arc<ServeConfig>,
    pub(super) connections: Connections,
    pub(super) slots: Slots,
    pub(super) slot: Arc<Mutex<Slot>>,
    pub(super) findings: Findings,
    pub(super) progress: Progress,
    pub(super) ack_deadline: AckDeadline,
    pub(super) takeover: Takeover,
    /// The other end: a client, or a proxy.
    pub(super) peer: Remote,
    pub(super) is_from_proxy: bool,
}

/// A request at work, and where clients are counted by address, its place.
struct Working {
    _at_work: AtWork,
    place: Option<Place>,
}

impl Requests {
    /// The answer to the next request.
    pub(super) fn answer(
        &mut self,
        mut request: Request<Incoming>,
    ) -> impl Future<Output = Response> + use<> {
        self.slot.lock().head_finished();
        // Where the chunks end is not looked after: no request may follow them.
        let is_last = request.headers().contains_key(TRANSFER_ENCODING);
        let mut working = Working {
            _at_work: self.progress.works(),
            place: None,
        };
        let admitted = self.admit(&mut request, &mut working);
        let (app, config) = (self.app.clone(), self.config.clone());
        let (connections, takeover) = (self.connections.clone(), self.takeover);
        let (slot, ack_deadline) = (self.slot.clone(), self.ack_deadline.clone());
        async move {
            if let Err(refused) = &admitted
                && refused.then == Then::Close
            {
                return refused.answer();
            }
            let (parts, body) = request.into_parts();
            let (body, given) = rest::give(body, &parts.headers, &config);
            let mut request = Request::from_parts(parts, body);
            let remote = match admitted {
                Ok(remote) => remote,
                Err(refused) => {
                    drop(request);
                    return closing(refused.answer(), is_last || is_left(given.as_ref()).await);
                }
            };
            let extensions = request.extensions_mut();
            extensions.insert(ConnectInfo(remote.address()));
            extensions.insert(remote);
            extensions.insert(connections);
            extensions.insert(takeover);
            extensions.insert(ack_deadline);
            if let Some(given) = &given {
                extensions.insert(given.limit.clone());
            }
            let mut response = match AssertUnwindSafe(app.oneshot(request)).catch_unwind().await {
                Ok(Ok(response)) => response,
                Err(_) => {
                    events::app_panicked();
                    plain(StatusCode::INTERNAL_SERVER_ERROR, "")
                }
            };
            if let Some(fault) = given.as_ref().and_then(Given::fault) {
                response = plain(fault.status(), fault.reason());
            }
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                if let Some(place) = working.place.take() {
                    let mut slot = slot.lock();
                    slot.keeps(place);
                }
                return response;
            }
            closing(response, is_last || is_left(given.as_ref()).await)
                .map(|body| Body::new(Answer { body, working }))
        }
    }

    /// Looks at a request before the app does: whose it is, or why it is refused. What its proxies
    /// say of its host becomes its `Host`.
    fn admit(
        &self,
        request: &mut Request<Incoming>,
        working: &mut Working,
    ) -> Result<Remote, Refused> {
        self.check(request)?;
        let forwarded = self.forwarded(request.headers()).map_err(|malformed| {
            events::proxy_is_malformed(malformed.0);
            Refused::last(StatusCode::BAD_REQUEST, malformed.0)
        })?;
        if let Some(host) = forwarded.host {
            // Two are refused later: nobody knows which of them the proxy has looked at.
            if request.headers().get_all(HOST).iter().count() < 2 {
                request.headers_mut().insert(HOST, host);
            }
        }
        self.check_host(request.headers())?;
        if let Some(client) = forwarded.client {
            working.place = self.slots.place(client.ip()).map_err(|full| {
                self.slots.tell(full);
                Refused {
                    status: full.status(),
                    reason: full.reason(),
                    then: Then::GoOn,
                }
            })?;
        }
        let Self { peer, .. } = self;
        let address = forwarded.client.unwrap_or_else(|| peer.address());
        Ok(if forwarded.is_https.unwrap_or_else(|| peer.is_https()) {
            Remote::https(address)
        } else {
            Remote::http(address)
        })
    }

    fn forwarded(&self, headers: &HeaderMap) -> Result<Forwarded, Malformed> {
        if self.is_from_proxy {
            forwarded::read(headers, &self.config)
        } else {
            Ok(Forwarded::default())
        }
    }

    /// What hyper lets through and this server does not.
    fn check(&self, request: &Request<Incoming>) -> Result<(), Refused> {
        if let Some(fault) = self.findings.fault() {
            return Err(Refused::last(StatusCode::BAD_REQUEST, fault));
        }
        let target = request
            .uri()
            .path_and_query()
            .map_or(0, |target| target.as_str().len());
        if target > self.config.max_target_size {
            let reason = "the target is too long";
            return Err(Refused::last(StatusCode::URI_TOO_LONG, reason));
        }
        Ok(())
    }

    fn check_host(&self, headers: &HeaderMap) -> Result<(), Refused> {
        let Some(allowed) = &self.config.allowed_hosts else {
            return Ok(());
        };
        let host = headers.get(HOST).map_or(&b""[..], HeaderValue::as_bytes);
        if allowed
            .iter()
            .any(|allowed| allowed.as_bytes().eq_ignore_ascii_case(host))
        {
            return Ok(());
        }
        let reason = "this server does not answer to that host";
        Err(Refused::last(StatusCode::MISDIRECTED_REQUEST, reason))
    }
}

/// Why a request does not reach the app.
#[derive(Clone, Copy)]
struct Refused {
    status: StatusCode,
    reason: &'static str,
    then: Then,
}

/// What becomes of the connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    /// Nothing behind the request is trusted.
    Close,
    /// It is a proxy's, and its next request another client's.
    GoOn,
}

impl Refused {
    fn last(status: StatusCode, reason: &'static str) -> Self {
        let then = Then::Close;
        Self {
            status,
            reason,
            then,
        }
    }

    fn answer(self) -> Response {
        let mut response = plain(self.status, self.reason);
        let headers = response.headers_mut();
        match self.then {
            Then::Close => headers.insert(CONNECTION, HeaderValue::from_static("close")),
            Then::GoOn => headers.insert(RETRY_AFTER, HeaderValue::from_static("5")),
        };
        response
    }
}

/// Whether a part of the body is read by nobody.
async fn is_left(given: Option<&Given>) -> bool {
    match given {
        Some(given) => given.is_left().await,
        None => false,
    }
}

fn plain(status: StatusCode, reason: &'static str) -> Response {
    let mut response = Response::new(Body::from(reason));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

/// Says, if it is so, that no request may follow.
fn closing(mut response: Response, is_last: bool) -> Response {
    if is_last {
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The body of an answer, with which the request's work ends.
struct Answer {
    body: Body,
    #[expect(dead_code, reason = "held until the answer is over")]
    working: Working,
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Whose address a connection has, as the PROXY protocol may have said.
pub(super) fn peer(address: SocketAddr, is_https: bool) -> Remote {
    let address = SocketAddr::new(address.ip().to_canonical(), address.port());
    if is_https {
        Remote::https(address)
    } else {
        Remote::http(address)
    }
}
