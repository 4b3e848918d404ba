//! What a connection's task, its handles and its handlers share.

use std::{pin::pin, sync::Arc, time::Instant};

use bytes::Bytes;
use bytestring::ByteString;
use futures_util::task::AtomicWaker;
use raw_ws::sync::Mutex;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::{
    calls::{CallId, Calls},
    error::ClientError,
    event::{Event, Teller},
    handlers::Handlers,
    session::{Fault, Heard, Session},
};
use crate::{
    identity::request::Transport,
    inbox::Budget,
    protocol::{
        Encoding,
        message::{HubMessage, Invocation},
    },
};

/// Written at once, in bytes.
const WRITE: usize = 64 * 1024;

pub(super) struct Shared {
    line: Mutex<Line>,
    pub(super) encoding: Encoding,
    /// Bytes that may wait to be written.
    max_queued: usize,
    /// The connection's task.
    pub(super) task: AtomicWaker,
    /// There may be room for more to write.
    room: Notify,
    /// What has come and waits for who reads it.
    pub(super) unread: Arc<Budget>,
    pub(super) handlers: Arc<Handlers>,
    calls_in: mpsc::UnboundedSender<(u64, Invocation)>,
    pub(super) events: Teller,
    /// Somebody wants it to end.
    pub(super) stop: CancellationToken,
    /// It has ended.
    pub(super) ended: CancellationToken,
}

/// The connection as it is now.
struct Line {
    stage: Stage,
    calls: Calls,
    /// Counts connections: what belongs to an earlier one is not sent by the next.
    number: u64,
    /// What was sent since the last write, and between that and the one before.
    sent: usize,
    sent_before: usize,
}

enum Stage {
    /// There is a connection; where it counts, perhaps no socket.
    Live(Box<Live>),
    /// It is lost, and another one is being made.
    Reconnecting,
    Ended(Option<ClientError>),
}

struct Live {
    session: Session,
    connection_id: Option<String>,
    transport: Transport,
    is_away: bool,
}

/// What the server said that concerns the connection itself.
#[derive(Debug)]
pub(super) enum Said {
    /// The connection that was lost goes on.
    Resumed,
    /// The connection ends.
    Close {
        error: Option<ByteString>,
        allow_reconnect: bool,
    },
}

/// How a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionState {
    /// It is there.
    Connected,
    /// It is lost, and is tried again.
    Reconnecting,
    /// It has ended.
    Disconnected,
}

impl Shared {
    pub(super) fn new(
        encoding: Encoding,
        max_queued: usize,
        unread: Arc<Budget>,
        handlers: Arc<Handlers>,
        calls_in: mpsc::UnboundedSender<(u64, Invocation)>,
        events: Teller,
    ) -> Self {
        Self {
            line: Mutex::new(Line {
                stage: Stage::Reconnecting,
                calls: Calls::default(),
                number: 0,
                sent: 0,
                sent_before: 0,
            }),
            encoding,
            max_queued,
            task: AtomicWaker::new(),
            room: Notify::new(),
            unread,
            handlers,
            calls_in,
            events,
            stop: CancellationToken::new(),
            ended: CancellationToken::new(),
        }
    }

    // For its handles and handlers.

    /// Sends something when there is room for it, by the connection of that `number` where there is
    /// one; the connection's number, and what `act` gives.
    ///
    /// # Cancel safety
    /// `act` runs at once when there is room, or never.
    pub(super) async fn send<R>(
        &self,
        number: Option<u64>,
        act: impl FnOnce(&mut Session, &mut Calls) -> R,
    ) -> Result<(u64, R), ClientError> {
        let mut act = Some(act);
        let mut send_now = || {
            let mut line = self.line.lock();
            if !self.has_room(&line, number)? {
                return Ok(None);
            }
            let line = &mut *line;
            let (Stage::Live(live), Some(act)) = (&mut line.stage, act.take()) else {
                return Err(ClientError::Reconnecting);
            };
            let sent = act(&mut live.session, &mut line.calls);
            line.sent += 1;
            Ok(Some((line.number, sent)))
        };
        let sent = loop {
            if let Some(sent) = send_now()? {
                break sent;
            }
            let mut room = pin!(self.room.notified());
            room.as_mut().enable();
            // What was made before that would not be heard of.
            if let Some(sent) = send_now()? {
                break sent;
            }
            room.await;
        };
        self.task.wake();
        Ok(sent)
    }

