//! What every example server has: where to listen, TLS, proxies, health and metrics, logging, and
//! a graceful stop on Ctrl-C and SIGTERM.

/// Prints a line, as `println!` does; where nobody reads any more it is lost, and nothing else
/// happens: `println!` would panic.
#[macro_export]
macro_rules! say {
    ($($what:tt)*) => {{
        use ::std::io::Write as _;
        let _ = writeln!(::std::io::stdout(), $($what)*);
    }};
}

/// [`say!`] on standard error.
#[macro_export]
macro_rules! tell {
    ($($what:tt)*) => {{
        use ::std::io::Write as _;
        let _ = writeln!(::std::io::stderr(), $($what)*);
    }};
}

pub mod bench_hub;
pub mod chat_hub;
pub mod cut;
#[path = "../../hub/tests/support/spec/jwt.rs"]
pub mod jwt;
pub mod raw_layer;

use std::{
    io::ErrorKind,
    net::SocketAddr,
    path::PathBuf,
    process::exit,
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::{
    Extension, Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    routing::get,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use raw_ws::{Connections, Network, Serve, ServeConfig, serve};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{net::TcpListener, sync::mpsc};

/// The error of an example: a sentence for the terminal.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// The lines that somebody types. Read by a thread that nothing waits for: with tokio's stdin, a
/// program whose server has gone would end only after one more line.
pub fn typed_lines() -> mpsc::Receiver<String> {
    let (lines, typed) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if lines.blocking_send(line).is_err() {
                break;
            }
        }
    });
    typed
}

/// A client of plain HTTP requests, for what is no hub.
pub fn http() -> reqwest::Client {
    // There may be one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

/// The options of every server.
#[derive(Debug, clap::Args)]
pub struct ServerOptions {
    /// The PEM file with the server's certificate chain; with --tls-key, speaks https and wss
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The PEM file with the certificate's private key
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Connections held at once
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub max_connections: usize,
    /// Connections held from one address; no limit if not given
    #[arg(long, value_name = "N")]
    pub max_connections_per_address: Option<usize>,
    /// The proxies in front, as addresses or networks (10.0.0.0/8), separated by commas: what they
    /// say of clients in Forwarded or X-Forwarded-* is believed
    #[arg(long, value_name = "ADDR", value_delimiter = ',')]
    pub trusted_proxies: Vec<Network>,
    /// The trusted proxies begin each connection with the PROXY protocol
    #[arg(long, requires = "trusted_proxies")]
    pub proxy_protocol: bool,
    /// How long to go on serving with /readyz at 503 before stopping, for a load balancer to notice
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub shutdown_delay: u64,
}

/// Serves `app`, `/healthz`, `/readyz` and `/metrics` until Ctrl-C or SIGTERM, then stops
/// gracefully. Prints `listening on …` when it is ready.
///
/// # Errors
/// When the address cannot be bound or the TLS files cannot be read.
pub async fn run(listen: SocketAddr, options: &ServerOptions, app: Router) -> Result<(), Error> {
    run_when(listen, options, app, || true).await
}

/// The same for a server that needs more than itself: `/readyz` is red while `is_ready` says no.
///
/// # Errors
/// As [`run`].
pub async fn run_when(
    listen: SocketAddr,
    options: &ServerOptions,
    app: Router,
    is_ready: impl Fn() -> bool + Send + Sync + 'static,
) -> Result<(), Error> {
    let mut listening = Listening::at(listen, options).await?;
    listening.is_ready = Arc::new(is_ready);
    say!("listening on {}", listening.url());
    listening.serve(app).await
}

/// A server that listens, and does not accept connections yet.
pub struct Listening<'a> {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
    options: &'a ServerOptions,
    is_ready: IsReady,
}

/// Whether what a server needs beside itself is there.
type IsReady = Arc<dyn Fn() -> bool + Send + Sync>;

impl<'a> Listening<'a> {
    /// Binds the address.
    ///
    /// # Errors
    /// When that fails, or the TLS files cannot be read.
    pub async fn at(listen: SocketAddr, options: &'a ServerOptions) -> Result<Self, Error> {
        let tls = match (&options.tls_cert, &options.tls_key) {
            (Some(cert), Some(key)) => Some(Arc::new(tls(cert, key)?)),
            _ => None,
        };
        allow_as_many_files_as_possible();
        let listener = raw_ws::listen(listen).await.map_err(|error| {
            let hint = match error.kind() {
                ErrorKind::AddrInUse => {
                    "; --listen takes another address, with port 0 any free one"
                }
                _ => "",
            };
            format!("cannot listen on {listen}: {error}{hint}")
        })?;
        Ok(Self {
            address: listener.local_addr()?,
            listener,
            tls,
            options,
            is_ready: Arc::new(|| true),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as the beginning of a URL: `http://127.0.0.1:8080`.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Serves `app`, `/healthz`, `/readyz` and `/metrics` until Ctrl-C or SIGTERM, then stops
    /// gracefully.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(self, app: Router) -> Result<(), Error> {
        let options = self.options;
        let mut config = ServeConfig::new()
            .max_connections(options.max_connections)
            .max_connections_per_address(options.max_connections_per_address)
            .proxy_protocol(options.proxy_protocol)
            .shutdown_delay(Duration::from_secs(options.shutdown_delay));
        config.trusted_proxies.clone_from(&options.trusted_proxies);
        let mut server: Serve = serve(self.listener, app.merge(health_and_metrics(self.is_ready)))
            .config(config)
            .with_graceful_shutdown(stop_signal());
        if let Some(tls) = self.tls {
            server = server.tls(tls);
        }
        server.await?;
        Ok(())
    }
}

/// Each connection is a file, and shells allow 1,024 of them unless a program asks for more.
/// As many sockets as the system allows.
pub fn allow_as_many_files_as_possible() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit, setrlimit};
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = limit.maximum;
        // Where the system allows no more, connections are accepted as far as it does.
        let _ = setrlimit(Resource::Nofile, limit);
    }
}

