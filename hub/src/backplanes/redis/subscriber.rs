//! The connection that subscribes, and what it brings to whom.

use std::{
    collections::{HashMap, HashSet},
    io, mem,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::StreamExt as _;
use raw_ws::sync::Mutex;
use redis::{
    PushInfo, PushKind, RedisError, Value,
    aio::{MultiplexedConnection, PubSubSink},
};
use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use super::{CONNECT_TIMEOUT, Dialect, Pauses, Shared, config};
use crate::{backplanes::Arrivals, events};

/// Channels named in one command.
const AT_A_TIME: usize = 1000;

/// How often a connection is asked whether it is still there.
const PING_INTERVAL: Duration = Duration::from_secs(5);

/// Which channels are wanted by which hubs, and which of them Redis knows of.
#[derive(Default)]
pub(super) struct Channels {
    state: Mutex<State>,
    more: Notify,
    /// Counts connections: what a former one still brings is not taken.
    generation: AtomicU64,
}

#[derive(Default)]
struct State {
    next_id: u64,
    links: HashMap<u64, Arrivals>,
    wanted: HashMap<Box<str>, Vec<(u64, Arrivals)>>,
    /// As Redis has confirmed it, on this connection.
    subscribed: HashSet<Box<str>>,
    /// What may differ between the two.
    changed: Vec<Box<str>>,
    /// Who waits until nothing differs.
    waiting: Vec<oneshot::Sender<()>>,
    is_connected: bool,
}

/// What is to be asked of Redis next.
struct Change {
    subscribe: Vec<Box<str>>,
    unsubscribe: Vec<Box<str>>,
    /// Who waits for it.
    waiting: Vec<oneshot::Sender<()>>,
}

impl Channels {
    pub(super) fn join(&self, arrivals: &Arrivals) -> u64 {
        let mut state = self.state.lock();
        state.next_id += 1;
        let id = state.next_id;
        state.links.insert(id, arrivals.clone());
        let is_connected = state.is_connected;
        drop(state);
        if is_connected {
            arrivals.resumed();
        }
        id
    }

    pub(super) fn leave(&self, id: u64) {
        let mut state = self.state.lock();
        state.links.remove(&id);
        let State {
            wanted, changed, ..
        } = &mut *state;
        wanted.retain(|channel, by| {
            by.retain(|(link, _)| *link != id);
            if by.is_empty() {
                changed.push(channel.clone());
            }
            !by.is_empty()
        });
        drop(state);
        self.more.notify_one();
    }

    pub(super) fn subscribe(&self, id: u64, channel: &str) {
        let mut state = self.state.lock();
        let Some(arrivals) = state.links.get(&id).cloned() else {
            return;
        };
        let by = state.wanted.entry(channel.into()).or_default();
        if by.iter().any(|(link, _)| *link == id) {
            return;
        }
        by.push((id, arrivals));
        if by.len() == 1 {
            state.changed.push(channel.into());
            drop(state);
            self.more.notify_one();
        }
    }

    pub(super) fn unsubscribe(&self, id: u64, channel: &str) {
        let mut state = self.state.lock();
        let Some(by) = state.wanted.get_mut(channel) else {
            return;
        };
        by.retain(|(link, _)| *link != id);
        if by.is_empty() {
            state.wanted.remove(channel);
            state.changed.push(channel.into());
            drop(state);
            self.more.notify_one();
        }
    }

    /// Done when Redis knows of every change so far; fails when it is away.
    pub(super) fn settled(&self) -> oneshot::Receiver<()> {
        let (done, settled) = oneshot::channel();
        let mut state = self.state.lock();
        if state.is_connected {
            state.waiting.push(done);
            drop(state);
            self.more.notify_one();
        }
        settled
    }

    /// Some of what was published may be lost.
    pub(super) fn doubt(&self) {
        for link in self.links() {
            link.doubtful();
        }
    }

    fn links(&self) -> Vec<Arrivals> {
        self.state.lock().links.values().cloned().collect()
    }

    /// Brings a message to the hubs that want it.
    fn bring(&self, generation: u64, channel: &[u8], payload: Vec<u8>) {
        if self.generation.load(Ordering::Acquire) != generation {
            return;
        }
        let Ok(channel) = str::from_utf8(channel) else {
            return;
        };
        let state = self.state.lock();
        let by = state.wanted.get(channel).cloned().unwrap_or_default();
        drop(state);
        let payload = Bytes::from(payload);
        for (_, arrivals) in by {
            arrivals.message(channel, payload.clone());
        }
    }

    /// A connection begins, which knows of no channel yet.
    fn begin(&self) {
        let mut state = self.state.lock();
        state.subscribed.clear();
        state.changed = state.wanted.keys().cloned().collect();
    }

    fn connected(&self) {
        self.state.lock().is_connected = true;
        for link in self.links() {
            link.resumed();
        }
    }

    /// Whether it had come so far that all channels were subscribed to.
    fn lost(&self) -> bool {
        self.generation.fetch_add(1, Ordering::AcqRel);
        let mut state = self.state.lock();
        // Who waits learns it.
        state.waiting.clear();
        let was_connected = mem::take(&mut state.is_connected);
        drop(state);
        if was_connected {
            for link in self.links() {
                link.interrupted();
            }
        }
        was_connected
    }

    /// What is to be done now; `None` when nothing is.
    fn take_change(&self) -> Option<Change> {
        let mut state = self.state.lock();
        if state.changed.is_empty() && state.waiting.is_empty() {
            return None;
        }
        let mut changed = mem::take(&mut state.changed);
        let later = changed.split_off(changed.len().min(AT_A_TIME));
        let mut change = Change {
            subscribe: Vec::new(),
            unsubscribe: Vec::new(),
            waiting: Vec::new(),
        };
        for channel in changed {
            let is_wanted = state.wanted.contains_key(&channel);
            if is_wanted && state.subscribed.insert(channel.clone()) {
                change.subscribe.push(channel);
            } else if !is_wanted && state.subscribed.remove(&channel) {
                change.unsubscribe.push(channel);
            }
        }
        if later.is_empty() {
            change.waiting = mem::take(&mut state.waiting);
        }
        state.changed = later;
        Some(change)
    }

    async fn next_change(&self) -> Change {
        loop {
            if let Some(change) = self.take_change() {
                return change;
            }
            self.more.notified().await;
        }
    }
}

/// Keeps what is wanted subscribed, on one connection after the other.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut pauses = Pauses::new(&shared.options);
    loop {
        let generation = shared.channels.generation.load(Ordering::Acquire);
        let lost = Arc::new(Notify::new());
        match Connection::open(&shared, generation, lost.clone()).await {
            Ok(mut connection) => {
                let error = serve(&shared, &mut connection, &lost).await;
                if shared.channels.lost() {
                    pauses.begin_again();
                }
                events::backplane_lost("subscriber", error.as_ref().map(|error| error as _));
            }
            Err(error) if shared.falls_back(&error) => continue,
            Err(error) => events::backplane_away("subscriber", &error, pauses.have_just_begun()),
        }
        sleep(pauses.next()).await;
    }
}

