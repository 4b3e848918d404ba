//! The table of connections, section 2, and the end of the server.

use std::time::Duration;

use hub::{HubOptions, Transport};
use tokio::time::{sleep, timeout};

use super::support::{App, call, next, read};

const UNKNOWN: (u16, &str) = (404, "No Connection with that ID");
const CHANGED: (u16, &str) = (400, "Cannot change transports mid-connection");

#[tokio::test(start_paused = true)]
async fn c_05_a_token_that_nobody_uses_dies_and_its_posts_with_it() {
    let app = App::new(HubOptions::new());
    let (_, token) = app.negotiate().await;
    let full = " ".repeat(65_536);
    let waiting = tokio::spawn({
        let (app, token) = (app.clone(), token.clone());
        async move { app.post(&token, full).await }
    });
    sleep(Duration::from_millis(14_900)).await;
    assert!(!waiting.is_finished());
    sleep(Duration::from_millis(200)).await;
    assert_eq!(waiting.await.unwrap().told(), (404, "")); // P-08
    assert_eq!(app.poll(&token).await.told(), UNKNOWN);
}

#[tokio::test(start_paused = true)]
async fn c_07_c_08_the_first_get_fixes_the_transport() {
    let app = App::new(HubOptions::new());
    let (_, polled) = app.polling().await;
    assert_eq!(read(app.open_stream(&polled).await).await.told(), CHANGED);
    let (streamed, _events) = app.streaming().await;
    assert_eq!(app.poll(&streamed).await.told(), CHANGED);
    assert_eq!(app.post(&polled, call("Echo", "\"x\"")).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn c_08_c_09_what_is_not_offered_is_not_found_and_fixes_nothing() {
    let stream_only = HubOptions::new().transports([Transport::ServerSentEvents]);
    let app = App::new(stream_only);
    let refused = "LongPolling transport not supported by this end point type";
    assert_eq!(app.poll("nobody").await.told(), UNKNOWN);
    let (_, token) = app.negotiate().await;
    assert_eq!(app.poll(&token).await.told(), (404, refused));
    let stream = app.open_stream(&token).await;
    assert_eq!(stream.status(), 200);
    // Not offered comes before another transport.
    assert_eq!(app.poll(&token).await.told(), (404, refused));
}

#[tokio::test(start_paused = true)]
async fn c_12_row_164_a_second_event_stream_harms_nobody() {
    let app = App::new(HubOptions::new());
    let (token, mut events) = app.streaming().await;
    let second = read(app.open_stream(&token).await).await;
    assert_eq!(second.told(), (409, ""));
    assert_eq!(second.header("content-type"), "text/plain");
    app.post(&token, call("Tell", "\"x\"")).await;
    assert!(next(&mut events).await.unwrap().contains("Told"));
}

#[tokio::test(start_paused = true)]
async fn row_150_row_151_row_154_ids_that_lead_nowhere() {
    let (app, other) = (
        App::new(HubOptions::new()),
        App::new(HubOptions::new().disconnect_timeout(Duration::from_secs(60))),
    );
    let (id, token) = other.polling().await;
    let long = "a".repeat(8192);
    let twice = format!("{token}&id={token}");
    for unknown in [&*token, &id, &long, "%00", "a%00b", "%ff", "a&ID=b", &twice] {
        for method in ["GET", "POST", "DELETE"] {
            let told = app.request(method, unknown, "").await;
            assert_eq!(told.told(), UNKNOWN, "{method}");
        }
    }
    for method in ["GET", "POST", "DELETE"] {
        let told = app.request(method, "", "").await;
        assert_eq!(told.told(), (400, "Connection ID required"), "{method}"); // C-10
        let told = other.request(method, &id, "").await;
        assert_eq!(told.told(), UNKNOWN, "{method} by the public id"); // C-02
    }
    assert_eq!(read(app.open_stream("").await).await.status, 400);
    assert_eq!(read(app.open_stream("x").await).await.told(), UNKNOWN);
    assert_eq!(other.post(&token, call("Echo", "\"x\"")).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn shutdown_says_goodbye_to_streams_and_polls() {
    let app = App::new(HubOptions::new());
    let (_, pending) = app.polling().await;
    let (_, between) = app.polling().await;
    let (_, mut events) = app.streaming().await;
    let (_, unused) = app.negotiate().await;
    let poll = tokio::spawn({
        let (app, token) = (app.clone(), pending.clone());
        async move { app.poll(&token).await }
    });
    sleep(Duration::from_millis(10)).await;
    let stopping = tokio::spawn({
        let handle = app.handle.clone();
        async move { handle.shutdown(Duration::from_secs(5)).await }
    });
    let goodbye = "{\"type\":7,\"allowReconnect\":true}\u{1e}";
    assert_eq!(poll.await.unwrap().told(), (200, goodbye));
    assert_eq!(app.poll(&pending).await.told(), (204, ""));
    let event = next(&mut events).await.unwrap();
    assert_eq!(event, format!("data: {goodbye}\r\n\r\n"));
    assert_eq!(next(&mut events).await, None);
    assert_eq!(app.poll(&between).await.told(), (200, goodbye));
    assert_eq!(app.poll(&between).await.told(), (204, ""));
    assert_eq!(app.poll(&unused).await.status, 503);
    drop(events);
    timeout(Duration::from_secs(1), stopping)
        .await
        .expect("all are gone, so nothing is waited for")
        .unwrap();
}

#[test]
fn n_04_transports_have_the_names_of_dotnet() {
    let names = Transport::ALL.map(Transport::name);
    assert_eq!(names, ["WebSockets", "ServerSentEvents", "LongPolling"]);
}
