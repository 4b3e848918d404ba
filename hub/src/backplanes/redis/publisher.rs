//! The connection that publishes, and what waits for it.

use std::{
    collections::{HashMap, VecDeque},
    fmt::Display,
    sync::Arc,
    time::Duration,
};

use raw_ws::sync::Mutex;
use redis::{PushInfo, PushKind, RedisError, Value, aio::MultiplexedConnection};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use super::{Dialect, Pauses, RedisOptions, Shared, config};
use crate::{
    backplanes::{Publication, PublishError},
    events,
};

/// Messages that leave in one write. What comes while Redis answers waits for the next.
const MAX_BATCH: usize = 1024;
/// Bytes of it, if they are in more than one message.
const MAX_BATCH_BYTES: usize = 256 * 1024;

/// What waits to be published, in the order in which it came.
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    more: Notify,
    max_messages: usize,
    max_bytes: usize,
}

#[derive(Default)]
struct Waiting {
    publications: VecDeque<Publication>,
    bytes: usize,
}

impl Queue {
    pub(super) fn new(options: &RedisOptions) -> Self {
        Self {
            waiting: Mutex::default(),
            more: Notify::new(),
            max_messages: options.max_queued_messages,
            max_bytes: options.max_queued_bytes,
        }
    }

    pub(super) fn push(&self, publication: Publication) -> Result<(), PublishError> {
        let mut waiting = self.waiting.lock();
        let bytes = waiting.bytes + publication.len();
        let messages = waiting.publications.len();
        if messages >= self.max_messages || bytes > self.max_bytes {
            return Err(PublishError { waiting: messages });
        }
        waiting.bytes = bytes;
        waiting.publications.push_back(publication);
        drop(waiting);
        self.more.notify_one();
        Ok(())
    }

    /// What leaves next; waits until there is something.
    async fn next_batch(&self) -> Vec<Publication> {
        loop {
            let batch = self.take_batch();
            if !batch.is_empty() {
                return batch;
            }
            self.more.notified().await;
        }
    }

    fn take_batch(&self) -> Vec<Publication> {
        let mut waiting = self.waiting.lock();
        let mut bytes = 0;
        let fits = |publication: &&Publication| {
            let fits = bytes == 0 || bytes + publication.len() <= MAX_BATCH_BYTES;
            bytes += publication.len();
            fits
        };
        let publications = waiting.publications.iter().take(MAX_BATCH);
        let count = publications.take_while(fits).count();
        let batch: Vec<_> = waiting.publications.drain(..count).collect();
        waiting.bytes -= batch.iter().map(Publication::len).sum::<usize>();
        batch
    }
}

/// How often it is looked who is there.
const LOOK: Duration = Duration::from_millis(20);

/// Publishes what waits, on one connection after the other.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut pauses = Pauses::new(&shared.options);
    let mut servers = Servers::default();
    loop {
        let lost = Arc::new(Notify::new());
        match connect(&shared, lost.clone()).await {
            Ok(connection) => {
                *shared.publisher.lock() = Some(connection.clone());
                let patience = shared.options.longest_pause;
                let _ = timeout(patience, servers.are_back(connection.clone())).await;
                let error = publish(&shared, connection, &lost, &mut servers, &mut pauses).await;
                *shared.publisher.lock() = None;
                events::backplane_lost("publisher", error.as_ref().map(|error| error as _));
            }
            Err(error) if shared.falls_back(&error) => continue,
            Err(error) => events::backplane_away("publisher", &error, pauses.have_just_begun()),
        }
        sleep(pauses.next()).await;
    }
}

async fn connect(shared: &Shared, lost: Arc<Notify>) -> Result<MultiplexedConnection, RedisError> {
    let config = config(&shared.options);
    let (client, config) = match shared.dialect() {
        Dialect::Resp3 => {
            let config = config.set_push_sender(move |push: PushInfo| {
                if push.kind == PushKind::Disconnection {
                    lost.notify_one();
                }
                Ok::<_, ()>(())
            });
            (&shared.resp3, config)
        }
        // That it is lost is found when it is used.
        Dialect::Resp2 => (&shared.resp2, config),
    };
    client
        .get_multiplexed_async_connection_with_config(&config)
        .await
}

/// Until the connection is lost, and says why.
async fn publish(
    shared: &Shared,
    mut connection: MultiplexedConnection,
    lost: &Notify,
    servers: &mut Servers,
    pauses: &mut Pauses,
) -> Option<RedisError> {
    loop {
        let batch = tokio::select! {
            batch = shared.queue.next_batch() => batch,
            () = lost.notified() => return None,
        };
        let mut pipeline = redis::Pipeline::with_capacity(batch.len());
        for publication in &batch {
            let publish = pipeline.cmd("PUBLISH");
            publish
                .arg(&*publication.channel)
                .arg(&*publication.payload);
        }
        let sent = connection.send_packed_commands(&pipeline, 0, batch.len());
        match sent.await {
            Ok(replies) => {
                pauses.begin_again();
                tell(shared, batch, &replies, servers);
            }
            Err(error) => {
                // Whether Redis has published any of it, nobody knows.
                shared.channels.doubt();
                return Some(error);
            }
        }
    }
}

/// Tells who asks how many servers a message has reached.
fn tell(shared: &Shared, batch: Vec<Publication>, replies: &[Value], servers: &mut Servers) {
    let mut refused = None;
    for (publication, reply) in batch.into_iter().zip(replies) {
        let Value::Int(count) = reply else {
            refused = Some(reply);
            continue;
        };
        let count = u64::try_from(*count).unwrap_or(0);
        if publication.is_for_every_server {
            servers.by_channel.insert(publication.channel, count);
        }
        if let Some(reached) = publication.reached {
            // Who asked may have gone.
            let _ = reached.send(count);
        }
    }
    if let Some(refused) = refused {
        let why = refused.clone().extract_error().err();
        let why = why
            .as_ref()
            .map_or(&"what it answers is no number" as &dyn Display, |why| why);
        events::backplane_refuses(why);
        shared.channels.doubt();
    }
}

/// How many servers each hub had when they were last counted.
#[derive(Default)]
struct Servers {
    by_channel: HashMap<Arc<str>, u64>,
}

impl Servers {
    /// Waits until as many are back: what was kept while Redis was away would else reach nobody, where this
    /// server is the first to find it again.
    async fn are_back(&self, mut connection: MultiplexedConnection) {
        while !self.by_channel.is_empty() {
            let mut ask = redis::cmd("PUBSUB");
            ask.arg("NUMSUB");
            for channel in self.by_channel.keys() {
                ask.arg(&**channel);
            }
            let Ok(counts) = ask
                .query_async::<HashMap<String, u64>>(&mut connection)
                .await
            else {
                return;
            };
            let is_back = |(channel, before): (&Arc<str>, &u64)| {
                counts.get(&**channel).is_some_and(|count| count >= before)
            };
            if self.by_channel.iter().all(is_back) {
                return;
            }
            sleep(LOOK).await;
        }
    }
}
