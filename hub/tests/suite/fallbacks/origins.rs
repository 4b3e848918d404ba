//! Which pages may come: the rule of the WebSocket upgrade holds for every request, and who
//! is refused has changed nothing.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderValue, Method, Request, header},
};
use hub::{HubOptions, Origins};
use tokio::time::sleep;
use tower_http::cors::CorsLayer;

use super::support::{Answer, App, HANDSHAKE, call, read};

const HOST: &str = "chat.example";
const OWN: &str = "https://chat.example";
const FOREIGN: &str = "https://chat.example.evil";
const REFUSED: (u16, &str) = (403, "Pages of this origin may not connect here.");

/// What a page sends, with one header that says which page it is.
async fn page(app: &App, page: (&str, &str), what: &str, id: &str, body: &str) -> Answer {
    let (method, path, more) = match what {
        "negotiate" => (Method::POST, "/hub/negotiate", None),
        "refresh" => (Method::POST, "/hub/refresh", None),
        "upgrade" => (Method::GET, "/hub", Some((header::UPGRADE, "websocket"))),
        "events" => (
            Method::GET,
            "/hub",
            Some((header::ACCEPT, "text/event-stream")),
        ),
        "poll" => (Method::GET, "/hub", None),
        "post" => (Method::POST, "/hub", None),
        "delete" => (Method::DELETE, "/hub", None),
        _ => panic!("{what}"),
    };
    let mut request = Request::builder()
        .method(method)
        .uri(format!("{path}?negotiateVersion=1&id={id}"))
        .header(header::HOST, HOST)
        .header(page.0, page.1);
    if let Some((name, value)) = more {
        request = request.header(name, value);
    }
    let request = request.body(Body::from(body.to_owned())).unwrap();
    read(app.send(request).await).await
}

async fn foreign(app: &App, what: &str, id: &str, body: &str) -> (u16, String) {
    let answer = page(app, ("origin", FOREIGN), what, id, body).await;
    assert_eq!(answer.header("content-type"), "text/plain");
    (answer.status, answer.body)
}

fn refused() -> (u16, String) {
    (REFUSED.0, REFUSED.1.to_owned())
}

fn told(text: &str) -> String {
    format!("{{\"type\":1,\"target\":\"Told\",\"arguments\":[\"{text}\"]}}\u{1e}")
}

