//! What happens in which order, and what runs beside what.

use std::time::Duration;

use crate::live::{self, Count, Server};
use futures_util::{Stream, StreamExt, stream};
use hub::{Context, Hub, HubOptions, UploadStream};

/// What the methods of these tests share.
#[derive(Clone, Default)]
struct Shared {
    running: Count,
    begun: Count,
}

async fn echo(_: Context<Shared>, value: i64) -> hub::Result<i64> {
    Ok(value)
}

async fn send_and_answer(cx: Context<Shared>, count: i64) -> hub::Result<i64> {
    for number in 0..count {
        cx.caller().send("Got", (number,))?;
        if number % 3 == 0 {
            tokio::task::yield_now().await;
        }
    }
    Ok(count)
}

/// Answers how many ran when it began.
async fn slow(cx: Context<Shared>, millis: u64) -> hub::Result<usize> {
    let _held = cx.state().running.hold();
    let running = cx.state().running.get();
    tokio::time::sleep(Duration::from_millis(millis)).await;
    Ok(running)
}

async fn until_cancelled(cx: Context<Shared>) -> hub::Result<&'static str> {
    let _held = cx.state().running.hold();
    cx.cancelled().await;
    Ok("cancelled")
}

fn endless(cx: Context<Shared>) -> impl Stream<Item = hub::Result<u64>> {
    let held = cx.state().running.hold();
    stream::iter(0..).map(move |number| {
        let _ = &held;
        Ok(number)
    })
}

/// Gives nothing, and never looks whether it is cancelled (X-06).
fn silent(cx: Context<Shared>) -> impl Stream<Item = hub::Result<u64>> {
    let held = cx.state().running.hold();
    stream::pending().map(move |number: u64| {
        let _ = &held;
        Ok(number)
    })
}

async fn ask_caller(cx: Context<Shared>, seconds: u64) -> hub::Result<String> {
    cx.state().begun.add();
    let deadline = Duration::from_secs(seconds);
    cx.caller().invoke_within("Name", (), deadline).await
}

async fn sum(_: Context<Shared>, mut numbers: UploadStream<i64>) -> hub::Result<i64> {
    let mut sum = 0;
    while let Some(number) = numbers.next().await {
        sum += number?;
    }
    Ok(sum)
}

fn hub(options: HubOptions) -> (Hub<Shared>, Shared) {
    let shared = Shared::default();
    let hub = Hub::with_options(shared.clone(), options)
        .method("Echo", echo)
        .method("SendAndAnswer", send_and_answer)
        .method("Slow", slow)
        .method("UntilCancelled", until_cancelled)
        .method("AskCaller", ask_caller)
        .method("Sum", sum)
        .stream("Endless", endless)
        .stream("Silent", silent);
    (hub, shared)
}

fn start(options: HubOptions) -> (Server, Shared) {
    let (hub, shared) = hub(options);
    (Server::start(hub), shared)
}