/// Until the connection is lost, and says why.
async fn serve(shared: &Shared, connection: &mut Connection, lost: &Notify) -> Option<RedisError> {
    let channels = &shared.channels;
    let patience = shared.options.response_timeout;
    channels.begin();
    // Everything that is wanted already; only then is it as if it had never been away.
    while let Some(change) = channels.take_change() {
        if let Err(error) = within(patience, connection.apply(change)).await {
            return Some(error);
        }
    }
    channels.connected();
    let mut pings = interval(PING_INTERVAL);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let done = tokio::select! {
            change = channels.next_change() => within(patience, connection.apply(change)).await,
            _ = pings.tick() => within(patience, connection.ping()).await,
            () = lost.notified() => return None,
        };
        if let Err(error) = done {
            return Some(error);
        }
    }
}

async fn within<T>(
    patience: Duration,
    asked: impl Future<Output = Result<T, RedisError>>,
) -> Result<T, RedisError> {
    let timed_out = |_| RedisError::from(io::Error::from(io::ErrorKind::TimedOut));
    timeout(patience, asked).await.map_err(timed_out)?
}

/// Bytes of messages that may wait to be handed out. More means that this server is too slow: as Redis
/// would, it ends the connection.
const MAX_WAITING: usize = 32 * 1024 * 1024;

/// Bytes handed out before others have their turn: those who write them to the clients.
const AT_ONCE: usize = 32 * 1024;

/// A channel, and what has come on it.
type Message = (Vec<u8>, Vec<u8>);

/// Where messages wait that have been read.
struct Arrived {
    messages: Mutex<Option<mpsc::UnboundedSender<Message>>>,
    bytes: Arc<AtomicUsize>,
}

struct Waiting {
    messages: mpsc::UnboundedReceiver<Message>,
    bytes: Arc<AtomicUsize>,
}

fn arrived() -> (Arrived, Waiting) {
    let (sender, messages) = mpsc::unbounded_channel();
    let bytes = Arc::<AtomicUsize>::default();
    let arrived = Arrived {
        messages: Mutex::new(Some(sender)),
        bytes: bytes.clone(),
    };
    (arrived, Waiting { messages, bytes })
}

