//! What a call gave: a value, or a stream.

use std::{fmt, pin::Pin, sync::Arc};

use bytes::Bytes;
use futures_core::Stream;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    error::{HubError, Result},
    protocol::{EncodedForNow, Encoding},
};

pub(crate) type Items = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>;

/// What a hub method gave, already encoded for its caller: seen by filters.
pub struct Reply {
    pub(crate) kind: ReplyKind,
    encoding: Encoding,
}

pub(crate) enum ReplyKind {
    Value(EncodedForNow),
    Stream(Items),
    /// The streaming method of that name had none to give (ST-04).
    NoStream(Arc<str>),
}

impl Reply {
    pub(crate) fn value<T: Serialize + ?Sized>(encoding: Encoding, value: &T) -> Result<Self> {
        let kind = ReplyKind::Value(encoding.encode_for_now(value)?);
        Ok(Self { kind, encoding })
    }

    pub(crate) fn stream(encoding: Encoding, items: Items) -> Self {
        let kind = ReplyKind::Stream(items);
        Self { kind, encoding }
    }

    pub(crate) fn no_stream(encoding: Encoding, method: Arc<str>) -> Self {
        let kind = ReplyKind::NoStream(method);
        Self { kind, encoding }
    }

    /// Whether it is a stream.
    pub fn is_stream(&self) -> bool {
        matches!(self.kind, ReplyKind::Stream(_))
    }

    /// The value, decoded.
    ///
    /// # Errors
    /// When it is not a `T`, or a stream.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T> {
        match &self.kind {
            ReplyKind::Value(value) => Ok(self.encoding.decode(value)?),
            ReplyKind::Stream(_) | ReplyKind::NoStream(_) => {
                Err(HubError::hidden("Reply", "a stream has no value"))
            }
        }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("is_stream", &self.is_stream())
            .finish_non_exhaustive()
    }
}
