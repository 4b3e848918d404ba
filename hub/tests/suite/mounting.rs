//! How a hub sits in an app and under a server: its paths, what a body may hold, who a client is,
//! and a stop of the server.

use std::{
    cell::RefCell,
    net::SocketAddr,
    panic::{self, AssertUnwindSafe, Location},
    time::Duration,
};

use axum::{
    Extension, Router,
    body::{Body, Bytes},
    http::{Request, StatusCode},
};
use futures_util::stream;
use hub::{Context, Hub, HubOptions, ignore_path_case, testing::TestServer};
use raw_ws::{BodyLimit, Connections, Remote};
use tokio::time::{Instant, sleep, timeout};
use tower::ServiceExt as _;

use crate::{
    fallbacks::support::{App, HANDSHAKE, call, next, read},
    live::Client,
};

const GOODBYE: &str = r#"{"type":7,"allowReconnect":true}"#;

async fn status(app: &Router, method: &str, target: &str) -> u16 {
    let request = Request::builder().method(method).uri(target);
    let request = request.body(Body::empty()).unwrap();
    app.clone().oneshot(request).await.unwrap().status().into()
}

fn hub() -> Hub {
    Hub::new(())
}

// ---------------------------------------------------------------------------------------------
// Paths

#[tokio::test]
async fn r_01_a_path_is_served_as_clients_spell_it() {
    for (path, served, others) in [
        ("/chat", &["/chat"][..], &["/Chat", "/chat2", "/"][..]),
        ("/chat/", &["/chat"], &["/"]),
        ("/", &[""], &["/chat"]),
        ("/a/b", &["/a/b"], &["/a"]),
        ("/café", &["/caf%C3%A9", "/caf%c3%a9"], &["/cafe", "/caf"]),
        ("/caf%C3%A9", &["/caf%C3%A9", "/caf%c3%a9"], &["/cafe"]),
        ("/my hub", &["/my%20hub"], &["/my", "/my+hub"]),
        ("/100%", &["/100%25"], &["/100"]),
        (
            "/a\"b|c^d`e<f>g#h?i[j]k\\l",
            &["/a%22b%7Cc%5Ed%60e%3Cf%3Eg%23h%3Fi%5Bj%5Dk%5Cl"],
            &["/a"],
        ),
        (
            "/чат/комната",
            &["/%D1%87%D0%B0%D1%82/%D0%BA%D0%BE%D0%BC%D0%BD%D0%B0%D1%82%D0%B0"],
            &["/x"],
        ),
        (
            "/{room}/chat",
            &["/lobby/chat", "/caf%C3%A9/chat"],
            &["/chat"],
        ),
    ] {
        let app = hub().router(path);
        for served in served {
            for (method, target, expected) in [
                ("POST", format!("{served}/negotiate"), 200),
                (
                    "POST",
                    format!("{served}/negotiate/?negotiateVersion=1"),
                    200,
                ),
                ("GET", format!("{served}/"), 400),
                ("GET", format!("{served}/?id=x"), 404),
            ] {
                assert_eq!(
                    status(&app, method, &target).await,
                    expected,
                    "{path}: {target}"
                );
            }
            if !served.is_empty() {
                assert_eq!(status(&app, "GET", served).await, 400, "{path}: {served}");
            }
        }
        for other in others {
            let other = format!("{}/negotiate", other.trim_end_matches('/'));
            if !(path == "/" && other == "/negotiate") {
                assert_eq!(status(&app, "POST", &other).await, 404, "{path}: {other}");
            }
        }
    }
}

