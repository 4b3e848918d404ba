//! The task that owns a connection. Reading does not wait for writing: a server that takes nothing
//! before its answers are read would wait for ever.

use std::{
    collections::{HashMap, hash_map::Entry},
    convert::Infallible,
    future::pending,
    time::Duration,
};

use bytes::Bytes;
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::timeout,
};
use tokio_tungstenite::tungstenite::{
    self, Message,
    protocol::{CloseFrame as SentClose, frame::coding::CloseCode as SentCode},
};

use super::{ClientError, Command, Queue, Socket, Waiter};
use crate::{
    sync::Mutex,
    vocabulary::close::{CloseCode, CloseFrame},
    wire::{
        MALFORMED_PACKET,
        packet::{MalformedPacket, Packet},
    },
};

/// How long the closing handshake may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long what the server has sent is still read after it takes nothing any more.
const LAST_READ: Duration = Duration::from_secs(1);

pub(super) async fn drive(socket: Socket, mut commands: mpsc::Receiver<Command>) {
    let (mut sink, mut stream) = socket.split();
    let shared = Shared::default();
    let mut waits_for_the_end = None;
    let over = tokio::select! {
        over = read(&mut stream, &shared) => over,
        over = write(&mut sink, &mut commands, &shared, &mut waits_for_the_end) => over,
    };
    commands.close();
    shared.waiting.lock().end(&over);
    let _ = timeout(CLOSE_TIMEOUT, close(sink, stream, over.close_frame())).await;
    drop(waits_for_the_end);
}

async fn read(stream: &mut SplitStream<Socket>, shared: &Shared) -> Over {
    while let Some(message) = stream.next().await {
        match message {
            Ok(Message::Binary(bytes)) => {
                if let Err(why) = shared.take(bytes).await {
                    return Over::Malformed(why);
                }
            }
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {}
            Ok(Message::Text(_)) => return Over::Violation(CloseCode::UNSUPPORTED_DATA),
            Ok(Message::Close(close)) => {
                let close = close.and_then(|close| {
                    let code = CloseCode::new(close.code.into());
                    CloseFrame::new(code, close.reason.as_str()).ok()
                });
                return Over::ByServer(close);
            }
            Err(tungstenite::Error::Capacity(_)) => {
                return Over::Violation(CloseCode::MESSAGE_TOO_BIG);
            }
            Err(tungstenite::Error::Utf8(_)) => {
                return Over::Violation(CloseCode::INVALID_PAYLOAD);
            }
            Err(tungstenite::Error::Protocol(
                tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
            )) => return Over::Lost,
            Err(tungstenite::Error::Protocol(_)) => {
                return Over::Violation(CloseCode::PROTOCOL_ERROR);
            }
            Err(_) => return Over::Lost,
        }
    }
    Over::Lost
}

async fn write(
    sink: &mut SplitSink<Socket, Message>,
    commands: &mut mpsc::Receiver<Command>,
    shared: &Shared,
    waits_for_the_end: &mut Option<oneshot::Sender<()>>,
) -> Over {
    match try_write(sink, commands, shared, waits_for_the_end).await {
        Ok(()) => Over::ByClient,
        Err(_) => {
            // Why the server has hung up is perhaps still to be read.
            let _ = timeout(LAST_READ, pending::<Infallible>()).await;
            Over::Lost
        }
    }
}

/// Obeys commands until one closes.
async fn try_write(
    sink: &mut SplitSink<Socket, Message>,
    commands: &mut mpsc::Receiver<Command>,
    shared: &Shared,
    waits_for_the_end: &mut Option<oneshot::Sender<()>>,
) -> Result<(), tungstenite::Error> {
    loop {
        let mut next = tokio::select! {
            command = commands.recv() => match command {
                None => return Ok(()),
                command => command,
            },
            () = shared.unwanted.notified() => None,
        };
        // All that wait leave in one write.
        loop {
            if let Some(Command::Close(over)) = next {
                *waits_for_the_end = Some(over);
                // What was fed is in the sink's half, and lost when the halves are joined.
                let _ = timeout(CLOSE_TIMEOUT, sink.flush()).await;
                return Ok(());
            }
            let (unwanted, packet) = shared.waiting.lock().obey(next);
            for topic in unwanted {
                let packet = Packet::Unsubscribe { topic };
                sink.feed(Message::Binary(packet.encode())).await?;
            }
            if let Some(packet) = packet {
                sink.feed(Message::Binary(packet.encode())).await?;
            }
            next = commands.try_recv().ok();
            if next.is_none() {
                break;
            }
        }
        sink.flush().await?;
    }
}

/// The closing handshake, whoever began it.
async fn close(
    sink: SplitSink<Socket, Message>,
    stream: SplitStream<Socket>,
    close: Option<SentClose>,
) {
    let Ok(mut socket) = sink.reunite(stream) else {
        return;
    };
    if let Some(close) = close {
        let _ = socket.close(Some(close)).await;
    }
    while let Some(Ok(_)) = socket.next().await {}
}

/// How a connection ended.
enum Over {
    ByClient,
    ByServer(Option<CloseFrame>),
    /// The server sent what is no packet.
    Malformed(MalformedPacket),
    /// The server sent what WebSocket, or this client's limit, does not allow.
    Violation(CloseCode),
    Lost,
}

impl Over {
    /// What those are told who wait for something.
    fn error(&self) -> ClientError {
        match self {
            Self::ByServer(Some(close)) => ClientError::ClosedByServer(close.clone()),
            Self::Malformed(why) => ClientError::Malformed(*why),
            Self::ByClient | Self::ByServer(None) | Self::Violation(_) | Self::Lost => {
                ClientError::Closed
            }
        }
    }

