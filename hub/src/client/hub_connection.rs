//! What a program holds of a connection.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use bytestring::ByteString;
use serde::de::DeserializeOwned;
use tokio::{sync::oneshot, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    arguments::InvokeArguments,
    builder::HubConnectionBuilder,
    calls::{Answer, CallId},
    error::ClientError,
    event::Events,
    handlers::{Handled, Handler, Registration},
    items::ItemStream,
    session::Session,
    shared::{ConnectionState, Shared},
    uploads,
};
use crate::{
    identity::request::Transport,
    methods::method::{ArgumentList, OwnedParameters},
    protocol::message::Call,
};

/// A connection to a SignalR hub, of ours or of any other server. Made by [`builder`](Self::builder).
///
/// Clones are the same connection. It stops when [`stop`](Self::stop) is called or the last clone is
/// dropped: a handler that holds one keeps it.
///
/// ```no_run
/// use hub::client::{Backoff, ClientError, HubConnection};
///
/// # async fn chat() -> Result<(), ClientError> {
/// let chat = HubConnection::builder("https://example.com/chat")
///     .automatic_reconnect(Backoff::default())
///     .on("Said", async |who: String, text: String| println!("{who}: {text}"))
///     .connect()
///     .await?;
/// let members: usize = chat.invoke("Join", ("lobby",)).await?;
/// println!("{members} here");
/// chat.send("Say", ("lobby", "hello")).await?;
/// chat.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct HubConnection(Arc<Handle>);

/// Ends the connection when the last is dropped.
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.stop.cancel();
    }
}

impl HubConnection {
    /// Describes a connection to the hub at `url`: `http:`, `https:`, `ws:` or `wss:`, which mean the
    /// same here. Nothing happens before [`connect`](HubConnectionBuilder::connect).
    pub fn builder(url: impl Into<String>) -> HubConnectionBuilder {
        HubConnectionBuilder::new(url.into())
    }

    pub(super) fn of(shared: Arc<Shared>) -> Self {
        Self(Arc::new(Handle(shared)))
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.0.0
    }

    /// Calls a method, and waits for its answer. There is no deadline:
    /// [`invoke_within`](Self::invoke_within) has one.
    ///
    /// ```no_run
    /// # use hub::client::{ClientError, HubConnection};
    /// # async fn calls(hub: &HubConnection) -> Result<(), ClientError> {
    /// let sum: i64 = hub.invoke("Add", (1, 2)).await?;
    /// let () = hub.invoke("Leave", ()).await?; // whatever it answers
    /// # let _ = sum;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Server`] where the method failed; [`Closed`](ClientError::Closed) where the
    /// connection ended before its answer came, which says nothing of whether it ran;
    /// [`Reconnecting`](ClientError::Reconnecting) and [`Full`](ClientError::Full) where it was not
    /// sent; [`Unread`](ClientError::Unread); [`Value`](ClientError::Value) where the answer is no
    /// `R`.
    ///
    /// # Cancel safety
    /// Dropped before the call is sent, it is not sent. Dropped later, its answer is thrown away, its
    /// uploads end, and the server is told that nobody waits: servers of ours and of .NET 11 cancel
    /// the method, older ones let it run to its end.
    pub async fn invoke<R: DeserializeOwned>(
        &self,
        method: &str,
        arguments: impl InvokeArguments,
    ) -> Result<R, ClientError> {
        let call = self.begin(method, arguments).await?;
        let answer = call.answer().await?;
        let encoding = self.shared().encoding;
        // A type without values, such as (), has nothing to read.
        let nothing = Bytes::from_static(encoding.protocol.nothing());
        let value = answer.filter(|_| size_of::<R>() > 0).unwrap_or(nothing);
        Ok(encoding.decode(&value)?)
    }

    /// The same with a deadline.
    ///
    /// # Errors
    /// As [`invoke`](Self::invoke); [`ClientError::TimedOut`] at the deadline, when the server is told
    /// that nobody waits any more.
    ///
    /// # Cancel safety
    /// As [`invoke`](Self::invoke).
    pub async fn invoke_within<R: DeserializeOwned>(
        &self,
        limit: Duration,
        method: &str,
        arguments: impl InvokeArguments,
    ) -> Result<R, ClientError> {
        let answer = timeout(limit, self.invoke(method, arguments)).await;
        answer.unwrap_or_else(|_| Err(ClientError::TimedOut(format!("the answer of {method}"))))
    }

    /// Calls a method that nobody waits for: whether it failed is not told. Done when the call is
    /// queued, in its order; it waits while [`max_queued_bytes`] wait to be written.
    ///
    /// [`max_queued_bytes`]: HubConnectionBuilder::max_queued_bytes
    ///
    /// # Errors
    /// [`Reconnecting`](ClientError::Reconnecting), [`Full`](ClientError::Full) or
    /// [`Closed`](ClientError::Closed), and it was not sent; [`Value`](ClientError::Value) where an
    /// argument cannot be encoded.
    ///
    /// # Cancel safety
    /// Safe: it is sent or not, never in part.
    pub async fn send(
        &self,
        method: &str,
        arguments: impl InvokeArguments,
    ) -> Result<(), ClientError> {
        let (values, uploads) = arguments.encode(self.shared().encoding)?.into_parts();
        let count = uploads.len();
        let sent = self.shared().send(None, |session, calls| {
            let streams = stream_ids(count, || calls.next_id());
            call(session, None, method, &values, &streams, false);
            streams
        });
        let (number, streams) = sent.await?;
        uploads::begin(self.shared(), number, streams, uploads, None);
        Ok(())
    }

