//! Streams that clients send: from the connection that receives the items to the method that reads
//! them.

use std::{
    fmt,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_core::Stream;
use serde::de::DeserializeOwned;

use crate::{
    error::{ErrorDetail, HubError, Result},
    inbox::Inbox,
    protocol::Encoding,
    values::dotnet,
};

/// The items of one upload that have come and are not read.
pub(crate) type Upload = Inbox<HubError>;

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
        let item = match ready!(self.upload.poll_next(cx)) {
            Some(Ok(item)) => item,
            Some(Err(error)) => return Poll::Ready(Some(Err(error))),
            None => return Poll::Ready(None),
        };
        let value = self.encoding.decode(&item).map_err(|error| {
            // UP-06: the stream has failed, the connection goes on.
            self.upload.close();
            let generic = "Failed to bind Stream message.";
            let (class, why) = dotnet::mismatch::<T>(self.encoding, &item, "item", &error);
            HubError::new(if self.detail == ErrorDetail::Full {
                format!("{generic} {class}: {why}")
            } else {
                generic.to_owned()
            })
        });
        Poll::Ready(Some(value))
    }
}

impl<T> Drop for UploadStream<T> {
    fn drop(&mut self) {
        self.upload.close();
    }
}

impl<T> fmt::Debug for UploadStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadStream").finish_non_exhaustive()
    }
}
