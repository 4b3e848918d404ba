//! The server under test, and what its endpoints do.

use std::{future::Future, io, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    body::Bytes,
    extract::{ConnectInfo, Request},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing,
};
use raw_ws::{
    BodyLimit, CloseCode, Config, Connections, Deflate, MessageKind, Origins, Remote, ServeConfig,
    Topics, Upgrade, WebSocket,
};
use tokio::{
    net::TcpSocket,
    sync::{oneshot, watch},
    task::JoinSet,
};

use super::soon;
use crate::panics::one_is_meant;

/// More connections than any row opens at once: of those that wait beyond the usual 128, the kernel
/// of a busy machine resets some.
const ACCEPT_QUEUE: u32 = 4096;

/// How a server under test differs from one with the defaults.
#[derive(Clone, Default)]
pub(crate) struct Setup {
    pub(crate) serve: ServeConfig,
    pub(crate) ws: Config,
    pub(crate) origins: Origins,
    pub(crate) tls: Option<Arc<rustls::ServerConfig>>,
}

impl Setup {
    pub(crate) fn ws(ws: Config) -> Self {
        Self {
            ws,
            ..Self::default()
        }
    }

    pub(crate) fn serve(serve: ServeConfig) -> Self {
        Self {
            serve,
            ..Self::default()
        }
    }
}

/// What the handlers have seen.
#[derive(Clone)]
pub(crate) struct Seen(Arc<watch::Sender<Counts>>);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// WebSocket handlers that began and that ended, the neighbour's not included.
    pub(crate) begun: usize,
    pub(crate) ended: usize,
    /// Messages given to them.
    pub(crate) messages: usize,
    /// Whole bodies given to `/post`.
    pub(crate) bodies: usize,
}

impl Seen {
    fn count(&self, change: impl FnOnce(&mut Counts)) {
        self.0.send_modify(change);
    }

    pub(crate) fn now(&self) -> Counts {
        *self.0.borrow()
    }

    /// Waits until the handlers have seen that much.
    pub(crate) async fn until(&self, what: &str, reached: impl FnMut(&Counts) -> bool) -> Counts {
        let mut watched = self.0.subscribe();
        *soon(what, watched.wait_for(reached)).await.unwrap()
    }
}

/// A running server. Endpoints:
///
/// | path | does |
/// |---|---|
/// | `/echo` | messages back as they came |
/// | `/frames` | the same, frame by frame |
/// | `/text`, `/binary` | echo that takes one kind of messages |
/// | `/deflate` | echo with compression |
/// | `/topic` | subscribes to the topic "all", ignores what comes |
/// | `/bye` | closes with 4000 at the first message |
/// | `/panic` | panics at the first message |
/// | `/post` | reads a body, answers with its length |
/// | `/who` | whom the server takes the client for |
/// | `/later` | answers after [`LATER`] |
/// | `/readyz` | whether the server goes on |
/// | `/large` | reads a body of up to [`LARGE`] bytes, answers with its length |
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Seen,
    pub(crate) topics: Topics<&'static str>,
    /// Those of the server, once the first has come.
    pub(crate) connections: watch::Receiver<Option<Connections>>,
    stop: Option<oneshot::Sender<()>>,
    /// One task, which ends with this.
    running: JoinSet<io::Result<()>>,
}

impl Server {
    pub(crate) async fn start(setup: Setup) -> Self {
        let listener = TcpSocket::new_v4().unwrap();
        listener.set_reuseaddr(true).unwrap(); // as `TcpListener::bind` does
        listener.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = listener.listen(ACCEPT_QUEUE).unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Seen(Arc::default());
        let topics = Topics::new();
        let (found, connections) = watch::channel(None);
        let app = app(&setup, &seen, &topics, &Arc::new(found));

        let (stop, stopped) = oneshot::channel();
        let mut serve = raw_ws::serve(listener, app)
            .config(setup.serve)
            .with_graceful_shutdown(async {
                let _ = stopped.await;
            });
        if let Some(tls) = setup.tls {
            serve = serve.tls(tls);
        }
        Self {
            address,
            seen,
            topics,
            connections,
            stop: Some(stop),
            running: JoinSet::from_iter([serve.into_future()]),
        }
    }

