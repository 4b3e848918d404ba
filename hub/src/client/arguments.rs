//! What a call takes with it: values, and streams that it sends.

use std::{fmt, pin::Pin};

use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt as _;
use serde::Serialize;

use super::error::ClientError;
use crate::protocol::{ArrayWriter, Encoding, ValueError};

/// The encoded items of an upload; an error is the last that comes.
pub(super) type Items = Pin<Box<dyn Stream<Item = Result<Bytes, UploadError>> + Send>>;

/// Why an upload ends early.
#[derive(Debug)]
pub(super) enum UploadError {
    /// Its owner says so: the method is told this text.
    Failed(String),
    /// An item cannot be encoded.
    Item(ValueError),
}

/// A stream that is sent with a call, as one of its arguments; made by [`upload`] and [`try_upload`].
pub struct Upload {
    encode: Box<dyn FnOnce(Encoding) -> Items + Send>,
}

/// Sends a stream with a call, as one of its arguments: the items follow the call, one by one, as fast
/// as the connection takes them. It ends with the stream, and when the call is over before.
///
/// ```no_run
/// use futures_util::stream;
/// use hub::client::{ClientError, HubConnection, upload};
///
/// async fn sum(hub: &HubConnection) -> Result<i64, ClientError> {
///     hub.invoke("Sum", (upload(stream::iter(1..=100)),)).await
/// }
/// ```
pub fn upload<S>(items: S) -> Upload
where
    S: Stream<Item: Serialize> + Send + 'static,
{
    encoded(items, |encoding, item| {
        encoding.encode(&item).map_err(UploadError::Item)
    })
}

/// The same of a stream that may fail: the method is told the text of the first error, and that ends
/// the upload.
///
/// ```no_run
/// use futures_util::stream;
/// use hub::client::{ClientError, HubConnection, try_upload};
///
/// async fn sum_of_what_there_is(hub: &HubConnection) -> Result<i64, ClientError> {
///     let lines = stream::iter(["1", "2", "three"].map(str::parse::<i64>));
///     hub.invoke("Sum", (try_upload(lines),)).await // fails: invalid digit found in string
/// }
/// ```
pub fn try_upload<S, T, E>(items: S) -> Upload
where
    S: Stream<Item = Result<T, E>> + Send + 'static,
    T: Serialize,
    E: fmt::Display,
{
    encoded(items, |encoding, item| {
        let item = item.map_err(|error| UploadError::Failed(error.to_string()))?;
        encoding.encode(&item).map_err(UploadError::Item)
    })
}

fn encoded<S: Stream + Send + 'static>(
    items: S,
    encode: fn(Encoding, S::Item) -> Result<Bytes, UploadError>,
) -> Upload {
    Upload {
        encode: Box::new(move |encoding| Box::pin(items.map(move |item| encode(encoding, item)))),
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload").finish_non_exhaustive()
    }
}

/// The arguments of a call, encoded one by one.
#[expect(unnameable_types, reason = "nobody else is to write them")]
pub struct Encoded {
    values: ArrayWriter,
    uploads: Vec<Items>,
}

impl Encoded {
    fn new(encoding: Encoding, values: usize) -> Self {
        Self {
            values: ArrayWriter::new(encoding, values),
            uploads: Vec::new(),
        }
    }

    /// The encoded array of values, and the streams that follow the call.
    pub(super) fn into_parts(self) -> (Vec<u8>, Vec<Items>) {
        (self.values.finish(), self.uploads)
    }
}

impl fmt::Debug for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoded").finish_non_exhaustive()
    }
}

/// One argument of a call: any `serde::Serialize` value, or an [`Upload`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a call",
    label = "neither `serde::Serialize` nor an upload",
    note = "an argument is a value that is `serde::Serialize`, or a stream by `upload(stream)`"
)]
pub trait InvokeArgument {
    #[doc(hidden)]
    const IS_STREAM: bool = false;

    #[doc(hidden)]
    fn put(self, into: &mut Encoded) -> Result<(), ValueError>;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize> InvokeArgument for T {
    fn put(self, into: &mut Encoded) -> Result<(), ValueError> {
        into.values.push(&self)
    }
}

impl InvokeArgument for Upload {
    const IS_STREAM: bool = true;

    fn put(self, into: &mut Encoded) -> Result<(), ValueError> {
        let items = (self.encode)(into.values.encoding());
        into.uploads.push(items);
        Ok(())
    }
}

/// The arguments of a call: a tuple of up to ten, each a value or an [`Upload`]; or an array, slice or
/// `Vec` of values of one type. One argument is a tuple of one: `("text",)`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the arguments of a call",
    note = "they are a tuple, of one as well: `(argument,)`"
)]
pub trait InvokeArguments {
    #[doc(hidden)]
    fn encode(self, encoding: Encoding) -> Result<Encoded, ClientError>;
}

impl<T: Serialize> InvokeArguments for &[T] {
    fn encode(self, encoding: Encoding) -> Result<Encoded, ClientError> {
        let mut encoded = Encoded::new(encoding, self.len());
        for value in self {
            encoded.values.push(value)?;
        }
        Ok(encoded)
    }
}

impl<T: Serialize> InvokeArguments for Vec<T> {
    fn encode(self, encoding: Encoding) -> Result<Encoded, ClientError> {
        self.as_slice().encode(encoding)
    }
}

impl<T: Serialize, const N: usize> InvokeArguments for [T; N] {
    fn encode(self, encoding: Encoding) -> Result<Encoded, ClientError> {
        self.as_slice().encode(encoding)
    }
}

macro_rules! tuples {
    ($($($name:ident)*;)+) => {$(
        #[allow(non_snake_case, unused_mut)] // arguments are named as their types
        impl<$($name: InvokeArgument),*> InvokeArguments for ($($name,)*) {
            fn encode(self, encoding: Encoding) -> Result<Encoded, ClientError> {
                let ($($name,)*) = self;
                let mut encoded = Encoded::new(encoding, 0 $(+ usize::from(!$name::IS_STREAM))*);
                $($name.put(&mut encoded)?;)*
                Ok(encoded)
            }
        }
    )+};
}

tuples! {
    ;
    A;
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E F;
    A B C D E F G;
    A B C D E F G H;
    A B C D E F G H I;
    A B C D E F G H I J;
}
