//! Items that have come and wait for their reader, all of a connection bounded together, in bytes.
//!
//! It imports nothing of this crate: the methods of a hub read uploads through it, a client what it
//! is streamed.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use raw_ws::sync::{Mutex, WakerSlot};

/// What an item costs besides its bytes.
const ITEM_OVERHEAD: usize = 64;

/// The items of one stream that have come and are not read. `E` is how it fails.
pub(crate) struct Inbox<E> {
    state: Mutex<State<E>>,
    budget: Arc<Budget>,
}

struct State<E> {
    items: VecDeque<Bytes>,
    /// Set once nothing more will come; holds what the reader must still be told.
    end: Option<Option<E>>,
    reader: WakerSlot,
}

impl<E> Inbox<E> {
    pub(crate) fn new(budget: Arc<Budget>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                items: VecDeque::new(),
                end: None,
                reader: WakerSlot::new(),
            }),
            budget,
        })
    }

    /// Keeps a copy: a few bytes would keep the transport's whole read buffer.
    pub(crate) fn push(&self, item: &Bytes) {
        let mut state = self.state.lock();
        if state.end.is_none() {
            self.budget.take(item.len());
            state.items.push_back(Bytes::copy_from_slice(item));
            state.reader.wake_once();
        }
    }

    /// The next item; `None` at the end, behind the error where it is one.
    pub(crate) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, E>>> {
        let mut state = self.state.lock();
        if let Some(item) = state.items.pop_front() {
            self.budget.give_back(item.len());
            return Poll::Ready(Some(Ok(item)));
        }
        match &mut state.end {
            Some(error) => Poll::Ready(error.take().map(Err)),
            None => {
                state.reader.register(cx);
                Poll::Pending
            }
        }
    }

    /// Nothing more will come; `error` if that is a failure.
    pub(crate) fn end(&self, error: Option<E>) {
        let mut state = self.state.lock();
        if state.end.is_none() {
            state.end = Some(error);
            state.reader.wake_once();
        }
    }

    /// Throws away what waits, and fails the reader.
    pub(crate) fn fail(&self, error: E) {
        let mut state = self.state.lock();
        if state.end.is_none() {
            state.cut(&self.budget, Some(error));
        }
    }

    /// Throws away what waits: nobody reads it any more.
    pub(crate) fn close(&self) {
        self.state.lock().cut(&self.budget, None);
    }

    /// Items that wait to be read.
    pub(crate) fn waiting(&self) -> usize {
        self.state.lock().items.len()
    }
}

impl<E> State<E> {
    fn cut(&mut self, budget: &Budget, error: Option<E>) {
        for item in self.items.drain(..) {
            budget.give_back(item.len());
        }
        self.end = Some(error);
        self.reader.wake_once();
    }
}

/// What all that waits of a connection may hold together: over it the connection reads no more until
/// somebody has taken something (UP-04; in bytes, X-05).
pub(crate) struct Budget {
    held: AtomicUsize,
    limit: usize,
    connection: AtomicWaker,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            held: AtomicUsize::new(0),
            limit,
            connection: AtomicWaker::new(),
        })
    }

    /// Whether it is used up; if so the task is woken when it is not any more.
    pub(crate) fn is_used_up(&self, cx: &mut Context<'_>) -> bool {
        if !self.is_full() {
            return false;
        }
        self.connection.register(cx.waker());
        self.is_full()
    }

    /// Whether it is used up.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes() >= self.limit
    }

    /// What waits.
    pub(crate) fn bytes(&self) -> usize {
        self.held.load(Ordering::Acquire)
    }

    /// An item of so many bytes waits.
    pub(crate) fn take(&self, bytes: usize) {
        self.held.fetch_add(bytes + ITEM_OVERHEAD, Ordering::AcqRel);
    }

    /// It waits no more.
    pub(crate) fn give_back(&self, bytes: usize) {
        let size = bytes + ITEM_OVERHEAD;
        let before = self.held.fetch_sub(size, Ordering::AcqRel);
        if before >= self.limit && before - size < self.limit {
            self.connection.wake();
        }
    }
}
