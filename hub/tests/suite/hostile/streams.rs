//! Calls that never end, streams that never end, and limits at the limit and one past it.

use super::*;

const TOO_MANY: &str = "HubException: Too many streams at a time.";

fn stream_call(id: usize, target: &str) -> String {
    format!(r#"{{"type":4,"invocationId":"{id}","target":"{target}","arguments":[]}}"#)
}

fn upload_call(id: &str, target: &str, stream: &str) -> String {
    format!(
        r#"{{"type":1,"invocationId":"{id}","target":"{target}","arguments":[],"streamIds":["{stream}"]}}"#
    )
}

fn item(stream: &str, value: &str) -> String {
    format!(r#"{{"type":2,"invocationId":"{stream}","item":{value}}}"#)
}

/// Says something again and again until the server takes no more; how often it did.
async fn until_it_rests(client: &mut Client, says: &str, at_most: usize) -> usize {
    for count in 0..at_most {
        let said = client.try_text(says);
        if tokio::time::timeout(Duration::from_secs(1), said)
            .await
            .is_err()
        {
            return count;
        }
    }
    at_most
}

#[tokio::test(start_paused = true)]
async fn row_123_calls_that_never_return() {
    let (server, shared) = start();
    let mut witness = Witness::of(&server).await;
    let mut client = server.client().await;
    let says = format!("{}{RS}", live::call("1", "Never", "[]"));
    let count = until_it_rests(&mut client, &says, 10_000).await;
    assert_eq!(shared.begun.get(), 1, "one runs");
    // 64 KiB of them wait, the rest is in sockets.
    assert!((300..2_500).contains(&count), "{count}");
    assert_eq!(witness.0.ask("Echo", "[1]").await, "1");
    drop(client);
    // Nothing is read from it: the next ping finds it gone. Those that wait get 15 s for their turn.
    tokio::time::sleep(Duration::from_secs(16)).await;
    assert_eq!(witness.0.ask("Echo", "[1]").await, "1");
    tokio::time::sleep(Duration::from_secs(15)).await;
    witness.is_unharmed(&server).await;
    assert_eq!(shared.begun.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn row_124_streaming_calls_at_the_limit_and_one_past_it() {
    let (server, shared) = start_with(HubOptions::new().maximum_streams_per_client(100));
    let mut witness = Witness::of(&server).await;
    let mut client = server.client().await;
    let calls: Vec<_> = (0..10_000).map(|id| stream_call(id, "Silent")).collect();
    let mut refused = 0;
    for calls in calls.chunks(100) {
        let says: String = calls.iter().map(|call| format!("{call}{RS}")).collect();
        for answer in hears(&mut client, &says).await {
            assert!(answer.contains(TOO_MANY), "{answer}");
            refused += 1;
        }
    }
    assert_eq!((refused, shared.running.get()), (9_900, 100));
    drop(client);
    shared.running.reaches(0).await;
    witness.is_unharmed(&server).await;
}

#[tokio::test(start_paused = true)]
async fn row_124_calls_with_uploads_have_the_same_limit_after_their_uploads_too() {
    let (server, shared) = start_with(HubOptions::new().maximum_streams_per_client(5));
    let mut client = server.client().await;
    for _ in 0..5 {
        let says = format!(
            "{}{RS}{{\"type\":3,\"invocationId\":\"u\"}}{RS}",
            upload_call("1", "Ignore", "u")
        );
        assert_eq!(hears(&mut client, &says).await, [""; 0]);
    }
    let says = format!("{}{RS}", upload_call("6", "Ignore", "u"));
    let heard = hears(&mut client, &says).await;
    assert!(heard[0].contains(TOO_MANY), "{heard:?}");
    assert_eq!(shared.running.get(), 5);
}

#[tokio::test(start_paused = true)]
async fn row_125_an_upload_that_nobody_reads_ends_and_the_connection_goes_on() {
    let (server, shared) = start();
    let mut witness = Witness::of(&server).await;
    let mut client = server.client().await;
    client.send(&upload_call("1", "Ignore", "u")).await;
    shared.running.reaches(1).await;
    let says: String = (0..100)
        .map(|n| format!("{}{RS}", item("u", &n.to_string())))
        .collect();
    let count = until_it_rests(&mut client, &says, 1_000).await;
    // 64 KiB of items, each with what it costs.
    assert!((5..40).contains(&count), "{count}");
    assert_eq!(witness.0.ask("Echo", "[1]").await, "1");
    // X-05: once it has been stuck for long enough it ends, and what is behind it is seen.
    let begun = tokio::time::Instant::now();
    client.send_all(&[live::call("2", "Echo", "[2]")]).await;
    let answer = r#"{"type":3,"invocationId":"2","result":2}"#;
    assert_eq!(client.next().await, answer);
    assert!(begun.elapsed().as_secs() <= 10);
    for _ in 0..100 {
        client.text(&says).await;
    }
    client.send(r#"{"type":5,"invocationId":"1"}"#).await;
    client
        .expect(&[r#"{"type":3,"invocationId":"1","result":null}"#])
        .await;
    drop(client);
    witness.is_unharmed(&server).await;
}

#[tokio::test(start_paused = true)]
async fn row_125_cancels_and_pings_pass_an_upload_that_is_not_full() {
    let (server, shared) = start();
    let mut client = server.client().await;
    client.send(&upload_call("1", "Ignore", "u")).await;
    client.send(&stream_call(2, "Silent")).await;
    for _ in 0..500 {
        client.send(&item("u", "1")).await;
    }
    client.send(r#"{"type":5,"invocationId":"2"}"#).await;
    client.expect(&[r#"{"type":3,"invocationId":"2"}"#]).await;
    assert_eq!(shared.running.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn row_126_stream_ids_in_use() {
    let (server, shared) = start();
    let mut client = server.client().await;
    client.send(&upload_call("1", "Sum", "7")).await;
    client.send(&item("7", "1")).await;
    let generic = "An unexpected error occurred invoking 'Sum' on the server. HubException:";
    let two = upload_call("3", "Sum", "7").replace(r#"["7"]"#, r#"["8","8"]"#);
    let says = format!("{}{RS}{two}{RS}", upload_call("2", "Sum", "7"));
    assert_eq!(
        hears(&mut client, &says).await,
        [
            format!(
                r#"{{"type":3,"invocationId":"2","error":"{generic} Stream ID '7' is already in use."}}"#
            ),
            format!(
                r#"{{"type":3,"invocationId":"3","error":"{generic} Client sent 2 stream(s), Hub method expects 1."}}"#
            ),
        ]
    );
    client.send(&item("7", "2")).await;
    client.send(r#"{"type":3,"invocationId":"7"}"#).await;
    client
        .expect(&[r#"{"type":3,"invocationId":"1","result":3}"#])
        .await;
    assert_eq!(shared.running.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn row_129_cancels_of_nobody_twice_and_as_it_ends() {
    let (server, shared) = start();
    let mut client = server.client().await;
    let cancel = r#"{"type":5,"invocationId":"1"}"#;
    let says = [
        cancel.into(),
        stream_call(1, "Silent"),
        cancel.into(),
        cancel.into(),
    ];
    client.send_all(&says).await;
    client.expect(&[r#"{"type":3,"invocationId":"1"}"#]).await;
    for _ in 0..50 {
        client
            .send_all(&[stream_call(1, "Three"), cancel.into()])
            .await;
        while client.next().await != r#"{"type":3,"invocationId":"1"}"# {}
    }
    assert_eq!(client.ask("Echo", "[1]").await, "1");
    assert_eq!(shared.running.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn row_130_results_that_never_come_come_twice_or_from_a_stranger() {
    let (server, shared) = start();
    let mut witness = Witness::of(&server).await;
    let mut client = server.client().await;
    client.call("1", "Ask", "[60]").await;
    let question = r#"{"type":1,"invocationId":"s1","target":"Q","arguments":[]}"#;
    client.expect(&[question]).await;
    // CR-10: a stranger is let go, and the asked one may still answer.
    let mut stranger = server.client().await;
    let answer = r#"{"type":3,"invocationId":"s1","result":5}"#;
    let heard = hears(&mut stranger, &format!("{answer}{RS}")).await;
    assert_eq!(heard, [CLOSED, "1000"]);
    drop(stranger);
    client.send_all(&[answer.into(), answer.into()]).await;
    client
        .expect(&[r#"{"type":3,"invocationId":"1","result":5}"#])
        .await;
    // Never: the method is told after its own deadline.
    let begun = tokio::time::Instant::now();
    client.call("2", "Ask", "[30]").await;
    client.next().await;
    let failed = witness.looks_on(client.next()).await;
    assert!(
        failed.contains("HubException: Invocation canceled by the server."),
        "{failed}"
    );
    assert_eq!(begun.elapsed().as_secs(), 30);
    // Or as soon as its client is gone.
    client.call("3", "Ask", "[1000000]").await;
    client.next().await;
    assert_eq!(shared.running.get(), 1);
    drop(client);
    shared.running.reaches(0).await;
    witness.is_unharmed(&server).await;
}

#[tokio::test(start_paused = true)]
async fn row_130_calls_that_wait_for_their_client_are_bounded() {
    let (server, shared) = start_with(HubOptions::new().maximum_streams_per_client(10));
    let mut client = server.client().await;
    let calls: Vec<_> = (0..1_000)
        .map(|id| live::call(&id.to_string(), "Ask", "[30]"))
        .collect();
    client.send_all(&calls).await;
    let mut refused = 0;
    for _ in 0..1_000 {
        refused += usize::from(client.next().await.contains(TOO_MANY));
    }
    assert!(shared.running.get() <= 11, "{}", shared.running.get());
    assert!(refused >= 989, "{refused}");
}

#[tokio::test(start_paused = true)]
async fn row_131_an_item_of_the_wrong_type() {
    let (server, _) = start();
    let mut client = server.client().await;
    client.send(&upload_call("1", "Sum", "7")).await;
    client.send(&item("7", "\"x\"")).await;
    let answer = client.next().await;
    assert!(
        answer.ends_with(r#"HubException: Failed to bind Stream message."}"#),
        "{answer}"
    );
    client.send(&item("7", "1")).await;
    assert_eq!(client.ask("Echo", "[1]").await, "1");
}

#[tokio::test(start_paused = true)]
async fn row_137_groups_at_the_limit_and_one_past_it() {
    let (server, _) = start();
    let mut client = server.client().await;
    assert_eq!(client.ask("JoinMany", "[128]").await, "128");
    assert_eq!(
        client.ask("JoinMany", "[1000000]").await,
        "128",
        "those it is in"
    );
    client.call("1", "Join", "[\"one more\"]").await;
    let answer = client.next().await;
    assert!(
        answer.contains("HubException: A connection may be in 128 groups."),
        "{answer}"
    );
    assert_eq!(server.handle.groups().members("one more").len(), 0);
    let id = server.handle.groups().everybody().remove(0);
    server.handle.groups().remove(&id, "g5").unwrap();
    assert_eq!(client.ask("Join", "[\"one more\"]").await, "null");
    drop(client);
    server.connections(0).await;
    assert_eq!(server.handle.groups().members("one more").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn c_16_calls_rest_while_their_client_does_not_read_and_none_is_lost() {
    let begun = Count::default();
    let count = begun.clone();
    let hub = Hub::new(()).method("Book", move |_: Context, size: usize| {
        let begun = count.clone();
        async move {
            begun.add();
            Ok("x".repeat(size))
        }
    });
    let server = Server::start(hub);
    let mut client = server.client().await;
    // All in one message.
    let calls: Vec<_> = (0..1_000)
        .map(|id| live::call(&id.to_string(), "Book", "[10000]"))
        .collect();
    client.send_all(&calls).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    // 64 KiB wait in the queue, and one or two more in the socket.
    assert!(begun.get() < 15, "{}", begun.get());
    for id in 0..1_000 {
        let answer = client.next().await;
        let start = format!(r#"{{"type":3,"invocationId":"{id}","#);
        assert!(answer.starts_with(&start), "{id}: {}", &answer[..60]);
    }
    assert_eq!(begun.get(), 1_000);
    // Answers to calls that are refused count too.
    let calls: Vec<_> = (0..14_000)
        .map(|id| live::call(&id.to_string(), "Nobody", "[]"))
        .collect();
    client.send_all(&calls).await;
    for _ in 0..14_000 {
        assert!(client.next().await.contains("Method does not exist."));
    }
}

#[tokio::test(start_paused = true)]
async fn row_139_a_busy_client_does_not_hold_up_others() {
    let (server, _) = start();
    let mut witness = Witness::of(&server).await;
    let mut client = server.client().await;
    let calls: Vec<_> = (0..5_000)
        .map(|id| live::call(&id.to_string(), "Echo", "[1]"))
        .collect();
    let busy = tokio::spawn(async move {
        client.send_all(&calls).await;
        for _ in 0..5_000 {
            client.next().await;
        }
    });
    for _ in 0..100 {
        assert_eq!(witness.0.ask("Echo", "[1]").await, "1");
    }
    busy.await.unwrap();
    witness.is_unharmed(&server).await;
}

#[tokio::test(start_paused = true)]
async fn row_137_names_of_groups_at_the_limit_and_one_byte_past_it() {
    let (server, _) = start();
    let mut client = server.client().await;
    // 64 characters of four bytes.
    let fits = "😀".repeat(64);
    assert_eq!(client.ask("Join", &format!("[\"{fits}\"]")).await, "null");
    let long = format!("{fits}x");
    client.call("1", "Join", &format!("[\"{long}\"]")).await;
    let error = "An unexpected error occurred invoking 'Join' on the server. HubException: The name of a group may have 256 bytes.";
    let answer = client.next().await.replace("\\u0027", "'");
    let expected = format!(r#"{{"type":3,"invocationId":"1","error":"{error}"}}"#);
    assert_eq!(answer, expected);
    let groups = server.handle.groups();
    assert_eq!(groups.members(&fits).len(), 1);
    assert_eq!(groups.members(&long).len(), 0);
    // From outside it is the same.
    let id = groups.everybody().remove(0);
    let error = groups.add(&id, &"x".repeat(1024 * 1024)).unwrap_err();
    assert_eq!(error.to_string(), "The name of a group may have 256 bytes.");
}
