//! Streams that clients send: from the connection that receives the items to the method that reads
//! them.

use std::{
    collections::VecDeque,
    fmt,
    marker::PhantomData,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use futures_core::Stream;
use futures_util::task::AtomicWaker;
use raw_ws::sync::Mutex;
use serde::de::DeserializeOwned;

use crate::{
    error::{ErrorDetail, HubError, Result},
    protocol::Encoding,
    values::dotnet,
};

/// What an item costs besides its bytes.
const ITEM_OVERHEAD: usize = 64;

/// A stream that the client sends to a hub method: a parameter, read as a `Stream` (UP-01).
///
/// Items are decoded one by one, when they are asked for. An item of the wrong type, an error that
/// the client ends the stream with, and the end of the connection are each an `Err`, and the last
/// that comes.
///
/// ```
/// use futures_util::StreamExt as _;
/// use hub::{Context, UploadStream};
/// async fn sum(_: Context, mut numbers: UploadStream<i64>) -> hub::Result<i64> {
///     let mut sum = 0;
///     while let Some(number) = numbers.next().await {
///         sum += number?;
///     }
///     Ok(sum)
/// }
/// ```
pub struct UploadStream<T> {
    upload: Arc<Upload>,
    encoding: Encoding,
    detail: ErrorDetail,
    _item: PhantomData<fn() -> T>,
}

impl<T> UploadStream<T> {
    pub(crate) fn new(upload: Arc<Upload>, encoding: Encoding, detail: ErrorDetail) -> Self {
        Self {
            upload,
            encoding,
            detail,
            _item: PhantomData,
        }
    }
}

impl<T: DeserializeOwned> Stream for UploadStream<T> {
    type Item = Result<T>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = self.upload.state.lock();
        if let Some(item) = state.items.pop_front() {
            self.upload.budget.give_back(&item);
            let value = self.encoding.decode(&item).map_err(|error| {
                // UP-06: the stream has failed, the connection goes on.
                state.fail(&self.upload.budget, None);
                let generic = "Failed to bind Stream message.";
                let (class, why) = dotnet::mismatch::<T>(self.encoding, &item, "item", &error);
                HubError::new(if self.detail == ErrorDetail::Full {
                    format!("{generic} {class}: {why}")
                } else {
                    generic.to_owned()
                })
            });
            return Poll::Ready(Some(value));
        }
        match &mut state.end {
            Some(error) => Poll::Ready(error.take().map(Err)),
            None => {
                state.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<T> Drop for UploadStream<T> {
    fn drop(&mut self) {
        let mut state = self.upload.state.lock();
        state.fail(&self.upload.budget, None);
    }
}

impl<T> fmt::Debug for UploadStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadStream").finish_non_exhaustive()
    }
}

/// The items of one upload that have come and are not read.
pub(crate) struct Upload {
    state: Mutex<State>,
    budget: Arc<UploadBudget>,
}

#[derive(Default)]
struct State {
    items: VecDeque<Bytes>,
    /// Set once nothing more will come; holds what the reader must still be told.
    end: Option<Option<HubError>>,
    reader: Option<Waker>,
}

impl Upload {
    pub(crate) fn new(budget: Arc<UploadBudget>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            budget,
        })
    }

    /// Keeps a copy: a few bytes would keep the transport's whole read buffer.
    pub(crate) fn push(&self, item: &Bytes) {
        let mut state = self.state.lock();
        if state.end.is_none() {
            self.budget.take(item);
            state.items.push_back(Bytes::copy_from_slice(item));
            state.wake();
        }
    }

    /// Nothing more will come; `error` if that is a failure.
    pub(crate) fn end(&self, error: Option<HubError>) {
        let mut state = self.state.lock();
        if state.end.is_none() {
            state.end = Some(error);
            state.wake();
        }
    }

    /// Throws away what waits, and fails the reader.
    pub(crate) fn fail(&self, error: HubError) {
        let mut state = self.state.lock();
        if state.end.is_none() {
            state.fail(&self.budget, Some(error));
        }
    }

    /// Items that wait to be read.
    pub(crate) fn waiting(&self) -> usize {
        self.state.lock().items.len()
    }
}

impl State {
    fn fail(&mut self, budget: &UploadBudget, error: Option<HubError>) {
        for item in self.items.drain(..) {
            budget.give_back(&item);
        }
        self.end = Some(error);
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

/// What all uploads of a connection hold together: over the limit the connection reads no more
/// until a method has taken something (UP-04; in bytes, X-05).
pub(crate) struct UploadBudget {
    held: AtomicUsize,
    limit: usize,
    connection: AtomicWaker,
}

impl UploadBudget {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            held: AtomicUsize::new(0),
            limit,
            connection: AtomicWaker::new(),
        })
    }

    /// Whether the uploads hold all they may; if so the task is woken when they do not any more.
    pub(crate) fn is_used_up(&self, cx: &mut Context<'_>) -> bool {
        if !self.is_full() {
            return false;
        }
        self.connection.register(cx.waker());
        self.is_full()
    }

    /// Whether the uploads hold all they may.
    pub(crate) fn is_full(&self) -> bool {
        self.held.load(Ordering::Acquire) >= self.limit
    }

    /// What they hold.
    pub(crate) fn bytes(&self) -> usize {
        self.held.load(Ordering::Acquire)
    }

    fn take(&self, item: &Bytes) {
        self.held
            .fetch_add(item.len() + ITEM_OVERHEAD, Ordering::AcqRel);
    }

    fn give_back(&self, item: &Bytes) {
        let size = item.len() + ITEM_OVERHEAD;
        let before = self.held.fetch_sub(size, Ordering::AcqRel);
        if before >= self.limit && before - size < self.limit {
            self.connection.wake();
        }
    }
}
