//! Everybody who is connected, by name and by the way out to them.

use std::{collections::HashMap, sync::Arc};

use raw_ws::sync::{RwLock, Shards};

use crate::{identity::connection_id::ConnectionId, reach::live::Live};

/// In shards, so that threads which look for different connections do not pass one lock to and fro.
#[derive(Default)]
pub(crate) struct Connections {
    by_id: Shards<RwLock<HashMap<ConnectionId, Arc<Live>>>>,
    by_sender: Shards<RwLock<HashMap<u64, Arc<Live>>>>,
}

impl Connections {
    pub(crate) fn add(&self, live: &Arc<Live>) {
        let named = self.named(&live.id);
        named.write().insert(live.id.clone(), live.clone());
        let id = live.sender.id();
        self.by_sender.of(id).write().insert(id, live.clone());
    }

    /// Forgets one; `false` if it was not here.
    pub(crate) fn remove(&self, live: &Live) -> bool {
        let id = live.sender.id();
        self.by_sender.of(id).write().remove(&id);
        self.named(&live.id).write().remove(&live.id).is_some()
    }

    pub(crate) fn find(&self, id: &str) -> Option<Arc<Live>> {
        self.named(id).read().get(id).cloned()
    }

    /// The one whose messages leave by the sender with this number.
    pub(crate) fn of_sender(&self, id: u64) -> Option<Arc<Live>> {
        self.by_sender.of(id).read().get(&id).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Live>> {
        let mut all = Vec::with_capacity(self.len());
        for shard in self.by_id.iter() {
            all.extend(shard.read().values().cloned());
        }
        all
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.iter().map(|shard| shard.read().len()).sum()
    }

    fn named(&self, id: &str) -> &RwLock<HashMap<ConnectionId, Arc<Live>>> {
        let mixed = id.bytes().fold(0, |mixed, byte| mixed ^ byte);
        self.by_id.of(mixed.into())
    }
}
