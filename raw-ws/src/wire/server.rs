//! The server's side: a table of operations, and the life of one connection.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    future::Future,
    panic::AssertUnwindSafe,
    sync::Arc,
};

use bytes::Bytes;
use futures_core::{Stream, future::BoxFuture, stream::BoxStream};
use futures_util::{FutureExt, StreamExt, future::poll_immediate, stream::SelectAll};

use crate::{
    close::CloseCode,
    error::Result,
    message::{Message, MessageKind},
    sender::{PreparedMessage, Sender},
    socket::WebSocket,
    topics::Topics,
    upgrade::Upgrade,
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

#[derive(Clone)]
enum Handler {
    Operation(Arc<dyn Fn(Context, Bytes) -> BoxFuture<'static, Answer> + Send + Sync>),
    Stream(Arc<dyn Fn(Context, Bytes) -> BoxStream<'static, Answer> + Send + Sync>),
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
        self.add(operation, Handler::Operation(Arc::new(handler)))
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
        self.add(operation, Handler::Stream(Arc::new(handler)))
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
    loop {
        let answers_may_come =
            !requests.running.is_empty() && ws.unwritten() < UNWRITTEN_BEFORE_ANSWERS_WAIT;
        tokio::select! {
            message = ws.recv() => {
                let Some(message) = message? else { return Ok(()) };
                match requests.take(message, &mut ws, &mut subscriptions).await {
                    Ok(()) => {}
                    Err(Refused::Socket(error)) => return Err(error),
                    Err(Refused::Malformed(why)) => {
                        ws.close(MALFORMED_PACKET, why.to_string()).await?;
                        return Ok(());
                    }
                    Err(Refused::Policy(why)) => {
                        ws.close(CloseCode::POLICY_VIOLATION, why).await?;
                        return Ok(());
                    }
                }
            }
            Some(packet) = requests.running.next(), if answers_may_come => {
                requests.answered(&packet, &mut ws)?;
                for _ in 1..ANSWERS_PER_TURN {
                    if ws.unwritten() >= UNWRITTEN_BEFORE_ANSWERS_WAIT {
                        break;
                    }
                    match poll_immediate(requests.running.next()).await {
                        Some(Some(packet)) => requests.answered(&packet, &mut ws)?,
                        _ => break,
                    }
                }
            }
        }
    }
}

/// Why a packet ends the connection.
enum Refused {
    Malformed(MalformedPacket),
    Policy(&'static str),
    Socket(crate::error::Error),
}

impl From<MalformedPacket> for Refused {
    fn from(why: MalformedPacket) -> Self {
        Self::Malformed(why)
    }
}

impl From<crate::error::Error> for Refused {
    fn from(error: crate::error::Error) -> Self {
        Self::Socket(error)
    }
}

/// The requests of one connection that are under way.
struct Requests {
    table: Arc<Table>,
    context: Context,
    ids: HashSet<u32>,
    running: SelectAll<BoxStream<'static, Packet>>,
}

impl Requests {
    async fn take(
        &mut self,
        message: Message,
        ws: &mut WebSocket,
        subscriptions: &mut HashSet<u32>,
    ) -> Result<(), Refused> {
        match Packet::parse(message.into_bytes())? {
            Packet::Request {
                operation,
                id,
                payload,
            } => self.begin(operation, id, payload, ws).await?,
            Packet::Subscribe { topic } => {
                let topics = self.topics()?;
                if subscriptions.len() == MAX_SUBSCRIPTIONS && !subscriptions.contains(&topic) {
                    return Err(Refused::Policy("too many subscriptions"));
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
        if self.ids.contains(&id) {
            return refuse(
                ws,
                id,
                WireError::new(WireError::DUPLICATE_ID, "duplicate id"),
            );
        }
        if self.ids.len() >= self.table.max_in_flight {
            return refuse(
                ws,
                id,
                WireError::new(WireError::BUSY, "too many requests under way"),
            );
        }
        let Some(handler) = self.table.handlers.get(&operation) else {
            return refuse(
                ws,
                id,
                WireError::new(WireError::UNKNOWN_OPERATION, "unknown operation"),
            );
        };
        let cx = self.context.clone();
        match handler.clone() {
            Handler::Operation(call) => {
                let call = AssertUnwindSafe(async move { call(cx, payload).await });
                let mut call = call
                    .catch_unwind()
                    .map(|answer| answer.unwrap_or_else(|_| Err(panicked())))
                    .boxed();
                match poll_immediate(&mut call).await {
                    Some(answer) => return ws.feed(result(id, answer).encode()),
                    None => self.running.push(
                        call.map(move |answer| result(id, answer))
                            .into_stream()
                            .boxed(),
                    ),
                }
            }
            Handler::Stream(call) => self.running.push(items(id, cx, payload, call)),
        }
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

    fn topics(&self) -> Result<&Topics<u32>, Refused> {
        self.table
            .topics
            .as_ref()
            .ok_or(Refused::Policy("no topics here"))
    }
}

fn refuse(ws: &mut WebSocket, id: u32, error: WireError) -> Result<()> {
    ws.feed(Packet::Error { id, error }.encode())
}

fn result(id: u32, answer: Answer) -> Packet {
    match answer {
        Ok(payload) => Packet::Response {
            id,
            more: false,
            payload,
        },
        Err(error) => Packet::Error { id, error },
    }
}

/// A stream's packets: its items, then the end or the error that ended it.
fn items(
    id: u32,
    cx: Context,
    payload: Bytes,
    call: Arc<dyn Fn(Context, Bytes) -> BoxStream<'static, Answer> + Send + Sync>,
) -> BoxStream<'static, Packet> {
    // The handler is called at the first poll, where its panics are caught too.
    let items = futures_util::stream::once(async move { call(cx, payload) }).flatten();
    let end = futures_util::stream::once(async { None });
    let items = AssertUnwindSafe(items)
        .catch_unwind()
        .map(|item| Some(item.unwrap_or_else(|_| Err(panicked()))));
    let mut is_over = false;
    items
        .chain(end)
        .take_while(move |item| {
            let goes_on = !is_over;
            is_over |= matches!(item, Some(Err(_)));
            std::future::ready(goes_on)
        })
        .map(move |item| match item {
            Some(Ok(payload)) => Packet::Response {
                id,
                more: true,
                payload,
            },
            Some(Err(error)) => Packet::Error { id, error },
            None => Packet::Response {
                id,
                more: false,
                payload: Bytes::new(),
            },
        })
        .boxed()
}

fn panicked() -> WireError {
    WireError::new(WireError::INTERNAL, "internal error")
}