impl Arrived {
    fn push(&self, channel: Vec<u8>, payload: Vec<u8>) {
        let len = channel.len() + payload.len();
        let mut messages = self.messages.lock();
        let Some(sender) = &*messages else {
            return; // too many already
        };
        if self.bytes.fetch_add(len, Ordering::Relaxed) + len > MAX_WAITING {
            *messages = None;
        } else {
            // Nobody hands them out where the hubs are gone.
            let _ = sender.send((channel, payload));
        }
    }

    /// No more will come.
    fn end(&self) {
        *self.messages.lock() = None;
    }
}

/// Hands out what has arrived, in a task of its own; when there is no more, the connection is lost.
fn hand_out(shared: &Arc<Shared>, generation: u64, mut waiting: Waiting, lost: Arc<Notify>) {
    let closed = shared.closed.clone();
    let to = Arc::downgrade(shared);
    tokio::spawn(closed.run_until_cancelled_owned(async move {
        let mut handed_out = 0;
        while let Some((channel, payload)) = waiting.messages.recv().await
            && let Some(shared) = to.upgrade()
        {
            let len = channel.len() + payload.len();
            waiting.bytes.fetch_sub(len, Ordering::Relaxed);
            shared.channels.bring(generation, &channel, payload);
            handed_out += len;
            if handed_out >= AT_ONCE {
                handed_out = 0;
                tokio::task::yield_now().await;
            }
        }
        lost.notify_one();
    }));
}

enum Connection {
    Resp3(MultiplexedConnection),
    Resp2(PubSubSink),
}

impl Connection {
    async fn open(
        shared: &Arc<Shared>,
        generation: u64,
        lost: Arc<Notify>,
    ) -> Result<Self, RedisError> {
        match shared.dialect() {
            Dialect::Resp3 => Self::resp3(shared, generation, lost).await,
            Dialect::Resp2 => Self::resp2(shared, generation, lost).await,
        }
    }

    async fn resp3(
        shared: &Arc<Shared>,
        generation: u64,
        lost: Arc<Notify>,
    ) -> Result<Self, RedisError> {
        let (arrived, waiting) = arrived();
        let config = config(&shared.options).set_push_sender(move |push: PushInfo| {
            match push.kind {
                PushKind::Message => {
                    if let Ok([Value::BulkString(channel), Value::BulkString(payload)]) =
                        <[Value; 2]>::try_from(push.data)
                    {
                        arrived.push(channel, payload);
                    }
                }
                PushKind::Disconnection => arrived.end(),
                _ => {}
            }
            Ok::<_, ()>(())
        });
        let connection = shared
            .resp3
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        hand_out(shared, generation, waiting, lost);
        Ok(Self::Resp3(connection))
    }

    async fn resp2(
        shared: &Arc<Shared>,
        generation: u64,
        lost: Arc<Notify>,
    ) -> Result<Self, RedisError> {
        let connected = within(CONNECT_TIMEOUT, shared.resp2.get_async_pubsub()).await?;
        let (sink, mut messages) = connected.split();
        let (arrived, waiting) = arrived();
        let closed = shared.closed.clone();
        tokio::spawn(closed.run_until_cancelled_owned(async move {
            while let Some(message) = messages.next().await {
                let channel = message.get_channel_name().as_bytes().to_vec();
                arrived.push(channel, message.get_payload_bytes().to_vec());
            }
        }));
        hand_out(shared, generation, waiting, lost);
        Ok(Self::Resp2(sink))
    }

    async fn apply(&mut self, change: Change) -> Result<(), RedisError> {
        let Change {
            subscribe,
            unsubscribe,
            waiting,
        } = change;
        if !subscribe.is_empty() {
            let names: Vec<&str> = subscribe.iter().map(AsRef::as_ref).collect();
            match self {
                Self::Resp3(connection) => connection.subscribe(names).await?,
                Self::Resp2(sink) => sink.subscribe(names).await?,
            }
        }
        if !unsubscribe.is_empty() {
            let names: Vec<&str> = unsubscribe.iter().map(AsRef::as_ref).collect();
            match self {
                Self::Resp3(connection) => connection.unsubscribe(names).await?,
                Self::Resp2(sink) => sink.unsubscribe(names).await?,
            }
        }
        for done in waiting {
            // Who waited may have gone.
            let _ = done.send(());
        }
        Ok(())
    }

    async fn ping(&mut self) -> Result<(), RedisError> {
        match self {
            Self::Resp3(connection) => redis::cmd("PING").exec_async(connection).await,
            Self::Resp2(sink) => sink.ping::<Value>().await.map(drop),
        }
    }
}
