//! What a method streams to a client.

use std::{
    fmt,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_core::Stream;
use serde::de::DeserializeOwned;

use super::{calls::CallId, error::ClientError, shared::Shared};
use crate::inbox::Inbox;

/// The items that a method streams: a `Stream` of results. An `Err` is the last that comes: the
/// method's, the end of the connection, or an item of another type.
///
/// Dropped before its end, it cancels the method (ST-06).
///
/// ```no_run
/// use futures_util::TryStreamExt as _;
/// use hub::client::{ClientError, HubConnection};
///
/// async fn countdown(hub: &HubConnection) -> Result<(), ClientError> {
///     let mut seconds = hub.stream::<u32>("Countdown", (10,)).await?;
///     while let Some(second) = seconds.try_next().await? {
///         println!("{second}");
///     }
///     Ok(())
/// }
/// ```
pub struct ItemStream<T> {
    shared: Arc<Shared>,
    number: u64,
    call: CallId,
    items: Arc<Inbox<ClientError>>,
    _item: PhantomData<fn() -> T>,
}

impl<T> ItemStream<T> {
    pub(super) fn new(
        shared: Arc<Shared>,
        number: u64,
        call: CallId,
        items: Arc<Inbox<ClientError>>,
    ) -> Self {
        Self {
            shared,
            number,
            call,
            items,
            _item: PhantomData,
        }
    }

    fn cancel(&self) {
        self.items.close();
        self.shared.give_up(self.number, self.call);
    }
}

impl<T: DeserializeOwned> Stream for ItemStream<T> {
    type Item = Result<T, ClientError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = match ready!(self.items.poll_next(cx)) {
            Some(Ok(item)) => item,
            Some(Err(error)) => return Poll::Ready(Some(Err(error))),
            None => return Poll::Ready(None),
        };
        let value = self.shared.encoding.decode(&item);
        if value.is_err() {
            self.cancel();
        }
        Poll::Ready(Some(value.map_err(ClientError::from)))
    }
}

impl<T> Drop for ItemStream<T> {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl<T> fmt::Debug for ItemStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ItemStream").finish_non_exhaustive()
    }
}