    /// Calls a method that answers with a stream. What it streams and nobody reads waits, up to
    /// [`max_unread_bytes`](HubConnectionBuilder::max_unread_bytes) of the whole connection; then
    /// nothing more is read from the server.
    ///
    /// # Errors
    /// That the call was not sent, as [`invoke`](Self::invoke). What the method fails with is in the
    /// stream.
    ///
    /// # Cancel safety
    /// Dropped before the call is sent, it is not sent. The stream that it gives cancels the method
    /// when it is dropped.
    pub async fn stream<T: DeserializeOwned>(
        &self,
        method: &str,
        arguments: impl InvokeArguments,
    ) -> Result<ItemStream<T>, ClientError> {
        let shared = self.shared();
        let (values, uploads) = arguments.encode(shared.encoding)?.into_parts();
        let count = uploads.len();
        let over = (!uploads.is_empty()).then(CancellationToken::new);
        let sent = shared.send(None, |session, calls| {
            let streams = stream_ids(count, || calls.next_id());
            let (id, items) = calls.stream(over.clone(), shared.unread.clone());
            call(session, Some(id), method, &values, &streams, true);
            (id, items, streams)
        });
        let (number, (id, items, streams)) = sent.await?;
        let stream = ItemStream::new(shared.clone(), number, id, items);
        uploads::begin(shared, number, streams, uploads, over.as_ref());
        Ok(stream)
    }

    /// Adds a handler, as [`HubConnectionBuilder::on`] does, for the calls that come from here on.
    ///
    /// # Panics
    /// When it takes an [`UploadStream`](crate::UploadStream): servers send none.
    #[track_caller]
    pub fn on<H, Args, Kinds, K>(&self, method: &str, handler: H) -> Registration
    where
        H: Handler<Args>,
        H::Output: Handled<K>,
        Args: ArgumentList + OwnedParameters<Kinds>,
    {
        let handlers = &self.shared().handlers;
        Registration {
            id: handlers.add(method, handler),
            handlers: Arc::downgrade(handlers),
            name: method.into(),
        }
    }

    /// Tells what happens to the connection from here on.
    pub fn events(&self) -> Events {
        self.shared().events.listen()
    }

    /// How the connection is now.
    pub fn state(&self) -> ConnectionState {
        self.shared().state()
    }

    /// The id by which the server knows the connection; `None` while there is none, and where nothing
    /// was negotiated. After a reconnect it is another one, unless that was stateful.
    pub fn connection_id(&self) -> Option<String> {
        self.shared().connection_id()
    }

    /// What carries the connection; `None` while there is none.
    pub fn transport(&self) -> Option<Transport> {
        self.shared().transport()
    }

    /// Ends the connection, and waits until the server has heard of it; calls that wait fail. While it
    /// is reconnecting, that stops.
    ///
    /// # Cancel safety
    /// The connection ends all the same.
    pub async fn stop(&self) {
        self.shared().stop.cancel();
        self.shared().ended.cancelled().await;
    }

    /// Waits until the connection has ended and will not come back, and gives why; `None` where it was
    /// stopped here, or the server closed it without an error.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn closed(&self) -> Option<ClientError> {
        self.shared().ended.cancelled().await;
        self.shared().error()
    }

    async fn begin(
        &self,
        method: &str,
        arguments: impl InvokeArguments,
    ) -> Result<Under, ClientError> {
        let shared = self.shared();
        let (values, uploads) = arguments.encode(shared.encoding)?.into_parts();
        let count = uploads.len();
        let over = (!uploads.is_empty()).then(CancellationToken::new);
        let sent = shared.send(None, |session, calls| {
            let streams = stream_ids(count, || calls.next_id());
            let (id, answered) = calls.value(over.clone());
            call(session, Some(id), method, &values, &streams, false);
            (id, answered, streams)
        });
        let (number, (id, answered, streams)) = sent.await?;
        let under = Under {
            shared: shared.clone(),
            number,
            id,
            answered,
        };
        uploads::begin(shared, number, streams, uploads, over.as_ref());
        Ok(under)
    }
}

impl fmt::Debug for HubConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubConnection")
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

fn stream_ids(count: usize, mut next: impl FnMut() -> u64) -> Vec<ByteString> {
    (0..count).map(|_| next().to_string().into()).collect()
}

fn call(
    session: &mut Session,
    id: Option<CallId>,
    method: &str,
    arguments: &[u8],
    stream_ids: &[ByteString],
    wants_stream: bool,
) {
    let id = id.map(|id| id.0.to_string());
    let call = Call {
        invocation_id: id.as_deref(),
        target: method,
        arguments,
        stream_ids,
    };
    session.call(call, wants_stream);
}

/// A call under way.
struct Under {
    shared: Arc<Shared>,
    number: u64,
    id: CallId,
    answered: oneshot::Receiver<Answer>,
}

impl Under {
    async fn answer(mut self) -> Answer {
        let answer = (&mut self.answered).await;
        answer.unwrap_or(Err(ClientError::Closed(None)))
    }
}

impl Drop for Under {
    fn drop(&mut self) {
        // Of one that was answered nothing is left to give up.
        self.shared.give_up(self.number, self.id);
    }
}
