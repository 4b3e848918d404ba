//! The client's side, on tokio-tungstenite.

use std::{
    collections::HashMap,
    fmt,
    pin::Pin,
    sync::atomic::{AtomicU32, Ordering},
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_core::Stream;
use futures_util::{SinkExt, StreamExt};
use tokio::{
    net::TcpStream,
    sync::{mpsc, oneshot},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{
        self, Message,
        protocol::{CloseFrame, WebSocketConfig, frame::coding::CloseCode},
    },
};

use crate::wire::packet::{MalformedPacket, Packet, WireError};

/// Commands that may wait for the connection's task.
const COMMANDS: usize = 64;
/// Items or events that may wait for whoever reads them.
const UNREAD: usize = 256;
/// The largest packet taken.
const MAX_PACKET: usize = 64 * 1024 + 8;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A connection to a [`Server`](super::Server). Calls may be made concurrently through `&self`.
///
/// ```no_run
/// # async fn run() -> Result<(), raw_ws::wire::ClientError> {
/// let client = raw_ws::wire::Client::connect("ws://127.0.0.1:9001/wire").await?;
/// let answer = client.call(1, "hello").await?;
/// assert_eq!(answer, "hello");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Client {
    commands: mpsc::Sender<Command>,
    next_id: AtomicU32,
}

#[derive(Debug)]
enum Command {
    Call {
        packet: Packet,
        id: u32,
        answer: oneshot::Sender<Result<Bytes, ClientError>>,
    },
    Stream {
        packet: Packet,
        id: u32,
        items: mpsc::Sender<Result<Bytes, ClientError>>,
    },
    Subscribe {
        topic: u32,
        events: mpsc::Sender<Result<Bytes, ClientError>>,
    },
    Unsubscribe {
        topic: u32,
    },
    Publish {
        packet: Packet,
    },
    Close,
}

impl Client {
    /// Connects to a `ws://` address.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses the upgrade.
    pub async fn connect(url: &str) -> Result<Self, ClientError> {
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_PACKET))
            .max_frame_size(Some(MAX_PACKET))
            .read_buffer_size(8 * 1024);
        let (socket, _) = connect_async_with_config(url, Some(config), true)
            .await
            .map_err(|error| ClientError::Connect(Box::new(error)))?;
        let (commands, taken) = mpsc::channel(COMMANDS);
        tokio::spawn(async move { Driver::new(socket).run(taken).await });
        Ok(Self {
            commands,
            next_id: AtomicU32::new(1),
        })
    }

    /// Calls an operation and waits for its answer.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the server's error, or why there will be no answer.
    ///
    /// # Cancel safety
    /// Dropping the future forgets the answer; the server may still do the work.
    pub async fn call(
        &self,
        operation: u16,
        payload: impl Into<Bytes>,
    ) -> Result<Bytes, ClientError> {
        let id = self.new_id();
        let packet = Packet::Request {
            operation,
            id,
            payload: payload.into(),
        };
        let (answer, answered) = oneshot::channel();
        self.command(Command::Call { packet, id, answer }).await?;
        answered.await.map_err(|_| ClientError::Closed)?
    }

    /// Calls an operation that answers with a stream. An error is its last item.
    ///
    /// # Errors
    /// [`ClientError::Closed`] when the connection is over.
    pub async fn stream(
        &self,
        operation: u16,
        payload: impl Into<Bytes>,
    ) -> Result<Items, ClientError> {
        let id = self.new_id();
        let packet = Packet::Request {
            operation,
            id,
            payload: payload.into(),
        };
        let (items, received) = mpsc::channel(UNREAD);
        self.command(Command::Stream { packet, id, items }).await?;
        Ok(Items { received })
    }

    /// Subscribes to a topic. A second subscription to it replaces the first.
    ///
    /// # Errors
    /// [`ClientError::Closed`] when the connection is over.
    pub async fn subscribe(&self, topic: u32) -> Result<Events, ClientError> {
        let (events, received) = mpsc::channel(UNREAD);
        self.command(Command::Subscribe { topic, events }).await?;
        Ok(Events { received })
    }

    /// Ends the subscription to a topic.
    ///
    /// # Errors
    /// [`ClientError::Closed`] when the connection is over.
    pub async fn unsubscribe(&self, topic: u32) -> Result<(), ClientError> {
        self.command(Command::Unsubscribe { topic }).await
    }

    /// Publishes to the subscribers of a topic, this client included if it is one.
    ///
    /// # Errors
    /// [`ClientError::Closed`] when the connection is over.
    pub async fn publish(&self, topic: u32, payload: impl Into<Bytes>) -> Result<(), ClientError> {
        let packet = Packet::Publish {
            topic,
            payload: payload.into(),
        };
        self.command(Command::Publish { packet }).await
    }

    /// Closes the connection with 1000 and waits until it is over.
    pub async fn close(self) {
        if self.command(Command::Close).await.is_ok() {
            self.commands.closed().await;
        }
    }

    fn new_id(&self) -> u32 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    async fn command(&self, command: Command) -> Result<(), ClientError> {
        self.commands
            .send(command)
            .await
            .map_err(|_| ClientError::Closed)
    }
}

/// The items of a stream; ends with it. An error is the last item.
#[derive(Debug)]
pub struct Items {
    received: mpsc::Receiver<Result<Bytes, ClientError>>,
}

/// The events of a topic; ends with the connection or the subscription.
#[derive(Debug)]
pub struct Events {
    received: mpsc::Receiver<Result<Bytes, ClientError>>,
}

