//! A connection from its first to its last word: what runs on connect and disconnect, filters,
//! panics, and the graceful stop.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::live::{self, Count, Heard, Server};
use bytestring::ByteString;
use futures_util::{Stream, stream};
use hub::{
    Call, Context, Filter, Hub, HubError, HubOptions, Next, RawArguments, Reply, UploadStream,
};
use tokio::time::Instant;

const GENERIC_CLOSE: &str = r#"{"type":7,"error":"Connection closed with an error."}"#;
const GENERIC_CLOSE_RETRY: &str =
    r#"{"type":7,"error":"Connection closed with an error.","allowReconnect":true}"#;

#[derive(Clone, Default)]
struct Shared {
    log: Arc<Mutex<Vec<String>>>,
    held: Count,
}

impl Shared {
    fn log(&self, what: impl Into<String>) {
        self.log.lock().unwrap().push(what.into());
    }

    fn taken(&self) -> Vec<String> {
        std::mem::take(&mut self.log.lock().unwrap())
    }

    async fn logs(&self, lines: &[&str]) {
        live::eventually("the log", || self.log.lock().unwrap().len() >= lines.len()).await;
        assert_eq!(self.taken(), lines);
    }
}

type Cx = Context<Shared>;

async fn echo(_: Cx, value: i64) -> hub::Result<i64> {
    Ok(value)
}

fn logged(shared: &Shared) -> Hub<Shared> {
    logged_with(shared, HubOptions::new())
}

fn logged_with(shared: &Shared, options: HubOptions) -> Hub<Shared> {
    Hub::with_options(shared.clone(), options)
        .method("Echo", echo)
        .on_connected(async |cx: Cx| {
            cx.state().log("connected");
            Ok(())
        })
        .on_disconnected(async |cx: Cx, error: Option<HubError>| {
            cx.state().log(format!("disconnected {error:?}"));
            Ok(())
        })
}

