//! The client's side, on tokio-tungstenite.

mod driver;
mod unread;

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_core::Stream;
use tokio::{
    net::TcpStream,
    sync::{mpsc, oneshot},
    time::timeout,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{self, protocol::WebSocketConfig},
};

use crate::{
    vocabulary::close::CloseFrame,
    wire::{
        client::unread::{Queue, Unread},
        packet::{MalformedPacket, WireError},
    },
};

/// Commands that may wait for the connection's task.
const COMMANDS: usize = 64;
/// The largest packet taken.
const MAX_PACKET: usize = 64 * 1024 + 8;
/// How long the server may take for the upgrade.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A connection to a [`Server`](super::Server). Calls may be made concurrently through `&self`.
/// Dropping it closes the connection.
///
/// Items and events wait for whoever reads them, up to 256 KiB for each stream and each topic.
/// Where that is full the whole connection waits for one second; then the stream or the topic ends
/// with [`ClientError::TooSlow`], and the others go on.
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
}

#[derive(Debug)]
enum Command {
    Request {
        operation: u16,
        payload: Bytes,
        answer: Waiter,
    },
    Subscribe {
        topic: u32,
        events: Queue,
    },
    Unsubscribe {
        topic: u32,
    },
    Publish {
        topic: u32,
        payload: Bytes,
    },
    /// Dropped when the connection is over.
    Close(oneshot::Sender<()>),
}

/// Who waits for an answer.
#[derive(Debug)]
enum Waiter {
    Call(oneshot::Sender<Result<Bytes, ClientError>>),
    Stream(Queue),
}

impl Client {
    /// Connects to a `ws://` address.
    ///
    /// # Errors
    /// When the server cannot be reached, refuses the upgrade, or takes more than 10 s for it.
    pub async fn connect(url: &str) -> Result<Self, ClientError> {
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_PACKET))
            .max_frame_size(Some(MAX_PACKET))
            .read_buffer_size(8 * 1024)
            .write_buffer_size(16 * 1024);
        let connecting = connect_async_with_config(url, Some(config), true);
        let connected = match timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(connected) => connected,
            Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
        };
        let (socket, _) = connected.map_err(|error| ClientError::Connect(Box::new(error)))?;
        let (commands, taken) = mpsc::channel(COMMANDS);
        tokio::spawn(driver::drive(socket, taken));
        Ok(Self { commands })
    }

    /// Calls an operation and waits for its answer; of one that answers with a stream it is the
    /// first item.
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
        let (answer, answered) = oneshot::channel();
        let answer = Waiter::Call(answer);
        self.request(operation, payload.into(), answer).await?;
        answered.await.map_err(|_| ClientError::Closed)?
    }

    /// Calls an operation that answers with a stream. An error is its last item.
    ///
    /// Dropping [`Items`] does not stop the server: the protocol has no word for that. What still
    /// comes is thrown away.
    ///
    /// # Errors
    /// [`ClientError::Closed`] when the connection is over.
    pub async fn stream(
        &self,
        operation: u16,
        payload: impl Into<Bytes>,
    ) -> Result<Items, ClientError> {
        let (items, unread) = unread::queue();
        let answer = Waiter::Stream(items);
        self.request(operation, payload.into(), answer).await?;
        Ok(Items { unread })
    }

    /// Subscribes to a topic. A second subscription to it replaces the first. It is in effect when
    /// a call made after it has its answer.
    ///
    /// # Errors
    /// [`ClientError::Closed`] when the connection is over.
    pub async fn subscribe(&self, topic: u32) -> Result<Events, ClientError> {
        let (events, unread) = unread::queue();
        self.command(Command::Subscribe { topic, events }).await?;
        Ok(Events { unread })
    }

    /// Ends the subscription to a topic. Dropping [`Events`] does so too, if later.
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
        let payload = payload.into();
        self.command(Command::Publish { topic, payload }).await
    }

    /// Closes the connection with 1000, behind everything that was sent before, and waits until it
    /// is over: at most 5 s for each of the two.
    pub async fn close(self) {
        let (over, is_over) = oneshot::channel();
        if self.command(Command::Close(over)).await.is_ok() {
            let _ = is_over.await;
        }
    }

    async fn request(
        &self,
        operation: u16,
        payload: Bytes,
        answer: Waiter,
    ) -> Result<(), ClientError> {
        self.command(Command::Request {
            operation,
            payload,
            answer,
        })
        .await
    }

    async fn command(&self, command: Command) -> Result<(), ClientError> {
        self.commands
            .send(command)
            .await
            .map_err(|_| ClientError::Closed)
    }
}

/// The items of a stream; ends with it. An error is the last item, also when the connection ends
/// before the stream does.
#[derive(Debug)]
pub struct Items {
    unread: Unread,
}

/// The events of a topic; ends with the subscription. When the connection ends, the last item is
/// an error.
#[derive(Debug)]
pub struct Events {
    unread: Unread,
}

impl Stream for Items {
    type Item = Result<Bytes, ClientError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.unread.poll_next(cx)
    }
}

impl Stream for Events {
    type Item = Result<Bytes, ClientError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.unread.poll_next(cx)
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
    /// The server closed the connection, and said why.
    ClosedByServer(CloseFrame),
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
            Self::ClosedByServer(close) => {
                let (code, reason) = (close.code(), close.reason());
                write!(f, "the server closed the connection: {code} {reason}")
            }
            Self::Malformed(why) => write!(f, "the server broke the protocol: {why}"),
            Self::TooSlow => f.write_str("items came faster than they were read"),
        }
    }
}

impl std::error::Error for ClientError {}
