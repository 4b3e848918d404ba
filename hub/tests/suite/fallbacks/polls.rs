//! Long polling, section 7.

use std::{
    future::pending,
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use axum::body::Body;
use hub::{Context, Hub, HubOptions};
use tokio::time::{Instant, sleep};

use super::support::{Answer, App, HANDSHAKE, call, next, read};

const END: &str = "{\"type\":7,\"allowReconnect\":true}\u{1e}";

fn start_poll(app: &App, token: &str) -> tokio::task::JoinHandle<Answer> {
    let (app, token) = (app.clone(), token.to_owned());
    tokio::spawn(async move { app.poll(&token).await })
}

fn told(text: &str) -> String {
    format!("{{\"type\":1,\"target\":\"Told\",\"arguments\":[\"{text}\"]}}\u{1e}")
}

#[tokio::test(start_paused = true)]
async fn lp_02_every_answer_to_a_poll_is_not_to_be_stored() {
    let app = App::new(HubOptions::new());
    let (_, token) = app.negotiate().await;
    let mut answers = vec![app.poll("").await, app.poll("unknown").await];
    answers.push(app.poll(&token).await);
    app.post(&token, HANDSHAKE).await;
    answers.push(app.poll(&token).await);
    let old = start_poll(&app, &token);
    sleep(Duration::from_millis(1)).await;
    let new = start_poll(&app, &token);
    sleep(Duration::from_millis(1)).await;
    app.post(&token, call("Tell", "\"x\"")).await;
    answers.extend([old.await.unwrap(), new.await.unwrap()]);
    assert_eq!(
        answers
            .iter()
            .map(|answer| answer.status)
            .collect::<Vec<_>>(),
        [400, 404, 200, 200, 204, 200]
    );
    for answer in &answers {
        assert_eq!(answer.header("cache-control"), "no-cache, no-store");
        assert_eq!(answer.header("pragma"), "no-cache");
        assert_eq!(answer.header("expires"), "Thu, 01 Jan 1970 00:00:00 GMT");
    }
}

#[tokio::test(start_paused = true)]
async fn lp_03_lp_17_bodies_say_their_length_and_what_they_are() {
    let app = App::new(HubOptions::new());
    let (_, token) = app.negotiate().await;
    app.poll(&token).await;
    app.post(&token, HANDSHAKE.replace("json", "messagepack"))
        .await;
    let answer = app.poll(&token).await;
    assert_eq!(answer.told(), (200, "{}\u{1e}"));
    assert_eq!(answer.header("content-type"), "application/octet-stream");
    assert_eq!(answer.header("content-length"), "3");
}

#[tokio::test(start_paused = true)]
async fn lp_04_row_169_a_poll_without_data_ends_after_90_s() {
    let app = App::new(HubOptions::new());
    let (_, token) = app.polling().await;
    let begun = Instant::now();
    let answer = app.poll(&token).await;
    assert_eq!(answer.told(), (200, ""));
    assert_eq!(answer.header("content-type"), "text/plain");
    assert_eq!(begun.elapsed().as_secs(), 90);
    app.post(&token, call("Tell", "\"x\"")).await;
    assert_eq!(app.poll(&token).await.told(), (200, &*told("x"))); // LP-15: and no pings
}

#[tokio::test(start_paused = true)]
async fn c_05_lp_09_row_170_a_client_that_stops_polling_is_gone_after_15_s() {
    let app = App::new(HubOptions::new());
    let (_, token) = app.polling().await;
    let poll = start_poll(&app, &token);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(app.handle.connections(), 1); // a poll that waits is a sign of life
    poll.abort();
    sleep(Duration::from_millis(14_900)).await;
    assert_eq!(app.post(&token, call("Tell", "\"x\"")).await.status, 200); // a POST is none
    assert_eq!(app.handle.connections(), 1);
    sleep(Duration::from_millis(200)).await;
    assert_eq!(app.handle.connections(), 0);
    assert_eq!(app.gone(), 1);
    let unknown = (404, "No Connection with that ID");
    assert_eq!(app.poll(&token).await.told(), unknown);
    assert_eq!(app.post(&token, "x").await.told(), unknown);
}

#[tokio::test(start_paused = true)]
async fn lp_06_lp_07_row_167_the_newest_poll_wins_and_nothing_is_lost() {
    let app = App::new(HubOptions::new());
    let (_, token) = app.polling().await;
    let mut polls: Vec<_> = (0..5).map(|_| start_poll(&app, &token)).collect();
    sleep(Duration::from_millis(1)).await;
    let newest = polls.pop().unwrap();
    for old in polls {
        let old = old.await.unwrap();
        assert_eq!(old.told(), (204, ""));
        assert_eq!(old.header("content-type"), "text/plain");
    }
    app.post(&token, call("Tell", "\"x\"")).await;
    assert_eq!(newest.await.unwrap().told(), (200, &*told("x")));
}

#[tokio::test(start_paused = true)]
async fn lp_06_the_new_poll_waits_until_the_old_one_is_written() {
    let app = App::new(HubOptions::new());
    let (_, token) = app.polling().await;
    app.post(&token, call("Tell", "\"one\"")).await;
    let old = app.poll_unread(&token).await;
    app.post(&token, call("Tell", "\"two\"")).await;
    let new = start_poll(&app, &token);
    sleep(Duration::from_secs(1)).await;
    assert!(!new.is_finished());
    assert_eq!(read(old).await.told(), (200, &*told("one")));
    assert_eq!(new.await.unwrap().told(), (200, &*told("two")));
}

#[tokio::test(start_paused = true)]
async fn row_168_an_answer_that_was_not_taken_is_offered_again() {
    let app = App::new(HubOptions::new());
    let (_, token) = app.polling().await;
    let long = "x".repeat(100_000);
    app.handle.all().send("Told", (&long,)).unwrap();
    drop(app.poll_unread(&token).await);
    app.post(&token, call("Tell", "\"two\"")).await;
    let mut half = app.poll_unread(&token).await.into_body().into_data_stream();
    next(&mut half).await.unwrap(); // a piece of it
    drop(half);
    assert!(app.poll(&token).await.body == told(&long));
    assert_eq!(app.poll(&token).await.told(), (200, &*told("two")));
}

#[tokio::test(start_paused = true)]
async fn lp_10_what_is_sent_between_polls_waits_and_too_much_of_it_cuts() {
    let app = App::new(HubOptions::new().max_queued_bytes(10_000));
    let (_, token) = app.polling().await;
    let text = "x".repeat(4000);
    let send = |times| (0..times).for_each(|_| app.handle.all().send("Told", (&text,)).unwrap());
    send(2);
    assert_eq!(app.poll(&token).await.body, told(&text).repeat(2));
    send(3);
    assert_eq!(app.poll(&token).await.told(), (404, "")); // C-13
    app.is_empty().await;
    assert_eq!(app.gone(), 1);
}

#[tokio::test(start_paused = true)]
async fn lp_11_a_client_that_does_not_take_its_answer_is_dropped_after_10_s() {
    let app = App::new(HubOptions::new());
    let (_, token) = app.polling().await;
    app.post(&token, call("Tell", "\"x\"")).await;
    let _unread = app.poll_unread(&token).await;
    sleep(Duration::from_millis(9_900)).await;
    assert_eq!(app.handle.connections(), 1);
    sleep(Duration::from_millis(200)).await;
    assert_eq!(app.handle.connections(), 0);
    assert_eq!(app.gone(), 1);
}

#[tokio::test(start_paused = true)]
async fn lp_05_the_end_goes_with_a_poll_and_the_next_is_told_of_it() {
    let app = App::new(HubOptions::new());
    let (_, token) = app.polling().await;
    let both = call("Tell", "\"x\"") + &call("Abort", "");
    app.post(&token, both).await;
    sleep(Duration::from_secs(5)).await;
    let last = told("x") + "{\"type\":7}\u{1e}";
    assert_eq!(app.poll(&token).await.told(), (200, &*last));
    assert_eq!(app.post(&token, "x").await.told(), (200, "")); // nobody looks at it
    assert_eq!(app.poll(&token).await.told(), (204, ""));
    assert_eq!(app.poll(&token).await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn lp_05_c_05_an_end_that_nobody_polls_for_is_forgotten_after_15_s() {
    let app = App::new(HubOptions::new());
    let (_, token) = app.polling().await;
    app.post(&token, call("Abort", "")).await;
    sleep(Duration::from_millis(14_900)).await;
    assert_eq!(app.post(&token, "x").await.status, 200);
    sleep(Duration::from_millis(200)).await;
    assert_eq!(app.poll(&token).await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn lp_12_row_171_delete_during_a_poll_and_twice() {
    let app = App::new(HubOptions::new());
    let (_, token) = app.polling().await;
    let poll = start_poll(&app, &token);
    sleep(Duration::from_millis(1)).await;
    let deleted = app.request("DELETE", &token, Body::empty()).await;
    assert_eq!(deleted.told(), (202, ""));
    assert_eq!(deleted.header("content-type"), "text/plain");
    let again = app.request("DELETE", &token, Body::empty()).await;
    assert_eq!(again.told(), (404, "No Connection with that ID"));
    assert_eq!(poll.await.unwrap().told(), (200, END));
    app.is_empty().await;
    assert_eq!(app.gone(), 1);
}

#[tokio::test(start_paused = true)]
async fn lp_12_a_client_that_said_close_has_2_s_to_say_delete() {
    let app = App::new(HubOptions::new());
    for says_delete in [true, false] {
        let (_, token) = app.polling().await;
        let poll = start_poll(&app, &token);
        app.post(&token, "{\"type\":7}\u{1e}").await;
        assert_eq!(poll.await.unwrap().told(), (200, "{\"type\":7}\u{1e}"));
        let begun = Instant::now();
        let poll = start_poll(&app, &token);
        if says_delete {
            sleep(Duration::from_millis(1_900)).await;
            assert!(!poll.is_finished());
            assert_eq!(app.request("DELETE", &token, "").await.told(), (202, ""));
        }
        assert_eq!(poll.await.unwrap().told(), (204, ""));
        let seconds = if says_delete { 1 } else { 2 };
        assert_eq!(begun.elapsed().as_secs(), seconds);
        app.is_empty().await;
        assert_eq!(app.poll(&token).await.status, 404);
    }
}

#[tokio::test(start_paused = true)]
async fn lp_13_delete_is_for_what_is_polled() {
    let app = App::new(HubOptions::new());
    let refusal = "Cannot terminate this connection using the DELETE endpoint.";
    let (_, unused) = app.negotiate().await;
    let (streamed, _events) = app.streaming().await;
    for token in [unused, streamed] {
        let told = app.request("DELETE", &token, "").await;
        assert_eq!(told.told(), (400, refusal));
    }
    assert_eq!(app.handle.connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn lp_14_delete_does_not_wait_for_a_hub_that_never_ends() {
    let hub = Hub::new(())
        .method("Never", async |_: Context| {
            pending::<()>().await;
            Ok(())
        })
        .on_disconnected(|_, _| pending());
    let app = App::of(hub, Arc::new(AtomicUsize::new(0)));
    let (_, token) = app.polling().await;
    app.post(&token, call("Never", "")).await;
    let poll = start_poll(&app, &token);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(app.request("DELETE", &token, "").await.status, 202);
    assert_eq!(poll.await.unwrap().told(), (200, END));
    assert_eq!(app.poll(&token).await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn lp_08_a_poll_while_the_hub_lets_go_gets_the_last_messages() {
    let hub = Hub::new(())
        .method("Abort", async |cx: Context| {
            cx.abort();
            Ok(())
        })
        .on_disconnected(async |_, _| {
            sleep(Duration::from_secs(3)).await;
            Ok(())
        });
    let app = App::of(hub, Arc::new(AtomicUsize::new(0)));
    let (_, token) = app.polling().await;
    app.post(&token, call("Abort", "")).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(app.poll(&token).await.body, "{\"type\":7}\u{1e}");
    assert_eq!(app.poll(&token).await.status, 204);
    assert_eq!(app.poll(&token).await.status, 404);
}