#[tokio::test(start_paused = true)]
async fn hb_03_h_13_on_connected_runs_first_and_what_it_sends_follows_the_handshake() {
    let hub = Hub::new(Shared::default())
        .method("Echo", echo)
        .on_connected(async |cx: Cx| {
            cx.caller().send("Hello", (1,))?;
            tokio::time::sleep(Duration::from_secs(5)).await;
            cx.caller().send("Hello", (2,))
        });
    let server = Server::start(hub);
    let mut client = server.open().await;
    let begun = Instant::now();
    client
        .send_all(&[
            r#"{"protocol":"json","version":1}"#.into(),
            live::call("1", "Echo", "[3]"),
        ])
        .await;
    client
        .expect(&[
            "{}",
            r#"{"type":1,"target":"Hello","arguments":[1]}"#,
            r#"{"type":1,"target":"Hello","arguments":[2]}"#,
            r#"{"type":3,"invocationId":"1","result":3}"#,
        ])
        .await;
    assert_eq!(begun.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn cl_01_a_connection_that_is_refused_is_told_and_never_disconnected() {
    for (error, close) in [
        (
            HubError::new("full"),
            r#"{"type":7,"error":"Connection closed with an error. HubException: full"}"#,
        ),
        (HubError::from(std::fmt::Error), GENERIC_CLOSE),
    ] {
        let shared = Shared::default();
        let error = Arc::new(Mutex::new(Some(error)));
        let hub = logged(&shared).on_connected(move |cx: Cx| {
            cx.groups().join("g").unwrap();
            let error = error.lock().unwrap().take();
            async move { error.map_or(Ok(()), Err) }
        });
        let server = Server::start(hub);
        let mut client = server.client().await;
        client.expect_end(close, 1000).await;
        server.connections(0).await;
        assert_eq!(shared.taken(), [""; 0]);
        assert_eq!(server.handle.groups().members("g").len(), 0);
        // Nothing is wrong with the hub.
        let mut next = server.client().await;
        assert_eq!(next.ask("Echo", "[1]").await, "1");
    }
}

#[tokio::test(start_paused = true)]
async fn row_133_a_panic_on_connect_refuses_the_connection_and_leaves_nothing_behind() {
    let shared = Shared::default();
    let hub = logged(&shared).on_connected(|cx: Cx| async move {
        if cx.state().held.add() == 1 {
            panic!("on connect");
        }
        Ok(())
    });
    let server = Server::start(hub);
    let mut client = server.client().await;
    client.expect_end(GENERIC_CLOSE, 1000).await;
    server.connections(0).await;
    let mut next = server.client().await;
    assert_eq!(next.ask("Echo", "[1]").await, "1");
}

#[tokio::test(start_paused = true)]
async fn cl_13_row_133_a_failure_on_disconnect_closes_with_1011() {
    for panics in [false, true] {
        let shared = Shared::default();
        let hub = logged(&shared).on_disconnected(move |_: Cx, _| async move {
            assert!(!panics, "on disconnect");
            Err(HubError::new("no"))
        });
        let server = Server::start(hub);
        let mut client = server.client().await;
        client.send(r#"{"type":7}"#).await;
        client.expect_end(r#"{"type":7}"#, 1011).await;
        server.connections(0).await;
        let begun = Instant::now();
        server.handle.shutdown(Duration::from_secs(5)).await;
        assert_eq!(begun.elapsed(), Duration::ZERO, "nobody is left");
    }
}

/// Section 17: once, and with what ended it.
#[tokio::test(start_paused = true)]
async fn on_disconnected_runs_once_with_the_error_that_ended_it() {
    let timeout = r#"disconnected Some(HubError { class: "OperationCanceledException", text: "Client hasn't sent a message/ping within the configured ClientTimeoutInterval." })"#;
    for (says, close, told) in [
        (r#"{"type":7}"#, r#"{"type":7}"#, "disconnected None"),
        (
            r#"{"type":7,"error":"why"}"#,
            r#"{"type":7}"#,
            r#"disconnected Some(HubError { class: "HubException", text: "why" })"#,
        ),
        (
            r#"{"type":1,"target":"Abort","arguments":[]}"#,
            r#"{"type":7}"#,
            "disconnected None",
        ),
        (r#"{"type":6}"#, GENERIC_CLOSE_RETRY, timeout),
    ] {
        let shared = Shared::default();
        let hub = logged(&shared).method("Abort", async |cx: Cx| {
            cx.abort();
            Ok(())
        });
        let server = Server::start(hub);
        let mut client = server.client().await;
        client.send(says).await;
        client.expect_end(close, 1000).await;
        drop(client);
        shared.logs(&["connected", told]).await;
    }
    let shared = Shared::default();
    let server = Server::start(logged(&shared));
    server.client().await.leave().await;
    shared.logs(&["connected", "disconnected None"]).await;
    // Torn off, without a closing handshake.
    drop(server.client().await);
    shared.logs(&["connected", "disconnected None"]).await;
    let mut client = server.client().await;
    client.send("}").await;
    client.expect_end(GENERIC_CLOSE_RETRY, 1000).await;
    live::eventually("the end", || shared.log.lock().unwrap().len() == 2).await;
    let told = shared.taken().remove(1);
    assert!(told.contains("InvalidDataException"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_while_it_is_connected_is_not_forgotten_halfway() {
    let shared = Shared::default();
    let hub = logged(&shared).on_connected(async |cx: Cx| {
        cx.state().log("connecting");
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(60)) => cx.state().log("connected"),
            () = cx.disconnected() => cx.state().log("gone"),
        }
        Ok(())
    });
    let server = Server::start(hub);
    let client = server.client().await;
    shared.logs(&["connecting"]).await;
    client.leave().await;
    shared.logs(&["gone", "disconnected None"]).await;
    server.connections(0).await;
}

#[derive(Debug)]
struct PanicsAsItIsRead;

impl<'de> serde::Deserialize<'de> for PanicsAsItIsRead {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        panic!("as it is read")
    }
}

struct PanicsAsItIsDropped;

impl Drop for PanicsAsItIsDropped {
    fn drop(&mut self) {
        panic!("as it is dropped")
    }
}

#[tokio::test(start_paused = true)]
async fn row_133_a_handler_that_panics_is_answered_and_the_connection_lives() {
    fn broken_stream(_: Cx) -> impl Stream<Item = hub::Result<i64>> {
        stream::iter(0..3).map(|number| {
            assert!(number < 2, "in a stream");
            Ok(number)
        })
    }
    fn no_stream(_: Cx) -> stream::Empty<hub::Result<i64>> {
        panic!("no stream")
    }
    use futures_util::StreamExt as _;
    let hub = Hub::new(Shared::default())
        .method("Echo", echo)
        .method("Panics", async |_: Cx| -> hub::Result<()> {
            panic!("secret")
        })
        .method("PanicsLater", async |_: Cx| -> hub::Result<()> {
            tokio::time::sleep(Duration::from_secs(1)).await;
            panic!("secret")
        })
        .method("Reads", async |_: Cx, _: PanicsAsItIsRead| Ok(()))
        .stream("BrokenStream", broken_stream)
        .stream("NoStream", no_stream);
    let server = Server::start(hub);
    let mut client = server.client().await;
    for (target, arguments) in [("Panics", "[]"), ("PanicsLater", "[]"), ("Reads", "[1]")] {
        client.call("1", target, arguments).await;
        let answer = client.next().await;
        assert_eq!(
            answer.replace("\\u0027", "'"),
            format!(
                r#"{{"type":3,"invocationId":"1","error":"An unexpected error occurred invoking '{target}' on the server."}}"#
            )
        );
        assert_eq!(client.ask("Echo", "[7]").await, "7");
    }
    client
        .send(r#"{"type":4,"invocationId":"2","target":"BrokenStream","arguments":[]}"#)
        .await;
    client
        .expect(&[
            r#"{"type":2,"invocationId":"2","item":0}"#,
            r#"{"type":2,"invocationId":"2","item":1}"#,
            r#"{"type":3,"invocationId":"2","error":"An error occurred on the server while streaming results."}"#,
        ])
        .await;
    client
        .send(r#"{"type":4,"invocationId":"3","target":"NoStream","arguments":[]}"#)
        .await;
    assert!(client.next().await.contains("An unexpected error"));
    assert_eq!(client.ask("Echo", "[7]").await, "7");
}

#[tokio::test(start_paused = true)]
async fn row_133_what_panics_beyond_help_takes_its_own_connection_and_no_more() {
    let shared = Shared::default();
    let hub = logged(&shared).method("Drops", async |_: Cx| {
        let _value = PanicsAsItIsDropped;
        std::future::pending::<()>().await;
        Ok(())
    });
    let server = Server::start(hub);
    let mut witness = server.client().await;
    let mut client = server.client().await;
    client.call("1", "Drops", "[]").await;
    assert_eq!(witness.ask("Echo", "[1]").await, "1");
    server.connections(2).await;
    drop(client);
    server.connections(1).await;
    assert_eq!(witness.ask("Echo", "[2]").await, "2");
}

struct Noting(&'static str);

impl Filter<Shared> for Noting {
    async fn invoke(&self, call: Call<Shared>, next: Next<Reply>) -> hub::Result<Reply> {
        let log = |what| {
            let line = format!("{} {what} {}", self.0, call.method());
            call.context().state().log(line);
        };
        log("before");
        if call.method() == "Forbidden" && self.0 == "inner" {
            return Err(HubError::new("not for you"));
        }
        let reply = next.run().await?;
        log("after");
        if call.method() == "Doubled" && self.0 == "outer" {
            let value: i64 = reply.decode()?;
            return call.context().reply(&(value * 2));
        }
        Ok(reply)
    }

    async fn connected(&self, cx: Cx, next: Next<()>) -> hub::Result<()> {
        cx.state().log(format!("{} connecting", self.0));
        next.run().await
    }

    async fn disconnected(&self, cx: Cx, next: Next<()>) -> hub::Result<()> {
        next.run().await?;
        cx.state().log(format!("{} disconnected", self.0));
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn hb_08_filters_run_outermost_first_and_around_everything() {
    let shared = Shared::default();
    let hub = logged(&shared)
        .method("Forbidden", echo)
        .method("Doubled", echo)
        .fallback(async |_: Cx, target: ByteString, _: RawArguments| Ok(target.to_string()))
        .filter(Noting("outer"))
        .filter(Noting("inner"));
    let server = Server::start(hub);
    let mut client = server.client().await;
    let connecting = ["outer connecting", "inner connecting", "connected"];
    shared.logs(&connecting).await;
    assert_eq!(client.ask("doubled", "[21]").await, "42");
    let lines = [
        "outer before Doubled",
        "inner before Doubled",
        "inner after Doubled",
        "outer after Doubled",
    ];
    assert_eq!(shared.taken(), lines);
    client.call("1", "Forbidden", "[1]").await;
    let answer = client.next().await;
    assert!(answer.contains("HubException: not for you"), "{answer}");
    let lines = ["outer before Forbidden", "inner before Forbidden"];
    assert_eq!(shared.taken(), lines);
    // What does not bind never reaches them.
    client.call("1", "Echo", "[]").await;
    assert!(client.next().await.contains("Failed to invoke 'Echo'"));
    assert_eq!(shared.taken(), [""; 0]);
    assert_eq!(client.ask("Anything", "[]").await, "\"Anything\"");
    assert_eq!(shared.taken().len(), 4, "a fallback is a call too");
    client.leave().await;
    shared
        .logs(&[
            "disconnected None",
            "inner disconnected",
            "outer disconnected",
        ])
        .await;
}

#[tokio::test(start_paused = true)]
async fn fallbacks_answer_plain_calls_that_no_method_takes() {
    let hub = Hub::new(Shared::default()).method("Echo", echo).fallback(
        async |_: Cx, target: ByteString, mut arguments: RawArguments| {
            let count = arguments.remaining();
            let first: i64 = arguments.take()?;
            Ok(format!("{target} {first} of {count}"))
        },
    );
    let server = Server::start(hub);
    let mut client = server.client().await;
    assert_eq!(client.ask("Echo", "[1]").await, "1");
    assert_eq!(client.ask("Other", "[1,2]").await, "\"Other 1 of 2\"");
    client.call("1", "Other", "[]").await;
    assert!(
        client
            .next()
            .await
            .contains("An unexpected error occurred invoking")
    );
    // No streams either way.
    client
        .send(r#"{"type":4,"invocationId":"2","target":"Other","arguments":[]}"#)
        .await;
    assert!(client.next().await.contains("Method does not exist."));
    client
        .send(r#"{"type":1,"invocationId":"3","target":"Other","arguments":[1],"streamIds":["s"]}"#)
        .await;
    let answer = client.next().await;
    assert!(
        answer.contains("Client sent 1 stream(s), Hub method expects 0."),
        "{answer}"
    );
}

#[tokio::test(start_paused = true)]
async fn cr_06_nobody_is_asked_while_being_connected() {
    let shared = Shared::default();
    let hub = logged(&shared).on_connected(async |cx: Cx| {
        let asked = cx
            .caller()
            .invoke_within::<i64>("Q", (), Duration::from_secs(1))
            .await;
        cx.state().log(asked.unwrap_err().to_string());
        Ok(())
    });
    let server = Server::start(hub);
    let _client = server.client().await;
    shared
        .logs(&["Client results inside OnConnectedAsync Hub methods are not allowed."])
        .await;
}

#[tokio::test(start_paused = true)]
async fn cr_06_who_is_gone_answers_nothing_and_the_others_do() {
    let shared = Shared::default();
    let hub = logged(&shared).on_disconnected(async |cx: Cx, _| {
        let begun = Instant::now();
        let patience = Duration::from_secs(60);
        let asked = cx.caller().invoke_within::<i64>("Q", (), patience).await;
        let text = asked.unwrap_err().to_string();
        cx.state()
            .log(text.replace(cx.connection_id().as_str(), "ID"));
        cx.state().log(begun.elapsed().as_secs().to_string());
        if let Some(other) = cx.groups().everybody().first() {
            let other = cx.client(other.clone());
            let answer = other.invoke_within::<i64>("Q", (), patience).await;
            cx.state().log(format!("{answer:?}"));
        }
        Ok(())
    });
    let server = Server::start(hub);
    let mut other = server.client().await;
    let client = server.client().await;
    shared.logs(&["connected", "connected"]).await;
    client.leave().await;
    let question = other.next().await;
    let id = question.split('"').find(|part| part.starts_with('s'));
    let id = id.expect("its id");
    other
        .send(&format!(r#"{{"type":3,"invocationId":"{id}","result":5}}"#))
        .await;
    shared
        .logs(&["Connection 'ID' disconnected.", "0", "Ok(5)"])
        .await;
}

#[tokio::test(start_paused = true)]
async fn up_08_the_end_of_a_connection_fails_its_uploads() {
    let shared = Shared::default();
    let hub = logged(&shared).method("Read", async |cx: Cx, mut items: UploadStream<i64>| {
        use futures_util::StreamExt as _;
        while let Some(item) = items.next().await {
            cx.state().log(format!("{item:?}"));
        }
        cx.state().log("read");
        Ok(())
    });
    let server = Server::start(hub);
    let mut client = server.client().await;
    client
        .send(r#"{"type":1,"target":"Read","arguments":[],"streamIds":["1"]}"#)
        .await;
    client
        .send(r#"{"type":2,"invocationId":"1","item":5}"#)
        .await;
    shared.logs(&["connected", "Ok(5)"]).await;
    client.leave().await;
    live::eventually("the end", || shared.log.lock().unwrap().len() == 3).await;
    let log = shared.taken();
    let text = "Err(HubError { class: \"OperationCanceledException\", text: \"The underlying connection was closed.\" })";
    assert!(
        log.contains(&text.to_owned()) && log.contains(&"read".to_owned()),
        "{log:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn cl_15_a_graceful_stop_tells_everybody_in_batches() {
    let shared = Shared::default();
    let spread = Duration::from_secs(4);
    let hub = logged_with(&shared, HubOptions::new().shutdown_spread(spread));
    let server = Server::start(hub);
    let mut clients = Vec::new();
    for _ in 0..200 {
        clients.push(server.client().await);
    }
    let mut shaking = server.open().await;
    let begun = Instant::now();
    let handle = server.handle.clone();
    let stop = tokio::spawn(async move { handle.shutdown(Duration::from_secs(10)).await });
    let ends = clients.into_iter().map(|mut client| {
        tokio::spawn(async move {
            let close = r#"{"type":7,"allowReconnect":true}"#;
            client.expect_end(close, 1001).await;
            begun.elapsed()
        })
    });
    let ends: Vec<_> = ends.collect();
    let mut times = Vec::new();
    for end in ends {
        times.push(end.await.unwrap().as_secs());
    }
    times.sort_unstable();
    // Four batches over four seconds, the first at once.
    let at = |second| times.iter().filter(|time| **time == second).count();
    assert_eq!([at(0), at(1), at(2), at(3)], [64, 64, 64, 8]);
    stop.await.unwrap();
    assert_eq!(begun.elapsed().as_secs(), 3, "nobody is left to wait for");
    assert_eq!(server.handle.connections(), 0);
    assert_eq!(shared.taken().len(), 400);

    // Who was only arriving is told as soon as it can be; nobody else is let in.
    shaking.shake_hands().await;
    let close = r#"{"type":7,"allowReconnect":true}"#;
    shaking.expect_end(close, 1001).await;
    let answer = server
        .request("POST", "/hub/negotiate?negotiateVersion=1")
        .await;
    assert_eq!(answer.status, 503);
}

#[tokio::test(start_paused = true)]
async fn cl_15_a_stop_waits_for_nobody_beyond_its_deadline() {
    let hub = logged(&Shared::default()).on_disconnected(async |_: Cx, _| {
        std::future::pending::<()>().await;
        Ok(())
    });
    let server = Server::start(hub);
    let mut client = server.client().await;
    let begun = Instant::now();
    server.handle.shutdown(Duration::from_secs(7)).await;
    assert_eq!(begun.elapsed().as_secs(), 7);
    assert_eq!(client.next().await, r#"{"type":7,"allowReconnect":true}"#);
    assert_eq!(server.handle.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn h_08_h_10_a_client_that_says_nothing_is_let_go() {
    let shared = Shared::default();
    let server = Server::start(logged(&shared));
    let mut client = server.open().await;
    let begun = Instant::now();
    let answer = "{\"error\":\"Handshake was canceled.\"}\u{1e}";
    assert_eq!(client.heard().await, Heard::Text(answer.into()));
    client.expect_close(1000).await;
    assert_eq!(begun.elapsed().as_secs(), 15);
    assert_eq!(shared.taken(), [""; 0]);
}
