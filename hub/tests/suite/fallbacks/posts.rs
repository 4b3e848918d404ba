//! POSTs, section 4.

use std::{io, time::Duration};

use axum::body::{Body, Bytes};
use futures_util::{StreamExt as _, stream};
use hub::HubOptions;
use tokio::time::sleep;

use super::support::{Answer, App, HANDSHAKE, call};

fn start_post(app: &App, token: &str, body: impl Into<Body>) -> tokio::task::JoinHandle<Answer> {
    let (app, token, body) = (app.clone(), token.to_owned(), body.into());
    tokio::spawn(async move { app.post(&token, body).await })
}

/// A body in pieces, with pauses between them.
fn slowly(text: &str) -> Body {
    let pieces: Vec<Bytes> = text
        .as_bytes()
        .chunks(7)
        .map(Bytes::copy_from_slice)
        .collect();
    let pieces = stream::iter(pieces).then(async |piece| {
        sleep(Duration::from_millis(1)).await;
        Ok::<_, io::Error>(piece)
    });
    Body::from_stream(pieces.boxed())
}

fn echoes(body: &str) -> Vec<usize> {
    body.split_terminator('\u{1e}')
        .map(|message| {
            let text = message.split('"').rev().nth(1).unwrap();
            text.parse().unwrap()
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn p_04_row_172_posts_at_once_come_one_after_the_other_each_whole() {
    let app = App::new(HubOptions::new());
    let (_, token) = app.polling().await;
    let mut posts = Vec::new();
    for number in 0..20 {
        posts.push(start_post(
            &app,
            &token,
            slowly(&call("Tell", &format!("\"{number}\""))),
        ));
        sleep(Duration::from_micros(10)).await;
    }
    for post in posts {
        assert_eq!(post.await.unwrap().told(), (200, ""));
    }
    let mut told = Vec::new();
    while told.len() < 20 {
        told.extend(echoes(&app.poll(&token).await.body));
    }
    assert_eq!(told, (0..20).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn p_05_what_comes_before_the_first_get_is_kept_for_it() {
    let app = App::new(HubOptions::new());
    let (_, token) = app.negotiate().await;
    let early = format!("{HANDSHAKE}{}", call("Tell", "\"1\""));
    assert_eq!(app.post(&token, early).await.told(), (200, ""));
    assert_eq!(app.poll(&token).await.told(), (200, ""));
    sleep(Duration::from_millis(1)).await;
    let body = app.poll(&token).await.body;
    assert!(body.starts_with("{}\u{1e}"), "{body}");
    assert_eq!(echoes(&body["{}\u{1e}".len()..]), [1]);
}

#[tokio::test(start_paused = true)]
async fn p_05_unused_connections_keep_little_and_their_posts_wait() {
    let app = App::new(HubOptions::new());
    let mut posts = Vec::new();
    for _ in 0..100 {
        let (_, token) = app.negotiate().await;
        posts.push(start_post(&app, &token, " ".repeat(60_000)));
    }
    sleep(Duration::from_secs(1)).await;
    let answered = posts.iter().filter(|post| post.is_finished()).count();
    assert_eq!(answered, 4 * 1024 * 1024 / 60_000);
    sleep(Duration::from_secs(15)).await;
    for (number, post) in posts.into_iter().enumerate() {
        let status = post.await.unwrap().status;
        assert_eq!(status, if number < answered { 200 } else { 404 });
    }
    // What they kept is free again.
    let (_, token) = app.negotiate().await;
    assert_eq!(app.post(&token, " ".repeat(60_000)).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn p_07_c_16_row_174_posts_wait_while_64_kib_wait() {
    let app = App::new(HubOptions::new());
    let (_, token) = app.polling().await;
    app.post(&token, call("Hold", "5000")).await;
    let tiny: String = (0..30_000)
        .map(|number| call("Tell", &format!("\"{number}\"")))
        .collect();
    let post = start_post(&app, &token, tiny);
    let behind = start_post(&app, &token, "");
    sleep(Duration::from_secs(4)).await;
    assert!(!post.is_finished() && !behind.is_finished());
    let mut told = Vec::new();
    while told.len() < 30_000 {
        let body = app.poll(&token).await.body;
        // The answers wait too, so it all moves in small steps.
        assert!(body.len() < 256 * 1024, "{} bytes", body.len());
        told.extend(echoes(&body));
    }
    assert!(told.into_iter().eq(0..30_000));
    assert_eq!(post.await.unwrap().status, 200);
    assert_eq!(behind.await.unwrap().status, 200);
}

#[tokio::test(start_paused = true)]
async fn c_16_a_client_that_polls_only_after_its_post_is_not_locked_out() {
    let app = App::new(HubOptions::new());
    let (_, token) = app.polling().await;
    let text = "x".repeat(30_000);
    for _ in 0..20 {
        let post = app.post(&token, call("Echo", &format!("\"{text}\"")));
        assert_eq!(post.await.status, 200);
        let post = app.post(&token, call("Tell", &format!("\"{text}\"")));
        assert_eq!(post.await.status, 200);
        sleep(Duration::from_millis(1)).await;
        assert!(app.poll(&token).await.body.len() > 30_000);
    }
}

#[tokio::test(start_paused = true)]
async fn p_08_row_172_posts_that_wait_when_it_ends_are_refused() {
    let app = App::new(HubOptions::new());
    let (_, token) = app.polling().await;
    app.post(&token, call("Hold", "60000") + &call("Echo", "\"x\""))
        .await;
    let posts: Vec<_> = (0..3)
        .map(|_| start_post(&app, &token, " ".repeat(200_000)))
        .collect();
    let stalled = Body::from_stream(stream::pending::<io::Result<Bytes>>());
    let stalled = start_post(&app, &token, stalled);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(app.request("DELETE", &token, "").await.status, 202);
    for post in posts.into_iter().chain([stalled]) {
        assert_eq!(post.await.unwrap().told(), (404, ""));
    }
}

#[tokio::test(start_paused = true)]
async fn p_09_p_03_of_a_body_that_breaks_off_what_came_stays() {
    let app = App::new(HubOptions::new());
    let (_, token) = app.polling().await;
    let message = call("Tell", "\"1\"");
    let (begin, rest) = message.split_at(20);
    let broken = stream::iter([
        Ok(begin.to_owned()),
        Err(io::Error::from(io::ErrorKind::ConnectionReset)),
    ]);
    let answer = app.post(&token, Body::from_stream(broken)).await;
    assert_eq!(answer.told(), (400, ""));
    assert_eq!(answer.header("content-type"), "text/plain");
    assert_eq!(app.post(&token, rest.to_owned()).await.status, 200);
    assert_eq!(echoes(&app.poll(&token).await.body), [1]);
}

#[tokio::test(start_paused = true)]
async fn row_173_a_post_that_is_given_up_gives_way_to_the_next() {
    let app = App::new(HubOptions::new());
    let (_, token) = app.polling().await;
    let stalled = Body::from_stream(stream::pending::<io::Result<Bytes>>());
    let stalled = start_post(&app, &token, stalled);
    let next = start_post(&app, &token, call("Tell", "\"1\""));
    sleep(Duration::from_secs(5)).await;
    assert!(!next.is_finished());
    stalled.abort();
    assert_eq!(next.await.unwrap().status, 200);
    assert_eq!(echoes(&app.poll(&token).await.body), [1]);
}
