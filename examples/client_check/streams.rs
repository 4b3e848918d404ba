//! Streams down and up.

use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use hub::client::{ClientError, HubConnection, try_upload, upload};
use tokio::time::sleep;

use crate::{
    calls::{Person, ann},
    site::{Check, Checked, Site, checks, failed, same},
};

pub(crate) const CHECKS: &[(&str, Check)] = checks! {
    down down_with_structs down_and_an_error down_and_none a_stream_dropped a_stream_of_another_type
    two_streams up up_two up_and_down up_taken_in_part up_that_fails up_with_structs up_unasked
    more_than_may_be_unread
};

async fn all<T: serde::de::DeserializeOwned>(
    hub: &HubConnection,
    method: &str,
    arguments: impl hub::client::InvokeArguments,
) -> Result<Vec<T>, ClientError> {
    hub.stream::<T>(method, arguments)
        .await?
        .try_collect()
        .await
}

async fn down(site: Site) -> Checked {
    let hub = site.connect().await?;
    same(all::<i32>(&hub, "Numbers", (5,)).await?, [0, 1, 2, 3, 4])?;
    same(all::<i32>(&hub, "Numbers", (0,)).await?, [0; 0])?;
    let letters: Vec<String> = all(&hub, "Letters", ("aüz",)).await?;
    same(letters, ["a", "ü", "z"])
}

async fn down_with_structs(site: Site) -> Checked {
    let hub = site.connect().await?;
    same(all::<Person>(&hub, "People", (3,)).await?.len(), 3)
}

async fn down_and_an_error(site: Site) -> Checked {
    let hub = site.connect().await?;
    let mut numbers = hub
        .stream::<i32>("NumbersThenHubError", (2, "enough"))
        .await?;
    same(numbers.next().await.transpose()?, Some(0))?;
    same(numbers.next().await.transpose()?, Some(1))?;
    let error = "An error occurred on the server while streaming results. HubException: enough";
    failed(numbers.next().await.transpose(), error)?;
    same(numbers.next().await.transpose()?, None)?;
    let before = all::<i32>(&hub, "ThrowsBeforeStream", ("no",)).await;
    let text = "An unexpected error occurred invoking 'ThrowsBeforeStream' on the server. HubException: no";
    failed(before, text)?;
    failed(
        all::<i32>(&hub, "Zero", ()).await,
        "The client attempted to invoke the non-streaming 'Zero' method with a streaming invocation.",
    )?;
    failed(
        hub.invoke::<i32>("Numbers", (1,)).await,
        "The client attempted to invoke the streaming 'Numbers' method with a non-streaming invocation.",
    )
}

async fn down_and_none(site: Site) -> Checked {
    let hub = site.connect().await?;
    failed(
        all::<i32>(&hub, "NullStream", ()).await,
        "The value returned by the streaming method 'NullStream' is not a ChannelReader<> or IAsyncEnumerable<>.",
    )
}

async fn a_stream_dropped(site: Site) -> Checked {
    let (ended, mut ends) = tokio::sync::mpsc::unbounded_channel();
    let hub = site
        .builder("/spec")
        .on("TicksEnded", move |how: String| {
            let _ = ended.send(how);
            std::future::ready(())
        })
        .connect()
        .await?;
    let mut ticks = hub.stream::<u64>("Ticks", (10,)).await?;
    same(ticks.next().await.transpose()?.is_some(), true)?;
    drop(ticks);
    same(ends.recv().await.as_deref(), Some("cancelled"))?;
    same(hub.invoke::<i32>("Zero", ()).await?, 0)
}

async fn a_stream_of_another_type(site: Site) -> Checked {
    let hub = site.connect().await?;
    let mut letters = hub.stream::<i32>("Letters", ("ab",)).await?;
    match letters.next().await {
        Some(Err(ClientError::Value(_))) => {}
        other => return Err(format!("{other:?}").into()),
    }
    same(letters.next().await.transpose()?, None)?;
    same(hub.invoke::<i32>("Zero", ()).await?, 0)
}

async fn two_streams(site: Site) -> Checked {
    let hub = site.connect().await?;
    let (a, b) = tokio::join!(
        all::<i32>(&hub, "Numbers", (300,)),
        all::<i32>(&hub, "Numbers", (200,))
    );
    same(a?, (0..300).collect::<Vec<_>>())?;
    same(b?, (0..200).collect::<Vec<_>>())
}

async fn up(site: Site) -> Checked {
    let hub = site.connect().await?;
    same(
        hub.invoke::<i32>("Sum", (upload(stream::iter(1..=100)),))
            .await?,
        5050,
    )?;
    same(
        hub.invoke::<i32>("Sum", (upload(stream::empty::<i32>()),))
            .await?,
        0,
    )?;
    let words = upload(stream::iter(["a", "b", "ü"]));
    same(hub.invoke::<String>("Concat", (words,)).await?, "abü")
}

async fn up_two(site: Site) -> Checked {
    let hub = site.connect().await?;
    let words = upload(stream::iter(["a", "b"]));
    let numbers = upload(stream::iter([1, 2]));
    let zipped: String = hub.invoke("Zip", ("-", words, numbers)).await?;
    same(zipped.contains("a-1") && zipped.contains("b-2"), true)
}

async fn up_and_down(site: Site) -> Checked {
    let hub = site.connect().await?;
    let numbers = upload(stream::iter([1, 2, 3]));
    same(all::<i32>(&hub, "Doubled", (numbers,)).await?, [2, 4, 6])
}

async fn up_taken_in_part(site: Site) -> Checked {
    let hub = site.connect().await?;
    // It does not end by itself: it does when its call has.
    let numbers = stream::unfold(0, async |number| {
        sleep(Duration::from_millis(1)).await;
        Some((number, number + 1))
    });
    let () = hub.invoke("TakeTwo", (upload(numbers.boxed()),)).await?;
    same(hub.invoke::<i32>("Zero", ()).await?, 0)
}

async fn up_that_fails(site: Site) -> Checked {
    let hub = site.connect().await?;
    let numbers = try_upload(stream::iter([Ok(1), Err("no more")]));
    let text = "An unexpected error occurred invoking 'Sum' on the server. HubException: no more";
    failed(hub.invoke::<i32>("Sum", (numbers,)).await, text)?;
    let words = upload(stream::iter(["one"]));
    match hub.invoke::<i32>("Sum", (words,)).await {
        Err(ClientError::Server(why)) => same(why.contains("'Sum'"), true),
        other => Err(format!("{other:?}").into()),
    }
}

async fn up_with_structs(site: Site) -> Checked {
    let hub = site.connect().await?;
    let people = upload(stream::iter([ann(), ann()]));
    let () = hub.invoke("CountUp", (people,)).await?;
    Ok(())
}

async fn up_unasked(site: Site) -> Checked {
    let hub = site.connect().await?;
    hub.send("Sum", (upload(stream::iter(1..=10)),)).await?;
    same(hub.invoke::<i32>("Zero", ()).await?, 0)
}

/// The server waits while nobody reads, and goes on when somebody does.
async fn more_than_may_be_unread(site: Site) -> Checked {
    let hub = site
        .builder("/spec")
        .max_unread_bytes(4096)
        .connect()
        .await?;
    let mut numbers = hub.stream::<i32>("Numbers", (5000,)).await?;
    same(numbers.next().await.transpose()?, Some(0))?;
    sleep(Duration::from_millis(300)).await;
    let rest: Vec<i32> = numbers.try_collect().await?;
    same(rest == (1..5000).collect::<Vec<_>>(), true)?;
    same(hub.invoke::<i32>("Zero", ()).await?, 0)
}
