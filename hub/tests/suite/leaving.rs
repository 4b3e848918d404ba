//! A client that says something and leaves: what it has said happens, all of it and in order, before
//! its connection ends.

use std::{
    future::pending,
    sync::{Arc, Mutex, atomic::AtomicUsize},
    time::Duration,
};

use futures_util::stream;
use hub::{Context, Hub};
use tokio::time::{Instant, sleep};

use crate::{
    fallbacks::support::{App, HANDSHAKE, call, next},
    live::{self, RS, Server},
};

const CALLS: usize = 20;

/// What happened in a hub, the ends of connections among it.
#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    fn pages(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// Waits for the end of one more connection. Gives what else happened; of that all but one call,
    /// which has begun and runs on, before the end.
    async fn until_it_ends(&self) -> Vec<String> {
        let end = loop {
            sleep(Duration::from_millis(5)).await;
            if let Some(end) = self.pages().iter().position(|page| page == "it ends") {
                break end;
            }
        };
        sleep(Duration::from_millis(200)).await;
        let mut pages = std::mem::take(&mut *self.0.lock().unwrap());
        pages.remove(end);
        assert!(pages.len() - end <= 2, "{pages:?}");
        pages
    }
}

fn hub() -> (Hub, Diary) {
    let diary = Diary::default();
    let (noted, slowly, ended) = (diary.clone(), diary.clone(), diary.clone());
    let hub = Hub::new(())
        .method("Note", move |_: Context, what: String| {
            noted.note(what);
            async { Ok(()) }
        })
        .method("NoteSlowly", move |_: Context, what: String| {
            let slowly = slowly.clone();
            async move {
                sleep(Duration::from_millis(150)).await;
                slowly.note(what);
                Ok(())
            }
        })
        .method("UntilItIsGone", async |cx: Context| {
            cx.disconnected().await;
            Ok(())
        })
        .method("Never", async |_: Context| {
            pending::<()>().await;
            Ok(())
        })
        .on_disconnected(move |_, _| {
            ended.note("it ends");
            async { Ok(()) }
        });
    (hub, diary)
}

fn app() -> (App, Diary) {
    let (hub, diary) = hub();
    (App::of(hub, Arc::new(AtomicUsize::new(0))), diary)
}

fn calls(method: &str) -> String {
    (0..CALLS)
        .map(|n| call(method, &format!("\"{n}\"")))
        .collect()
}