impl Stream for Items {
    type Item = Result<Bytes, ClientError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.received.poll_recv(cx)
    }
}

impl Stream for Events {
    type Item = Result<Bytes, ClientError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.received.poll_recv(cx)
    }
}

/// Why a call has no answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientError {
    /// The server could not be reached, or refused the upgrade.
    Connect(Box<tungstenite::Error>),
    /// The server answered with an error.
    Refused(WireError),
    /// The connection is over.
    Closed,
    /// The server sent something that is no packet; the connection was closed for it.
    Malformed(MalformedPacket),
    /// Items or events came faster than they were read, and those that follow are lost.
    TooSlow,
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "cannot connect: {error}"),
            Self::Refused(error) => write!(f, "the server refused: {error}"),
            Self::Closed => f.write_str("the connection is over"),
            Self::Malformed(why) => write!(f, "the server broke the protocol: {why}"),
            Self::TooSlow => f.write_str("items came faster than they were read"),
        }
    }
}

impl std::error::Error for ClientError {}

/// The task that owns the socket.
struct Driver {
    socket: Socket,
    calls: HashMap<u32, oneshot::Sender<Result<Bytes, ClientError>>>,
    streams: HashMap<u32, mpsc::Sender<Result<Bytes, ClientError>>>,
    events: HashMap<u32, mpsc::Sender<Result<Bytes, ClientError>>>,
}

impl Driver {
    fn new(socket: Socket) -> Self {
        Self {
            socket,
            calls: HashMap::new(),
            streams: HashMap::new(),
            events: HashMap::new(),
        }
    }

    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        loop {
            tokio::select! {
                command = commands.recv() => {
                    let (close, outcome) = match command {
                        None | Some(Command::Close) => (true, Ok(())),
                        Some(command) => (false, self.obey(command).await),
                    };
                    if close || outcome.is_err() {
                        let _ = self.socket.close(None).await;
                        // Until the server's Close has come.
                        while let Some(Ok(_)) = self.socket.next().await {}
                        return;
                    }
                }
                message = self.socket.next() => match message {
                    Some(Ok(Message::Binary(bytes))) => {
                        if let Err(why) = self.take(bytes) {
                            self.give_up(why).await;
                            return;
                        }
                    }
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_) | Message::Text(_))) => {}
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                },
            }
        }
    }

    async fn obey(&mut self, command: Command) -> Result<(), tungstenite::Error> {
        let packet = match command {
            Command::Call { packet, id, answer } => {
                self.calls.retain(|_, answer| !answer.is_closed());
                self.calls.insert(id, answer);
                packet
            }
            Command::Stream { packet, id, items } => {
                self.streams.insert(id, items);
                packet
            }
            Command::Subscribe { topic, events } => {
                self.events.insert(topic, events);
                Packet::Subscribe { topic }
            }
            Command::Unsubscribe { topic } => {
                self.events.remove(&topic);
                Packet::Unsubscribe { topic }
            }
            Command::Publish { packet } => packet,
            Command::Close => return Ok(()),
        };
        self.socket.send(Message::Binary(packet.encode())).await
    }

    /// Hands a packet to whoever waits for it. An answer that nobody waits for belongs to a call
    /// that was given up, and is dropped.
    fn take(&mut self, bytes: Bytes) -> Result<(), MalformedPacket> {
        match Packet::parse(bytes)? {
            Packet::Response { id, more, payload } => match self.calls.remove(&id) {
                Some(answer) => {
                    let _ = answer.send(Ok(payload));
                }
                None if more => deliver(&mut self.streams, id, Ok(payload)),
                None => {
                    self.streams.remove(&id);
                }
            },
            Packet::Error { id, error } => match self.calls.remove(&id) {
                Some(answer) => {
                    let _ = answer.send(Err(ClientError::Refused(error)));
                }
                None => {
                    deliver(&mut self.streams, id, Err(ClientError::Refused(error)));
                    self.streams.remove(&id);
                }
            },
            Packet::Event { topic, payload } => deliver(&mut self.events, topic, Ok(payload)),
            Packet::Request { .. }
            | Packet::Subscribe { .. }
            | Packet::Unsubscribe { .. }
            | Packet::Publish { .. } => return Err(MalformedPacket::Direction),
        }
        Ok(())
    }

    async fn give_up(&mut self, why: MalformedPacket) {
        for (_, answer) in self.calls.drain() {
            let _ = answer.send(Err(ClientError::Malformed(why)));
        }
        for (_, items) in self.streams.drain().chain(self.events.drain()) {
            let _ = items.try_send(Err(ClientError::Malformed(why)));
        }
        let close = CloseFrame {
            code: CloseCode::from(super::MALFORMED_PACKET.as_u16()),
            reason: why.to_string().into(),
        };
        let _ = self.socket.close(Some(close)).await;
    }
}

/// Never waits: whoever does not read must not hold up the others. The last place in the queue is
/// kept for the word that something was lost.
fn deliver(
    receivers: &mut HashMap<u32, mpsc::Sender<Result<Bytes, ClientError>>>,
    id: u32,
    item: Result<Bytes, ClientError>,
) {
    let Some(receiver) = receivers.get(&id) else {
        return;
    };
    let item = if receiver.capacity() > 1 {
        item
    } else {
        Err(ClientError::TooSlow)
    };
    let goes_on = item.is_ok();
    if receiver.try_send(item).is_err() || !goes_on {
        receivers.remove(&id);
    }
}