fn result(id: impl std::fmt::Display, value: impl std::fmt::Display) -> String {
    format!(r#"{{"type":3,"invocationId":"{id}","result":{value}}}"#)
}

#[tokio::test(start_paused = true)]
async fn in_17_what_a_method_sends_comes_before_its_answer() {
    let (server, _) = start(HubOptions::new());
    let mut client = server.client().await;
    client.call("1", "Echo", "[7]").await;
    client.call("2", "SendAndAnswer", "[10]").await;
    client.call("3", "Echo", "[8]").await;
    assert_eq!(client.next().await, result(1, 7));
    for number in 0..10 {
        let sent = format!(r#"{{"type":1,"target":"Got","arguments":[{number}]}}"#);
        assert_eq!(client.next().await, sent);
    }
    client.expect(&[&result(2, 10), &result(3, 8)]).await;
}

#[tokio::test(start_paused = true)]
async fn or_03_pipelined_calls_are_answered_in_order_and_never_overlap() {
    let (server, _) = start(HubOptions::new());
    let mut client = server.client().await;
    let calls: Vec<_> = (0..100)
        .map(|id| live::call(&id.to_string(), "Slow", &format!("[{}]", id % 7)))
        .collect();
    client.send_all(&calls).await;
    for id in 0..100 {
        assert_eq!(client.next().await, result(id, 1));
    }
}

/// OR-02, OR-03: a call that is refused for what the method is has its turn like one that runs; one
/// that cannot be bound is answered as it is read.
#[tokio::test(start_paused = true)]
async fn or_03_a_refused_call_does_not_overtake_the_one_that_runs() {
    let (server, _) = start(HubOptions::new());
    let mut client = server.client().await;
    let refused = [
        live::call("2", "Endless", "[]"),
        r#"{"type":1,"invocationId":"2","target":"Echo","arguments":[1],"streamIds":["u"]}"#.into(),
    ];
    for refused in refused {
        let unbound = live::call("3", "Echo", "[]");
        client
            .send_all(&[live::call("1", "Slow", "[150]"), refused, unbound.clone()])
            .await;
        assert_eq!(client.next().await, result(1, 1));
        for id in ["2", "3"] {
            let answer = client.next().await;
            let begin = format!(r#"{{"type":3,"invocationId":"{id}","error":"#);
            assert!(answer.starts_with(&begin), "{answer}");
        }
        client
            .send_all(&[live::call("1", "Slow", "[150]"), unbound])
            .await;
        assert!(client.next().await.contains(r#""invocationId":"3""#));
        assert_eq!(client.next().await, result(1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn or_02_slots_run_beside_each_other_and_no_more_than_there_are() {
    let options = HubOptions::new().maximum_parallel_invocations_per_client(3);
    let (server, shared) = start(options);
    let mut client = server.client().await;
    for (id, millis) in [(1, 300), (2, 100), (3, 200), (4, 50), (5, 500)] {
        let arguments = format!("[{millis}]");
        client.call(&id.to_string(), "Slow", &arguments).await;
    }
    shared.running.reaches(3).await;
    // 4 begins as 2 ends, and 5 as 4 ends.
    let order = [(2, 2), (4, 3), (3, 3), (1, 1), (5, 3)];
    for (id, running) in order {
        assert_eq!(client.next().await, result(id, running));
    }
}

#[tokio::test(start_paused = true)]
async fn x_07_pings_are_seen_behind_a_call_that_waits() {
    let options = HubOptions::new().client_timeout_interval(Duration::from_secs(5));
    let (server, _) = start(options);
    let mut client = server.client().await;
    client.send(r#"{"type":6}"#).await;
    client.call("1", "Slow", "[20000]").await;
    client.call("2", "Slow", "[1]").await;
    client.expect(&[&result(1, 1), &result(2, 1)]).await;
    // The clock runs again from here.
    client
        .expect_end(
            r#"{"type":7,"error":"Connection closed with an error.","allowReconnect":true}"#,
            1000,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn cr_07_a_method_that_asks_its_client_lets_others_run() {
    let (server, shared) = start(HubOptions::new());
    let mut client = server.client().await;
    client.call("1", "AskCaller", "[30]").await;
    client.call("2", "Echo", "[2]").await;
    client
        .expect(&[
            r#"{"type":1,"invocationId":"s1","target":"Name","arguments":[]}"#,
            &result(2, 2),
        ])
        .await;
    client
        .send(r#"{"type":3,"invocationId":"s1","result":"ada"}"#)
        .await;
    assert_eq!(client.next().await, result(1, "\"ada\""));
    assert_eq!(shared.begun.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn cr_07_calls_that_ask_may_all_wait_at_once() {
    let (server, shared) = start(HubOptions::new());
    let mut client = server.client().await;
    let calls: Vec<_> = (0..20)
        .map(|id| live::call(&id.to_string(), "AskCaller", "[30]"))
        .collect();
    client.send_all(&calls).await;
    for id in 1..=20 {
        let question =
            format!(r#"{{"type":1,"invocationId":"s{id}","target":"Name","arguments":[]}}"#);
        assert_eq!(client.next().await, question);
    }
    assert_eq!(shared.begun.get(), 20);
    for id in (1..=20).rev() {
        let answer = format!(r#"{{"type":3,"invocationId":"s{id}","result":"{id}"}}"#);
        client.send(&answer).await;
        let answered = result(id - 1, format!("\"{id}\""));
        assert_eq!(client.next().await, answered);
    }
}

#[tokio::test(start_paused = true)]
async fn st_06_cancel_drops_a_stream_whatever_it_is_doing() {
    let (server, shared) = start(HubOptions::new());
    let mut client = server.client().await;
    client
        .send(r#"{"type":4,"invocationId":"1","target":"Silent","arguments":[]}"#)
        .await;
    shared.running.reaches(1).await;
    client.send(r#"{"type":5,"invocationId":"1"}"#).await;
    client.expect(&[r#"{"type":3,"invocationId":"1"}"#]).await;
    assert_eq!(shared.running.get(), 0);
    assert_eq!(client.ask("Echo", "[1]").await, "1");
}

#[tokio::test(start_paused = true)]
async fn st_06_endless_streams_leave_room_for_their_cancels() {
    let (server, shared) = start(HubOptions::new());
    let mut client = server.client().await;
    for id in 0..8 {
        let call =
            format!(r#"{{"type":4,"invocationId":"{id}","target":"Endless","arguments":[]}}"#);
        client.send(&call).await;
    }
    let mut live = [true; 8];
    let mut items = 0_usize;
    let mut last = 8;
    while live.contains(&true) {
        let record = client.next().await;
        items += 1;
        assert!(items < 200_000, "a cancel is not seen: {live:?}");
        let id = record.split('"').nth(5).unwrap().parse::<usize>().unwrap();
        if record.starts_with(r#"{"type":3"#) {
            live[id] = false;
            last = id;
        } else if items.is_multiple_of(500) {
            let id = (0..8).find(|id| live[*id] && *id != last).unwrap_or(id);
            let cancel = format!(r#"{{"type":5,"invocationId":"{id}"}}"#);
            client.send(&cancel).await;
        }
    }
    assert_eq!(shared.running.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn endless_streams_take_turns() {
    let (server, _) = start(HubOptions::new());
    let mut client = server.client().await;
    let calls: Vec<_> = (0..4)
        .map(|id| {
            format!(r#"{{"type":4,"invocationId":"{id}","target":"Endless","arguments":[]}}"#)
        })
        .collect();
    client.send_all(&calls).await;
    let mut items = [0; 4];
    for _ in 0..4_000 {
        let record = client.next().await;
        items[record.split('"').nth(5).unwrap().parse::<usize>().unwrap()] += 1;
    }
    assert!(items.iter().all(|count| *count > 500), "{items:?}");
}

#[tokio::test(start_paused = true)]
async fn st_07_cancel_tells_a_plain_method_and_it_is_answered() {
    let (server, shared) = start(HubOptions::new());
    let mut client = server.client().await;
    client.call("1", "UntilCancelled", "[]").await;
    shared.running.reaches(1).await;
    client.send(r#"{"type":5,"invocationId":"1"}"#).await;
    client.expect(&[&result(1, "\"cancelled\"")]).await;
}

#[tokio::test(start_paused = true)]
async fn st_08_the_end_of_a_connection_drops_streams_and_tells_plain_methods() {
    let (server, shared) = start(HubOptions::new());
    let mut client = server.client().await;
    client
        .send(r#"{"type":4,"invocationId":"1","target":"Silent","arguments":[]}"#)
        .await;
    client.call("2", "UntilCancelled", "[]").await;
    shared.running.reaches(2).await;
    client.leave().await;
    shared.running.reaches(0).await;
    server.connections(0).await;
}

#[tokio::test(start_paused = true)]
async fn up_01_uploads_beside_a_call_that_runs() {
    let (server, shared) = start(HubOptions::new());
    let mut client = server.client().await;
    client.call("1", "UntilCancelled", "[]").await;
    shared.running.reaches(1).await;
    client
        .send(r#"{"type":1,"invocationId":"2","target":"Sum","arguments":[],"streamIds":["u"]}"#)
        .await;
    for number in 0..1_000 {
        let item = format!(r#"{{"type":2,"invocationId":"u","item":{number}}}"#);
        client.send(&item).await;
    }
    client.send(r#"{"type":3,"invocationId":"u"}"#).await;
    client.expect(&[&result(2, 499_500)]).await;
}