fn all() -> Vec<String> {
    (0..CALLS).map(|n| n.to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn lp_12_what_was_answered_happens_before_the_end_that_delete_asks_for() {
    for method in ["Note", "NoteSlowly"] {
        let (app, diary) = app();
        let (_, token) = app.polling().await;
        assert_eq!(app.post(&token, calls(method)).await.status, 200);
        assert_eq!(app.request("DELETE", &token, "").await.status, 202);
        // P-08: what comes later is refused, and does not happen.
        assert_eq!(app.post(&token, calls(method)).await.status, 404);
        assert_eq!(diary.until_it_ends().await, all(), "{method}");
    }
}

#[tokio::test(start_paused = true)]
async fn c_05_what_was_answered_happens_though_nobody_polls() {
    let (app, diary) = app();
    let (_, token) = app.polling().await;
    sleep(Duration::from_millis(14_900)).await;
    assert_eq!(app.post(&token, calls("NoteSlowly")).await.status, 200);
    assert_eq!(diary.until_it_ends().await, all());
}

#[tokio::test(start_paused = true)]
async fn what_was_answered_happens_when_the_event_stream_ends() {
    for method in ["Note", "NoteSlowly"] {
        let (app, diary) = app();
        let (token, events) = app.streaming().await;
        for n in 0..CALLS {
            let call = call(method, &format!("\"{n}\""));
            assert_eq!(app.post(&token, call).await.status, 200);
        }
        drop(events);
        assert_eq!(diary.until_it_ends().await, all(), "{method}");
    }
}

/// Also what came before there was an event stream (P-05).
#[tokio::test(start_paused = true)]
async fn p_05_what_was_answered_before_the_event_stream_happens_when_it_ends_at_once() {
    let (app, diary) = app();
    let (_, token) = app.negotiate().await;
    let says = format!("{HANDSHAKE}{}", calls("Note"));
    assert_eq!(app.post(&token, says).await.status, 200);
    let mut events = app.open_stream(&token).await.into_body().into_data_stream();
    assert_eq!(next(&mut events).await.as_deref(), Some(":\r\n"));
    drop(events);
    assert_eq!(diary.until_it_ends().await, all());
}

#[tokio::test(start_paused = true)]
async fn what_came_before_the_end_of_a_websocket_happens() {
    for method in ["Note", "NoteSlowly"] {
        for leaves in [true, false] {
            let (hub, diary) = hub();
            let server = Server::start(hub);
            let mut client = server.client().await;
            client.text(&calls(method)).await;
            if leaves {
                client.leave().await;
            } else {
                drop(client);
            }
            let pages = diary.until_it_ends().await;
            assert_eq!(pages, all(), "{method}, leaves: {leaves}");
        }
    }
}

/// HB-03: they wait for what runs on connect.
#[tokio::test(start_paused = true)]
async fn what_came_while_the_connection_began_happens_though_the_client_is_gone() {
    let (hub, diary) = hub();
    let begun = diary.clone();
    let server = Server::start(hub.on_connected(move |_| {
        let begun = begun.clone();
        async move {
            sleep(Duration::from_secs(5)).await;
            begun.note("it has begun");
            Ok(())
        }
    }));
    let mut client = server.client().await;
    client.text(&calls("Note")).await;
    drop(client);
    let mut pages = diary.until_it_ends().await;
    assert_eq!(pages.remove(0), "it has begun");
    assert_eq!(pages, all());
}

/// Who waits for the end of its client does not keep others waiting for ever.
#[tokio::test(start_paused = true)]
async fn a_call_that_runs_is_told_that_its_client_is_gone_and_the_next_has_its_turn() {
    let (hub, diary) = hub();
    let server = Server::start(hub);
    let mut client = server.client().await;
    client.text(&call("UntilItIsGone", "")).await;
    client.text(&calls("Note")).await;
    drop(client);
    assert_eq!(diary.until_it_ends().await, all());
}

/// A call that never returns keeps those behind it waiting, and no connection for ever.
#[tokio::test(start_paused = true)]
async fn a_turn_is_waited_for_as_long_as_a_client_that_is_away() {
    let (hub, diary) = hub();
    let server = Server::start(hub);
    let mut client = server.client().await;
    let begun = Instant::now();
    client.text(&call("NoteSlowly", "\"slowly\"")).await;
    client.text(&call("Never", "")).await;
    client.text(&calls("Note")).await;
    drop(client);
    assert_eq!(diary.until_it_ends().await, ["slowly"]);
    assert_eq!(begun.elapsed().as_secs(), 15);
    // What runs runs on, and is not begun again.
    sleep(Duration::from_secs(60)).await;
    assert_eq!(diary.pages(), [""; 0]);
}

/// What is left of a message is an error all the same (F-04).
#[tokio::test(start_paused = true)]
async fn f_04_half_a_message_behind_others_ends_the_connection_with_an_error_once_they_are_done() {
    let (hub, diary) = hub();
    let told = diary.clone();
    let server = Server::start(hub.on_disconnected(move |_, error| {
        told.note("it ends");
        told.note(error.map(|error| error.to_string()).unwrap_or_default());
        async { Ok(()) }
    }));
    let mut client = server.client().await;
    client
        .text(&format!("{}{{\"type\":1", calls("NoteSlowly")))
        .await;
    drop(client);
    let pages = diary.until_it_ends().await;
    assert_eq!(pages[..CALLS - 1], all()[..CALLS - 1]);
    let text = "InvalidDataException: Connection terminated while reading a message.";
    assert_eq!(pages[CALLS - 1..], [text, "19"]);
}

/// OR-01, CL-12: the hub wants no more of this client.
#[tokio::test(start_paused = true)]
async fn what_follows_an_abort_does_not_happen() {
    let (hub, diary) = hub();
    let hub = hub
        .method("Abort", async |cx: Context| {
            cx.abort();
            Ok(())
        })
        .stream("Numbers", |_: Context| stream::iter([Ok(1)]));
    let server = Server::start(hub);
    let mut client = server.client().await;
    let abort = live::call("", "Abort", "[]");
    let unbound = live::call("1", "Note", "[]");
    let streams = r#"{"type":4,"invocationId":"2","target":"Numbers","arguments":[]}"#;
    let says = [&abort, &unbound, streams].map(|record| format!("{record}{RS}"));
    client
        .text(&format!("{}{}", says.concat(), calls("Note")))
        .await;
    client.expect_end(r#"{"type":7}"#, 1000).await;
    assert_eq!(diary.until_it_ends().await, [""; 0]);
}
