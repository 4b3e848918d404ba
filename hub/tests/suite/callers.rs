//! Who calls, and what is known of it: users, requests, what a connection keeps. And one hub at
//! several paths.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use axum::{Extension, Router, extract::Request, middleware::map_request};
use http::{HeaderValue, StatusCode, header::COOKIE};
use hub::{
    Context, Hub, HubHandle, HubOptions, Transport, User,
    protocol::Protocol,
    testing::{NotConnected, TestServer},
};

use crate::{
    fallbacks::support::{App, HANDSHAKE, call, next},
    live::Count,
};

#[derive(Clone)]
struct Tenant(&'static str);

/// What a method sees of who calls.
fn seen(cx: &Context) -> String {
    let request = cx.request();
    let tenant = request.extensions().get::<Tenant>();
    let user = cx.current_user();
    let groups: Vec<String> = user
        .iter()
        .flat_map(|user| user.claims("group"))
        .map(str::to_owned)
        .collect();
    let traces: Vec<&str> = request.header_values("x-trace").collect();
    format!(
        "{} {} {} {} {}",
        tenant.map_or("none", |tenant| tenant.0),
        groups.join("+"),
        request.scheme(),
        request.cookie("theme").unwrap_or("none"),
        traces.join("+"),
    )
}

const SEEN: &str = "acme a+b http dark 1+2";

fn telling() -> Hub {
    Hub::new(())
        .method("Seen", async |cx: Context| Ok(seen(&cx)))
        .on_connected(async |cx: Context| cx.caller().send("Saw", (seen(&cx),)))
}

/// What an app has around its hub.
fn layered(router: Router) -> Router {
    async fn headers(mut request: Request) -> Request {
        let headers = request.headers_mut();
        headers.insert(COOKIE, HeaderValue::from_static("theme=dark"));
        headers.append("x-trace", HeaderValue::from_static("1"));
        headers.append("x-trace", HeaderValue::from_static("2"));
        request
    }
    let ann = User::new("ann")
        .with_claim("group", "a")
        .with_claim("group", "b");
    router
        .layer(Extension(Tenant("acme")))
        .layer(Extension(ann))
        .layer(map_request(headers))
}

#[tokio::test(start_paused = true)]
async fn what_layers_know_reaches_methods_over_websockets() {
    let server = TestServer::new(layered(telling().router("/hub")));
    let mut ann = server.connect("/hub").await;
    assert_eq!(ann.receive::<(String,)>("Saw").await.0, SEEN);
    assert_eq!(ann.invoke::<String>("Seen", ()).await.unwrap(), SEEN);
}

#[tokio::test(start_paused = true)]
async fn what_layers_know_reaches_methods_over_an_event_stream() {
    let app = App::of(telling(), Arc::default()).layered(layered);
    let (_, token) = app.negotiate().await;
    let mut events = app.open_stream(&token).await.into_body().into_data_stream();
    assert_eq!(app.post(&token, HANDSHAKE).await.status, 200);
    let mut heard = String::new();
    while !heard.contains("Saw") {
        heard.push_str(&next(&mut events).await.unwrap());
    }
    assert!(heard.contains(SEEN), "{heard}");
    app.post(
        &token,
        call("Seen", "").replace("1,", "1,\"invocationId\":\"1\","),
    )
    .await;
    assert!(next(&mut events).await.unwrap().contains(SEEN));
}

#[tokio::test(start_paused = true)]
async fn what_layers_know_reaches_methods_over_polls() {
    let app = App::of(telling(), Arc::default()).layered(layered);
    let (token, first) = app.polling_until("Saw").await;
    assert!(first.contains(SEEN), "{first}");
    app.post(
        &token,
        call("Seen", "").replace("1,", "1,\"invocationId\":\"1\","),
    )
    .await;
    let answer = app.poll(&token).await.body;
    assert!(answer.contains(SEEN), "{answer}");
}

struct Visit {
    language: String,
    calls: AtomicU32,
    _held: crate::live::Held,
}

fn visited(alive: &Count) -> Hub {
    let alive = alive.clone();
    Hub::new(())
        .connection_state(move |request| Visit {
            language: request.header("accept-language").unwrap_or("en").to_owned(),
            calls: AtomicU32::new(0),
            _held: alive.hold(),
        })
        .method("Count", async |cx: Context| {
            let visit = cx.connection::<Visit>();
            let calls = visit.calls.fetch_add(1, Ordering::Relaxed) + 1;
            Ok((visit.language.clone(), calls))
        })
        .method("Wrong", async |cx: Context| {
            Ok(cx.connection::<String>().len())
        })
}

#[tokio::test(start_paused = true)]
async fn a_connection_keeps_what_the_hub_made_for_it() {
    let alive = Count::default();
    let server = TestServer::new(visited(&alive).router("/hub"));
    let french = http::Request::get("/hub").header("accept-language", "fr");
    let mut ann = server.try_connect(Protocol::Json, french).await.unwrap();
    let mut bob = server.connect_in(Protocol::MessagePack, "/hub").await;
    let count = async |client: &mut hub::testing::TestClient| {
        client.invoke::<(String, u32)>("Count", ()).await.unwrap()
    };
    assert_eq!(count(&mut ann).await, ("fr".to_owned(), 1));
    assert_eq!(count(&mut ann).await, ("fr".to_owned(), 2));
    assert_eq!(count(&mut bob).await, ("en".to_owned(), 1));
    let wrong = ann.invoke::<usize>("Wrong", ()).await.unwrap_err();
    let text = "An unexpected error occurred invoking 'Wrong' on the server.";
    assert_eq!(wrong.to_string(), text);
    assert_eq!(count(&mut ann).await, ("fr".to_owned(), 3)); // it lives
    assert_eq!(alive.get(), 2);
    ann.leave().await;
    bob.leave().await;
    alive.reaches(0).await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_state_is_made_harms_nobody() {
    let hub = Hub::new(())
        .connection_state(|request| -> u32 {
            assert!(request.query("panic").is_none(), "as asked");
            7
        })
        .method("State", async |cx: Context| Ok(*cx.connection::<u32>()));
    let server = TestServer::new(hub.router("/hub"));
    let mut bad = server.connect("/hub?panic=1").await;
    let mut good = server.connect("/hub").await;
    assert!(bad.invoke::<u32>("State", ()).await.is_err());
    assert_eq!(good.invoke::<u32>("State", ()).await.unwrap(), 7);
}

fn chat() -> Hub {
    Hub::new(())
        .method("Join", async |cx: Context, room: String| {
            cx.groups().join(&room)
        })
        .method("Say", async |cx: Context, room: String, text: String| {
            cx.group(&room).send("Said", (text,))
        })
}

fn two_paths(chat: &Hub) -> (Router, HubHandle) {
    let only = [Transport::ServerSentEvents, Transport::LongPolling];
    let app = Router::new()
        .merge(chat.map("/chat"))
        .merge(chat.map_with("/chat-nowebsockets", |path| path.transports(only)))
        .merge(chat.map_with("/chat-admins", |path| path));
    (app, chat.handle())
}

#[tokio::test(start_paused = true)]
async fn the_paths_of_a_hub_reach_the_same_clients() {
    let (app, handle) = two_paths(&chat());
    let server = TestServer::new(app);
    let mut ann = server.connect("/chat").await;
    let mut bob = server.connect("/chat-admins").await;
    for client in [&mut ann, &mut bob] {
        client.invoke::<()>("Join", ("lobby",)).await.unwrap();
    }
    bob.send("Say", ("lobby", "hello")).await;
    for client in [&mut ann, &mut bob] {
        assert_eq!(client.receive::<(String,)>("Said").await.0, "hello");
    }
    assert_eq!(handle.connections(), 2);
}

#[tokio::test(start_paused = true)]
async fn each_path_has_options_of_its_own() {
    let (app, _) = two_paths(&chat());
    let server = TestServer::new(app);
    let refused = server.try_connect(Protocol::Json, http::Request::get("/chat-nowebsockets"));
    let refused = refused.await.err();
    assert_eq!(refused, Some(NotConnected::Status(StatusCode::NOT_FOUND)));
    for (path, offers) in [("/chat", true), ("/chat-nowebsockets", false)] {
        let request = http::Request::post(format!("{path}/negotiate?negotiateVersion=1"));
        let answer = server.request(request.body(axum::body::Body::empty()).unwrap());
        let body = axum::body::to_bytes(answer.await.into_body(), 10_000).await;
        let body = String::from_utf8(body.unwrap().to_vec()).unwrap();
        assert_eq!(body.contains("\"WebSockets\""), offers, "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_is_mapped_takes_nothing_more() {
    let chat = chat();
    let _first = chat.map("/chat");
    let late = AssertUnwindSafe(|| chat.method("Late", async |_: Context| Ok(())));
    let panic = catch_unwind(late).expect_err("it is too late");
    let said = panic.downcast_ref::<&str>().copied();
    assert!(
        said.is_some_and(|said| said.contains("before it is mapped")),
        "{said:?}"
    );
}

#[test]
fn a_path_begins_with_the_options_of_its_hub() {
    let options = HubOptions::new().max_unused_connections(7);
    let chat: Hub = Hub::with_options((), options);
    let mut seen = None;
    let _ = chat.map_with("/chat", |path| {
        seen = Some(path.max_unused_connections);
        path.poll_timeout(std::time::Duration::from_secs(1))
    });
    assert_eq!(seen, Some(7));
}
