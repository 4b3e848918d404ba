//! What has come and waits for its reader: a queue bounded in bytes.

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::{Semaphore, mpsc},
    time::timeout,
};

use super::ClientError;

/// Bytes that may wait for a reader.
const MAX_UNREAD: usize = 256 * 1024;
/// What an item counts beside its payload: this also bounds how many may wait.
const COST_OF_AN_ITEM: usize = 256;
/// How long a full queue may hold up the connection.
const PATIENCE: Duration = Duration::from_secs(1);

type Item = Result<Bytes, ClientError>;

/// The end that is filled.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    items: mpsc::UnboundedSender<Item>,
    room: Arc<Semaphore>,
}

/// The end that is read.
#[derive(Debug)]
pub(super) struct Unread {
    items: mpsc::UnboundedReceiver<Item>,
    room: Arc<Semaphore>,
}

pub(super) fn queue() -> (Queue, Unread) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let room = Arc::new(Semaphore::new(MAX_UNREAD));
    let queue = Queue {
        items: sender,
        room: room.clone(),
    };
    let unread = Unread {
        items: receiver,
        room,
    };
    (queue, unread)
}

impl Queue {
    /// Queues an item if there is room for it.
    pub(super) fn try_push(&self, payload: &Bytes) -> bool {
        let Ok(room) = self.room.try_acquire_many(cost(payload)) else {
            return false;
        };
        room.forget();
        let _ = self.items.send(Ok(payload.clone()));
        true
    }

    /// Waits a while for room; `false` if there was none, or nobody reads any more.
    pub(super) async fn push(&self, payload: &Bytes) -> bool {
        tokio::select! {
            room = timeout(PATIENCE, self.room.acquire_many(cost(payload))) => match room {
                Ok(Ok(room)) => {
                    room.forget();
                    self.items.send(Ok(payload.clone())).is_ok()
                }
                _ => false,
            },
            () = self.items.closed() => false,
        }
    }

    /// The last word, for which there is always room.
    pub(super) fn fail(self, error: ClientError) {
        let _ = self.items.send(Err(error));
    }

    /// Whether nobody reads any more.
    pub(super) fn is_closed(&self) -> bool {
        self.items.is_closed()
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.items.same_channel(&other.items)
    }
}

impl Unread {
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        let item = ready!(self.items.poll_recv(cx));
        if let Some(Ok(payload)) = &item {
            self.room.add_permits(cost(payload) as usize);
        }
        Poll::Ready(item)
    }
}

/// Packets are smaller than the queue: there is room for every one at some time.
fn cost(payload: &Bytes) -> u32 {
    (payload.len() + COST_OF_AN_ITEM).min(MAX_UNREAD) as u32
}
