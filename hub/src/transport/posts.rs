//! What a client sends with POSTs, where the transport goes one way alone (`SPEC.md`, section 4).
//!
//! One buffer per connection. A POST is answered when everything of it is in the buffer, while that
//! and the session have room: so a client that sends faster than its calls are worked off waits for
//! its answers (C-16), and no body is ever held whole.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use axum::body::BodyDataStream;
use bytes::{Buf as _, Bytes, BytesMut};
use futures_core::Stream as _;
use raw_ws::sync::{Mutex, WakerSlot};

use super::Intake;

/// Bytes that wait in connections of a hub that no GET has taken into use. Anybody can negotiate,
/// so over it a POST waits for the GET.
const MAX_UNUSED_BYTES: usize = 4 * 1024 * 1024;

/// The bytes that wait in all unused connections of a hub.
#[derive(Debug, Default)]
pub(crate) struct UnusedBytes(AtomicUsize);

impl UnusedBytes {
    /// Takes up to `wanted`.
    fn take(&self, wanted: usize) -> usize {
        let mut taken = 0;
        let taking = |used: usize| {
            taken = wanted.min(MAX_UNUSED_BYTES.saturating_sub(used));
            Some(used + taken)
        };
        // Never refused: it always gives a new value.
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, taking);
        taken
    }

    fn give_back(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The POSTs of one connection.
pub(crate) struct Posts {
    state: Mutex<State>,
    /// P-04: one after the other, in the order in which they came.
    turn: tokio::sync::Mutex<()>,
    limit: usize,
    unused: Arc<UnusedBytes>,
}

struct State {
    bytes: BytesMut,
    reader: Reader,
    /// The session's task.
    task: WakerSlot,
    /// The POST whose turn it is.
    writer: WakerSlot,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    /// No GET has come (P-05).
    NotYet,
    /// It has taken bytes, and not yet said whether it wants more.
    Busy,
    /// It takes what comes; over so many bytes it is full.
    Open {
        room: usize,
    },
    Resting,
    Full,
    /// The session is over: nobody looks at what comes.
    Over,
    /// The connection is gone (P-08).
    Gone,
}

/// Why a POST was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// The connection is gone (P-08).
    Gone,
    /// Its body did not come whole (P-09).
    Broken,
    /// Its body holds more than one may.
    TooLarge,
}

impl Posts {
    /// Those of a connection that waits for its first GET; `limit` bytes of them may wait.
    pub(crate) fn new(limit: usize, unused: Arc<UnusedBytes>) -> Self {
        Self {
            state: Mutex::new(State {
                bytes: BytesMut::new(),
                reader: Reader::NotYet,
                task: WakerSlot::new(),
                writer: WakerSlot::new(),
            }),
            turn: tokio::sync::Mutex::default(),
            limit: limit.max(1),
            unused,
        }
    }

    /// Takes a body of at most so many bytes, piece by piece. Dropped in the middle, what was taken
    /// stays (P-09).
    pub(crate) async fn write(
        &self,
        mut body: BodyDataStream,
        mut at_most: usize,
    ) -> Result<(), NotTaken> {
        let _turn = self.turn.lock().await;
        while let Some(mut piece) = poll_fn(|cx| self.poll_body(&mut body, cx)).await? {
            at_most = at_most.checked_sub(piece.len()).ok_or(NotTaken::TooLarge)?;
            poll_fn(|cx| self.poll_push(&mut piece, cx)).await?;
        }
        poll_fn(|cx| self.poll_taken(cx)).await
    }

    /// The first GET has come.
    pub(crate) fn connect(&self) {
        let mut state = self.state.lock();
        if state.reader == Reader::NotYet {
            self.unused.give_back(state.bytes.len());
            state.set_reader(Reader::Busy);
        }
    }

    /// The first GET has come, for a transport that needs no POSTs: gives what was sent before it.
    pub(crate) fn take_all(&self) -> Bytes {
        self.connect();
        let mut state = self.state.lock();
        let first = std::mem::take(&mut state.bytes).freeze();
        state.set_reader(Reader::Gone);
        first
    }

    /// Takes what was sent, for the session's task; `None` when the connection is gone and all that
    /// was answered with 200 has been taken.
    pub(crate) fn poll_take(&self, cx: &Context<'_>, intake: Intake) -> Poll<Option<Bytes>> {
        let mut state = self.state.lock();
        let is_open = matches!(intake, Intake::Open { .. });
        match state.reader {
            Reader::Over => return Poll::Pending,
            Reader::Gone if state.bytes.is_empty() => return Poll::Ready(None),
            Reader::Gone if !is_open => return Poll::Pending,
            Reader::Gone => return Poll::Ready(Some(std::mem::take(&mut state.bytes).freeze())),
            _ => {}
        }
        state.task.register(cx);
        if is_open && !state.bytes.is_empty() {
            let bytes = std::mem::take(&mut state.bytes).freeze();
            state.set_reader(Reader::Busy);
            return Poll::Ready(Some(bytes));
        }
        state.set_reader(match intake {
            Intake::Open { room } => Reader::Open { room },
            Intake::Resting => Reader::Resting,
            Intake::Full => Reader::Full,
            Intake::Over => Reader::Over,
        });
        Poll::Pending
    }

