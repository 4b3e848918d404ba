//! What the log tells a stranger: why a client does not connect, in every way in which it may not,
//! and why a call is refused. The README's table has a line for each, with the words of the log.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{Extension, Router, body::Body};
use http::{Request, StatusCode, header};
use hub::{
    Challenge, Context, Hub, HubError, HubOptions, Protocol, Transport, UploadStream, User,
    backplane::InProcess, testing::TestServer,
};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, SharedString, Unit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

use crate::{
    fallbacks::support::HANDSHAKE,
    live::eventually,
    stateful::support::{Peer, options as stateful_options, start},
};

/// What is logged while it lives, as `RUST_LOG=hub=debug` has it.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn begin() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new("hub=debug"))
            .with_ansi(false)
            .with_writer(log.clone())
            .finish();
        let guard = tracing::subscriber::set_default(subscriber);
        (log, guard)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    async fn says(&self, words: &str) {
        eventually(&format!("{words:?} in {}", self.text()), || {
            self.text().contains(words)
        })
        .await;
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// The first column of the README's table: what the log says, in backquotes.
fn listed() -> BTreeSet<&'static str> {
    let readme = include_str!("../../README.md");
    let (_, section) = readme
        .split_once("## When a client does not connect\n")
        .expect("the section");
    let (section, _) = section.split_once("\n## ").expect("another behind it");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| Some(row.split_once('`')?.0))
        .collect()
}

/// Requests to a hub, one for each way in which none leads to a connection.
struct Cases {
    seen: BTreeSet<&'static str>,
}

impl Cases {
    /// The request is refused with a status, and the log says why.
    async fn refused(
        &mut self,
        app: Router,
        request: http::request::Builder,
        status: u16,
        words: &'static str,
    ) {
        let (log, _guard) = Log::begin();
        let request = request.body(Body::empty()).unwrap();
        let answer = TestServer::new(app).request(request).await;
        assert_eq!(answer.status().as_u16(), status, "{words}");
        self.has(&log, words).await;
    }

    async fn has(&mut self, log: &Log, words: &'static str) {
        log.says(words).await;
        self.seen.insert(words);
    }

    /// The hub handshake fails.
    async fn not_agreed(&mut self, app: Router, first: Option<&str>, words: &'static str) {
        let (log, _guard) = Log::begin();
        let server = TestServer::new(app);
        let mut client = crate::live::Client::connect(server.socket(), "/hub").await;
        if let Some(first) = first {
            client.text(first).await;
        } else {
            tokio::time::sleep(Duration::from_secs(20)).await;
        }
        self.has(&log, words).await;
    }
}

fn hub() -> Router {
    with(HubOptions::new())
}

fn with(options: HubOptions) -> Router {
    Hub::with_options((), options).router("/hub")
}

fn negotiate() -> http::request::Builder {
    Request::post("/hub/negotiate?negotiateVersion=1")
}

async fn token(server: &TestServer) -> String {
    let answer = server.request(negotiate().body(Body::empty()).unwrap());
    let body = axum::body::to_bytes(answer.await.into_body(), 10_000).await;
    let answer: serde_json::Value = serde_json::from_slice(&body.unwrap()).unwrap();
    answer["connectionToken"].as_str().unwrap().to_owned()
}

async fn open_events(server: &TestServer, token: &str) -> axum::response::Response {
    let request = events(token).body(Body::empty()).unwrap();
    server.request(request).await
}

fn events(token: &str) -> http::request::Builder {
    Request::get(format!("/hub?id={token}")).header(header::ACCEPT, "text/event-stream")
}

async fn refused_at_once(cases: &mut Cases) {
    let foreign = negotiate()
        .header(header::HOST, "here.example")
        .header(header::ORIGIN, "https://elsewhere.example");
    cases
        .refused(hub(), foreign, 403, "a page of another origin")
        .await;
    let known_only = || Hub::new(()).require_user().router("/hub");
    let words = "no layer knows the user of the request";
    cases.refused(known_only(), negotiate(), 401, words).await;
    let bad = known_only().layer(Extension(Challenge::invalid_token()));
    cases.refused(bad, negotiate(), 401, words).await;
    let admins = Hub::new(())
        .require(|user| user.is_in_role("admin"))
        .router("/hub")
        .layer(Extension(User::new("ann")));
    cases
        .refused(admins, negotiate(), 403, "the user is not let in")
        .await;
    let words = "the method of the request means nothing here";
    cases
        .refused(hub(), Request::get("/hub/negotiate"), 405, words)
        .await;
    cases.refused(hub(), Request::put("/hub"), 405, words).await;
    let newer_only = HubOptions::new().minimum_protocol_version(1);
    let old = Request::post("/hub/negotiate");
    let words = "the client's negotiate version is not served";
    cases.refused(with(newer_only), old, 200, words).await;
    let full = HubOptions::new().max_unused_connections(0);
    let words = "too many negotiated connections wait to be used";
    cases.refused(with(full), negotiate(), 503, words).await;
    let stopping = Hub::new(());
    stopping.handle().shutdown(Duration::ZERO).await;
    let stopping = stopping.router("/hub");
    cases
        .refused(stopping, negotiate(), 503, "the server stops")
        .await;
    let words = "no connection is named, and none begun";
    cases.refused(hub(), Request::get("/hub"), 400, words).await;
    let stripped = Request::get("/hub")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("sec-websocket-version", "13");
    let words = "a request that would be a WebSocket upgrade is none";
    cases.refused(hub(), stripped, 400, words).await;
    let words = "there is no connection of that id";
    cases.refused(hub(), events("lost"), 404, words).await;
}

