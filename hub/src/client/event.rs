//! What a connection tells of itself.

use std::time::Duration;

use tokio::sync::broadcast::{self, error::RecvError};

use super::error::ClientError;
use crate::identity::request::Transport;

/// Events that wait for a listener; of a slower one the oldest are dropped.
const WAITING: usize = 64;

/// Something that has happened to a connection.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A connection is being made.
    Connecting,
    /// A connection is made: the first, or after a loss another one, which is in no group.
    Connected {
        /// The id by which the server knows it; `None` where nothing was negotiated.
        connection_id: Option<String>,
        /// What carries it.
        transport: Transport,
    },
    /// The connection is lost, and will be tried again.
    Reconnecting {
        /// Why it was lost, or the last try failed.
        error: ClientError,
        /// Which try it will be, the first being 1.
        attempt: u32,
        /// How long until it is made.
        delay: Duration,
        /// The same connection goes on if the try succeeds, and nothing is lost: stateful reconnect.
        /// Otherwise it will be another one.
        is_stateful: bool,
    },
    /// The same connection goes on, and nothing was lost.
    Resumed,
    /// A handler failed, panicked, or does not fit what the server sent.
    HandlerFailed {
        /// The method that the server called.
        method: String,
        /// What failed.
        error: String,
    },
    /// A newer access token was brought, before the one that was used ended (AU-07).
    Refreshed,
    /// No newer token could be brought. The connection goes on until the server ends it (AU-07).
    RefreshFailed {
        /// Why.
        error: ClientError,
    },
    /// The connection has ended, and will not come back.
    Disconnected {
        /// Why; `None` where it was stopped here, or the server closed it without an error.
        error: Option<ClientError>,
    },
}

/// What happens to a connection from when this was asked for, until it has ended. Who listens slowly
/// misses the oldest of more than 64 events.
#[derive(Debug)]
pub struct Events {
    events: broadcast::Receiver<Event>,
    /// The last has been told.
    is_over: bool,
}

/// Tells those who listen.
#[derive(Clone)]
pub(super) struct Teller(broadcast::Sender<Event>);

impl Default for Teller {
    fn default() -> Self {
        Self(broadcast::Sender::new(WAITING))
    }
}

impl Teller {
    pub(super) fn tell(&self, event: Event) {
        // Where nobody listens that is nobody's loss.
        let _ = self.0.send(event);
    }

    pub(super) fn listen(&self) -> Events {
        Events {
            events: self.0.subscribe(),
            is_over: false,
        }
    }
}

impl Events {
    /// The next event; `None` behind [`Event::Disconnected`], which is the last.
    ///
    /// # Cancel safety
    /// Safe: no event is lost.
    pub async fn next(&mut self) -> Option<Event> {
        while !self.is_over {
            match self.events.recv().await {
                Ok(event) => {
                    self.is_over = matches!(event, Event::Disconnected { .. });
                    return Some(event);
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => break,
            }
        }
        None
    }
}