    /// # Errors
    /// When there is nobody to send to, or no room until there is.
    fn has_room(&self, line: &Line, number: Option<u64>) -> Result<bool, ClientError> {
        if self.stop.is_cancelled() || number.is_some_and(|number| number != line.number) {
            return Err(ClientError::Closed(None));
        }
        match &line.stage {
            Stage::Live(live) if live.session.queued() < self.max_queued => Ok(true),
            Stage::Live(live) if live.is_away => Err(ClientError::Full),
            Stage::Live(_) => Ok(false),
            Stage::Reconnecting => Err(ClientError::Reconnecting),
            Stage::Ended(error) => Err(closed(error.as_ref())),
        }
    }

    /// Nobody waits for the answer to a call any more: the server is told (ST-06, ST-07).
    pub(super) fn give_up(&self, number: u64, call: CallId) {
        let mut line = self.line.lock();
        let line = &mut *line;
        if line.number != number || !line.calls.forget(call) {
            return;
        }
        if let Stage::Live(live) = &mut line.stage {
            // Who drops something cannot wait; there are no more of these than calls.
            live.session.send(&HubMessage::CancelInvocation {
                invocation_id: call.0.to_string().into(),
            });
            self.task.wake();
        }
    }

    pub(super) fn state(&self) -> ConnectionState {
        match &self.line.lock().stage {
            Stage::Live(live) if !live.is_away => ConnectionState::Connected,
            Stage::Live(_) | Stage::Reconnecting => ConnectionState::Reconnecting,
            Stage::Ended(_) => ConnectionState::Disconnected,
        }
    }

    pub(super) fn connection_id(&self) -> Option<String> {
        match &self.line.lock().stage {
            Stage::Live(live) => live.connection_id.clone(),
            Stage::Reconnecting | Stage::Ended(_) => None,
        }
    }

    pub(super) fn transport(&self) -> Option<Transport> {
        match &self.line.lock().stage {
            Stage::Live(live) => Some(live.transport),
            Stage::Reconnecting | Stage::Ended(_) => None,
        }
    }

    /// Why it has ended, if something failed.
    pub(super) fn error(&self) -> Option<ClientError> {
        match &self.line.lock().stage {
            Stage::Ended(error) => error.clone(),
            Stage::Live(_) | Stage::Reconnecting => None,
        }
    }

    // For its task.

    /// A connection is made.
    pub(super) fn open(
        &self,
        session: Session,
        connection_id: Option<String>,
        transport: Transport,
    ) {
        let mut line = self.line.lock();
        line.number += 1;
        line.stage = Stage::Live(Box::new(Live {
            session,
            connection_id: connection_id.clone(),
            transport,
            is_away: false,
        }));
        drop(line);
        self.events.tell(Event::Connected {
            connection_id,
            transport,
        });
    }

    /// Does something with the session; `None` where there is none.
    pub(super) fn session<R>(&self, act: impl FnOnce(&mut Session) -> R) -> Option<R> {
        match &mut self.line.lock().stage {
            Stage::Live(live) => Some(act(&mut live.session)),
            Stage::Reconnecting | Stage::Ended(_) => None,
        }
    }

    /// Takes what came, and gives each of it to whom it is for, until something is said of the
    /// connection itself.
    pub(super) fn hear(&self, bytes: Bytes, now: Instant) -> Result<Option<Said>, Fault> {
        let mut line = self.line.lock();
        let Line {
            stage,
            calls,
            number,
            ..
        } = &mut *line;
        let Stage::Live(live) = stage else {
            return Ok(None);
        };
        live.session.receive(bytes, now);
        while let Some(heard) = live.session.next(now)? {
            match heard {
                Heard::Opened => {}
                Heard::Message(message) => self.dispatch(message, *number, calls),
                Heard::Resumed => return Ok(Some(Said::Resumed)),
                Heard::Close {
                    error,
                    allow_reconnect,
                } => {
                    return Ok(Some(Said::Close {
                        error,
                        allow_reconnect,
                    }));
                }
            }
        }
        Ok(None)
    }

