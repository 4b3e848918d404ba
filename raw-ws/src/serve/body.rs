//! A request's body, with a limit to its size and to its patience.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{BoxError, body::Body};
use bytes::Bytes;
use http::StatusCode;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};

use super::ServeConfig;
use crate::body_limit::BodyLimit;

/// Why a body was not given whole: whoever reads it gets an error, and the client this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    TooLarge = 1,
    TooSlow = 2,
}

impl Fault {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
        }
    }

    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::TooLarge => "the body is too large",
            Self::TooSlow => "the request's body came too slowly",
        }
    }
}

/// What became of a body, for who answers the request.
#[derive(Clone, Default)]
pub(super) struct Outcome(Arc<AtomicU8>);

impl Outcome {
    pub(super) fn fault(&self) -> Option<Fault> {
        match self.0.load(Ordering::Relaxed) {
            1 => Some(Fault::TooLarge),
            2 => Some(Fault::TooSlow),
            _ => None,
        }
    }

    fn failed(&self, fault: Fault) -> BoxError {
        self.0.store(fault as u8, Ordering::Relaxed);
        fault.reason().into()
    }
}

/// A body that fails when it holds too much, and when it comes too slowly on average, counting the
/// time that it is waited for.
pub(super) struct Bounded {
    body: Incoming,
    limit: BodyLimit,
    outcome: Outcome,
    received: u64,
    grace: Duration,
    rate: u32,
    waited: Duration,
    waits_since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Bounded {
    /// The body, and what will have become of it.
    pub(super) fn body(body: Incoming, config: &ServeConfig, limit: BodyLimit) -> (Body, Outcome) {
        let outcome = Outcome::default();
        let bounded = Self {
            body,
            limit,
            outcome: outcome.clone(),
            received: 0,
            grace: config.body_grace,
            rate: config.min_body_rate,
            waited: Duration::ZERO,
            waits_since: None,
            timer: None,
        };
        (Body::new(bounded), outcome)
    }

    /// Whether it has been waited for longer than what has come allows.
    fn poll_too_slow(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let since = *self.waits_since.get_or_insert_with(Instant::now);
        let allowed = self.grace + Duration::from_secs(self.received / u64::from(self.rate.max(1)));
        let due = since + allowed.saturating_sub(self.waited);
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if timer.deadline() != due {
            timer.as_mut().reset(due);
        }
        timer.as_mut().poll(cx)
    }
}

impl http_body::Body for Bounded {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        // Before it is asked for: a body that says that it is too large is not even begun with.
        let at_least = self.received + self.body.size_hint().lower();
        if at_least > self.limit.bytes() {
            return Poll::Ready(Some(Err(self.outcome.failed(Fault::TooLarge))));
        }
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            std::task::ready!(self.poll_too_slow(cx));
            return Poll::Ready(Some(Err(self.outcome.failed(Fault::TooSlow))));
        };
        if let Some(since) = self.waits_since.take() {
            self.waited += since.elapsed();
        }
        if let Some(Ok(frame)) = &frame {
            self.received += frame.data_ref().map_or(0, |data| data.len() as u64);
            if self.received > self.limit.bytes() {
                return Poll::Ready(Some(Err(self.outcome.failed(Fault::TooLarge))));
            }
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
