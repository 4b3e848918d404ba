//! The fan-out registry: who gets what is published.

use std::{
    collections::HashMap,
    fmt,
    hash::{Hash, Hasher},
    sync::{Arc, MutexGuard},
};

use crate::{
    outbound::{
        Batch, Membership, Outbound, Segment,
        sender::{PreparedMessage, Sender},
    },
    sync::{Mutex, Shards},
};

/// Frames up to this size are laid side by side in a batch; larger ones are shared as they are.
const BATCHED_UP_TO: usize = 4 * 1024;

/// Which connections are subscribed to which topic, and the way to reach them all.
///
/// A message is encoded once and shared by every subscriber. What one task publishes without a
/// pause leaves each connection in one write, made by the publisher: subscribers are not woken.
/// A connection that ends is forgotten by every topic. Cheaply cloned; clones are the same
/// registry.
///
/// ```
/// # async fn handler(ws: raw_ws::WebSocket) {
/// use raw_ws::Topics;
/// let topics: Topics<String> = Topics::new();
/// topics.subscribe("news".into(), &ws.sender());
/// let reached = topics.publish("news", &"hello".into());
/// assert_eq!(reached, 1);
/// # }
/// ```
pub struct Topics<K = String> {
    inner: Arc<Inner<K>>,
}

/// In shards, so that threads which publish to different topics seldom wait for each other. Who locks
/// more than one locks that of the sender first.
struct Inner<K> {
    by_topic: Shards<Shard<K>>,
    by_sender: Shards<Mutex<HashMap<u64, Vec<K>>>>,
}

/// Some of the topics.
struct Shard<K> {
    topics: Mutex<HashMap<K, Subscribers>>,
    publishing: Mutex<Publishing>,
}

/// The subscribers of a topic, in a row to be walked; `places` finds one of them.
#[derive(Default)]
struct Subscribers {
    senders: Vec<Sender>,
    places: HashMap<u64, usize>,
}

/// What has been published and not yet written.
#[derive(Default)]
struct Publishing {
    batch: Option<Arc<Batch>>,
    to_write: Vec<Arc<Outbound>>,
    writer_is_scheduled: bool,
}

