//! Who is let in, who may bring a newer token, and who may present whose connection token: refusals
//! to the byte, and nothing else changed by them (AU-01, AU-07 to AU-09, rows 154 to 156).

use std::time::Duration;

use crate::live::{Answer, Server};
use axum::{Router, extract::Request, middleware, response::Response};
use hub::{Context, Hub, HubOptions, User};

/// Every request says who makes it: `x-user: name`, or `name/role`; a WebSocket `&user=name`.
async fn identify(mut request: Request, next: middleware::Next) -> Response {
    let header = request.headers().get("x-user");
    let header = header.and_then(|who| who.to_str().ok());
    let query = request
        .uri()
        .query()
        .and_then(|query| query.split_once("&user="));
    if let Some(who) = header.or_else(|| Some(query?.1)).map(str::to_owned) {
        let user = match who.split_once('/') {
            Some((name, role)) => User::new(name).with_role(role),
            None => User::new(who),
        };
        let user = user.expires_in(Duration::from_secs(3600));
        request.extensions_mut().insert(user);
    }
    next.run(request).await
}

fn hub() -> Hub {
    let options = HubOptions::new().authentication_refresh(true);
    Hub::with_options((), options).method("IsAdmin", async |cx: Context| {
        let user = cx.current_user();
        Ok(user.is_some_and(|user| user.is_in_role("admin")))
    })
}

fn serve(hub: Hub) -> Server {
    let handle = hub.handle();
    let others = Hub::new(()).router("/other");
    let app: Router = hub.router("/hub").merge(others);
    Server::serve(app.layer(middleware::from_fn(identify)), handle)
}

const UPGRADE: &str = "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const EVENTS: &str = "Accept: text/event-stream\r\n";

/// Every way to use a connection token: its name, its method, its headers.
const WAYS: [(&str, &str, &str); 5] = [
    ("upgrade", "GET", UPGRADE),
    ("event stream", "GET", EVENTS),
    ("poll", "GET", ""),
    ("POST", "POST", ""),
    ("DELETE", "DELETE", ""),
];

fn of(user: &str) -> String {
    if user.is_empty() {
        return String::new();
    }
    format!("x-user: {user}\r\n")
}

fn empty(status: u16) -> Answer {
    Answer {
        status,
        content_type: None,
        body: String::new(),
    }
}

fn plain(status: u16, body: &str) -> Answer {
    Answer {
        status,
        content_type: Some("text/plain".into()),
        body: body.into(),
    }
}

