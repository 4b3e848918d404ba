//! All the connections of a server, to be closed together.

use std::{
    collections::HashMap,
    fmt,
    num::NonZeroU32,
    pin::Pin,
    sync::{
        Arc, MutexGuard,
        atomic::{AtomicU32, Ordering},
    },
};

use tokio::sync::watch;

use crate::{
    outbound::{Membership, Outbound},
    sync::Mutex,
    vocabulary::close::{CloseCode, CloseFrame},
};

/// All the WebSocket connections of a server, so that a graceful stop reaches each of them.
///
/// [`serve`](crate::serve()) keeps one by itself, and puts it into the extensions of every request.
/// Under another server, put one there, and every [`Upgrade`](crate::Upgrade) of that server joins
/// it:
///
/// ```
/// # #[cfg(feature = "axum")] {
/// let connections = raw_ws::Connections::new();
/// let app: axum::Router = axum::Router::new().layer(axum::Extension(connections.clone()));
/// // later: connections.close_all("the server restarts");
/// assert_eq!(connections.len(), 0);
/// # }
/// ```
#[derive(Clone)]
pub struct Connections(Arc<Inner>);

struct Inner {
    id: NonZeroU32,
    live: Mutex<Live>,
    stage: watch::Sender<Stage>,
    goodbyes: Mutex<Vec<Goodbye>>,
    /// Goodbyes that are being said.
    saying: watch::Sender<usize>,
}

/// The connections that live, by their ids.
#[derive(Default)]
struct Live {
    plain: HashMap<u64, Arc<Outbound>>,
    /// Their handlers close them when the server stops.
    saying_goodbye: HashMap<u64, Arc<Outbound>>,
}

/// How far a server is with stopping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Serving,
    /// It will stop, and says so.
    Announced,
    /// Every connection is closed, and each new one at once.
    Closing,
}

