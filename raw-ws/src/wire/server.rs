//! The server's side: a table of operations, and the life of one connection.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{self, Poll, ready},
};

use bytes::Bytes;
use futures_core::{Stream, future::BoxFuture, stream::BoxStream};
use futures_util::{FutureExt, StreamExt, future::poll_immediate, stream::SelectAll};
use tokio::task::coop::poll_proceed;

use crate::{
    outbound::{
        sender::{PreparedMessage, Sender},
        topics::Topics,
    },
    socket::WebSocket,
    upgrade::Upgrade,
    vocabulary::{
        close::CloseCode,
        error::Result,
        message::{Message, MessageKind},
    },
    wire::{
        MALFORMED_PACKET,
        packet::{MalformedPacket, Packet, WireError},
    },
};

/// Topics one connection may be subscribed to.
const MAX_SUBSCRIPTIONS: usize = 128;

/// Answers that may wait for the peer before running requests are asked for more.
const UNWRITTEN_BEFORE_ANSWERS_WAIT: usize = 32 * 1024;

/// Answers taken in one turn before the socket is looked at again.
const ANSWERS_PER_TURN: usize = 64;

/// A server of the binary protocol: operations by number, streams of responses, topics. Cheaply
/// cloned; clones share the table and the topics.
///
/// The requests of a connection run concurrently, in its own task, and start in arrival order.
/// A handler that panics answers [`WireError::INTERNAL`], and the connection lives.
#[derive(Clone, Default)]
pub struct Server {
    table: Arc<Table>,
}

struct Table {
    handlers: HashMap<u16, Handler>,
    topics: Option<Topics<u32>>,
    max_in_flight: usize,
}