/// Refusals of a connection that was negotiated.
async fn refused_later(cases: &mut Cases) {
    let polls = HubOptions::new().transports([Transport::LongPolling]);
    let (log, guard) = Log::begin();
    let server = TestServer::new(with(polls));
    let id = token(&server).await;
    let answer = open_events(&server, &id).await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    cases.has(&log, "the transport is not offered").await;
    drop(guard);

    let (log, guard) = Log::begin();
    let server = TestServer::new(hub());
    let id = token(&server).await;
    let stream = open_events(&server, &id).await;
    assert_eq!(stream.status(), StatusCode::OK);
    let again = open_events(&server, &id).await;
    assert_eq!(again.status(), StatusCode::CONFLICT);
    cases.has(&log, "the connection is in use").await;
    let poll = Request::get(format!("/hub?id={id}"));
    let poll = server.request(poll.body(Body::empty()).unwrap()).await;
    assert_eq!(poll.status(), StatusCode::BAD_REQUEST);
    cases
        .has(&log, "the connection uses another transport")
        .await;
    drop(guard);

    let (log, guard) = Log::begin();
    let whose = Hub::new(()).user_identifier(|parts| {
        let user = parts.headers.get("x-user")?;
        user.to_str().ok().map(str::to_owned)
    });
    let server = TestServer::new(whose.router("/hub"));
    let anns = negotiate().header("x-user", "ann");
    let answer = server.request(anns.body(Body::empty()).unwrap()).await;
    let body = axum::body::to_bytes(answer.into_body(), 10_000).await;
    let answer: serde_json::Value = serde_json::from_slice(&body.unwrap()).unwrap();
    let id = answer["connectionToken"].as_str().unwrap();
    let bobs = events(id).header("x-user", "bob");
    let answer = server.request(bobs.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    cases.has(&log, "the connection is another user's").await;
    drop(guard);

    refused_by_another_server(cases).await;

    let (log, _guard) = Log::begin();
    let (server, _) = start(stateful_options());
    let mut peer = Peer::counting(&server).await;
    while peer.returns().await.is_ok() {}
    cases
        .has(&log, "the connection was resumed too often")
        .await;
}

/// What was negotiated with one server, and comes to another.
async fn refused_by_another_server(cases: &mut Cases) {
    let (log, _guard) = Log::begin();
    let between = InProcess::new();
    let [(one, _), (other, others)] = [between.clone(), between].map(|between| {
        let hub: Hub = Hub::new(()).backplane(between);
        (TestServer::new(hub.map("/hub")), hub)
    });
    while others.handle().servers().connections().await.servers < 2 {}
    let id = token(&one).await;
    let stream = open_events(&other, &id).await;
    assert_eq!(stream.status(), StatusCode::MISDIRECTED_REQUEST);
    cases.has(&log, "the connection is another server's").await;

    // It is gone, and nobody knows it yet.
    drop(one);
    let (gone, id) = (id, token(&other).await);
    assert_ne!(gone, id);
    let upgrade = Request::get(format!("/hub?id={gone}"))
        .header(header::HOST, "hub")
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ==");
    let answer = other.request(upgrade.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    let words = "the server that has negotiated does not answer";
    cases.has(&log, words).await;
}

async fn not_agreed(cases: &mut Cases) {
    for (first, words) in [
        (None, "no request came in time"),
        (Some("hello\u{1e}"), "what came is no request"),
        (
            Some("{\"protocol\":\"bebop\",\"version\":1}\u{1e}"),
            "the protocol is not offered",
        ),
        (
            Some("{\"protocol\":\"json\",\"version\":9}\u{1e}"),
            "the version of the protocol is not known",
        ),
    ] {
        cases.not_agreed(hub(), first, words).await;
    }
    let small = HubOptions::new().maximum_receive_message_size(10);
    let words = "what came is too long for a request";
    cases.not_agreed(with(small), Some(HANDSHAKE), words).await;

    let (log, guard) = Log::begin();
    let server = TestServer::new(hub());
    let mut socket = server.socket();
    let upgrade = "GET /hub HTTP/1.1\r\nHost: hub\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    socket.write_all(upgrade.as_bytes()).await.unwrap();
    let mut head = [0; 12];
    socket.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 101");
    drop(socket);
    cases.has(&log, "the client left").await;
    drop(guard);

    let (log, guard) = Log::begin();
    let server = TestServer::new(hub());
    let id = token(&server).await;
    let stream = open_events(&server, &id).await;
    let post = Request::post(format!("/hub?id={id}"));
    let messagepack = "{\"protocol\":\"messagepack\",\"version\":1}\u{1e}";
    server.request(post.body(messagepack.into()).unwrap()).await;
    let words = "the protocol needs bytes, and the transport carries text";
    cases.has(&log, words).await;
    drop((stream, guard));

    let (log, _guard) = Log::begin();
    let full = Hub::new(()).on_connected(async |_: Context| Err(HubError::new("the room is full")));
    let server = TestServer::new(full.router("/hub"));
    let mut ann = server.connect("/hub").await;
    let ended = ann.ended().await;
    assert!(
        ended
            .error
            .is_some_and(|text| text.contains("the room is full"))
    );
    cases.has(&log, "method=\"on_connected\"").await;
}

#[tokio::test(start_paused = true)]
async fn the_log_says_why_a_client_does_not_connect_in_the_words_of_the_readme() {
    let mut cases = Cases {
        seen: BTreeSet::new(),
    };
    refused_at_once(&mut cases).await;
    refused_later(&mut cases).await;
    not_agreed(&mut cases).await;
    assert_eq!(cases.seen, listed());
}

#[tokio::test(start_paused = true)]
async fn in_05_the_log_says_what_does_not_fit_and_no_word_of_the_clients() {
    let (log, _guard) = Log::begin();
    let counts = Counts::default();
    let _counting = metrics::set_default_local_recorder(&counts);
    let hub = Hub::new(())
        .method("Add", async |_: Context, a: i32, b: i32| Ok(a + b))
        .method("Sum", async |_: Context, _: UploadStream<i32>| Ok(0))
        .method("Closed", async |_: Context| Ok(()))
        .authorize("Closed", |_| false);
    let server = TestServer::new(hub.router("/hub"));
    for protocol in Protocol::ALL {
        let mut ann = server.connect_in(protocol, "/hub").await;
        let mut fails = async |target: &str, arguments: Vec<serde_json::Value>| {
            let refused = ann.invoke::<i32>(target, arguments).await;
            refused.expect_err("it is refused");
        };
        fails("aDD", vec![1.into(), "secret".into()]).await;
        fails("Add", vec![serde_json::json!({"secret": 1}), 2.into()]).await;
        fails("Add", vec![1.into()]).await;
        fails("Sum", vec![]).await;
        fails("Closed", vec![]).await;
        fails("Secret", vec![]).await;
    }
    let text = log.text();
    for words in [
        r#"method="Add" why="an argument of another type" position=2 wanted="i32" found="text""#,
        r#"method="Add" why="an argument of another type" position=1 wanted="i32" found="an object""#,
        r#"method="Add" why="too many or too few arguments" provided=1 expected=2"#,
        r#"method="Sum" why="too many or too few uploads""#,
        r#"method="Closed" why="the user may not call the method""#,
        r#"method="none" why="no such method""#,
    ] {
        assert_eq!(text.matches(words).count(), 2, "{words}\n{text}");
    }
    assert!(!text.to_lowercase().contains("secret"), "{text}");
    let counts = counts.0.lock().unwrap();
    for (method, why, count) in [
        ("Add", "an argument of another type", 4),
        ("Add", "too many or too few arguments", 2),
        ("Sum", "too many or too few uploads", 2),
        ("Closed", "the user may not call the method", 2),
        ("none", "no such method", 2),
    ] {
        let key = format!("hub.calls_refused method={method} why={why}");
        let counted = counts.get(&key).map(|count| count.load(Ordering::Relaxed));
        assert_eq!(counted, Some(count), "{key} in {counts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn e_01_a_hidden_error_is_logged_with_its_sources() {
    let (log, _guard) = Log::begin();
    let hub = Hub::new(())
        .method("Save", async |_: Context| -> hub::Result<()> {
            let full = io::Error::other("the disk is full");
            Err(anyhow::Error::new(full).context("saving"))?
        })
        .method("Load", async |_: Context| -> hub::Result<()> {
            Err(HubError::new("no such room").with_cause("the record is gone"))
        });
    let server = TestServer::new(hub.router("/hub"));
    let mut ann = server.connect("/hub").await;
    for target in ["Save", "Load"] {
        ann.invoke::<()>(target, ()).await.expect_err("it fails");
    }
    let text = log.text();
    for words in [
        r#"ERROR hub::events: a hub method failed method="Save" class="Exception" error=saving sources="the disk is full""#,
        r#"DEBUG hub::events: a hub method refused method="Load" error=no such room sources="the record is gone""#,
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
}

/// Counters by their names and labels.
#[derive(Debug, Default)]
struct Counts(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

impl metrics::Recorder for Counts {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let labels = key
            .labels()
            .map(|label| format!(" {}={}", label.key(), label.value()));
        let name = format!("{}{}", key.name(), labels.collect::<String>());
        let mut counts = self.0.lock().unwrap();
        Counter::from_arc(counts.entry(name).or_default().clone())
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}
