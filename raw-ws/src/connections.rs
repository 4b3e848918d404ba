//! All the connections of a server, to be closed together.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{
    close::{CloseCode, CloseFrame},
    outbound::{Outbound, Registry},
};

/// All the WebSocket connections of a server, so that a graceful stop reaches each of them.
///
/// [`serve`](crate::serve()) keeps one by itself. Under another server, put one into the request's
/// extensions, and every [`Upgrade`](crate::Upgrade) of that server joins it:
///
/// ```
/// # #[cfg(feature = "axum")] {
/// let connections = raw_ws::Connections::new();
/// let app: axum::Router = axum::Router::new().layer(axum::Extension(connections.clone()));
/// // later: connections.close_all("the server restarts");
/// assert_eq!(connections.len(), 0);
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Connections(Arc<Inner>);

#[derive(Default)]
struct Inner {
    live: Mutex<HashMap<u64, Arc<Outbound>>>,
    is_stopping: AtomicBool,
}

impl Connections {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many connections are live.
    pub fn len(&self) -> usize {
        self.0.live().len()
    }

    /// Whether no connection is live.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Closes every connection, now and from now on, with 1001 and a reason. Their `recv` gives
    /// `None` once the peer has answered. Reasons over 123 bytes are left out.
    pub fn close_all(&self, reason: &str) {
        self.0.is_stopping.store(true, Ordering::SeqCst);
        let close = going_away(reason);
        let live: Vec<_> = self.0.live().values().cloned().collect();
        for outbound in live {
            outbound.request_close(close.clone());
        }
    }

    /// Ends every connection at once, without a word.
    #[cfg(feature = "serve")]
    pub(crate) fn cut_all(&self) {
        let live: Vec<_> = self.0.live().values().cloned().collect();
        for outbound in live {
            outbound.cut();
        }
    }

    pub(crate) fn add(&self, outbound: &Arc<Outbound>) {
        let as_registry: Arc<dyn Registry> = self.0.clone();
        let mut live = self.0.live();
        if outbound.joined(Arc::downgrade(&as_registry)) {
            live.insert(outbound.id(), outbound.clone());
        }
        drop(live);
        if self.0.is_stopping.load(Ordering::SeqCst) {
            outbound.request_close(going_away("the server stops"));
        }
    }
}

impl Inner {
    fn live(&self) -> MutexGuard<'_, HashMap<u64, Arc<Outbound>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registry for Inner {
    fn forget(&self, id: u64) {
        self.live().remove(&id);
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connections").field(&self.len()).finish()
    }
}

fn going_away(reason: &str) -> CloseFrame {
    CloseFrame::new(CloseCode::GOING_AWAY, reason)
        .unwrap_or_else(|_| CloseFrame::fixed(CloseCode::GOING_AWAY, ""))
}
