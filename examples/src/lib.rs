//! What every example server has: where to listen, TLS, health and metrics, logging, and a
//! graceful stop on Ctrl-C and SIGTERM.

pub mod bench_hub;
pub mod chat_hub;
pub mod hub_client;
#[path = "../../hub/tests/support/spec/jwt.rs"]
pub mod jwt;

use std::{net::SocketAddr, path::PathBuf, process::exit, sync::Arc, time::Duration};

use axum::{Router, routing::get};
use futures_util::future::join_all;
use hub::HubHandle;
use metrics_exporter_prometheus::PrometheusBuilder;
use raw_ws::{Serve, ServeConfig, serve};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::net::TcpListener;

/// How long the clients of hubs may take to be gone.
const GOODBYES_WITHIN: Duration = Duration::from_secs(5);

/// What one POST to a hub may hold, as in ASP.NET Core: clients join what waited for the one before.
/// A hub takes it piece by piece, so it costs no memory.
const MAX_POST: usize = 30_000_000;

/// The error of an example: a sentence for the terminal.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

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
    /// Connections held from one address
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub max_connections_per_address: usize,
}

/// Serves `app`, `/healthz` and `/metrics` until Ctrl-C or SIGTERM, then stops gracefully. Prints
/// `listening on …` when it is ready.
///
/// # Errors
/// When the address cannot be bound or the TLS files cannot be read.
pub async fn run(listen: SocketAddr, options: &ServerOptions, app: Router) -> Result<(), Error> {
    run_hubs(listen, options, app, Vec::new()).await
}

/// The same for an app with hubs: before the server stops, their clients are told to come back.
///
/// # Errors
/// As [`run`].
pub async fn run_hubs(
    listen: SocketAddr,
    options: &ServerOptions,
    app: Router,
    hubs: Vec<HubHandle>,
) -> Result<(), Error> {
    let app = app.merge(health_and_metrics()?);
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|error| format!("cannot listen on {listen}: {error}"))?;
    let address = listener.local_addr()?;
    let config = ServeConfig::new()
        .max_connections(options.max_connections)
        .max_connections_per_address(options.max_connections_per_address)
        // Whoever may hold so many may open them at once.
        .max_unfinished_heads(1024, options.max_connections_per_address)
        .max_body_size(MAX_POST);
    let mut server: Serve =
        serve(listener, app)
            .config(config)
            .with_graceful_shutdown(async move {
                stop_signal().await;
                join_all(hubs.iter().map(|hub| hub.shutdown(GOODBYES_WITHIN))).await;
            });
    let mut scheme = "http";
    if let (Some(cert), Some(key)) = (&options.tls_cert, &options.tls_key) {
        server = server.tls(Arc::new(tls(cert, key)?));
        scheme = "https";
    }
    println!("listening on {scheme}://{address}");
    server.await?;
    Ok(())
}

/// Logs to stderr what `RUST_LOG` asks for; warnings if it is not set.
pub fn log() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
}

fn health_and_metrics() -> Result<Router, Error> {
    let metrics = PrometheusBuilder::new().install_recorder()?;
    Ok(Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/metrics", get(async move || metrics.render())))
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
    eprintln!("stopping; once more to stop at once");
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
