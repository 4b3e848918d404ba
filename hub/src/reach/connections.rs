//! Everybody who is connected, by name and by the way out to them.

use std::{array, collections::HashMap, sync::Arc};

use raw_ws::sync::RwLock;

use crate::{identity::connection_id::ConnectionId, reach::live::Live};

/// In shards, so that threads which look for different connections do not pass one lock to and fro.
pub(crate) struct Connections {
    by_id: [RwLock<HashMap<ConnectionId, Arc<Live>>>; SHARDS],
    by_sender: [RwLock<HashMap<u64, Arc<Live>>>; SHARDS],
}

/// Far more than there are cores, mostly.
const SHARDS: usize = 16;

impl Connections {
    pub(crate) fn new() -> Self {
        Self {
            by_id: array::from_fn(|_| RwLock::default()),
            by_sender: array::from_fn(|_| RwLock::default()),
        }
    }

    pub(crate) fn add(&self, live: &Arc<Live>) {
        let named = self.named(&live.id);
        named.write().insert(live.id.clone(), live.clone());
        let id = live.sender.id();
        self.with_sender(id).write().insert(id, live.clone());
    }

    /// Forgets one; `false` if it was not here.
    pub(crate) fn remove(&self, live: &Live) -> bool {
        let id = live.sender.id();
        self.with_sender(id).write().remove(&id);
        self.named(&live.id).write().remove(&live.id).is_some()
    }

    pub(crate) fn find(&self, id: &str) -> Option<Arc<Live>> {
        self.named(id).read().get(id).cloned()
    }

    /// The one whose messages leave by the sender with this number.
    pub(crate) fn of_sender(&self, id: u64) -> Option<Arc<Live>> {
        self.with_sender(id).read().get(&id).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Live>> {
        let mut all = Vec::with_capacity(self.len());
        for shard in &self.by_id {
            all.extend(shard.read().values().cloned());
        }
        all
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.iter().map(|shard| shard.read().len()).sum()
    }

    fn named(&self, id: &str) -> &RwLock<HashMap<ConnectionId, Arc<Live>>> {
        let mixed = id.bytes().fold(0, |mixed, byte| mixed ^ byte);
        &self.by_id[usize::from(mixed) % SHARDS]
    }

    fn with_sender(&self, id: u64) -> &RwLock<HashMap<u64, Arc<Live>>> {
        &self.by_sender[id as usize % SHARDS]
    }
}