    /// What the server is told, unless it closed or is gone.
    fn close_frame(&self) -> Option<SentClose> {
        let (code, reason) = match self {
            Self::ByClient => (CloseCode::NORMAL, String::new()),
            Self::Malformed(why) => (MALFORMED_PACKET, why.to_string()),
            Self::Violation(code) => (*code, String::new()),
            Self::ByServer(_) | Self::Lost => return None,
        };
        Some(SentClose {
            code: SentCode::from(code.as_u16()),
            reason: reason.into(),
        })
    }
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// That there are unwanted topics.
    unwanted: Notify,
}

/// Who waits for what.
#[derive(Default)]
struct Waiting {
    next_id: u32,
    answers: HashMap<u32, Waiter>,
    topics: HashMap<u32, Queue>,
    /// Topics whose events nobody reads any more.
    unwanted: Vec<u32>,
}

impl Shared {
    /// Hands a packet to whoever waits for it. An answer that nobody waits for belongs to a call
    /// that was given up, and is dropped.
    async fn take(&self, bytes: Bytes) -> Result<(), MalformedPacket> {
        match Packet::parse(bytes)? {
            Packet::Response { id, more, payload } => self.answer(id, more, payload).await,
            Packet::Error { id, error } => {
                let waiter = self.waiting.lock().answers.remove(&id);
                if let Some(waiter) = waiter {
                    waiter.fail(ClientError::Refused(error));
                }
            }
            Packet::Event { topic, payload } => self.event(topic, &payload).await,
            Packet::Request { .. }
            | Packet::Subscribe { .. }
            | Packet::Unsubscribe { .. }
            | Packet::Publish { .. } => return Err(MalformedPacket::Direction),
        }
        Ok(())
    }

    async fn answer(&self, id: u32, more: bool, payload: Bytes) {
        let full = {
            let mut waiting = self.waiting.lock();
            let Entry::Occupied(waiter) = waiting.answers.entry(id) else {
                return;
            };
            match waiter.get() {
                Waiter::Stream(items) if more && items.try_push(&payload) => return,
                Waiter::Stream(items) if more => items.clone(),
                _ => match waiter.remove() {
                    Waiter::Call(answer) => {
                        let _ = answer.send(Ok(payload));
                        return;
                    }
                    // The end. A payload is the answer of an operation that is no stream.
                    Waiter::Stream(_) if payload.is_empty() => return,
                    Waiter::Stream(items) => items,
                },
            }
        };
        if !full.push(&payload).await {
            self.waiting.lock().answers.remove(&id);
            full.fail(ClientError::TooSlow);
        }
    }

    async fn event(&self, topic: u32, payload: &Bytes) {
        let full = match self.waiting.lock().topics.get(&topic) {
            None => return,
            Some(events) if !events.is_closed() && events.try_push(payload) => return,
            Some(events) => events.clone(),
        };
        if full.push(payload).await {
            return;
        }
        let mut waiting = self.waiting.lock();
        // Unless somebody has subscribed anew meanwhile.
        if let Entry::Occupied(events) = waiting.topics.entry(topic)
            && events.get().is_same(&full)
        {
            events.remove();
            waiting.unwanted.push(topic);
            self.unwanted.notify_one();
        }
        full.fail(ClientError::TooSlow);
    }
}

impl Waiting {
    /// The topics to unsubscribe from, and then the packet to send.
    fn obey(&mut self, command: Option<Command>) -> (Vec<u32>, Option<Packet>) {
        let packet = match command {
            Some(Command::Request {
                operation,
                payload,
                answer,
            }) => {
                let id = self.wait_for(answer);
                Some(Packet::Request {
                    operation,
                    id,
                    payload,
                })
            }
            Some(Command::Subscribe { topic, events }) => {
                let unread = self.topics.extract_if(|_, events| events.is_closed());
                self.unwanted.extend(unread.map(|(topic, _)| topic));
                self.topics.insert(topic, events);
                Some(Packet::Subscribe { topic })
            }
            Some(Command::Unsubscribe { topic }) => {
                self.topics.remove(&topic);
                Some(Packet::Unsubscribe { topic })
            }
            Some(Command::Publish { topic, payload }) => Some(Packet::Publish { topic, payload }),
            Some(Command::Close(_)) | None => None,
        };
        (std::mem::take(&mut self.unwanted), packet)
    }

    /// Enters who waits for an answer; gives the id.
    fn wait_for(&mut self, answer: Waiter) -> u32 {
        if self.answers.len() == self.answers.capacity() {
            // Before the table grows: calls that were given up.
            self.answers.retain(|_, waiter| !waiter.is_gone());
        }
        loop {
            self.next_id = self.next_id.wrapping_add(1);
            if let Entry::Vacant(free) = self.answers.entry(self.next_id) {
                free.insert(answer);
                return self.next_id;
            }
        }
    }

    fn end(&mut self, over: &Over) {
        for (_, waiter) in self.answers.drain() {
            waiter.fail(over.error());
        }
        for (_, events) in self.topics.drain() {
            events.fail(over.error());
        }
    }
}

impl Waiter {
    fn fail(self, error: ClientError) {
        match self {
            Self::Call(answer) => drop(answer.send(Err(error))),
            Self::Stream(items) => items.fail(error),
        }
    }

    fn is_gone(&self) -> bool {
        match self {
            Self::Call(answer) => answer.is_closed(),
            Self::Stream(items) => items.is_closed(),
        }
    }
}