async fn negotiate_as(server: &Server, user: &str) -> String {
    let target = "/hub/negotiate?negotiateVersion=1";
    let answer = server.request_with("POST", target, &of(user)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    body["connectionToken"].as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn au_01_a_policy_refuses_before_anything_is_looked_at() {
    let server = serve(hub().require(|user| user.is_in_role("admin")));
    let token = negotiate_as(&server, "ann/admin").await;
    let paths = [
        ("POST", "/hub/negotiate?negotiateVersion=x"),
        ("PUT", "/hub/negotiate"),
        ("POST", "/hub/refresh"),
        ("PUT", "/hub"),
        ("GET", "/hub"),
    ];
    for (method, target) in paths {
        let nobody = server.request(method, target).await;
        assert_eq!(nobody, empty(401), "{method} {target}");
        let other = server.request_with(method, target, &of("ann")).await;
        assert_eq!(other, empty(403), "{method} {target}");
    }
    for (way, method, headers) in WAYS {
        let target = format!("/hub?id={token}");
        let headers = format!("{headers}{}", of("ann"));
        let answer = server.request_with(method, &target, &headers).await;
        assert_eq!(answer, empty(403), "{way}");
    }
    // The token is as it was: unused, and it leads to its connection.
    let poll = server
        .request_with("GET", &format!("/hub?id={token}"), &of("ann/admin"))
        .await;
    assert_eq!(poll.status, 200);
}

#[tokio::test(start_paused = true)]
async fn au_01_several_policies_must_all_hold() {
    let is_ann = |user: &User| user.identifier() == "ann";
    let server = serve(
        hub()
            .require(|user| user.is_in_role("admin"))
            .require(is_ann),
    );
    for (user, status) in [
        ("ann/admin", 200),
        ("bob/admin", 403),
        ("ann", 403),
        ("", 401),
    ] {
        let target = "/hub/negotiate?negotiateVersion=1";
        let answer = server.request_with("POST", target, &of(user)).await;
        assert_eq!(answer.status, status, "{user}");
    }
}

#[tokio::test(start_paused = true)]
async fn row_155_row_156_a_token_is_no_use_to_another_user_or_to_nobody() {
    let server = serve(hub());
    for used in [false, true] {
        let token = negotiate_as(&server, "ann").await;
        let target = format!("/hub?id={token}");
        if used {
            let first = server.request_with("GET", &target, &of("ann")).await;
            assert_eq!(first.status, 200);
        }
        for (way, method, headers) in WAYS {
            for user in ["bob", ""] {
                let headers = format!("{headers}{}", of(user));
                let answer = server.request_with(method, &target, &headers).await;
                assert_eq!(answer, empty(403), "{way} by {user:?}, used: {used}");
            }
        }
        // Nothing has changed: its owner posts to it, polls it and ends it.
        assert_eq!(
            server.request_with("POST", &target, &of("ann")).await,
            plain(200, "")
        );
        if !used {
            let first = server.request_with("GET", &target, &of("ann")).await;
            assert_eq!(first.status, 200);
        }
        let ended = server.request_with("DELETE", &target, &of("ann")).await;
        assert_eq!(ended, plain(202, ""));
    }
}

#[tokio::test(start_paused = true)]
async fn row_154_a_token_of_another_hub_is_unknown() {
    let server = serve(hub());
    let token = negotiate_as(&server, "ann").await;
    for (way, method, headers) in WAYS {
        let headers = format!("{headers}{}", of("ann"));
        let target = format!("/other?id={token}");
        let answer = server.request_with(method, &target, &headers).await;
        let mut expected = plain(404, "No Connection with that ID");
        if way == "upgrade" {
            expected.content_type = None; // C-11
        }
        assert_eq!(answer, expected, "{way}");
    }
    let poll = server
        .request_with("GET", &format!("/hub?id={token}"), &of("ann"))
        .await;
    assert_eq!(poll.status, 200);
}

#[tokio::test(start_paused = true)]
async fn au_07_au_09_refusals_of_a_refresh() {
    let server = serve(hub());
    let token = negotiate_as(&server, "ann").await;
    let unused = negotiate_as(&server, "ann").await;
    let mut client = server.client_at(&format!("/hub?id={token}&user=ann")).await;
    assert_eq!(client.ask("IsAdmin", "[]").await, "false");
    let refused = |status, error: &str, description: &str| Answer {
        status,
        content_type: Some("application/json".into()),
        body: format!(r#"{{"error":"{error}","error_description":"{description}"}}"#),
    };
    let unknown = "There is no such connection of this user.";
    let not_found = || refused(404, "connection_not_found", unknown);
    let names = |token: &str| format!("X-SignalR-Connection-Token: {token}\r\n");
    for (case, headers, expected) in [
        (
            "no connection named",
            of("ann"),
            refused(
                400,
                "missing_connection_token",
                "The request names no connection.",
            ),
        ),
        ("an unknown one", of("ann") + &names("unknown"), not_found()),
        (
            "one that is not used yet",
            of("ann") + &names(&unused),
            not_found(),
        ),
        (
            "another user's",
            of("bob/admin") + &names(&token),
            not_found(),
        ),
        ("somebody's, by nobody", names(&token), not_found()),
    ] {
        let answer = server.request_with("POST", "/hub/refresh", &headers).await;
        assert_eq!(answer, expected, "{case}");
    }
    let get = server
        .request_with("GET", "/hub/refresh", &(of("ann") + &names(&token)))
        .await;
    assert_eq!(get, plain(405, ""));
    // Where it is not offered there is no such path.
    let other = server
        .request_with("POST", "/other/refresh", &(of("ann") + &names(&token)))
        .await;
    assert_eq!(other.status, 404);
    assert_eq!(
        client.ask("IsAdmin", "[]").await,
        "false",
        "by none of these"
    );
    // The owner's works still, by the header or by the query of the release candidates.
    for (target, headers) in [
        ("/hub/refresh".to_owned(), of("ann/admin") + &names(&token)),
        (format!("/hub/refresh?id={token}"), of("ann/admin")),
    ] {
        let answer = server.request_with("POST", &target, &headers).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        let seconds = body["tokenLifetimeSeconds"].as_u64().unwrap();
        assert!((3_590..=3_600).contains(&seconds), "{seconds}");
    }
    assert_eq!(client.ask("IsAdmin", "[]").await, "true");
}

#[tokio::test(start_paused = true)]
async fn au_07_a_refresh_without_a_user_is_401() {
    // Whose a request is may come from elsewhere; what it may do comes with a user alone.
    let server = serve(hub().user_identifier(|_| Some("ann".into())));
    let token = negotiate_as(&server, "").await;
    let _client = server.client_at(&format!("/hub?id={token}")).await;
    let headers = format!("X-SignalR-Connection-Token: {token}\r\n");
    let answer = server.request_with("POST", "/hub/refresh", &headers).await;
    let body = r#"{"error":"invalid_token","error_description":"The request names no user."}"#;
    assert_eq!((answer.status, answer.body.as_str()), (401, body));
}
