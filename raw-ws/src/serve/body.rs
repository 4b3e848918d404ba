//! A request's body, with a limit to its size and to its patience.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum::BoxError;
use bytes::Bytes;
use http::StatusCode;
use http_body::{Body as _, Frame, SizeHint};

use super::ServeConfig;
use crate::{
    clock::{Alarm, now},
    extensions::body_limit::BodyLimit,
};

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
pub(super) struct Bounded<B> {
    body: B,
    limit: BodyLimit,
    outcome: Outcome,
    received: u64,
    grace: Duration,
    rate: u32,
    waited: Duration,
    waits_since: Option<Instant>,
    alarm: Alarm,
}

impl<B> Bounded<B> {
    /// Bounds a body; the outcome is for who answers.
    pub(super) fn new(body: B, config: &ServeConfig, limit: BodyLimit, outcome: Outcome) -> Self {
        Self {
            body,
            limit,
            outcome,
            received: 0,
            grace: config.body_grace,
            rate: config.min_body_rate,
            waited: Duration::ZERO,
            waits_since: None,
            alarm: Alarm::default(),
        }
    }

    pub(super) fn is_too_slow(&self) -> bool {
        self.outcome.fault() == Some(Fault::TooSlow)
    }

    /// What nobody has read yet, of whose end nobody is told: up to so many bytes, and no slower
    /// than before.
    pub(super) fn into_rest(self, at_most: u64) -> Self {
        Self {
            limit: BodyLimit::new(self.received.saturating_add(at_most)),
            outcome: Outcome::default(),
            ..self
        }
    }

    /// Whether it has been waited for longer than what has come allows.
    fn poll_too_slow(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let since = *self.waits_since.get_or_insert_with(now);
        let allowed = self.grace + Duration::from_secs(self.received / u64::from(self.rate.max(1)));
        let due = since + allowed.saturating_sub(self.waited);
        self.alarm.poll(cx, Some(due))
    }
}

impl<B> Bounded<B>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    /// Reads it to its end, or to its bounds, and keeps nothing.
    pub(super) async fn read_out(mut self) {
        while let Some(Ok(_)) = poll_fn(|cx| Pin::new(&mut self).poll_frame(cx)).await {}
    }
}

impl<B> http_body::Body for Bounded<B>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
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
            self.waited += now().duration_since(since);
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

#[cfg(test)]
mod tests {
    use tokio::{
        sync::mpsc,
        time::{Instant, sleep},
    };

    use super::*;

    /// A body whose pieces come when they are sent.
    struct Pieces(mpsc::UnboundedReceiver<Bytes>);

    impl http_body::Body for Pieces {
        type Data = Bytes;
        type Error = BoxError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            let piece = self.0.poll_recv(cx);
            piece.map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
        }
    }

    struct Sent {
        sender: mpsc::UnboundedSender<Bytes>,
        body: Bounded<Pieces>,
        outcome: Outcome,
    }

    /// 100 bytes at most, 10 bytes a second after 5 s.
    fn sent() -> Sent {
        let (sender, pieces) = mpsc::unbounded_channel();
        let config = ServeConfig::new().min_body_rate(10, Duration::from_secs(5));
        let outcome = Outcome::default();
        let limit = BodyLimit::new(100);
        let body = Bounded::new(Pieces(pieces), &config, limit, outcome.clone());
        Sent {
            sender,
            body,
            outcome,
        }
    }

    impl Sent {
        fn send(&self, bytes: usize) {
            self.sender.send(vec![b'x'; bytes].into()).unwrap();
        }

        async fn next(&mut self) -> Option<Result<usize, Fault>> {
            let frame = poll_fn(|cx| Pin::new(&mut self.body).poll_frame(cx)).await?;
            Some(match frame {
                Ok(frame) => Ok(frame.into_data().unwrap().len()),
                Err(_) => Err(self.outcome.fault().unwrap()),
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_bounded_in_size_and_its_limit_may_be_set_while_it_comes() {
        let mut sent = sent();
        sent.send(100);
        assert_eq!(sent.next().await, Some(Ok(100)));
        sent.body.limit.set(101);
        sent.send(1);
        assert_eq!(sent.next().await, Some(Ok(1)));
        sent.send(1);
        assert_eq!(sent.next().await, Some(Err(Fault::TooLarge)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_waited_for_too_long_is_too_slow() {
        let mut sent = sent();
        let begun = Instant::now();
        sent.send(20);
        assert_eq!(sent.next().await, Some(Ok(20)));
        assert_eq!(sent.next().await, Some(Err(Fault::TooSlow)));
        assert_eq!(begun.elapsed().as_secs(), 5 + 20 / 10);
    }

    /// Whoever takes its time with what has come does not make the client slow.
    #[tokio::test(start_paused = true)]
    async fn the_time_that_nobody_waits_does_not_count() {
        let mut sent = sent();
        sent.send(10);
        assert_eq!(sent.next().await, Some(Ok(10)));
        sleep(Duration::from_secs(60)).await;
        let begun = Instant::now();
        assert_eq!(sent.next().await, Some(Err(Fault::TooSlow)));
        assert_eq!(begun.elapsed().as_secs(), 5 + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_that_is_waited_adds_up() {
        let mut sent = sent();
        let sender = sent.sender.clone();
        tokio::spawn(async move {
            // A byte each second is a tenth of the rate.
            while sender.send(Bytes::from_static(b"x")).is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
        });
        let begun = Instant::now();
        while let Some(Ok(_)) = sent.next().await {}
        assert_eq!(sent.outcome.fault(), Some(Fault::TooSlow));
        assert_eq!(begun.elapsed().as_secs(), 5);
    }
}