enum Handler {
    Operation(Box<dyn Fn(Context, Bytes) -> BoxFuture<'static, Answer> + Send + Sync>),
    Stream(Box<dyn Fn(Context, Bytes) -> BoxStream<'static, Answer> + Send + Sync>),
}

type Answer = Result<Bytes, WireError>;

impl Default for Table {
    fn default() -> Self {
        Self {
            handlers: HashMap::new(),
            topics: None,
            max_in_flight: 64,
        }
    }
}

impl Server {
    /// A server without operations.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an operation that answers once.
    ///
    /// # Panics
    /// If the number is taken, or the server has been cloned.
    #[track_caller]
    pub fn operation<F, Fut>(self, operation: u16, handler: F) -> Self
    where
        F: Fn(Context, Bytes) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Bytes, WireError>> + Send + 'static,
    {
        let handler = move |cx, payload| handler(cx, payload).boxed();
        self.add(operation, Handler::Operation(Box::new(handler)))
    }

    /// Adds an operation that answers with a stream of items. An error ends it.
    ///
    /// # Panics
    /// As [`operation`](Self::operation).
    #[track_caller]
    pub fn stream<F, St>(self, operation: u16, handler: F) -> Self
    where
        F: Fn(Context, Bytes) -> St + Send + Sync + 'static,
        St: Stream<Item = Result<Bytes, WireError>> + Send + 'static,
    {
        let handler = move |cx, payload| handler(cx, payload).boxed();
        self.add(operation, Handler::Stream(Box::new(handler)))
    }

    /// Lets clients subscribe and publish to topics.
    ///
    /// # Panics
    /// If the server has been cloned.
    #[track_caller]
    pub fn topics(mut self) -> Self {
        self.table_mut().topics = Some(Topics::new());
        self
    }

    /// How many requests of a connection may be under way; 64 by default. Beyond, requests are
    /// answered with [`WireError::BUSY`].
    ///
    /// # Panics
    /// If the server has been cloned.
    #[track_caller]
    pub fn max_in_flight(mut self, requests: usize) -> Self {
        self.table_mut().max_in_flight = requests;
        self
    }

    /// Publishes to the subscribers of a topic; gives how many it was queued for.
    pub fn publish(&self, topic: u32, payload: impl Into<Bytes>) -> usize {
        publish(self.table.topics.as_ref(), topic, payload.into())
    }

    /// Lets a client in and serves it. Text messages are refused with 1003.
    pub fn serve<B: From<&'static str>>(&self, upgrade: Upgrade) -> http::Response<B> {
        let table = self.table.clone();
        upgrade
            .only(MessageKind::Binary)
            .on_upgrade(|ws| run(table, ws))
    }

    #[track_caller]
    fn add(mut self, operation: u16, handler: Handler) -> Self {
        let taken = self
            .table_mut()
            .handlers
            .insert(operation, handler)
            .is_some();
        assert!(!taken, "operation {operation} is registered twice");
        self
    }

    #[track_caller]
    fn table_mut(&mut self) -> &mut Table {
        match Arc::get_mut(&mut self.table) {
            Some(table) => table,
            None => panic!("a wire::Server is complete before it is cloned"),
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("operations", &self.table.handlers.len())
            .finish_non_exhaustive()
    }
}

/// Who calls, given to every handler. Cheaply cloned.
#[derive(Debug, Clone)]
pub struct Context {
    sender: Sender,
    topics: Option<Topics<u32>>,
}

impl Context {
    /// A number that no other connection of this process has or had.
    pub fn connection_id(&self) -> u64 {
        self.sender.id()
    }

    /// Publishes to the subscribers of a topic; gives how many it was queued for.
    pub fn publish(&self, topic: u32, payload: impl Into<Bytes>) -> usize {
        publish(self.topics.as_ref(), topic, payload.into())
    }

    /// Sends an event to this connection alone, whether it is subscribed or not. `false` if it is
    /// closed.
    pub fn send_event(&self, topic: u32, payload: impl Into<Bytes>) -> bool {
        let event = Packet::Event {
            topic,
            payload: payload.into(),
        };
        self.sender.send(event.encode()).is_ok()
    }
}

fn publish(topics: Option<&Topics<u32>>, topic: u32, payload: Bytes) -> usize {
    let Some(topics) = topics else { return 0 };
    let event = Packet::Event { topic, payload };
    topics.publish(&topic, &PreparedMessage::new(event.encode()))
}

/// A connection's life: take a packet or an answer, until one side closes.
async fn run(table: Arc<Table>, mut ws: WebSocket) -> Result<()> {
    let context = Context {
        sender: ws.sender(),
        topics: table.topics.clone(),
    };
    let mut requests = Requests {
        table,
        context,
        ids: HashSet::new(),
        running: SelectAll::new(),
    };
    let mut subscriptions = HashSet::new();
    let mut answers_first = false;
    loop {
        answers_first = !answers_first;
        let turn = poll_fn(|cx| requests.poll_turn(&mut ws, answers_first, cx)).await?;
        let message = match turn {
            Turn::Over => return Ok(()),
            Turn::Answered => continue,
            Turn::Message(message) => message,
        };
        match requests.take(message, &mut ws, &mut subscriptions).await {
            Ok(()) => {}
            Err(NotServed::Socket(error)) => return Err(error),
            // What still runs ends now, not when the peer has answered the Close.
            Err(NotServed::Malformed(why)) => {
                drop(requests);
                ws.close(MALFORMED_PACKET, why.to_string()).await?;
                return Ok(());
            }
            Err(NotServed::Policy(why)) => {
                drop(requests);
                ws.close(CloseCode::POLICY_VIOLATION, why).await?;
                return Ok(());
            }
        }
    }
}

/// What a connection does next.
enum Turn {
    Message(Message),
    Answered,
    Over,
}

/// Why a packet ends the connection.
enum NotServed {
    Malformed(MalformedPacket),
    Policy(&'static str),
    Socket(crate::vocabulary::error::Error),
}

impl From<MalformedPacket> for NotServed {
    fn from(why: MalformedPacket) -> Self {
        Self::Malformed(why)
    }
}

impl From<crate::vocabulary::error::Error> for NotServed {
    fn from(error: crate::vocabulary::error::Error) -> Self {
        Self::Socket(error)
    }
}

/// The requests of one connection that are under way.
struct Requests {
    table: Arc<Table>,
    context: Context,
    ids: HashSet<u32>,
    running: SelectAll<Running>,
}

impl Requests {
    /// Takes a message or some answers, whichever there are; both get their turn.
    fn poll_turn(
        &mut self,
        ws: &mut WebSocket,
        answers_first: bool,
        cx: &mut task::Context<'_>,
    ) -> Poll<Result<Turn>> {
        if answers_first && self.poll_answers(ws, cx)?.is_ready() {
            return Poll::Ready(Ok(Turn::Answered));
        }
        if let Poll::Ready(message) = ws.poll_recv(cx)? {
            return Poll::Ready(Ok(message.map_or(Turn::Over, Turn::Message)));
        }
        // Polled after the socket, which has written: that may have made room for answers.
        self.poll_answers(ws, cx).map_ok(|()| Turn::Answered)
    }

    /// Queues answers as far as there are some, and room for them.
    fn poll_answers(&mut self, ws: &mut WebSocket, cx: &mut task::Context<'_>) -> Poll<Result<()>> {
        if self.running.is_empty() || ws.unwritten() >= UNWRITTEN_BEFORE_ANSWERS_WAIT {
            return Poll::Pending;
        }
        // A stream that is always ready must not keep the thread to itself.
        let turn = ready!(poll_proceed(cx));
        for count in 0..ANSWERS_PER_TURN {
            if ws.unwritten() >= UNWRITTEN_BEFORE_ANSWERS_WAIT {
                break;
            }
            match self.running.poll_next_unpin(cx) {
                Poll::Ready(Some(packet)) => self.answered(&packet, ws)?,
                _ if count == 0 => return Poll::Pending,
                _ => break,
            }
        }
        turn.made_progress();
        Poll::Ready(Ok(()))
    }

    async fn take(
        &mut self,
        message: Message,
        ws: &mut WebSocket,
        subscriptions: &mut HashSet<u32>,
    ) -> Result<(), NotServed> {
        match Packet::parse(message.into_bytes())? {
            Packet::Request {
                operation,
                id,
                payload,
            } => self.begin(operation, id, payload, ws).await?,
            Packet::Subscribe { topic } => {
                let topics = self.topics()?;
                if subscriptions.len() == MAX_SUBSCRIPTIONS && !subscriptions.contains(&topic) {
                    return Err(NotServed::Policy("too many subscriptions"));
                }
                topics.subscribe(topic, &self.context.sender);
                subscriptions.insert(topic);
            }
            Packet::Unsubscribe { topic } => {
                self.topics()?.unsubscribe(&topic, &self.context.sender);
                subscriptions.remove(&topic);
            }
            Packet::Publish { topic, payload } => {
                let topics = self.topics()?;
                publish(Some(topics), topic, payload);
            }
            Packet::Response { .. } | Packet::Error { .. } | Packet::Event { .. } => {
                return Err(MalformedPacket::Direction.into());
            }
        }
        Ok(())
    }

    /// Starts a request. Most are done at their first poll, and then never enter `running`.
    async fn begin(
        &mut self,
        operation: u16,
        id: u32,
        payload: Bytes,
        ws: &mut WebSocket,
    ) -> Result<()> {
        let refused = if self.ids.contains(&id) {
            Err((WireError::DUPLICATE_ID, "duplicate id"))
        } else if self.ids.len() >= self.table.max_in_flight {
            Err((WireError::BUSY, "too many requests under way"))
        } else {
            let handler = self.table.handlers.get(&operation);
            handler.ok_or((WireError::UNKNOWN_OPERATION, "unknown operation"))
        };
        let handler = match refused {
            Ok(handler) => handler,
            Err((code, text)) => {
                let error = WireError::new(code, text);
                return ws.feed(Packet::Error { id, error }.encode());
            }
        };
        let mut request = Running::start(id, handler, self.context.clone(), payload);
        if matches!(request.work, Work::Answer(_) | Work::Panicked)
            && let Some(Some(packet)) = poll_immediate(request.next()).await
        {
            return ws.feed(packet.encode());
        }
        self.running.push(request);
        self.ids.insert(id);
        Ok(())
    }

    fn answered(&mut self, packet: &Packet, ws: &mut WebSocket) -> Result<()> {
        if let Packet::Response {
            id, more: false, ..
        }
        | Packet::Error { id, .. } = packet
        {
            self.ids.remove(id);
        }
        ws.feed(packet.encode())
    }

    fn topics(&self) -> Result<&Topics<u32>, NotServed> {
        self.table
            .topics
            .as_ref()
            .ok_or(NotServed::Policy("no topics here"))
    }
}

/// A request under way, as the packets that answer it.
struct Running {
    id: u32,
    work: Work,
}

enum Work {
    Answer(BoxFuture<'static, Answer>),
    Items(BoxStream<'static, Answer>),
    /// The handler panicked before it gave anything to poll.
    Panicked,
    Over,
}

impl Running {
    fn start(id: u32, handler: &Handler, cx: Context, payload: Bytes) -> Self {
        let start = AssertUnwindSafe(|| match handler {
            Handler::Operation(call) => Work::Answer(call(cx, payload)),
            Handler::Stream(call) => Work::Items(call(cx, payload)),
        });
        let work = catch_unwind(start).unwrap_or(Work::Panicked);
        Self { id, work }
    }

    fn response(&self, more: bool, payload: Bytes) -> Packet {
        let id = self.id;
        Packet::Response { id, more, payload }
    }
}

impl Stream for Running {
    type Item = Packet;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Option<Packet>> {
        let polled = catch_unwind(AssertUnwindSafe(|| match &mut self.work {
            Work::Answer(call) => call.poll_unpin(cx).map(|answer| Some((false, answer))),
            Work::Items(items) => items.poll_next_unpin(cx).map(|item| {
                let end = (false, Ok(Bytes::new()));
                Some(item.map_or(end, |item| (true, item)))
            }),
            Work::Panicked => Poll::Ready(Some((false, Err(panicked())))),
            Work::Over => Poll::Ready(None),
        }));
        let polled = polled.unwrap_or_else(|_| Poll::Ready(Some((false, Err(panicked())))));
        let Some((more, answer)) = ready!(polled) else {
            return Poll::Ready(None);
        };
        if !more || answer.is_err() {
            // What the handler holds is dropped before its last packet leaves, and no more is
            // asked of a stream that gave an error.
            let work = std::mem::replace(&mut self.work, Work::Over);
            let _ = catch_unwind(AssertUnwindSafe(|| drop(work)));
        }
        Poll::Ready(Some(match answer {
            Ok(payload) => self.response(more, payload),
            Err(error) => Packet::Error { id: self.id, error },
        }))
    }
}

fn panicked() -> WireError {
    WireError::new(WireError::INTERNAL, "internal error")
}
