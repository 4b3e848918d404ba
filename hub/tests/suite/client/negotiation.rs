//! Where a connection is, and by which transport.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, StatusCode, Uri, header},
    middleware::{Next, from_fn},
    response::{IntoResponse as _, Response},
    routing::post,
};
use hub::{
    Context, Hub, Transport,
    client::{ClientError, HubConnection},
};
use tokio::net::TcpListener;

use super::Site;
use crate::live::Server;

fn hub() -> Hub {
    Hub::new(()).method("Token", async |cx: Context| {
        Ok(cx.request().header("authorization").map(str::to_owned))
    })
}

fn site(app: impl FnOnce(Router) -> Router) -> Site {
    let hub = hub();
    let handle = hub.handle();
    Site::of(Server::serve(app(hub.router("/hub")), handle))
}

#[tokio::test(start_paused = true)]
async fn n_15_a_redirect_is_followed_with_its_token_and_the_query() {
    let redirect = async |uri: Uri| {
        let query = uri.query().unwrap_or_default();
        assert!(query.contains("room=1"), "{query}");
        r#"{"url":"http://hub/hub?room=2","accessToken":"theirs"}"#
    };
    let site = site(|app| app.route("/there/negotiate", post(redirect)));
    let builder = site
        .builder_at("/there?room=1")
        .access_token(async || "ours".to_owned());
    let hub = builder.connect().await.unwrap();
    let token: Option<String> = hub.invoke("Token", ()).await.unwrap();
    assert_eq!(token.as_deref(), Some("Bearer theirs"));
}

#[tokio::test(start_paused = true)]
async fn n_15_a_circle_of_redirects_has_an_end() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let redirect = move || async move {
        count.fetch_add(1, Ordering::SeqCst);
        r#"{"url":"http://hub/there"}"#
    };
    let site = site(|app| app.route("/there/negotiate", post(redirect)));
    let failed = site.builder_at("/there").connect().await;
    assert!(
        matches!(failed, Err(ClientError::Negotiation(_))),
        "{failed:?}"
    );
    assert_eq!(asked.load(Ordering::SeqCst), 100);
}

#[tokio::test(start_paused = true)]
async fn n_16_an_error_in_the_answer_is_told() {
    let site = site(|app| app.route("/no/negotiate", post(async || r#"{"error":"we are full"}"#)));
    match site.builder_at("/no").connect().await {
        Err(ClientError::Negotiation(why)) => assert_eq!(why, "we are full"),
        other => panic!("{other:?}"),
    }
}

/// What lies between refuses upgrades, or whatever else: the next transport is tried, on a connection
/// of its own (N-19).
#[tokio::test(start_paused = true)]
async fn n_04_the_first_transport_that_works_is_taken() {
    for (refused, taken) in [
        (&[][..], Transport::WebSockets),
        (&["upgrade"][..], Transport::ServerSentEvents),
        (&["upgrade", "text/event-stream"], Transport::LongPolling),
    ] {
        let refuses = move |request: Request, next: Next| async move {
            let headers = request.headers();
            let accept = headers
                .get(header::ACCEPT)
                .and_then(|accept| accept.to_str().ok());
            let is_refused = refused
                .iter()
                .any(|what| headers.contains_key(*what) || accept == Some(*what));
            if is_refused {
                return StatusCode::BAD_GATEWAY.into_response();
            }
            next.run(request).await
        };
        let site = site(|app| app.layer(from_fn(refuses)));
        let hub = site.builder().connect().await.unwrap();
        assert_eq!(hub.transport(), Some(taken));
        let () = hub.invoke("Token", ()).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn what_became_of_each_transport_is_told() {
    let site = site(|app| {
        app.layer(from_fn(async |request: Request, next: Next| {
            if request.method() == "GET" {
                return (StatusCode::BAD_GATEWAY, "no way").into_response();
            }
            next.run(request).await
        }))
    });
    match site.builder().connect().await {
        Err(ClientError::NoTransport(why)) => {
            let each = "the server refused: 502 Bad Gateway, no way";
            let wanted =
                format!("WebSockets: {each}; ServerSentEvents: {each}; LongPolling: {each}");
            assert_eq!(why, wanted);
        }
        other => panic!("{other:?}"),
    }
    match site.builder().transports([]).connect().await {
        Err(ClientError::NoTransport(why)) => assert_eq!(why, "none is allowed"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_come_is_not_waited_for_for_ever() {
    let never = async || std::future::pending::<&'static str>().await;
    let site = site(|app| app.route("/never/negotiate", post(never)));
    let failed = site.builder_at("/never").connect().await;
    assert!(
        matches!(failed, Err(ClientError::TimedOut(_))),
        "{failed:?}"
    );
}

/// A load balancer that knows its clients by a cookie: over real sockets, whose client keeps them.
#[tokio::test]
async fn a_cookie_of_the_negotiation_comes_with_what_follows() {
    let sticky = async |request: Request, next: Next| -> Response {
        let is_negotiation = request.uri().path().ends_with("/negotiate");
        let cookies = |headers: &HeaderMap| {
            let cookies = headers.get(header::COOKIE);
            cookies
                .and_then(|cookies| cookies.to_str().ok())
                .map(str::to_owned)
        };
        let is_known = cookies(request.headers()).is_some_and(|it| it.contains("server=7"));
        if !is_negotiation && !is_known {
            return StatusCode::NOT_FOUND.into_response();
        }
        let mut answer = next.run(request).await;
        if is_negotiation {
            let cookie = "server=7; Path=/; HttpOnly".parse().unwrap();
            answer.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        answer
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = hub().router("/hub").layer(from_fn(sticky));
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    for transport in Transport::ALL {
        let builder = HubConnection::builder(format!("ws://{address}/hub"));
        let hub = builder.transports([transport]).connect().await.unwrap();
        let () = hub.invoke("Token", ()).await.unwrap();
        hub.stop().await;
    }
    server.abort();
}