#[tokio::test(start_paused = true)]
async fn r_09_row_38_row_40_pages_of_another_host_are_refused_whatever_they_ask_for() {
    let app = App::new(HubOptions::new().authentication_refresh(true));
    let (_, token) = app.polling().await;
    let foreign = [
        ("origin", FOREIGN),
        ("origin", "https://chat.example:8443"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ];
    for what in [
        "negotiate",
        "refresh",
        "upgrade",
        "events",
        "poll",
        "post",
        "delete",
    ] {
        for who in foreign {
            for id in ["", "unknown", &token] {
                let answer = page(&app, who, what, id, "").await;
                assert_eq!(answer.told(), REFUSED, "{what} of {who:?} with {id:?}");
            }
        }
    }
    assert_eq!(app.handle.connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn r_09_pages_of_this_host_and_programs_are_served() {
    let app = App::new(HubOptions::new());
    // What a browser says of a GET of its own page, and of everything else.
    for who in [
        ("origin", OWN),
        ("sec-fetch-site", "same-origin"),
        ("x-requested-with", "a program"),
    ] {
        let (_, token) = app.negotiate().await;
        let answer = page(&app, who, "poll", &token, "").await;
        assert_eq!(answer.told(), (200, ""), "{who:?}");
        let answer = page(&app, who, "post", &token, HANDSHAKE).await;
        assert_eq!(answer.told(), (200, ""), "{who:?}");
        let answer = page(&app, who, "poll", &token, "").await;
        assert_eq!(answer.told(), (200, "{}\u{1e}"), "{who:?}");
        let answer = page(&app, who, "delete", &token, "").await;
        assert_eq!(answer.told(), (202, ""), "{who:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn r_09_row_39_a_list_lets_in_its_pages_alone_and_any_all() {
    let list = App::new(HubOptions::new().origins(Origins::list(["https://app.example"])));
    let any = App::new(HubOptions::new().origins(Origins::any()));
    for (origin, listed) in [
        ("https://app.example", 200),
        ("https://app.example:443", 200),
        ("https://APP.example", 200),
        (OWN, 403),
        ("https://app.example.evil", 403),
        ("http://app.example", 403),
        ("https://app.example:8443", 403),
        ("null", 403),
    ] {
        for (app, status) in [(&list, listed), (&any, 200)] {
            let answer = page(app, ("origin", origin), "negotiate", "", "").await;
            assert_eq!(answer.status, status, "{origin}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn r_09_where_an_origin_is_required_a_page_may_still_poll() {
    let app = App::new(HubOptions::new().origins(Origins::same_host().required()));
    for (who, status) in [
        (("origin", OWN), 400),
        (("sec-fetch-site", "same-origin"), 400), // C-10: let in, but no id
        (("sec-fetch-site", "none"), 403),
        (("x-requested-with", "a program"), 403),
    ] {
        let answer = page(&app, who, "poll", "", "").await;
        assert_eq!(answer.status, status, "{who:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn r_09_a_foreign_post_does_not_reach_the_connection() {
    let app = App::new(HubOptions::new());
    let (_, token) = app.polling().await;
    let post = foreign(&app, "post", &token, &call("Tell", "\"foreign\"")).await;
    assert_eq!(post, refused());
    assert_eq!(app.post(&token, call("Tell", "\"own\"")).await.status, 200);
    assert_eq!(app.poll(&token).await.told(), (200, &*told("own")));
}

#[tokio::test(start_paused = true)]
async fn r_09_a_foreign_poll_takes_nothing_and_displaces_nobody() {
    let app = App::new(HubOptions::new());
    let (_, token) = app.polling().await;
    app.post(&token, call("Tell", "\"waits\"")).await;
    assert_eq!(foreign(&app, "poll", &token, "").await, refused());
    assert_eq!(app.poll(&token).await.told(), (200, &*told("waits")));
    let (polling, id) = (app.clone(), token.clone());
    let poll = tokio::spawn(async move { polling.poll(&id).await });
    sleep(Duration::from_millis(1)).await;
    assert_eq!(foreign(&app, "poll", &token, "").await, refused()); // LP-06
    app.post(&token, call("Tell", "\"more\"")).await;
    assert_eq!(poll.await.unwrap().told(), (200, &*told("more")));
}

#[tokio::test(start_paused = true)]
async fn r_09_a_foreign_poll_is_no_sign_of_life() {
    let app = App::new(HubOptions::new());
    let (_, token) = app.polling().await;
    for _ in 0..2 {
        sleep(Duration::from_secs(8)).await;
        assert_eq!(foreign(&app, "poll", &token, "").await, refused());
    }
    assert_eq!((app.handle.connections(), app.gone()), (0, 1)); // C-05
}

#[tokio::test(start_paused = true)]
async fn r_09_a_foreign_delete_ends_nothing() {
    let app = App::new(HubOptions::new());
    let (_, token) = app.polling().await;
    assert_eq!(foreign(&app, "delete", &token, "").await, refused());
    assert_eq!(app.post(&token, call("Tell", "\"x\"")).await.status, 200);
    assert_eq!(app.poll(&token).await.told(), (200, &*told("x")));
}

#[tokio::test(start_paused = true)]
async fn r_09_c_07_a_foreign_request_leaves_a_new_connection_unused() {
    let app = App::new(HubOptions::new());
    for first in ["events", "poll", "upgrade", "post", "delete"] {
        let (_, token) = app.negotiate().await;
        let early = foreign(&app, first, &token, HANDSHAKE).await;
        assert_eq!(early, refused(), "{first}");
        // Whatever that would have begun, it may still begin as an event stream; and nothing that
        // was POSTed before it is there (P-05).
        let events = app.open_stream(&token).await;
        assert_eq!(events.status(), 200, "{first}");
        let mut events = events.into_body().into_data_stream();
        let opened = super::support::next(&mut events).await;
        assert_eq!(opened.as_deref(), Some(":\r\n"));
        assert_eq!(app.post(&token, HANDSHAKE).await.status, 200);
        let greeted = super::support::next(&mut events).await;
        assert_eq!(greeted.as_deref(), Some("data: {}\u{1e}\r\n\r\n"));
    }
}

#[tokio::test(start_paused = true)]
async fn r_09_a_foreign_negotiate_takes_no_place() {
    let app = App::new(HubOptions::new().max_unused_connections(1));
    for _ in 0..3 {
        assert_eq!(foreign(&app, "negotiate", "", "").await, refused());
    }
    app.negotiate().await;
    let over = page(&app, ("origin", OWN), "negotiate", "", "").await;
    assert_eq!(over.status, 503);
}

/// What the README shows.
fn with_cors() -> App {
    let pages = ["https://app.example"];
    let cors = CorsLayer::very_permissive().allow_origin(pages.map(HeaderValue::from_static));
    App::new(HubOptions::new().origins(Origins::list(pages))).layered(|app| app.layer(cors))
}

/// What the official JavaScript client asks for, with a token.
const ASKED: &str = "authorization,content-type,x-requested-with,x-signalr-user-agent";

async fn preflight(app: &App, origin: &str, path: &str, method: &str) -> Answer {
    let request = Request::options(format!("{path}?id=x"))
        .header(header::HOST, HOST)
        .header(header::ORIGIN, origin)
        .header(header::ACCESS_CONTROL_REQUEST_METHOD, method)
        .header(header::ACCESS_CONTROL_REQUEST_HEADERS, ASKED);
    read(app.send(request.body(Body::empty()).unwrap()).await).await
}

#[tokio::test(start_paused = true)]
async fn r_08_cors_lets_a_listed_page_in_with_credentials() {
    let app = with_cors();
    for (path, method) in [
        ("/hub/negotiate", "POST"),
        ("/hub", "GET"),
        ("/hub", "POST"),
        ("/hub", "DELETE"),
    ] {
        let answer = preflight(&app, "https://app.example", path, method).await;
        assert_eq!(answer.told(), (200, ""));
        let allowed = |what: &str| answer.header(&format!("access-control-allow-{what}"));
        assert_eq!(allowed("origin"), "https://app.example");
        assert_eq!(allowed("credentials"), "true");
        assert_eq!(allowed("methods"), method);
        assert_eq!(allowed("headers"), ASKED);
        assert!(answer.header("vary").contains("origin"));
    }
    let who = ("origin", "https://app.example");
    let answer = page(&app, who, "negotiate", "", "").await;
    assert_eq!(answer.status, 200);
    let allowed = answer.header("access-control-allow-origin");
    assert_eq!(allowed, "https://app.example");
    assert_eq!(answer.header("access-control-allow-credentials"), "true");
}

#[tokio::test(start_paused = true)]
async fn r_08_row_41_cors_names_no_other_page() {
    let app = with_cors();
    let named = |answer: &Answer| answer.headers.contains_key("access-control-allow-origin");
    for origin in ["https://app.example.evil", OWN, "null"] {
        for path in ["/hub/negotiate", "/hub"] {
            assert!(!named(&preflight(&app, origin, path, "POST").await));
        }
        for what in ["negotiate", "events", "poll", "post", "delete"] {
            let answer = page(&app, ("origin", origin), what, "", "").await;
            assert_eq!((answer.told(), named(&answer)), (REFUSED, false), "{what}");
        }
    }
}
