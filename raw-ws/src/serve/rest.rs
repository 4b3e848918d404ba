//! What is left of a request's body when nobody reads it any more.
//!
//! A client that still sends its body cannot read the answer: a server that closes now has its
//! answer lost to a reset. So the rest is read, and thrown away, and the connection goes on to its
//! next request. Where that would be too much, the answer says `Connection: close`, and the close
//! lingers (RFC 9112 sections 9.3 and 9.6).

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{BoxError, body::Body};
use bytes::Bytes;
use http::{HeaderMap, header::EXPECT};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::{runtime::Handle, task::JoinHandle, time::timeout};

use super::{
    ServeConfig,
    body::{Bounded, Fault, Outcome},
};
use crate::{extensions::body_limit::BodyLimit, sync::Mutex};

/// How long an answer waits for a body that nobody reads: proxies that pass a body on as it comes
/// close a connection on which the answer was first, as nginx does, and do not say so.
const ANSWER_WAITS: Duration = Duration::from_millis(500);

/// A request's body, given to the app: what becomes of it.
pub(super) struct Given {
    /// What it may hold.
    pub(super) limit: BodyLimit,
    outcome: Outcome,
    rest: Arc<Mutex<Rest>>,
}

/// What becomes of the rest.
#[derive(Default)]
enum Rest {
    /// There is none yet, or none at all.
    #[default]
    None,
    /// It is being read.
    Draining(JoinHandle<()>),
    /// Nobody reads it: no request can follow.
    Left,
}

/// Gives a body to the app, within its limits; nothing of a request without one.
pub(super) fn give(
    body: Incoming,
    headers: &HeaderMap,
    config: &ServeConfig,
) -> (Body, Option<Given>) {
    if body.is_end_stream() {
        return (Body::empty(), None);
    }
    let given = Given {
        limit: BodyLimit::new(config.max_body_size as u64),
        outcome: Outcome::default(),
        rest: Arc::default(),
    };
    let (limit, outcome) = (given.limit.clone(), given.outcome.clone());
    let body = Read {
        body: Some(Bounded::new(body, config, limit, outcome)),
        at_most: config.max_body_size as u64,
        waits_to_be_asked: headers.contains_key(EXPECT),
        rest: given.rest.clone(),
    };
    (Body::new(body), Some(given))
}

impl Given {
    /// Why it was not given whole.
    pub(super) fn fault(&self) -> Option<Fault> {
        self.outcome.fault()
    }

    /// Waits for the rest, for a while; whether no request can follow.
    pub(super) async fn is_left(&self) -> bool {
        let rest = std::mem::take(&mut *self.rest.lock());
        match rest {
            Rest::None => false,
            Rest::Left => true,
            Rest::Draining(draining) => {
                let _ = timeout(ANSWER_WAITS, draining).await;
                false
            }
        }
    }
}

/// A body as the app has it, which may leave as much of it as it likes.
struct Read {
    body: Option<Bounded<Incoming>>,
    /// Bytes that are read for nobody.
    at_most: u64,
    /// The client sends nothing before it is asked to (RFC 9110 section 10.1.1).
    waits_to_be_asked: bool,
    rest: Arc<Mutex<Rest>>,
}

impl http_body::Body for Read {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.waits_to_be_asked = false;
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Bounded::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let body = self.body.as_ref();
        body.map_or_else(SizeHint::default, Bounded::size_hint)
    }
}

impl Drop for Read {
    fn drop(&mut self) {
        let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) else {
            return;
        };
        // Of chunks nobody knows how many there will be.
        let rest = body.size_hint().upper();
        let is_short = rest.is_some_and(|rest| rest <= self.at_most);
        let rest = match Handle::try_current() {
            Ok(runtime) if is_short && !self.waits_to_be_asked && !body.is_too_slow() => {
                // Over with the connection at the latest.
                Rest::Draining(runtime.spawn(body.into_rest(self.at_most).read_out()))
            }
            _ => Rest::Left,
        };
        *self.rest.lock() = rest;
    }
}
