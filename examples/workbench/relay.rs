//! What a network does that fails: the same server once more, through a TCP connection to itself
//! that a button can cut.
//!
//! A client of `/cut/NAME/hub` is a client of `/hub`. `POST /cut/NAME?milliseconds=1000` drops both
//! ends of all WebSockets that go through NAME, without a Close frame or a goodbye, and lets no other
//! through for that time: neither side can tell it from a lost network.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Path, Query, Request, State},
    http::{StatusCode, Uri, header::UPGRADE},
    response::{IntoResponse as _, Response},
    routing::{any, post},
};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::{
    net::TcpStream,
    sync::watch,
    time::{Instant, sleep_until},
};

/// Whoever has the server has a few of these.
const MOST_NAMES: usize = 64;
/// Less than a server waits for a client that may come back.
const LONGEST: Duration = Duration::from_secs(10);

#[derive(Clone)]
struct Relays {
    server: SocketAddr,
    /// Until when each name is cut; what goes through it ends when that changes.
    cuts: Arc<Mutex<HashMap<String, Cut>>>,
}

type Cut = watch::Sender<Option<Instant>>;

/// `/cut/…`, in front of the server that listens at this address.
pub(crate) fn router(server: SocketAddr) -> Router {
    let relays = Relays {
        server: reachable(server),
        cuts: Arc::default(),
    };
    Router::new()
        .route("/cut/{name}", post(cut))
        .route("/cut/{name}/{*path}", any(relay))
        .with_state(relays)
}

/// Where this process reaches itself.
pub(crate) fn reachable(mut server: SocketAddr) -> SocketAddr {
    if server.ip().is_unspecified() {
        server.set_ip(match server.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    server
}

impl Relays {
    /// What to watch. `None` when there are too many names.
    fn watch(&self, name: &str) -> Option<watch::Receiver<Option<Instant>>> {
        let mut cuts = self.cuts.lock().unwrap_or_else(PoisonError::into_inner);
        if cuts.len() >= MOST_NAMES {
            cuts.retain(|_, cut| !cut.is_closed());
        }
        if cuts.len() >= MOST_NAMES && !cuts.contains_key(name) {
            return None;
        }
        let cut = cuts.entry(name.to_owned()).or_default();
        Some(cut.subscribe())
    }

    /// Gives how many connections that is.
    fn cut(&self, name: &str, time: Duration) -> usize {
        let cuts = self.cuts.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(cut) = cuts.get(name) else { return 0 };
        let connections = cut.receiver_count();
        cut.send_replace(Some(Instant::now() + time));
        connections
    }
}

#[derive(Deserialize)]
struct Length {
    #[serde(default)]
    milliseconds: u32,
}

async fn cut(
    State(relays): State<Relays>,
    Path(name): Path<String>,
    Query(length): Query<Length>,
) -> String {
    let time = Duration::from_millis(length.milliseconds.into()).min(LONGEST);
    relays.cut(&name, time).to_string()
}

async fn relay(
    State(relays): State<Relays>,
    Path((name, path)): Path<(String, String)>,
    request: Request,
) -> Response {
    if path.starts_with("cut/") {
        return StatusCode::NOT_FOUND.into_response();
    }
    let Some(mut cut) = relays.watch(&name) else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let until = *cut.borrow_and_update();
    if let Some(until) = until {
        sleep_until(until).await;
    }
    match pass_on(relays.server, &path, request, cut).await {
        Ok(response) => response,
        Err(error) => (StatusCode::BAD_GATEWAY, format!("{error}\n")).into_response(),
    }
}

/// Asks the server at `path`, and carries the bytes of a WebSocket until `cut` changes.
async fn pass_on(
    server: SocketAddr,
    path: &str,
    mut request: Request,
    mut cut: watch::Receiver<Option<Instant>>,
) -> Result<Response, examples::Error> {
    let query = request.uri().query();
    let query = query.map_or_else(String::new, |query| format!("?{query}"));
    *request.uri_mut() = format!("/{path}{query}").parse::<Uri>()?;
    let is_upgrade = request.headers().contains_key(UPGRADE);
    let client = is_upgrade.then(|| hyper::upgrade::on(&mut request));

    let stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection.with_upgrades());
    let mut response = sender.send_request(request).await?;
    if let (Some(client), StatusCode::SWITCHING_PROTOCOLS) = (client, response.status()) {
        let server = hyper::upgrade::on(&mut response);
        tokio::spawn(async move {
            let (Ok(client), Ok(server)) = tokio::join!(client, server) else {
                return;
            };
            let (mut client, mut server) = (TokioIo::new(client), TokioIo::new(server));
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                _ = cut.changed() => {}
            }
        });
    }
    Ok(response.map(Body::new))
}