/// A page at `/` of a server, which says what is served and how to talk to it, with the stylesheet of
/// the workbench.
pub fn page(html: &'static str) -> Router {
    let file = |kind, text: &'static str| get(async move || ([(CONTENT_TYPE, kind)], text));
    Router::new()
        .route("/", file("text/html; charset=utf-8", html))
        .route("/style.css", file("text/css; charset=utf-8", STYLE))
        .route("/icon.svg", file("image/svg+xml", ICON))
}

/// How every page of these servers looks.
pub const STYLE: &str = include_str!("../web/style.css");
/// The icon of every page.
pub const ICON: &str = include_str!("../web/icon.svg");

/// For an example without options: with `--help` prints the head of its source, and ends the program;
/// anything else is refused.
pub fn help(source: &str) {
    match std::env::args().nth(1).as_deref() {
        None => {}
        Some("--help" | "-h") => {
            let head = source.lines().map_while(|line| line.strip_prefix("//!"));
            for line in head {
                say!("{}", line.trim_start());
            }
            exit(0);
        }
        Some(other) => {
            tell!("error: this example takes no {other}; --help says how to run it");
            exit(2);
        }
    }
}

/// The source of an example without its head, and without what only an example has: lines that name
/// this crate.
pub fn code(source: &str) -> String {
    let (_, code) = source.split_once("\n\n").unwrap_or_default();
    let lines = code.lines().filter(|line| !line.contains("examples::"));
    lines.fold(String::new(), |code, line| code + line + "\n")
}

/// What `/metrics` shows.
static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();

/// Logs to stderr what `RUST_LOG` asks for, warnings if it is not set, and counts for `/metrics`. To
/// be called before anything that may be logged or counted.
///
/// # Errors
/// When something else counts already.
pub fn observe() -> Result<(), Error> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // It would say so on standard error, and panic where nobody reads that.
        .log_internal_errors(false)
        .init();
    let metrics = PrometheusBuilder::new().install_recorder()?;
    METRICS.get_or_init(|| metrics);
    Ok(())
}

/// The address of a WebSocket, also where it is given as servers print theirs: `http://…`.
pub fn websocket_url(url: &str) -> String {
    match url.split_once("://") {
        Some(("http", rest)) => format!("ws://{rest}"),
        Some(("https", rest)) => format!("wss://{rest}"),
        _ => url.to_owned(),
    }
}

/// The address for plain requests, also where it is given as a WebSocket's.
pub fn http_url(url: &str) -> String {
    match url.split_once("://") {
        Some(("ws", rest)) => format!("http://{rest}"),
        Some(("wss", rest)) => format!("https://{rest}"),
        _ => url.to_owned(),
    }
}

fn health_and_metrics(is_ready: IsReady) -> Router {
    let metrics = async || {
        METRICS
            .get()
            .map(PrometheusHandle::render)
            .unwrap_or_default()
    };
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(is_ready)
}

/// Red as soon as the server is told to stop, and while what it needs is away.
async fn ready(
    State(is_ready): State<IsReady>,
    Extension(connections): Extension<Connections>,
) -> (StatusCode, &'static str) {
    if connections.is_stopping() {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
    } else if is_ready() {
        (StatusCode::OK, "ready\n")
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "other servers are out of reach\n",
        )
    }
}

fn tls(cert: &PathBuf, key: &PathBuf) -> Result<ServerConfig, Error> {
    let unreadable = |file: &PathBuf, error| format!("cannot read {}: {error}", file.display());
    let certs = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable(cert, error))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, error))?;
    Ok(ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(certs, key)?)
}

/// Done at the first Ctrl-C or SIGTERM; a second one ends the process at once.
async fn stop_signal() {
    wait_for_signal().await;
    tell!("stopping; once more to stop at once");
    tokio::spawn(async {
        wait_for_signal().await;
        exit(1);
    });
}

async fn wait_for_signal() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = interrupt.await;
}

/// The first page of the repository: its code must compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