impl<K: Eq + Hash + Clone + Send + 'static> Topics<K> {
    /// A registry without topics; a topic exists while it has subscribers.
    pub fn new() -> Self {
        Self {
            inner: Arc::new(Inner {
                by_topic: Shards::default(),
                by_sender: Shards::default(),
            }),
        }
    }

    /// Subscribes a connection; `false` if it was subscribed already or has ended.
    pub fn subscribe(&self, topic: K, sender: &Sender) -> bool {
        let as_registry: Arc<dyn Membership> = self.inner.clone();
        // Held to the end: a connection that ends meanwhile is forgotten behind this.
        let mut topics_of = self.inner.topics_of(sender.id());
        if !sender.outbound.joined(Arc::downgrade(&as_registry)) {
            return false;
        }
        let mut topics = self.inner.shard(&topic).topics.lock();
        let subscribers = topics.entry(topic.clone()).or_default();
        if !subscribers.add(sender) {
            return false;
        }
        topics_of
            .entry(sender.id())
            // Mostly there is no second.
            .or_insert_with(|| Vec::with_capacity(1))
            .push(topic);
        true
    }

    /// Ends a subscription; `false` if there was none.
    pub fn unsubscribe<Q>(&self, topic: &Q, sender: &Sender) -> bool
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let mut topics_of = self.inner.topics_of(sender.id());
        if !self.inner.shard(topic).remove(topic, sender.id()) {
            return false;
        }
        if let Some(topics) = topics_of.get_mut(&sender.id()) {
            topics.retain(|known| known.borrow() != topic);
            if topics.is_empty() {
                topics_of.remove(&sender.id());
            }
        }
        true
    }

    /// Sends a message to every subscriber of a topic; gives how many it was queued for.
    /// Never waits: a subscriber whose queue is full is cut.
    pub fn publish<Q>(&self, topic: &Q, message: &PreparedMessage) -> usize
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.publish_if(topic, message, |_| true)
    }

    /// Sends a message to every subscriber of a topic but one; gives how many it was queued for.
    pub fn publish_except<Q>(&self, topic: &Q, message: &PreparedMessage, except: &Sender) -> usize
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.publish_if(topic, message, |sender| sender.id() != except.id())
    }

    /// Sends a message to those subscribers of a topic for which `is_wanted` holds; gives how many
    /// it was queued for. They are asked while the registry is locked: `is_wanted` must not use it.
    ///
    /// ```
    /// # async fn handler(one: raw_ws::WebSocket, other: raw_ws::WebSocket) {
    /// use raw_ws::Topics;
    /// let topics: Topics<u32> = Topics::new();
    /// topics.subscribe(1, &one.sender());
    /// topics.subscribe(1, &other.sender());
    /// let muted = [one.sender().id()];
    /// let reached = topics.publish_if(&1, &"hello".into(), |sender| !muted.contains(&sender.id()));
    /// assert_eq!(reached, 1);
    /// # }
    /// ```
    pub fn publish_if<Q>(
        &self,
        topic: &Q,
        message: &PreparedMessage,
        mut is_wanted: impl FnMut(&Sender) -> bool,
    ) -> usize
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        // The lock is held to the end: every subscriber sees the publications of a topic in the
        // same order.
        let place = place(topic);
        let shard = self.inner.by_topic.of(place);
        let topics = shard.topics.lock();
        let Some(subscribers) = topics.get(topic) else {
            return 0;
        };
        let mut publishing = shard.publishing.lock();
        if publishing.to_write.is_empty() {
            publishing.to_write.reserve(subscribers.senders.len());
        }
        let mut plain = None;
        let mut reached = 0;
        for sender in &subscribers.senders {
            if !is_wanted(sender) {
                continue;
            }
            let encoding = sender.outbound.encoding();
            let pushed = if message.is_plain_for(encoding) {
                let plain = plain.get_or_insert_with(|| publishing.place(message));
                sender.outbound.push_in_batch(plain)
            } else {
                sender
                    .outbound
                    .push_in_batch(&Segment::frame(message.frame_for(encoding)))
            };
            if let Ok(to_write) = pushed {
                reached += 1;
                if to_write {
                    publishing.to_write.push(sender.outbound.clone());
                }
            }
        }
        drop(topics);
        self.schedule_writer(place, publishing);
        reached
    }

    /// Writes what was published so far, as far as the sockets take it: now, and not when the publishing
    /// task pauses. For who publishes much in one go, and would else take clients for slow that had no
    /// chance to read.
    ///
    /// ```
    /// # fn load() -> Vec<String> { Vec::new() }
    /// let topics: raw_ws::Topics<u32> = raw_ws::Topics::new();
    /// for (count, news) in load().into_iter().enumerate() {
    ///     topics.publish(&1, &news.into());
    ///     if count % 100 == 99 {
    ///         topics.flush();
    ///     }
    /// }
    /// ```
    pub fn flush(&self) {
        self.inner.by_topic.iter().for_each(Shard::write_batch);
    }

    /// How many connections are subscribed to a topic.
    pub fn subscribers<Q>(&self, topic: &Q) -> usize
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let topics = self.inner.shard(topic).topics.lock();
        topics
            .get(topic)
            .map_or(0, |subscribers| subscribers.senders.len())
    }

    /// The connections that are subscribed to a topic now, in no order; empty if there are none.
    ///
    /// ```
    /// # async fn handler(ws: raw_ws::WebSocket) {
    /// let topics: raw_ws::Topics<u32> = raw_ws::Topics::new();
    /// topics.subscribe(1, &ws.sender());
    /// let ids: Vec<u64> = topics.senders(&1).iter().map(|sender| sender.id()).collect();
    /// assert_eq!(ids, [ws.sender().id()]);
    /// # }
    /// ```
    pub fn senders<Q>(&self, topic: &Q) -> Vec<Sender>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let topics = self.inner.shard(topic).topics.lock();
        topics
            .get(topic)
            .map_or_else(Vec::new, |subscribers| subscribers.senders.clone())
    }

    /// The topics that a connection is subscribed to, in the order in which it was; empty if there
    /// are none.
    ///
    /// ```
    /// # async fn handler(ws: raw_ws::WebSocket) {
    /// let topics: raw_ws::Topics<u32> = raw_ws::Topics::new();
    /// topics.subscribe(7, &ws.sender());
    /// topics.subscribe(3, &ws.sender());
    /// assert_eq!(topics.topics_of(&ws.sender()), [7, 3]);
    /// # }
    /// ```
    pub fn topics_of(&self, sender: &Sender) -> Vec<K> {
        let topics_of = self.inner.topics_of(sender.id());
        topics_of.get(&sender.id()).cloned().unwrap_or_default()
    }

    /// How many topics have subscribers.
    pub fn len(&self) -> usize {
        self.inner.len()
    }

    /// Whether nobody is subscribed to anything.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Has the batch written once the publishing task pauses. Without a runtime to run the writer
    /// on it is written now.
    fn schedule_writer(&self, place: u64, mut publishing: MutexGuard<'_, Publishing>) {
        if publishing.to_write.is_empty() || publishing.writer_is_scheduled {
            return;
        }
        let inner = self.inner.clone();
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => {
                publishing.writer_is_scheduled = true;
                drop(publishing);
                runtime.spawn(async move { inner.by_topic.of(place).write_batch() });
            }
            Err(_) => {
                drop(publishing);
                inner.by_topic.of(place).write_batch();
            }
        }
    }
}

