//! A request's body, with a limit to its size and to its patience.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{BoxError, body::Body};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::Limited;
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};

use super::ServeConfig;

/// Whether a body came too slowly: whoever reads it gets an error, and the client a 408.
#[derive(Clone, Default)]
pub(super) struct TooSlow(Arc<AtomicBool>);

impl TooSlow {
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Bounds a body as the config says.
pub(super) fn bounded(body: Incoming, config: &ServeConfig, too_slow: &TooSlow) -> Body {
    if http_body::Body::is_end_stream(&body) {
        return Body::empty();
    }
    let paced = Paced {
        body,
        begun: Instant::now(),
        grace: config.body_grace,
        rate: config.min_body_rate,
        received: 0,
        timer: None,
        too_slow: too_slow.clone(),
    };
    Body::new(Limited::new(paced, config.max_body_size))
}

/// A body that fails when its average rate is too low.
struct Paced {
    body: Incoming,
    begun: Instant,
    grace: Duration,
    rate: u32,
    received: u64,
    timer: Option<Pin<Box<Sleep>>>,
    too_slow: TooSlow,
}

impl http_body::Body for Paced {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            if let Some(Ok(frame)) = &frame {
                self.received += frame.data_ref().map_or(0, |data| data.len() as u64);
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let due = self.begun
            + self.grace
            + Duration::from_secs(self.received / u64::from(self.rate.max(1)));
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if timer.deadline() != due {
            timer.as_mut().reset(due);
        }
        std::task::ready!(timer.as_mut().poll(cx));
        self.too_slow.0.store(true, Ordering::Relaxed);
        Poll::Ready(Some(Err("the request's body came too slowly".into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
