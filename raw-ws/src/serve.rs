//! Serving: an accept loop with the limits and deadlines that a server in the open needs, and a
//! graceful stop that reaches upgraded connections.

mod accepted;
mod body;
mod config;
mod connection;
mod forwarded;
mod head;
mod linger;
mod progress;
mod proxies;
mod proxy_protocol;
mod request;
mod rest;
mod slots;
mod unacknowledged;

use std::{
    future::{Future, IntoFuture, pending},
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use axum::Router;
use http::StatusCode;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{sleep, timeout},
};

pub use config::ServeConfig;
use connection::{Http, Phase};
pub use proxies::{ForwardedHeaders, InvalidNetwork, Network};
use slots::Slots;

use crate::{connections::Connections, events, farewell::farewell};

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
/// Raises the limit of open files of this process as far as the system lets it.
///
/// ```no_run
/// # async fn run() -> std::io::Result<()> {
/// use axum::{Router, routing::get};
/// let app = Router::new().route("/healthz", get(async || "ok"));
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:9001").await?;
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
            ..
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
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut stop => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => {
                    #[cfg(feature = "tls")]
                    let tls = self.tls.clone();
                    #[cfg(not(feature = "tls"))]
                    let tls = None;
                    admit(
                        &slots,
                        &http,
                        tls,
                        stream,
                        address,
                        config.trusts(address.ip()),
                    );
                }
                // That client is gone already; the next may not be.
                Err(error) if is_of_one_client(&error) => {}
                Err(error) => {
                    events::accept_failed(&error);
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }

        drop(listener);
        let _ = phase.send(Phase::Finishing);
        connections.close_all("the server stops");
        let all_gone = async {
            slots.all_free().await;
            connections.goodbyes_said().await;
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

fn admit(
    slots: &Slots,
    http: &Http,
    tls: Tls,
    stream: TcpStream,
    address: SocketAddr,
    is_proxy: bool,
) {
    match slots.admit((!is_proxy).then(|| address.ip())) {
        Ok(slot) => http.clone().serve(stream, tls, address, slot),
        Err(refusal) => {
            slots.tell(refusal);
            if let Some(refusing) = slots.refuse() {
                tokio::spawn(async move {
                    last_answer(stream, refusal.status(), refusal.reason()).await;
                    drop(refusing);
                });
            }
        }
    }
}

/// Answers without reading the request, and lingers so that the answer is not lost to a reset.
async fn last_answer(stream: TcpStream, status: StatusCode, reason: &'static str) {
    let retry_after = match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => "Retry-After: 5\r\n",
        _ => "",
    };
    let answer = format!(
        "HTTP/1.1 {} {}\r\n{retry_after}Connection: close\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{reason}",
        status.as_u16(),
        status.canonical_reason().unwrap_or_default(),
        reason.len(),
    );
    farewell(stream, answer.as_bytes().into(), Duration::from_secs(1)).await;
}

fn is_of_one_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}
