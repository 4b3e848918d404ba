//! Server-sent events, section 6.

use std::time::Duration;

use hub::HubOptions;
use tokio::time::sleep;

use super::support::{App, HANDSHAKE, call, next};

#[tokio::test(start_paused = true)]
async fn sse_02_sse_03_row_165_headers_and_first_bytes() {
    let app = App::new(HubOptions::new());
    let (_, token) = app.negotiate().await;
    let answer = app.open_stream(&token).await;
    for (name, value) in [
        ("content-type", "text/event-stream"),
        ("cache-control", "no-cache,no-store"),
        ("pragma", "no-cache"),
        ("content-encoding", "identity"),
        ("x-accel-buffering", "no"),
    ] {
        assert_eq!(answer.headers()[name], value);
    }
    let mut events = answer.into_body().into_data_stream();
    assert_eq!(next(&mut events).await.as_deref(), Some(":\r\n"));
}

#[tokio::test(start_paused = true)]
async fn sse_06_h_09_text_alone() {
    let app = App::new(HubOptions::new());
    let (_, token) = app.negotiate().await;
    let mut events = app.open_stream(&token).await.into_body().into_data_stream();
    next(&mut events).await;
    app.post(&token, HANDSHAKE.replace("json", "messagepack"))
        .await;
    let refusal = next(&mut events).await.unwrap();
    assert!(refusal.contains("does not support 'Binary'"), "{refusal}");
    assert_eq!(next(&mut events).await, None);
}

#[tokio::test(start_paused = true)]
async fn sse_07_hub_pings_keep_it_alive() {
    let app = App::new(HubOptions::new());
    let (_, mut events) = app.streaming().await;
    for _ in 0..3 {
        let ping = next(&mut events).await;
        assert_eq!(ping.as_deref(), Some("data: {\"type\":6}\u{1e}\r\n\r\n"));
    }
}

#[tokio::test(start_paused = true)]
async fn sse_08_a_client_that_leaves_is_gone_at_once_and_forgotten() {
    let app = App::new(HubOptions::new());
    let (token, events) = app.streaming().await;
    drop(events);
    assert_eq!(app.open_stream(&token).await.status(), 404);
    assert_eq!(app.post(&token, "x").await.status, 404);
    app.is_empty().await;
    assert_eq!(app.gone(), 1);
}

#[tokio::test(start_paused = true)]
async fn c_17_row_162_a_client_that_never_reads_is_dropped_after_10_s() {
    let app = App::new(HubOptions::new());
    let (token, mut events) = app.streaming().await;
    app.post(&token, call("Tell", "\"x\"")).await;
    sleep(Duration::from_millis(9_900)).await;
    assert_eq!(app.handle.connections(), 1);
    sleep(Duration::from_millis(200)).await;
    assert_eq!(app.handle.connections(), 0);
    assert_eq!(app.gone(), 1);
    assert_eq!(app.post(&token, "x").await.status, 404); // P-08
    assert_eq!(next(&mut events).await, None); // cut, not ended
}

#[tokio::test(start_paused = true)]
async fn row_162_a_client_that_never_reads_costs_no_more_than_its_queue() {
    let options = HubOptions::new().max_queued_bytes(64 * 1024);
    let app = App::new(options);
    let (_token, _events) = app.streaming().await;
    let text = "x".repeat(1000);
    for _ in 0..200 {
        app.handle.all().send("News", (&text,)).unwrap();
    }
    app.is_empty().await;
    assert_eq!(app.gone(), 1);
}

#[tokio::test(start_paused = true)]
async fn ws_09_each_event_has_whole_messages_however_much_waits() {
    let app = App::new(HubOptions::new());
    let (_, mut events) = app.streaming().await;
    let text = "x".repeat(5000);
    for number in 0..50 {
        app.handle.all().send("News", (number, &text)).unwrap();
    }
    let mut stream = String::new();
    while stream.matches('\u{1e}').count() < 50 {
        stream += &next(&mut events).await.unwrap();
    }
    for (number, event) in stream.split_terminator("\r\n\r\n").enumerate() {
        let begin = format!("data: {{\"type\":1,\"target\":\"News\",\"arguments\":[{number},");
        assert!(event.starts_with(&begin), "{number}");
        assert!(event.ends_with("]}\u{1e}"), "{number}");
    }
}