type Goodbye = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Connections {
    /// An empty set.
    pub fn new() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let id = MADE.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        Self(Arc::new(Inner {
            id: NonZeroU32::new(id).unwrap_or(NonZeroU32::MAX),
            live: Mutex::default(),
            stage: watch::Sender::new(Stage::Serving),
            goodbyes: Mutex::default(),
            saying: watch::Sender::new(0),
        }))
    }

    /// A number that every clone of this set has, and no other set of this process: none of the four
    /// billion before it.
    pub fn id(&self) -> NonZeroU32 {
        self.0.id
    }

    /// How many connections are live.
    pub fn len(&self) -> usize {
        let live = self.0.live();
        live.plain.len() + live.saying_goodbye.len()
    }

    /// Whether no connection is live.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the server stops, or will in a moment: what a readiness probe wants to know.
    ///
    /// ```
    /// # #[cfg(feature = "axum")] {
    /// use axum::{Extension, Router, http::StatusCode, routing::get};
    /// use raw_ws::Connections;
    ///
    /// async fn readyz(Extension(connections): Extension<Connections>) -> StatusCode {
    ///     match connections.is_stopping() {
    ///         false => StatusCode::OK,
    ///         true => StatusCode::SERVICE_UNAVAILABLE,
    ///     }
    /// }
    ///
    /// let app: Router = Router::new().route("/readyz", get(readyz));
    /// # }
    /// ```
    pub fn is_stopping(&self) -> bool {
        *self.0.stage.borrow() != Stage::Serving
    }

    /// Says that the server will stop: from here on [`is_stopping`](Self::is_stopping) is true.
    /// Nothing else changes.
    pub fn announce_stop(&self) {
        self.0
            .stage
            .send_modify(|stage| *stage = (*stage).max(Stage::Announced));
    }

    /// Closes every connection, now and from now on, with 1001 and a reason. Their `recv` gives
    /// `None` once the peer has answered. Reasons over 123 bytes are left out.
    ///
    /// Connections of [`Upgrade::says_goodbye`](crate::Upgrade::says_goodbye) are left to what
    /// [`on_close`](Self::on_close) was told to run.
    ///
    /// # Panics
    /// Outside a tokio runtime, if something is to run.
    pub fn close_all(&self, reason: &str) {
        self.0.stage.send_replace(Stage::Closing);
        let close = going_away(reason);
        let live: Vec<_> = self.0.live().plain.values().cloned().collect();
        for outbound in live {
            outbound.request_close(close.clone());
        }
        let goodbyes = std::mem::take(&mut *self.0.goodbyes.lock());
        for goodbye in goodbyes {
            self.say(goodbye);
        }
    }

    /// Runs `goodbye` when all connections are to be closed, at once if they are already; a
    /// graceful stop waits for its end, as it waits for the connections. For protocols that have
    /// more to say than 1001; see [`Upgrade::says_goodbye`](crate::Upgrade::says_goodbye).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let connections = raw_ws::Connections::new();
    /// let (say, said) = tokio::sync::oneshot::channel();
    /// connections.on_close(async { drop(say.send("until tomorrow")) });
    /// connections.close_all("the server stops");
    /// assert_eq!(said.await.unwrap(), "until tomorrow");
    /// # }
    /// ```
    ///
    /// # Panics
    /// Outside a tokio runtime, if it is to run at once.
    pub fn on_close(&self, goodbye: impl Future<Output = ()> + Send + 'static) {
        let goodbye = Box::pin(goodbye);
        let mut goodbyes = self.0.goodbyes.lock();
        if *self.0.stage.borrow() == Stage::Closing {
            drop(goodbyes);
            self.say(goodbye);
        } else {
            goodbyes.push(goodbye);
        }
    }

    /// Whether every connection is closed, and each new one at once.
    pub(crate) fn is_closing(&self) -> bool {
        *self.0.stage.borrow() == Stage::Closing
    }

    pub(crate) fn add(&self, outbound: &Arc<Outbound>, says_goodbye: bool) {
        let as_registry: Arc<dyn Membership> = self.0.clone();
        let mut live = self.0.live();
        if outbound.joined(Arc::downgrade(&as_registry)) {
            let of_its_kind = match says_goodbye {
                false => &mut live.plain,
                true => &mut live.saying_goodbye,
            };
            of_its_kind.insert(outbound.id(), outbound.clone());
        }
        drop(live);
        if self.is_closing() && !says_goodbye {
            outbound.request_close(going_away("the server stops"));
        }
    }

    fn say(&self, goodbye: Goodbye) {
        self.0.saying.send_modify(|saying| *saying += 1);
        let said = Said(self.0.clone());
        tokio::spawn(async move {
            let _said = said;
            goodbye.await;
        });
    }
}

/// For [`serve`](crate::serve()).
#[cfg(feature = "serve")]
impl Connections {
    /// Waits for the end of what [`on_close`](Self::on_close) was told to run.
    pub(crate) async fn goodbyes_said(&self) {
        let mut saying = self.0.saying.subscribe();
        let _ = saying.wait_for(|saying| *saying == 0).await; // it lives as long as `self`
    }

    /// Ends every connection at once, without a word.
    pub(crate) fn cut_all(&self) {
        let live: Vec<_> = {
            let live = self.0.live();
            let all = live.plain.values().chain(live.saying_goodbye.values());
            all.cloned().collect()
        };
        for outbound in live {
            outbound.cut();
        }
    }
}

/// Ends with a goodbye, however that ends.
struct Said(Arc<Inner>);

impl Drop for Said {
    fn drop(&mut self) {
        self.0.saying.send_modify(|saying| *saying -= 1);
    }
}

impl Default for Connections {
    fn default() -> Self {
        Self::new()
    }
}

impl Inner {
    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock()
    }
}

impl Membership for Inner {
    fn forget(&self, id: u64) {
        let mut live = self.live();
        if live.plain.remove(&id).is_none() {
            live.saying_goodbye.remove(&id);
        }
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
