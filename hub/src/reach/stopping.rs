//! Whether a hub stops: as a whole, or for the clients of one of the servers that it is mounted in.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::atomic::{AtomicBool, Ordering},
};

use raw_ws::sync::Mutex;

/// Which servers of a hub stop, and whether the hub itself does.
#[derive(Default)]
pub(crate) struct Stopping {
    is_whole: AtomicBool,
    /// By the ids of their `raw_ws::Connections`.
    servers: Mutex<HashMap<NonZeroU32, Server>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Server {
    Serving,
    Stopping,
}

impl Stopping {
    /// A request came by this server; true for the first.
    pub(crate) fn meets(&self, server: NonZeroU32) -> bool {
        let mut servers = self.servers.lock();
        let is_new = !servers.contains_key(&server);
        servers.entry(server).or_insert(Server::Serving);
        is_new
    }

    /// From here on it is so for the clients of a server.
    pub(crate) fn stop_server(&self, server: NonZeroU32) {
        self.servers.lock().insert(server, Server::Stopping);
    }

    /// From here on it is so for everybody.
    pub(crate) fn stop(&self) {
        self.is_whole.store(true, Ordering::Release);
    }

    /// Whether it is so for the clients of a server; `None` for one without a name.
    pub(crate) fn is_for(&self, server: Option<NonZeroU32>) -> bool {
        self.is_whole.load(Ordering::Acquire) || self.has_closed(server)
    }

    /// Whether a server takes no new connections.
    pub(crate) fn has_closed(&self, server: Option<NonZeroU32>) -> bool {
        server.is_some_and(|server| self.servers.lock().get(&server) == Some(&Server::Stopping))
    }
}
