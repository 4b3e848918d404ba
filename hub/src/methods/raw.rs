//! Connections without the hub protocol: bytes both ways, over each transport.

use std::{
    any::Any,
    collections::VecDeque,
    fmt,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use raw_ws::{
    MessageKind, PreparedMessage,
    sync::{Mutex, WakerSlot},
};
use tokio_util::sync::CancellationToken;

use crate::{
    error::{HubError, Result},
    identity::{connection_id::ConnectionId, request::Request, user::User},
    methods::filter::Running,
    reach::live::{Command, Live},
};

/// A connection of [`RawConnections`](crate::RawConnections): its client's bytes, and a way back.
///
/// What a client sends comes as bytes and not as messages: a transport may cut it or put it together
/// anywhere. The connection ends with its handler; when this is dropped before, what the client sends is
/// read and forgotten.
pub struct RawConnection {
    live: Arc<Live>,
    inbox: Arc<Inbox>,
}

impl RawConnection {
    pub(crate) fn new(live: Arc<Live>, inbox: Arc<Inbox>) -> Self {
        Self { live, inbox }
    }

    /// The connection's id: public, where its token is secret.
    pub fn connection_id(&self) -> &ConnectionId {
        &self.live.id
    }

    /// The identifier of the user that the connection belongs to; `None` when nobody was identified.
    pub fn user_identifier(&self) -> Option<&str> {
        self.live.user_identifier.as_deref()
    }

    /// The user of the connection's newest request; `None` when a layer of the app knows none.
    pub fn current_user(&self) -> Option<User> {
        self.live.user()
    }

    /// The HTTP request that the connection came with: its transport, headers, query.
    pub fn request(&self) -> &Request {
        &self.live.request
    }

    /// The next bytes of the client, never none of them; `None` once it is gone, or the connection
    /// over. What is not taken waits: over
    /// [`application_max_buffer_size`](crate::EndpointOptions) the client has to.
    ///
    /// # Cancel safety
    /// Safe: bytes that were not given out come with the next call.
    pub async fn recv(&mut self) -> Option<Bytes> {
        poll_fn(|cx| self.inbox.poll_pop(cx)).await
    }

    /// Sends text, behind what was sent before. Never waits: a client that does not read is cut when
    /// `max_queued_bytes` wait for it. Over a WebSocket it is one message, in an event stream one
    /// event; long polling puts what waits together.
    ///
    /// # Errors
    /// When the connection is over, or the text alone is larger than may wait.
    pub fn send_text(&self, text: &str) -> Result<()> {
        self.send(MessageKind::Text, text.as_bytes())
    }

    /// Sends bytes, as [`send_text`](Self::send_text).
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text), and over server-sent events, which carry text alone.
    pub fn send_bytes(&self, bytes: &[u8]) -> Result<()> {
        if self.live.request.transport().is_text_only() {
            let text = "the transport carries text alone";
            return Err(HubError::hidden("InvalidOperationException", text));
        }
        self.send(MessageKind::Binary, bytes)
    }

    fn send(&self, kind: MessageKind, payload: &[u8]) -> Result<()> {
        let message = PreparedMessage::written(kind, |out| out.extend_from_slice(payload));
        Ok(self.live.sender.send_prepared(&message)?)
    }

    /// Bytes that wait for the client to read them: send no more while they are many.
    pub fn queued_bytes(&self) -> usize {
        self.live.sender.queued_bytes()
    }

    /// Waits until the client is gone, or the connection over.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn disconnected(&self) {
        self.live.aborted().cancelled().await;
    }

    /// The same as a token, for what the connection has others do.
    pub fn cancellation_token(&self) -> CancellationToken {
        self.live.aborted().child_token()
    }

    /// Ends the connection, whatever its handler does.
    pub fn abort(&self) {
        self.live.command(Command::Abort);
    }

    /// What [`RawConnections::connection_state`](crate::RawConnections::connection_state) made for this connection.
    ///
    /// # Panics
    /// When there is none, or it has another type.
    pub fn connection<T: Any>(&self) -> &T {
        self.live.state_as()
    }
}

impl Drop for RawConnection {
    fn drop(&mut self) {
        self.inbox.give_up();
    }
}

impl fmt::Debug for RawConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawConnection")
            .field("connection_id", self.connection_id())
            .finish_non_exhaustive()
    }
}

/// What a client has sent and nobody has taken.
pub(crate) struct Inbox {
    state: Mutex<Waiting>,
}

struct Waiting {
    bytes: VecDeque<Bytes>,
    len: usize,
    flow: Flow,
    reader: WakerSlot,
    /// The connection's task, where it waits for room.
    task: WakerSlot,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Open,
    /// Nothing more will come.
    Ended,
    /// Nobody will take it.
    GivenUp,
}

impl Inbox {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(Waiting {
                bytes: VecDeque::new(),
                len: 0,
                flow: Flow::Open,
                reader: WakerSlot::new(),
                task: WakerSlot::new(),
            }),
        })
    }

    pub(crate) fn push(&self, bytes: Bytes) {
        let mut state = self.state.lock();
        if state.flow == Flow::Open && !bytes.is_empty() {
            state.len += bytes.len();
            state.bytes.push_back(bytes);
            state.reader.wake();
        }
    }

    /// Nothing more will come.
    pub(crate) fn end(&self) {
        let mut state = self.state.lock();
        if state.flow == Flow::Open {
            state.flow = Flow::Ended;
            state.reader.wake();
        }
    }

    /// How many bytes more may wait, at most `limit` in all; the task is woken when that changes.
    pub(crate) fn room(&self, limit: usize, cx: &mut Context<'_>) -> usize {
        let mut state = self.state.lock();
        state.task.register(cx);
        if state.flow == Flow::GivenUp {
            return limit; // it is read and forgotten, so that the client's end is seen
        }
        limit.saturating_sub(state.len)
    }

    fn poll_pop(&self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut state = self.state.lock();
        if let Some(bytes) = state.bytes.pop_front() {
            state.len -= bytes.len();
            state.task.wake();
            return Poll::Ready(Some(bytes));
        }
        if state.flow != Flow::Open {
            return Poll::Ready(None);
        }
        state.reader.register(cx);
        Poll::Pending
    }

    fn give_up(&self) {
        let mut state = self.state.lock();
        state.flow = Flow::GivenUp;
        state.bytes = VecDeque::new();
        state.len = 0;
        state.task.wake();
    }
}

pub(crate) type RawHandler = Box<dyn Fn(RawConnection) -> Running<()> + Send + Sync>;
