//! Serving: an accept loop with the limits and deadlines that a server in the open needs, and a
//! graceful stop that reaches upgraded connections.
//!
//! It may import `stream`, `extensions` and the registry of upgraded connections, and knows nothing
//! of WebSocket frames. Begin with [`Serve`]; one connection's HTTP is in [`connection`].

mod accepted;
mod body;
mod config;
mod connection;
mod forwarded;
mod head;
mod linger;
mod listen;
mod progress;
mod proxies;
mod proxy_protocol;
mod refusal;
mod request;
mod rest;
mod slots;
mod unacknowledged;
mod unfinished;

use std::{
    future::{Future, IntoFuture, pending},
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use axum::Router;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{sleep, timeout},
};

pub use config::ServeConfig;
use connection::{Http, Phase};
pub use listen::listen;
use progress::Progress;
pub use proxies::{ForwardedHeaders, InvalidNetwork, Network};
use refusal::{Refusal, last_answer};
use slots::Slots;

use crate::{events, outbound::connections::Connections};

/// How long the accept loop rests when the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves an axum app on a listener until the process ends, or until the future given to
/// [`Serve::with_graceful_shutdown`] does.
///
/// What `axum::serve` lacks: a deadline for each request's head and body, limits on connections,
/// headers and targets, the address of a client behind trusted proxies, TLS (feature `tls`), and a
/// stop that says goodbye to WebSocket connections. HTTP/1.1 only: that is what WebSocket upgrades
/// ride on.
///
/// [`listen`] makes a listener with a queue for crowds. While
/// [`max_unfinished_heads`](ServeConfig#structfield.max_unfinished_heads) are unfinished, who comes
/// next waits in that queue.
///
/// Raises the limit of open files of this process as far as the system lets it.
///
/// ```no_run
/// # async fn run() -> std::io::Result<()> {
/// use axum::{Router, routing::get};
/// let app = Router::new().route("/healthz", get(async || "ok"));
/// let listener = raw_ws::listen("127.0.0.1:9001").await?;
/// raw_ws::serve(listener, app)
///     .with_graceful_shutdown(async { tokio::signal::ctrl_c().await.unwrap_or(()) })
///     .await
/// # }
/// ```
pub fn serve(listener: TcpListener, app: Router) -> Serve {
    Serve {
        listener,
        app,
        config: ServeConfig::default(),
        shutdown: Box::pin(pending()),
        #[cfg(feature = "tls")]
        tls: None,
    }
}

/// A server about to run; made by [`serve`], run by awaiting it.
#[must_use = "a server runs when it is awaited"]
pub struct Serve {
    listener: TcpListener,
    app: Router,
    config: ServeConfig,
    shutdown: Pin<Box<dyn Future<Output = ()> + Send>>,
    #[cfg(feature = "tls")]
    tls: Option<tokio_rustls::TlsAcceptor>,
}

impl Serve {
    /// Sets limits and deadlines.
    pub fn config(mut self, config: ServeConfig) -> Self {
        self.config = config;
        self
    }

    /// Stops when `signal` is done: closes the listener, lets requests finish, closes every WebSocket
    /// connection with 1001, and cuts what is left after
    /// [`shutdown_timeout`](ServeConfig#structfield.shutdown_timeout). Hubs in the app tell their
    /// clients to come back.
    ///
    /// From the signal on [`Connections::is_stopping`] is true, and the listener stays open for
    /// [`shutdown_delay`](ServeConfig#structfield.shutdown_delay).
    pub fn with_graceful_shutdown(
        mut self,
        signal: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        self.shutdown = Box::pin(signal);
        self
    }

    /// Speaks TLS (`https`, `wss`). Offer `http/1.1` alone in the ALPN protocols, if any.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    pub fn tls(mut self, config: Arc<rustls::ServerConfig>) -> Self {
        self.tls = Some(config.into());
        self
    }

    async fn run(self) -> io::Result<()> {
        let Self {
            listener,
            app,
            config,
            shutdown,
            #[cfg(feature = "tls")]
            tls,
        } = self;
        if config.proxy_protocol && config.trusted_proxies.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "proxy_protocol needs trusted_proxies: nobody else may speak it",
            ));
        }
        events::begins();
        let slots = Slots::new(&config);
        let connections = Connections::new();
        let (phase, watched) = watch::channel(Phase::Serving);
        let config = Arc::new(config);
        let http = Http::new(
            app,
            config.clone(),
            connections.clone(),
            slots.clone(),
            watched,
        );

        let mut stop = std::pin::pin!(async {
            shutdown.await;
            connections.announce_stop();
            sleep(config.shutdown_delay).await;
        });
        #[cfg(not(feature = "tls"))]
        let tls = None;
        let door = Door {
            slots: slots.clone(),
            http,
            tls,
            config: config.clone(),
        };
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                () = door.next(&listener) => {}
            }
        }

        drop(listener);
        connections.close_all("the server stops");
        let all_gone = async {
            // Until then requests go on where there are connections: a long poll may have to come for
            // its goodbye.
            connections.goodbyes_said().await;
            let _ = phase.send(Phase::Finishing);
            slots.all_free().await;
        };
        if timeout(config.shutdown_timeout, all_gone).await.is_err() {
            events::shutdown_cut(connections.len());
            let _ = phase.send(Phase::Over);
            connections.cut_all();
        }
        Ok(())
    }
}

impl IntoFuture for Serve {
    type Output = io::Result<()>;
    type IntoFuture = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// The TLS acceptor, or the type of nothing.
#[cfg(feature = "tls")]
pub(super) type Tls = Option<tokio_rustls::TlsAcceptor>;
#[cfg(not(feature = "tls"))]
pub(super) type Tls = Option<std::convert::Infallible>;

/// What a client that comes finds.
struct Door {
    slots: Slots,
    http: Http,
    tls: Tls,
    config: Arc<ServeConfig>,
}

impl Door {
    /// Waits for the next client, and lets it in or tells it why not.
    async fn next(&self, listener: &TcpListener) {
        self.slots.room_for_a_head().await;
        match listener.accept().await {
            Ok((stream, address)) => self.admit(stream, address).await,
            // That client is gone already; the next may not be.
            Err(error) if is_of_one_client(&error) => {}
            Err(error) => {
                events::accept_failed(&error);
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }

    async fn admit(&self, stream: TcpStream, address: SocketAddr) {
        let is_proxy = self.config.trusts(address.ip());
        let counted = (!is_proxy).then(|| address.ip());
        let progress = Progress::default();
        let (http, tls) = (self.http.clone(), Tls::clone(&self.tls));
        let refusal = match self.slots.admit(counted, &progress) {
            Ok(slot) => return http.serve(stream, tls, address, slot, progress),
            Err(refusal) => refusal,
        };
        // Where nobody can be let in, who comes next can wait in the listener's queue; but who comes
        // too often from one address keeps nobody else waiting.
        let place = match refusal {
            Refusal::Connections => self.slots.door().await,
            _ => self.slots.open_door(),
        };
        let slots = self.slots.clone();
        let Some(place) = place else {
            return slots.tell(refusal);
        };
        tokio::spawn(async move {
            let admitted = match refusal {
                Refusal::Connections => slots.admit_later(counted, &progress).await,
                refusal => Err(refusal),
            };
            match admitted {
                Ok(slot) => http.serve(stream, tls, address, slot, progress),
                Err(refusal) => {
                    slots.tell(refusal);
                    last_answer(stream, refusal.status(), refusal.reason()).await;
                }
            }
            drop(place);
        });
    }
}

fn is_of_one_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}
