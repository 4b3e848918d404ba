//! What a method may be and do: streams that begin with work, cancellation, errors, asking clients.

use std::time::Duration;

use futures_util::{Stream, StreamExt as _, stream};
use hub::{Context, Hub, HubError, HubOptions, testing::TestServer};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::live::{Count, PATIENCE};

type Items = Box<dyn Stream<Item = hub::Result<u32>> + Send + Unpin>;

async fn later(_: Context, count: u32) -> hub::Result<impl Stream<Item = hub::Result<u32>>> {
    tokio::time::sleep(Duration::from_secs(1)).await;
    if count == 0 {
        return Err(HubError::new("nothing to count"));
    }
    if count > 100 {
        return Err(std::io::Error::other("too much for the disk").into());
    }
    Ok(stream::iter(0..count).map(|item| match item {
        7 => Err(HubError::new("seven")),
        item => Ok(item),
    }))
}

async fn surely(_: Context) -> impl Stream<Item = hub::Result<u32>> {
    stream::iter([Ok(1)])
}

async fn perhaps(_: Context, is_there: bool) -> Option<Items> {
    is_there.then(|| Box::new(stream::iter([Ok(1u32)])) as Items)
}

async fn collect(
    client: &mut hub::testing::TestClient,
    target: &str,
    arguments: impl hub::protocol::CallArguments,
) -> (Vec<u32>, String) {
    let stream = client.stream(target, arguments).await;
    let mut items = Vec::new();
    loop {
        match client.next_item(&stream).await {
            Ok(Some(item)) => items.push(item),
            Ok(None) => return (items, String::new()),
            Err(error) => return (items, error.to_string()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn st_03_what_fails_before_there_is_a_stream_fails_the_call() {
    let hub = Hub::new(())
        .stream("Later", later)
        .stream("Surely", surely)
        .stream("Perhaps", perhaps);
    let server = TestServer::new(hub.router("/hub"));
    for protocol in hub::Protocol::ALL {
        let mut ann = server.connect_in(protocol, "/hub").await;
        let told = collect(&mut ann, "Later", (3,)).await;
        assert_eq!(told, (vec![0, 1, 2], String::new()));
        for (count, items, error) in [
            (
                0,
                vec![],
                "An unexpected error occurred invoking 'Later' on the server. HubException: nothing to count",
            ),
            (
                101,
                vec![],
                "An unexpected error occurred invoking 'Later' on the server.",
            ),
            (
                9,
                (0..7).collect(),
                "An error occurred on the server while streaming results. HubException: seven",
            ),
        ] {
            let told = collect(&mut ann, "Later", (count,)).await;
            assert_eq!(told, (items, error.to_owned()));
        }
        assert_eq!(collect(&mut ann, "Surely", ()).await.0, [1]);
        assert_eq!(collect(&mut ann, "Perhaps", (true,)).await.0, [1]);
        let none = collect(&mut ann, "Perhaps", (false,)).await;
        assert!(
            none.1
                .starts_with("The value returned by the streaming method 'Perhaps'")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn st_06_work_before_a_stream_is_dropped_with_it() {
    let working = Count::default();
    let held = working.clone();
    let hub = Hub::new(()).stream("Work", move |_: Context| {
        let held = held.hold();
        async move {
            std::future::pending::<()>().await;
            drop(held);
            stream::iter([Ok(1)])
        }
    });
    let server = TestServer::new(hub.router("/hub"));
    let mut ann = server.connect("/hub").await;
    let stream = ann.stream("Work", ()).await;
    working.reaches(1).await;
    ann.cancel(&stream).await;
    working.reaches(0).await;
    assert!(matches!(ann.next_item::<u32>(&stream).await, Ok(None)));
}

/// Gives out the token of each call of it.
fn tokens() -> (Hub, mpsc::UnboundedReceiver<CancellationToken>) {
    let (give, tokens) = mpsc::unbounded_channel();
    let give_too = give.clone();
    let hub = Hub::new(())
        .method("Call", move |cx: Context, waits: bool| {
            let give = give.clone();
            async move {
                give.send(cx.cancellation_token()).unwrap();
                if waits {
                    cx.cancelled().await;
                }
                Ok(())
            }
        })
        .stream("Stream", move |cx: Context, waits: bool| {
            give_too.send(cx.cancellation_token()).unwrap();
            let items = stream::iter([Ok(1)]);
            match waits {
                true => items.chain(stream::pending()).boxed(),
                false => items.boxed(),
            }
        });
    (hub, tokens)
}

#[tokio::test(start_paused = true)]
async fn st_06_a_token_fires_when_its_call_is_cancelled_and_not_when_that_ends() {
    let (hub, mut tokens) = tokens();
    let server = TestServer::new(hub.router("/hub"));
    let mut ann = server.connect("/hub").await;

    // Ended: nothing fires.
    ann.invoke::<()>("Call", (false,)).await.unwrap();
    let called = tokens.recv().await.unwrap();
    let stream = ann.stream("Stream", (false,)).await;
    while let Ok(Some(1)) = ann.next_item(&stream).await {}
    let streamed = tokens.recv().await.unwrap();
    assert!(!called.is_cancelled() && !streamed.is_cancelled());

    // Cancelled: its own does.
    let stream = ann.stream("Stream", (true,)).await;
    let cancelled = tokens.recv().await.unwrap();
    assert_eq!(ann.next_item::<u32>(&stream).await.unwrap(), Some(1));
    ann.cancel(&stream).await;
    fires(&cancelled).await;
    assert!(!called.is_cancelled() && !streamed.is_cancelled());

    // Over: all that is left.
    ann.leave().await;
    fires(&called).await;
    fires(&streamed).await;
}

async fn fires(token: &CancellationToken) {
    let fired = tokio::time::timeout(PATIENCE, token.cancelled()).await;
    fired.expect("the token fires");
}

#[tokio::test(start_paused = true)]
async fn cr_01_a_client_is_asked_for_thirty_seconds_or_as_long_as_the_options_say() {
    hub::client_methods! {
        trait Asks {
            async fn name(title: &str) -> String = "Name";
        }
    }
    let hub = |options| {
        Hub::with_options((), options).method("Who", async |cx: Context| {
            let asked = tokio::time::Instant::now();
            let name = cx.caller().name("Dr.").await;
            let name = name.unwrap_or_else(|error| error.to_string());
            Ok((name, asked.elapsed().as_secs()))
        })
    };
    let patient = HubOptions::new().client_result_timeout(Duration::from_secs(90));
    for (options, seconds) in [(HubOptions::new(), 30), (patient, 90)] {
        let server = TestServer::new(hub(options).router("/hub"));
        let mut ann = server.connect("/hub").await;
        let answer = ann.invoke::<(String, u64)>("Who", ()).await.unwrap();
        assert_eq!(
            answer,
            ("Invocation canceled by the server.".to_owned(), seconds)
        );
    }
    let server = TestServer::new(hub(HubOptions::new()).router("/hub"));
    let mut ann = server.connect("/hub").await;
    ann.send("Who", ()).await;
    ann.answer("Name", |(title,): (String,)| format!("{title} Ann"))
        .await;
    ann.send("Who", ()).await;
    let asked_again = ann.receive::<(String,)>("Name").await;
    assert_eq!(asked_again.0, "Dr."); // the first was answered, so the second runs
}

#[tokio::test(start_paused = true)]
async fn e_01_errors_that_come_by_a_question_mark_are_hidden_unless_the_options_say_so() {
    async fn fails(_: Context, how: String) -> hub::Result<()> {
        match how.as_str() {
            "anyhow" => Err(anyhow::anyhow!("a secret"))?,
            "eyre" => Err(eyre::eyre!("a secret"))?,
            "boxed" => Err(Box::<dyn std::error::Error + Send + Sync>::from("a secret"))?,
            "class" => Err(HubError::hidden("InvalidOperationException", "a secret")),
            _ => Err(HubError::new("for all").with_cause("a secret")),
        }
    }
    let generic = "An unexpected error occurred invoking 'Fails' on the server.";
    for (is_detailed, how, behind) in [
        (false, "anyhow", ""),
        (false, "eyre", ""),
        (false, "boxed", ""),
        (false, "class", ""),
        (false, "shown", " HubException: for all"),
        (true, "anyhow", " Exception: a secret"),
        (true, "eyre", " Exception: a secret"),
        (true, "boxed", " Exception: a secret"),
        (true, "class", " InvalidOperationException: a secret"),
        (true, "shown", " HubException: for all"),
    ] {
        let options = HubOptions::new().enable_detailed_errors(is_detailed);
        let hub = Hub::with_options((), options).method("Fails", fails);
        let server = TestServer::new(hub.router("/hub"));
        let mut ann = server.connect("/hub").await;
        let told = ann.invoke::<()>("Fails", (how,)).await.unwrap_err();
        assert_eq!(told.to_string(), format!("{generic}{behind}"), "{how}");
    }
}
