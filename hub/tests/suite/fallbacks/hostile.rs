//! Hostile inputs, by their rows in the catalogue.

use std::time::Duration;

use axum::body::Body;
use hub::HubOptions;
use tokio::runtime::Handle;

use super::support::{App, call};

#[tokio::test(start_paused = true)]
async fn row_158_other_methods_touch_nothing() {
    let app = App::new(HubOptions::new());
    let (_, token) = app.polling().await;
    for method in ["PUT", "PATCH", "TRACE", "HEAD", "OPTIONS", "PROPFIND"] {
        let answer = app.request(method, &token, "x").await;
        assert_eq!(answer.told(), (405, ""), "{method}");
    }
    assert_eq!(app.post(&token, call("Tell", "\"x\"")).await.status, 200);
    assert!(app.poll(&token).await.body.contains("Told"));
}

#[tokio::test(start_paused = true)]
async fn row_175_bodies_that_do_not_parse_release_their_connections() {
    let app = App::new(HubOptions::new());
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let bodies = [
        "x\u{1e}",
        "{\"type\":",
        "\u{1e}\u{1e}",
        "{\"type\":1}\u{1e}",
        "[]\u{1e}",
    ];
    for number in 0..1000 {
        let (_, token) = app.polling().await;
        app.post(&token, bodies[number % bodies.len()]).await;
        app.post(&token, "x\u{1e}").await;
        let told = app.poll(&token).await.body;
        assert!(told.contains("Connection closed with an error."), "{told}");
        assert_eq!(app.poll(&token).await.status, 204);
        assert_eq!(app.poll(&token).await.status, 404);
    }
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!((app.gone(), tasks()), (1000, before));
}

#[tokio::test(start_paused = true)]
async fn row_145_row_175_handshakes_that_fail_release_theirs() {
    let app = App::new(HubOptions::new());
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    for _ in 0..200 {
        let (_, token) = app.negotiate().await;
        app.poll(&token).await;
        app.post(&token, "x\u{1e}").await;
        assert!(app.poll(&token).await.body.contains("error"));
        assert_eq!(app.poll(&token).await.status, 204);
        let (_, token) = app.negotiate().await;
        drop(app.open_stream(&token).await);
        assert_eq!(
            app.request("DELETE", &token, Body::empty()).await.status,
            404
        );
    }
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!((app.handle.connections(), tasks()), (0, before));
}
