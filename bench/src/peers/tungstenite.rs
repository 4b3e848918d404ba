//! tokio-tungstenite, once as everybody writes it and once as it is fastest.
//!
//! The tuned style differs in two things: buffers of 4 KiB instead of 128 KiB, and everything that
//! is ready goes out with one flush. It shows how much of a difference is the library and how much
//! is how it is driven.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::{FutureExt, SinkExt, StreamExt, stream::SplitSink};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async_with_config,
    tungstenite::{
        Error, Message,
        handshake::server::{ErrorResponse, Request, Response},
        protocol::WebSocketConfig,
    },
};

use super::{Endpoint, Peer, Serving, accept, echo_and_fan_out};
use crate::load::{Dialect, Work};

/// tokio-tungstenite as its examples show it.
pub struct Tungstenite;

/// tokio-tungstenite with small buffers, and one flush for each batch.
pub struct TunedTungstenite;

impl Peer for Tungstenite {
    fn name(&self) -> &'static str {
        "tungstenite"
    }

    fn about(&self) -> &'static str {
        "tokio-tungstenite as its examples show it: /echo and /fanout"
    }

    fn endpoint(&self, work: Work, dialect: Dialect) -> Option<Endpoint> {
        echo_and_fan_out(work, dialect)
    }

    fn serve(&self, listener: TcpListener) -> Serving {
        serve(listener, Style::Default)
    }
}

impl Peer for TunedTungstenite {
    fn name(&self) -> &'static str {
        "tungstenite-tuned"
    }

    fn about(&self) -> &'static str {
        "tokio-tungstenite with small buffers and one flush per batch: /echo and /fanout"
    }

    fn endpoint(&self, work: Work, dialect: Dialect) -> Option<Endpoint> {
        echo_and_fan_out(work, dialect)
    }

    fn serve(&self, listener: TcpListener) -> Serving {
        serve(listener, Style::Tuned)
    }
}

type WebSocket = WebSocketStream<TcpStream>;

#[derive(Clone, Copy)]
enum Style {
    Default,
    Tuned,
}

fn serve(listener: TcpListener, style: Style) -> Serving {
    Box::pin(async move {
        let members = Arc::new(Members::default());
        for id in 0.. {
            let stream = accept(&listener).await?;
            tokio::spawn(upgrade(stream, style, id, Arc::clone(&members)));
        }
        Ok(())
    })
}

#[expect(
    clippy::result_large_err,
    reason = "the library's callback returns a whole response"
)]
async fn upgrade(
    stream: TcpStream,
    style: Style,
    id: u64,
    members: Arc<Members>,
) -> Result<(), Error> {
    let mut path = String::new();
    let note_path = |request: &Request, response: Response| -> Result<_, ErrorResponse> {
        request.uri().path().clone_into(&mut path);
        Ok(response)
    };
    let mut socket = accept_hdr_async_with_config(stream, note_path, style.config()).await?;
    match (path.as_str(), style) {
        ("/fanout", _) => fan_out(socket, style, id, &members).await,
        ("/echo", Style::Default) => echo(&mut socket).await,
        ("/echo", Style::Tuned) => echo_in_batches(&mut socket).await,
        _ => socket.close(None).await,
    }
}

async fn echo(socket: &mut WebSocket) -> Result<(), Error> {
    while let Some(message) = socket.next().await {
        let message = message?;
        if is_data(&message) {
            socket.send(message).await?;
        }
    }
    Ok(())
}

async fn echo_in_batches(socket: &mut WebSocket) -> Result<(), Error> {
    let mut next = socket.next().await;
    while let Some(message) = next {
        let message = message?;
        if is_data(&message) {
            socket.feed(message).await?;
        }
        next = match socket.next().now_or_never() {
            Some(ready) => ready,
            None => {
                socket.flush().await?;
                socket.next().await
            }
        };
    }
    Ok(())
}

/// Reads here; writing is a task of its own behind a bounded queue, so that a broadcast waits for
/// nobody.
async fn fan_out(socket: WebSocket, style: Style, id: u64, members: &Members) -> Result<(), Error> {
    let (sink, mut stream) = socket.split();
    let (queue, queued) = mpsc::channel(QUEUE_MESSAGES);
    let writer = match style {
        Style::Default => tokio::spawn(write_each(sink, queued)),
        Style::Tuned => tokio::spawn(write_in_batches(sink, queued)),
    };
    members.join(id, queue);
    while let Some(Ok(message)) = stream.next().await {
        if is_data(&message) {
            members.broadcast(&message);
        }
    }
    members.leave(id);
    writer.abort();
    Ok(())
}

async fn write_each(
    mut sink: SplitSink<WebSocket, Message>,
    mut queued: mpsc::Receiver<Message>,
) -> Result<(), Error> {
    while let Some(message) = queued.recv().await {
        sink.send(message).await?;
    }
    sink.close().await
}

async fn write_in_batches(
    mut sink: SplitSink<WebSocket, Message>,
    mut queued: mpsc::Receiver<Message>,
) -> Result<(), Error> {
    while let Some(message) = queued.recv().await {
        sink.feed(message).await?;
        while let Ok(message) = queued.try_recv() {
            sink.feed(message).await?;
        }
        sink.flush().await?;
    }
    sink.close().await
}

/// The connections of `/fanout`.
#[derive(Default)]
struct Members(Mutex<HashMap<u64, mpsc::Sender<Message>>>);

impl Members {
    fn join(&self, id: u64, queue: mpsc::Sender<Message>) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, queue);
    }

    fn leave(&self, id: u64) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&id);
    }

    /// Queues the message everywhere. A member whose queue is full is dropped, which ends its
    /// writer and closes its connection.
    fn broadcast(&self, message: &Message) {
        let mut members = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        members.retain(|_, queue| queue.try_send(message.clone()).is_ok());
    }
}

impl Style {
    fn config(self) -> Option<WebSocketConfig> {
        match self {
            Self::Default => None,
            Self::Tuned => Some(
                WebSocketConfig::default()
                    .read_buffer_size(4096)
                    .write_buffer_size(4096)
                    .max_write_buffer_size(64 * 1024),
            ),
        }
    }
}

fn is_data(message: &Message) -> bool {
    message.is_binary() || message.is_text()
}

/// Far more than the 16 broadcasts that the load keeps in flight.
const QUEUE_MESSAGES: usize = 1024;
