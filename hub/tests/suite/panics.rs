//! What a hub is given panics: its methods, what they give back, and who is told of them. That is
//! one call's failure, and nobody else's.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context as Task, Poll},
};

use bytestring::ByteString;
use futures_util::Stream;
use hub::{Context, Hub};
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use tracing::{
    Event, Subscriber,
    span::{Attributes, Id, Record},
};

use crate::live::{RS, Server, call};

/// A log whose disk is full.
struct Full;

impl Subscriber for Full {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("hub") || metadata.target().starts_with("raw_ws")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        panic!("no space left for {:?}", event.metadata().name());
    }

    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

impl CounterFn for Full {
    fn increment(&self, _: u64) {
        panic!("cannot count");
    }

    fn absolute(&self, _: u64) {
        panic!("cannot count");
    }
}

impl GaugeFn for Full {
    fn increment(&self, _: f64) {
        panic!("cannot count");
    }

    fn decrement(&self, _: f64) {
        panic!("cannot count");
    }

    fn set(&self, _: f64) {
        panic!("cannot count");
    }
}

impl HistogramFn for Full {
    fn record(&self, _: f64) {
        panic!("cannot record");
    }
}

impl Recorder for Full {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::new(Self))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Arc::new(Self))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(Self))
    }
}

/// A stream, or the future of a method, that does not like to be dropped.
struct Prickly;

impl Drop for Prickly {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("dropped");
        }
    }
}

impl Stream for Prickly {
    type Item = hub::Result<u32>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Task<'_>) -> Poll<Option<hub::Result<u32>>> {
        Poll::Ready(Some(Ok(1)))
    }
}

fn hub() -> Hub {
    Hub::new(())
        .method("Echo", async |_: Context, value: u32| Ok(value))
        .method("Fails", async |_: Context| {
            Err::<(), _>(std::io::Error::other("on purpose").into())
        })
        .method("Prickly", async |_: Context| {
            let _prickly = Prickly;
            std::future::pending::<hub::Result<()>>().await
        })
        .stream("Pricks", |_: Context| Prickly)
        .method("Judged", async |_: Context| Ok(()))
        .authorize("Judged", |_| panic!("no judgement"))
        .fallback(|_: Context, target: ByteString, _| {
            assert_ne!(&*target, "Assert");
            async { Ok(()) }
        })
}

const FAILED: &str = "An unexpected error occurred invoking";

async fn is_unharmed(client: &mut crate::live::Client) {
    assert_eq!(client.ask("Echo", "[7]").await, "7");
}

#[tokio::test(start_paused = true)]
async fn a_log_and_a_recorder_that_panic_harm_no_connection() {
    let _log = tracing::subscriber::set_default(Full);
    let _recorder = metrics::set_default_local_recorder(&Full);
    let server = Server::start(hub());
    let mut client = server.client().await;
    for _ in 0..3 {
        client.call("1", "Fails", "[]").await;
        let answer = client.next().await;
        assert!(answer.contains(FAILED), "{answer}");
        client.call("2", "Echo", "[]").await; // refused, and told
        assert!(client.next().await.contains("Failed to invoke 'Echo'"));
    }
    is_unharmed(&mut client).await;
    let mut bad = server.client().await;
    bad.text(&format!("no JSON{RS}")).await;
    let error = r#"{"type":7,"error":"Connection closed with an error.","allowReconnect":true}"#;
    bad.expect_end(error, 1000).await;
    is_unharmed(&mut client).await;
    client.leave().await;
    server.connections(0).await;
}

#[tokio::test(start_paused = true)]
async fn what_panics_as_it_is_dropped_harms_no_connection() {
    let server = Server::start(hub());
    let mut client = server.client().await;
    client
        .send(r#"{"type":4,"invocationId":"s","target":"Pricks","arguments":[]}"#)
        .await;
    assert!(client.next().await.contains("\"item\":1"));
    client.send(r#"{"type":5,"invocationId":"s"}"#).await;
    while !client.next().await.contains("\"type\":3") {}
    is_unharmed(&mut client).await;

    // The end of a connection drops what runs on it.
    let mut other = server.client().await;
    other
        .send(r#"{"type":4,"invocationId":"s","target":"Pricks","arguments":[]}"#)
        .await;
    other.call("", "Prickly", "[]").await;
    drop(other);
    server.connections(1).await;
    is_unharmed(&mut client).await;
}

#[tokio::test(start_paused = true)]
async fn a_policy_and_a_fallback_that_panic_fail_their_call() {
    let server = Server::start(hub());
    let mut client = server.client().await;
    for target in ["Judged", "Assert"] {
        client.send(&call("1", target, "[]")).await;
        let answer = client.next().await;
        assert!(answer.contains(FAILED), "{answer}");
        is_unharmed(&mut client).await;
    }
}