    fn dispatch(&self, message: HubMessage, number: u64, calls: &mut Calls) {
        match message {
            HubMessage::Completion {
                invocation_id,
                completion,
            } => calls.complete(&invocation_id, completion),
            HubMessage::StreamItem {
                invocation_id,
                item,
            } => calls.item(&invocation_id, &item),
            HubMessage::Invocation(call) => {
                self.unread.take(call.arguments.len());
                // A copy: a few bytes would keep all that came with them.
                let call = Invocation {
                    arguments: Bytes::copy_from_slice(&call.arguments),
                    ..call
                };
                // They run until the connection has ended.
                let _ = self.calls_in.send((number, call));
            }
            // A server neither streams to a method of ours nor cancels one; the rest is the session's.
            _ => {}
        }
    }

    /// What is to be written next.
    pub(super) fn outgoing(&self) -> Option<Bytes> {
        let mut line = self.line.lock();
        let Stage::Live(live) = &mut line.stage else {
            return None;
        };
        let was_full = live.session.queued() >= self.max_queued;
        let bytes = live.session.outgoing(WRITE);
        if was_full && live.session.queued() < self.max_queued {
            self.room.notify_waiters();
        }
        if bytes.is_some() {
            line.sent_before = std::mem::take(&mut line.sent);
        }
        bytes
    }

    /// Whether more may be about to be written, by other tasks. One that waits for its answer writes no
    /// more: where it was the only one the last time, nobody does.
    pub(super) fn may_have_more(&self) -> bool {
        let line = self.line.lock();
        let is_alone = line.calls.is_one() && line.sent_before <= 1;
        match &line.stage {
            Stage::Live(live) => live.session.has_outgoing() && !is_alone,
            Stage::Reconnecting | Stage::Ended(_) => false,
        }
    }

    /// The socket is lost, and what is sent is kept for the next.
    pub(super) fn away(&self) {
        let mut line = self.line.lock();
        if let Stage::Live(live) = &mut line.stage {
            live.session.lost();
            live.is_away = true;
        }
        // Who waits for room is not to wait for a socket.
        self.room.notify_waiters();
    }

    /// There is another socket.
    pub(super) fn resume(&self, now: Instant) {
        let mut line = self.line.lock();
        if let Stage::Live(live) = &mut line.stage {
            live.session.resume(now);
            live.is_away = false;
        }
    }

    /// What waits for a value is not answered in time, as nothing is read.
    pub(super) fn fail_values(&self, error: &ClientError) {
        self.line.lock().calls.fail_values(error);
    }

    /// The connection is lost: its calls fail, and another one will be made.
    pub(super) fn lose(&self, error: &ClientError) {
        let mut line = self.line.lock();
        line.stage = Stage::Reconnecting;
        line.calls.fail_all(&closed(Some(error)));
        self.room.notify_waiters();
    }

    /// The connection has ended, and will not come back.
    pub(super) fn end(&self, error: Option<ClientError>) {
        let mut line = self.line.lock();
        line.calls.fail_all(&closed(error.as_ref()));
        line.stage = Stage::Ended(error.clone());
        self.room.notify_waiters();
        drop(line);
        self.events.tell(Event::Disconnected { error });
        self.ended.cancel();
    }
}

/// What is told to whom a connection that has ended is asked for something.
fn closed(error: Option<&ClientError>) -> ClientError {
    match error {
        None => ClientError::Closed(None),
        Some(closed @ ClientError::Closed(_)) => closed.clone(),
        Some(other) => ClientError::Closed(Some(other.to_string())),
    }
}
