//! Access tokens: asked for, not good any more, replaced in time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    extract::Request,
    http::StatusCode,
    middleware::{Next, from_fn},
    response::{IntoResponse as _, Response},
};
use hub::{
    Context, Hub, HubOptions, Transport, User,
    client::{ClientError, ConnectionState, Event, HubConnectionBuilder},
};
use tokio::time::{sleep, timeout};

use super::{SECOND, Site, event};
use crate::live::Server;

/// A hub for users, whose tokens live for a minute. `refuses` answers what it does not let pass.
fn site(refuses: impl Fn(&Request) -> Option<Response> + Clone + Send + Sync + 'static) -> Site {
    site_of(SECOND * 60, refuses)
}

fn site_of(
    lifetime: Duration,
    refuses: impl Fn(&Request) -> Option<Response> + Clone + Send + Sync + 'static,
) -> Site {
    let options = HubOptions::new()
        .authentication_refresh(true)
        .close_on_authentication_expiration(true);
    let hub = Hub::with_options((), options)
        .require_user()
        .method("Nothing", async |_: Context| Ok(()));
    let handle = hub.handle();
    let knows = move |mut request: Request, next: Next| {
        let refusal = refuses(&request);
        async move {
            if let Some(refusal) = refusal {
                return refusal;
            }
            if request.headers().contains_key("authorization") {
                let user = User::new("ann").expires_in(lifetime);
                request.extensions_mut().insert(user);
            }
            next.run(request).await
        }
    };
    let app = hub.router("/hub").layer(from_fn(knows));
    Site::of(Server::serve(app, handle))
}

/// Tokens, numbered from 1.
fn numbered(builder: HubConnectionBuilder) -> (HubConnectionBuilder, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let token = move || {
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        async move { format!("token {number}").replace(' ', "-") }
    };
    (builder.access_token(token), asked)
}

#[tokio::test(start_paused = true)]
async fn au_06_a_token_is_replaced_before_it_ends() {
    let site = site(|_| None);
    for transport in Transport::ALL {
        let (builder, asked) = numbered(site.builder().transports([transport]));
        let hub = builder.connect().await.unwrap();
        let mut events = hub.events();
        let refreshed = event(&mut events, |event| {
            matches!(event, Event::Refreshed).then_some(())
        });
        timeout(SECOND * 31, refreshed)
            .await
            .expect("half of a minute later");
        assert!(timeout(SECOND * 600, hub.closed()).await.is_err());
        let () = hub.invoke("Nothing", ()).await.unwrap();
        // Each half minute.
        let asked = asked.load(Ordering::SeqCst);
        assert!((20..=23).contains(&asked), "{asked}");
    }
}

/// In the time that calendars know, by which tokens end.
#[tokio::test]
async fn cl_06_without_it_the_connection_ends_with_its_token() {
    let site = site_of(SECOND, |_| None);
    let (builder, asked) = numbered(site.builder().transports([Transport::WebSockets]));
    let hub = builder.token_refresh(false).connect().await.unwrap();
    let () = hub.invoke("Nothing", ()).await.unwrap();
    assert!(hub.closed().await.is_none());
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn au_07_a_refresh_that_fails_is_told_and_the_connection_goes_on() {
    let site = site(|request| {
        let is_refresh = request.uri().path().ends_with("/refresh");
        is_refresh.then(|| StatusCode::SERVICE_UNAVAILABLE.into_response())
    });
    let (builder, _) = numbered(site.builder());
    let hub = builder.connect().await.unwrap();
    let mut events = hub.events();
    let error = event(&mut events, |event| match event {
        Event::RefreshFailed { error } => Some(error),
        _ => None,
    });
    let error = error.await;
    assert!(matches!(error, ClientError::Refused { .. }), "{error}");
    assert_eq!(hub.state(), ConnectionState::Connected);
    let () = hub.invoke("Nothing", ()).await.unwrap();
}

/// What is refused for its token is sent once more, with a new one.
#[tokio::test(start_paused = true)]
async fn au_05_a_token_that_is_not_good_any_more_is_asked_for_again() {
    let site = site(|request| {
        let is_first = request.headers().get("authorization")? == "Bearer token-1";
        let is_negotiation = request.uri().path().ends_with("/negotiate");
        (is_first && !is_negotiation).then(|| StatusCode::UNAUTHORIZED.into_response())
    });
    for transport in Transport::ALL {
        let (builder, asked) = numbered(site.builder().transports([transport]));
        let hub = builder.connect().await.unwrap();
        let () = hub.invoke("Nothing", ()).await.unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), 2, "{transport:?}");
    }
    // The negotiation asks for a new one each time: there is no better.
    let nobody = site.builder().connect().await;
    assert!(matches!(
        nobody,
        Err(ClientError::Refused {
            status: StatusCode::UNAUTHORIZED,
            ..
        })
    ));
}

#[tokio::test(start_paused = true)]
async fn au_08_a_poll_that_asks_for_a_newer_token_is_given_one() {
    let (asks, refreshed) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let (asks_now, count) = (asks.clone(), refreshed.clone());
    let site = site(move |request| {
        if request.uri().path().ends_with("/refresh") {
            count.fetch_add(1, Ordering::SeqCst);
        }
        let is_asked = request.method() == "GET" && asks_now.swap(false, Ordering::SeqCst);
        is_asked.then(|| {
            let body = r#"{"error":"authentication_refresh_required"}"#;
            (StatusCode::CONFLICT, body).into_response()
        })
    });
    let polls = site.builder().transports([Transport::LongPolling]);
    let (builder, _) = numbered(polls);
    let hub = builder.connect().await.unwrap();
    let () = hub.invoke("Nothing", ()).await.unwrap();
    let before = refreshed.load(Ordering::SeqCst);
    asks.store(true, Ordering::SeqCst);
    let () = hub.invoke("Nothing", ()).await.unwrap();
    sleep(SECOND).await;
    let () = hub.invoke("Nothing", ()).await.unwrap();
    assert_eq!(refreshed.load(Ordering::SeqCst), before + 1);
}