#[tokio::test]
async fn r_02_the_case_of_a_path_may_be_ignored_whatever_its_letters() {
    let app = hub().router("/café").merge(hub().router("/my hub"));
    let app = ignore_path_case(app, &["/café", "/my hub"]);
    for served in [
        "/caf%C3%A9",
        "/caf%c3%a9",
        "/CAF%C3%89",
        "/%43af%C3%A9",
        "/my%20hub",
        "/My%20Hub",
    ] {
        for end in ["/negotiate", "/Negotiate/"] {
            let target = format!("{served}{end}?negotiateVersion=1");
            assert_eq!(status(&app, "POST", &target).await, 200, "{target}");
        }
    }
    for other in ["/cafe", "/caf%E9", "/myhub"] {
        assert_eq!(
            status(&app, "POST", &format!("{other}/negotiate")).await,
            404,
            "{other}"
        );
    }
    let encoded = "/My%20Hub%2Fnegotiate?negotiateVersion=1";
    assert_eq!(status(&app, "POST", encoded).await, 404);
}

/// What a panic says, and where it says it was.
fn panic_of(run: impl FnOnce()) -> (String, String) {
    thread_local! {
        static PANICKED: RefCell<Option<(String, String)>> = const { RefCell::new(None) };
    }
    static HOOKED: std::sync::Once = std::sync::Once::new();
    HOOKED.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let place = info.location().map(Location::file).unwrap_or_default();
            let text = info.payload().downcast_ref::<String>().cloned();
            PANICKED.set(Some((text.unwrap_or_default(), place.to_owned())));
            before(info);
        }));
    });
    assert!(panic::catch_unwind(AssertUnwindSafe(run)).is_err());
    PANICKED.take().expect("it panicked in this thread")
}

#[test]
fn a_path_without_a_slash_panics_where_it_is_written() {
    let (text, place) = panic_of(|| drop(hub().router("chat")));
    assert_eq!(text, "the path of a hub begins with a slash: \"/chat\"");
    assert!(place.ends_with("mounting.rs"), "{place}");
    panic_of(|| drop(hub().router("")));
}

#[test]
fn two_hubs_at_one_path_panic_where_they_meet_and_name_it() {
    for (one, other, named) in [
        ("/chat", "/chat", "/chat"),
        ("/chat", "/chat/", "/chat"),
        ("/café", "/caf%C3%A9", "/caf%"),
        ("/chat", "/chat/negotiate", "/chat/negotiate"),
    ] {
        let (text, place) = panic_of(|| drop(hub().router(one).merge(hub().router(other))));
        assert!(text.contains(named), "{text}");
        assert!(place.ends_with("mounting.rs"), "{place}");
    }
    // Beside each other they are fine.
    let _ = hub().router("/chat").merge(hub().router("/chat2"));
}

// ---------------------------------------------------------------------------------------------
// Bodies

/// Spaces between messages are nothing to the hub: a body of any size.
fn body_of(size: usize, is_chunked: bool) -> Body {
    let message = call("Tell", "\"x\"");
    let whole = Bytes::from(message.repeat(size / message.len() + 1)).slice(..size);
    if !is_chunked {
        return Body::from(whole);
    }
    let pieces: Vec<_> = whole
        .chunks(50_000)
        .map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece)))
        .collect();
    Body::from_stream(stream::iter(pieces))
}