    /// Begins the graceful stop.
    pub(crate) fn stop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
    }

    /// Waits for the end of the graceful stop.
    pub(crate) async fn stopped(mut self) {
        let ended = soon("the end of the server", self.running.join_next()).await;
        ended.unwrap().unwrap().unwrap();
    }

    /// Waits until the server holds no WebSocket but the neighbour's.
    pub(crate) async fn until_alone(&self) {
        let counts = self.seen.now();
        let all_ended = |now: &Counts| now.begun >= counts.begun && now.begun == now.ended;
        self.seen.until("the end of all handlers", all_ended).await;
        let connections = self.connections.borrow().clone().unwrap();
        soon("the end of all connections", async {
            while connections.len() > 1 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

fn app(
    setup: &Setup,
    seen: &Seen,
    topics: &Topics<&'static str>,
    found: &Arc<watch::Sender<Option<Connections>>>,
) -> Router {
    let ws = Arc::new(setup.ws.clone());
    let deflate = Arc::new(setup.ws.clone().deflate(Deflate::new().min_size(0)));
    let text = Arc::new(setup.ws.clone().only(MessageKind::Text));
    let binary = Arc::new(setup.ws.clone().only(MessageKind::Binary));

    type Handler = fn(
        WebSocket,
        Seen,
        Topics<&'static str>,
    ) -> Pin<Box<dyn Future<Output = raw_ws::Result<()>> + Send>>;
    let endpoint = |config: &Arc<Config>, run: Handler| {
        let (config, origins) = (config.clone(), setup.origins.clone());
        let (seen, topics, found) = (seen.clone(), topics.clone(), found.clone());
        routing::any(
            async move |connections: Extension<Connections>, upgrade: Upgrade| -> Response {
                found.send_replace(Some(connections.0));
                upgrade
                    .config(config)
                    .origins(origins)
                    .subprotocols(["one.example", "two.example"])
                    .on_upgrade(async move |ws| {
                        seen.count(|seen| seen.begun += 1);
                        let _counted = Ended(seen.clone());
                        run(ws, seen, topics).await
                    })
            },
        )
    };
    let post_seen = seen.clone();
    let post = async move |body: Bytes| {
        post_seen.count(|seen| seen.bodies += 1);
        body.len().to_string()
    };
    let neighbour = async |upgrade: Upgrade| -> Response {
        upgrade.on_upgrade(|mut ws: WebSocket| async move {
            while let Some(message) = ws.recv().await? {
                ws.send(message).await?;
            }
            Ok::<_, raw_ws::Error>(())
        })
    };

    Router::new()
        .route(
            "/echo",
            endpoint(&ws, |ws, seen, _| Box::pin(echo(ws, seen))),
        )
        .route(
            "/frames",
            endpoint(&ws, |ws, seen, _| Box::pin(echo_frames(ws, seen))),
        )
        .route(
            "/text",
            endpoint(&text, |ws, seen, _| Box::pin(echo(ws, seen))),
        )
        .route(
            "/binary",
            endpoint(&binary, |ws, seen, _| Box::pin(echo(ws, seen))),
        )
        .route(
            "/deflate",
            endpoint(&deflate, |ws, seen, _| Box::pin(echo(ws, seen))),
        )
        .route(
            "/topic",
            endpoint(&ws, |ws, seen, topics| Box::pin(topic(ws, seen, topics))),
        )
        .route("/bye", endpoint(&ws, |ws, seen, _| Box::pin(bye(ws, seen))))
        .route(
            "/panic",
            endpoint(&ws, |ws, seen, _| Box::pin(panic(ws, seen))),
        )
        .route("/neighbour", routing::any(neighbour))
        .route("/post", routing::post(post))
        .route("/get", routing::get(async || "here"))
        .route("/who", routing::get(who))
        .route("/later", routing::get(later))
        .route("/readyz", routing::get(readyz))
        .route("/large", routing::post(large))
        .route("/small", routing::post(small))
        .route("/panics", routing::get(panics))
        .route("/early", routing::post(async || StatusCode::UNAUTHORIZED))
}

/// How long `/later` takes.
pub(crate) const LATER: Duration = Duration::from_secs(1);

async fn later() -> &'static str {
    tokio::time::sleep(LATER).await;
    "later"
}

async fn readyz(Extension(connections): Extension<Connections>) -> &'static str {
    match connections.is_stopping() {
        false => "ready",
        true => "stopping",
    }
}

/// What `/large` takes, whatever the server does.
pub(crate) const LARGE: usize = 3_000_000;

async fn large(Extension(limit): Extension<BodyLimit>, request: Request) -> Response {
    limit.set(LARGE as u64);
    let body = axum::body::to_bytes(request.into_body(), usize::MAX).await;
    let length = body.map_or(0, |body| body.len());
    length.to_string().into_response()
}

async fn panics() -> &'static str {
    one_is_meant();
    panic!("on purpose")
}

/// Takes 10 bytes.
async fn small(Extension(limit): Extension<BodyLimit>, request: Request) -> Response {
    limit.set(10);
    let _ = axum::body::to_bytes(request.into_body(), usize::MAX).await;
    "never seen: the server answers with 413".into_response()
}

/// The client as the server sees it; the port of a connection changes, and is written as 1.
async fn who(
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    Extension(remote): Extension<Remote>,
    headers: HeaderMap,
) -> String {
    assert_eq!(remote.address(), address);
    let mut address = address;
    if address.ip().is_loopback() {
        address.set_port(1);
    }
    let scheme = if remote.is_https() { "https" } else { "http" };
    format!("{address} {scheme} {}", headers["host"].to_str().unwrap())
}

/// Counts the end of a handler, however it ends.
struct Ended(Seen);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.count(|seen| seen.ended += 1);
    }
}

async fn echo(mut ws: WebSocket, seen: Seen) -> raw_ws::Result<()> {
    while let Some(message) = ws.recv().await? {
        seen.count(|seen| seen.messages += 1);
        ws.send(message).await?;
    }
    Ok(())
}

async fn echo_frames(mut ws: WebSocket, seen: Seen) -> raw_ws::Result<()> {
    while let Some(frame) = ws.recv_frame().await? {
        seen.count(|seen| seen.messages += 1);
        if !frame.opcode().is_control() {
            ws.send_frame(frame).await?;
        }
    }
    Ok(())
}

async fn topic(mut ws: WebSocket, seen: Seen, topics: Topics<&'static str>) -> raw_ws::Result<()> {
    topics.subscribe("all", &ws.sender());
    ws.send("subscribed").await?;
    while ws.recv().await?.is_some() {
        seen.count(|seen| seen.messages += 1);
    }
    Ok(())
}

async fn bye(mut ws: WebSocket, seen: Seen) -> raw_ws::Result<()> {
    ws.recv().await?;
    seen.count(|seen| seen.messages += 1);
    ws.close(CloseCode::new(4000), "enough").await?;
    Ok(())
}

async fn panic(mut ws: WebSocket, _: Seen) -> raw_ws::Result<()> {
    ws.recv().await?;
    one_is_meant();
    panic!("the handler of /panic");
}