impl<K> Inner<K> {
    fn shard<Q: Hash + ?Sized>(&self, topic: &Q) -> &Shard<K> {
        self.by_topic.of(place(topic))
    }

    fn topics_of(&self, sender: u64) -> MutexGuard<'_, HashMap<u64, Vec<K>>> {
        self.by_sender.of(sender).lock()
    }

    fn len(&self) -> usize {
        let topics = self.by_topic.iter().map(|shard| shard.topics.lock().len());
        topics.sum()
    }
}

/// The number that tells the shard of a topic.
fn place<Q: Hash + ?Sized>(topic: &Q) -> u64 {
    let mut places = Places(0);
    topic.hash(&mut places);
    places.finish() >> 32
}

/// A quick hash, and no more: who chooses names that share a shard has them wait for each other. The map
/// in the shard has one that nobody can foresee.
struct Places(u64);

impl Places {
    fn mix(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

impl Hasher for Places {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        let rest = rest.iter();
        self.mix(rest.fold(bytes.len() as u64, |word, byte| {
            word << 8 | u64::from(*byte)
        }));
    }

    fn write_u8(&mut self, number: u8) {
        self.mix(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.mix(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.mix(number);
    }

    fn write_usize(&mut self, number: usize) {
        self.mix(number as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl<K> Default for Shard<K> {
    fn default() -> Self {
        Self {
            topics: Mutex::default(),
            publishing: Mutex::default(),
        }
    }
}

impl<K> Shard<K> {
    /// Ends a subscription; `false` if there was none.
    fn remove<Q>(&self, topic: &Q, sender: u64) -> bool
    where
        K: Eq + Hash + std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let mut topics = self.topics.lock();
        let Some(subscribers) = topics.get_mut(topic) else {
            return false;
        };
        let is_removed = subscribers.remove(sender);
        if subscribers.senders.is_empty() {
            topics.remove(topic);
        }
        is_removed
    }

    fn write_batch(&self) {
        let to_write = {
            let mut publishing = self.publishing.lock();
            publishing.batch = None;
            publishing.writer_is_scheduled = false;
            std::mem::take(&mut publishing.to_write)
        };
        for outbound in to_write {
            outbound.write_batch();
        }
    }
}

impl Publishing {
    /// The frame as it is: a small one is copied behind the others of the batch.
    fn place(&mut self, message: &PreparedMessage) -> Segment {
        let frame = message.plain_frame();
        if frame.len() > BATCHED_UP_TO {
            return Segment::frame(frame.clone());
        }
        if let Some(placed) = self.batch.as_ref().and_then(|batch| batch.append(frame)) {
            return placed;
        }
        let batch = Arc::new(Batch::with_capacity(2 * 1024));
        let placed = batch.append(frame);
        self.batch = Some(batch);
        placed.unwrap_or_else(|| Segment::frame(frame.clone()))
    }
}

impl Subscribers {
    fn add(&mut self, sender: &Sender) -> bool {
        if self.places.contains_key(&sender.id()) {
            return false;
        }
        self.places.insert(sender.id(), self.senders.len());
        self.senders.push(sender.clone());
        true
    }

    fn remove(&mut self, id: u64) -> bool {
        let Some(place) = self.places.remove(&id) else {
            return false;
        };
        self.senders.swap_remove(place);
        if let Some(moved) = self.senders.get(place) {
            self.places.insert(moved.id(), place);
        }
        true
    }
}

impl<K: Eq + Hash + Send> Membership for Inner<K> {
    fn forget(&self, id: u64) {
        let topics = self.topics_of(id).remove(&id);
        for topic in topics.unwrap_or_default() {
            self.shard(&topic).remove(&topic, id);
        }
    }
}

impl<K> Clone for Topics<K> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
        }
    }
}

impl<K: Eq + Hash + Clone + Send + 'static> Default for Topics<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K> fmt::Debug for Topics<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topics")
            .field("topics", &self.inner.len())
            .finish_non_exhaustive()
    }
}