#[tokio::test(start_paused = true)]
async fn p_01_a_post_may_hold_30_mb_and_a_byte_more_gets_413() {
    assert_eq!(
        HubOptions::new().endpoint.maximum_request_body_size,
        Some(30_000_000)
    );
    for (limit, is_chunked) in [(300_000, false), (300_000, true)] {
        let app = App::new(HubOptions::new().maximum_request_body_size(limit));
        for (size, expected) in [(limit, 200), (limit + 1, 413)] {
            let (_, token) = app.polling().await;
            let reader = tokio::spawn({
                let (app, token) = (app.clone(), token.clone());
                async move { while app.poll(&token).await.status == 200 {} }
            });
            let answer = app.post(&token, body_of(size, is_chunked)).await;
            assert_eq!(answer.status, expected, "{size}, chunked: {is_chunked}");
            if expected == 413 {
                let text =
                    format!("Request body too large. The max request body size is {limit} bytes.");
                assert_eq!(answer.body, text);
            }
            reader.abort();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p_01_no_limit_is_no_limit() {
    let app = App::new(HubOptions::new().maximum_request_body_size(None));
    let (_, token) = app.polling().await;
    tokio::spawn({
        let (app, token) = (app.clone(), token.clone());
        async move { while app.poll(&token).await.status == 200 {} }
    });
    assert_eq!(
        app.post(&token, body_of(31_000_000, true)).await.status,
        200
    );
}

/// What `raw_ws::serve` puts into a request to bound its body is the hub's to set.
#[tokio::test(start_paused = true)]
async fn the_servers_limit_of_a_body_gives_way_to_the_hubs() {
    let limit = BodyLimit::new(10);
    let app = App::new(HubOptions::new());
    let (_, token) = app.polling().await;
    let with_limit = app
        .clone()
        .layered(|app| app.layer(Extension(limit.clone())));
    assert_eq!(
        with_limit.post(&token, call("Echo", "\"x\"")).await.status,
        200
    );
    assert_eq!(limit.bytes(), u64::MAX);
}

// ---------------------------------------------------------------------------------------------
// Who a client is

#[tokio::test(start_paused = true)]
async fn c_14_a_method_knows_its_clients_address_and_scheme_over_every_transport() {
    let told = async |cx: Context| {
        let request = cx.request();
        let address = request.remote_address().map(|address| address.to_string());
        cx.caller().send("Told", (address, request.is_https()))
    };
    let at: SocketAddr = "203.0.113.7:4711".parse().unwrap();
    for (remote, expected) in [
        (Some(Remote::https(at)), r#"["203.0.113.7:4711",true]"#),
        (Some(Remote::http(at)), r#"["203.0.113.7:4711",false]"#),
        (None, "[null,false]"),
    ] {
        let hub = hub().method("Who", told);
        let app = App::of(hub, std::sync::Arc::default());
        let app = app.layered(|app| match remote {
            Some(remote) => app.layer(Extension(remote)),
            None => app,
        });
        let who = format!("{{\"type\":1,\"target\":\"Told\",\"arguments\":{expected}}}\u{1e}");
        let (_, token) = app.polling().await;
        app.post(&token, call("Who", "")).await;
        assert_eq!(app.poll(&token).await.body, who);
        let (token, mut events) = app.streaming().await;
        app.post(&token, call("Who", "")).await;
        assert_eq!(
            next(&mut events).await,
            Some(format!("data: {who}\r\n\r\n"))
        );
    }
}

// ---------------------------------------------------------------------------------------------
// A stop of the server

/// A server that serves an app in memory, with the connections of one that can stop.
struct Server {
    app: App,
    connections: Connections,
}

impl Server {
    fn with(app: &App) -> Self {
        let connections = Connections::new();
        let app = app.clone();
        let app = app.layered(|app| app.layer(Extension(connections.clone())));
        Self { app, connections }
    }

    async fn websocket(&self) -> Client {
        let server = TestServer::new(self.app.router());
        let mut client = Client::connect(server.socket(), "/hub").await;
        client.shake_hands().await;
        client
    }
}

#[tokio::test(start_paused = true)]
async fn cl_15_a_stop_of_the_server_has_its_hubs_say_goodbye_over_every_transport() {
    let app = App::new(HubOptions::new());
    let server = Server::with(&app);
    let mut socket = server.websocket().await;
    let (_, polling) = server.app.polling().await;
    let (_, mut events) = server.app.streaming().await;
    let (_, unused) = server.app.negotiate().await;
    let poll = tokio::spawn({
        let (app, token) = (server.app.clone(), polling.clone());
        async move { app.poll(&token).await }
    });
    sleep(Duration::from_millis(10)).await;

    assert!(!server.connections.is_stopping());
    server.connections.announce_stop();
    assert!(server.connections.is_stopping());
    // Only said: whoever comes is still let in.
    let mut late = server.websocket().await;
    let begun = Instant::now();
    server.connections.close_all("the server stops");
    socket.expect_end(GOODBYE, 1001).await;
    late.expect_end(GOODBYE, 1001).await;
    assert_eq!(
        poll.await.unwrap().told(),
        (200, &*format!("{GOODBYE}\u{1e}"))
    );
    let event = next(&mut events).await.unwrap();
    assert_eq!(event, format!("data: {GOODBYE}\u{1e}\r\n\r\n"));
    assert_eq!(next(&mut events).await, None);
    assert!(begun.elapsed() < Duration::from_secs(1));

    // Nobody else is let in.
    assert_eq!(server.app.poll(&unused).await.status, 503);
    let negotiate = status(&server.app.router(), "POST", "/hub/negotiate").await;
    assert_eq!(negotiate, 503);
}

#[tokio::test(start_paused = true)]
async fn cl_15_who_was_only_arriving_at_the_stop_is_told_as_well() {
    let app = App::new(HubOptions::new());
    let server = Server::with(&app);
    let serving = TestServer::new(server.app.router());
    let mut shaking = Client::connect(serving.socket(), "/hub").await;
    server.connections.close_all("the server stops");
    sleep(Duration::from_secs(1)).await;
    shaking.shake_hands().await;
    shaking.expect_end(GOODBYE, 1001).await;
}

#[tokio::test(start_paused = true)]
async fn cl_15_a_stop_is_that_of_one_server_and_its_clients() {
    let app = App::new(HubOptions::new());
    let (one, other) = (Server::with(&app), Server::with(&app));
    let (mut of_one, mut of_other) = (one.websocket().await, other.websocket().await);
    one.connections.close_all("the server stops");
    of_one.expect_end(GOODBYE, 1001).await;
    // The hub goes on for the clients of the other, old and new, and for those of no server.
    assert_eq!(of_other.ask("Echo", "[\"here\"]").await, "\"here\"");
    assert_eq!(
        other.websocket().await.ask("Echo", "[\"new\"]").await,
        "\"new\""
    );
    app.polling().await;
    other.connections.close_all("the server stops");
    of_other.expect_end(GOODBYE, 1001).await;
    assert_eq!(app.handle.connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn cl_15_what_runs_on_disconnect_has_run_when_the_server_has_stopped() {
    let app = App::new(HubOptions::new());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let served = tokio::spawn(
        raw_ws::serve(listener, app.router())
            .with_graceful_shutdown(async {
                let _ = stopped.await;
            })
            .into_future(),
    );
    let (mut socket, _) = tokio_tungstenite::connect_async(format!("ws://{address}/hub"))
        .await
        .unwrap();
    use futures_util::{SinkExt as _, StreamExt as _};
    socket.send(HANDSHAKE.into()).await.unwrap();
    assert_eq!(
        socket.next().await.unwrap().unwrap().to_text().unwrap(),
        "{}\u{1e}"
    );
    stop.send(()).unwrap();
    let goodbye = socket.next().await.unwrap().unwrap();
    assert_eq!(goodbye.to_text().unwrap(), format!("{GOODBYE}\u{1e}"));
    let closed = socket.next().await.unwrap().unwrap();
    let code = match closed {
        tokio_tungstenite::tungstenite::Message::Close(Some(close)) => u16::from(close.code),
        other => panic!("{other:?}"),
    };
    assert_eq!(code, 1001);
    while socket.next().await.is_some() {}
    timeout(Duration::from_secs(5), served)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(app.gone(), 1);
}

/// The same router under `axum::serve`, which knows nothing of connections.
#[tokio::test(start_paused = true)]
async fn a_hub_under_another_server_is_stopped_by_its_handle() {
    let app = App::new(HubOptions::new());
    let (_, mut events) = app.streaming().await;
    app.handle.shutdown(Duration::from_secs(5)).await;
    let event = next(&mut events).await.unwrap();
    assert_eq!(event, format!("data: {GOODBYE}\u{1e}\r\n\r\n"));
    let answer = read(app.open_stream("x").await).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}