    /// The session has ended: what still comes is taken, and nobody looks at it.
    ///
    /// Waits until the POSTs that have come are answered: the one that brought the client's Close
    /// is, before a poll tells of the end. A client that hears of the end first takes it for the
    /// server's doing, and does not say goodbye with DELETE (LP-12).
    pub(crate) async fn end(&self) {
        self.finish(Reader::Over);
        self.state.lock().bytes = BytesMut::new();
        drop(self.turn.lock().await);
    }

    /// The connection is gone: POSTs are refused (P-08). What was taken stays for the session.
    pub(crate) fn dispose(&self) {
        self.finish(Reader::Gone);
    }

    fn finish(&self, reader: Reader) {
        self.connect();
        let mut state = self.state.lock();
        if !matches!(state.reader, Reader::Over | Reader::Gone) {
            state.set_reader(reader);
        }
    }

    fn poll_body(
        &self,
        body: &mut BodyDataStream,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, NotTaken>> {
        let mut state = self.state.lock();
        state.writer.register(cx);
        match state.reader {
            Reader::Gone => return Poll::Ready(Err(NotTaken::Gone)),
            Reader::Over => return Poll::Ready(Ok(None)),
            _ => {}
        }
        drop(state);
        Pin::new(body).poll_next(cx).map(|piece| match piece {
            None => Ok(None),
            Some(Ok(piece)) => Ok(Some(piece)),
            Some(Err(_)) => Err(NotTaken::Broken),
        })
    }

    /// Copies a piece: as it is it would keep alive the buffer that it was read into.
    fn poll_push(&self, piece: &mut Bytes, cx: &Context<'_>) -> Poll<Result<(), NotTaken>> {
        let mut state = self.state.lock();
        let free = self.limit.saturating_sub(state.bytes.len());
        let room = match state.reader {
            Reader::Gone => return Poll::Ready(Err(NotTaken::Gone)),
            Reader::Over => return Poll::Ready(Ok(())),
            Reader::Full => 0,
            Reader::NotYet => self.unused.take(free.min(piece.len())),
            Reader::Busy | Reader::Open { .. } | Reader::Resting => free.min(piece.len()),
        };
        if room > 0 {
            state.bytes.extend_from_slice(&piece[..room]);
            piece.advance(room);
            state.task.wake();
        }
        if piece.is_empty() {
            return Poll::Ready(Ok(()));
        }
        state.writer.register(cx);
        Poll::Pending
    }

    /// Whether a POST may be answered (P-02, P-07).
    fn poll_taken(&self, cx: &Context<'_>) -> Poll<Result<(), NotTaken>> {
        let mut state = self.state.lock();
        let is_taken = match state.reader {
            Reader::Gone => return Poll::Ready(Err(NotTaken::Gone)),
            Reader::Over => true,
            Reader::NotYet | Reader::Resting => state.bytes.len() < self.limit,
            Reader::Open { room } => state.bytes.len() < room,
            Reader::Busy | Reader::Full => false,
        };
        if is_taken {
            return Poll::Ready(Ok(()));
        }
        state.writer.register(cx);
        Poll::Pending
    }
}

impl Drop for Posts {
    fn drop(&mut self) {
        self.connect();
    }
}

impl State {
    fn set_reader(&mut self, reader: Reader) {
        if self.reader == reader {
            return;
        }
        self.reader = reader;
        self.writer.wake_once();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use axum::body::Body;
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn lp_12_a_post_that_has_come_is_answered_before_the_end_is_told() {
        let posts = Posts::new(64, Arc::default());
        posts.connect();
        let mut post = pin!(posts.write(Body::from("close").into_data_stream(), 64));
        assert_eq!((&mut post).now_or_never(), None);
        let mut end = pin!(posts.end());
        assert_eq!((&mut end).now_or_never(), None);
        assert_eq!(post.now_or_never(), Some(Ok(())));
        assert_eq!(end.now_or_never(), Some(()));
    }

    #[test]
    fn p_04_a_post_that_does_not_come_whole_does_not_hold_up_the_end() {
        let posts = Posts::new(64, Arc::default());
        posts.connect();
        let never = futures_util::stream::pending::<Result<Bytes, std::io::Error>>();
        let mut post = pin!(posts.write(Body::from_stream(never).into_data_stream(), 64));
        assert_eq!((&mut post).now_or_never(), None);
        let mut end = pin!(posts.end());
        assert_eq!((&mut end).now_or_never(), None);
        assert_eq!(post.now_or_never(), Some(Ok(())));
        assert_eq!(end.now_or_never(), Some(()));
    }
}
