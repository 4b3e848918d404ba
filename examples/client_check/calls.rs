//! Calls and their answers.

use std::{collections::BTreeMap, time::Duration};

use hub::{Binary, Timestamp, Transport, client::ClientError};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::site::{Check, Checked, Site, checks, failed, same};

pub(crate) const CHECKS: &[(&str, Check)] = checks! {
    values text nothing structs dates_and_ids many_arguments optional errors wrong_arguments
    who_it_is many_at_once a_deadline a_call_given_up a_large_value
};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) age: i32,
    pub(crate) tags: Vec<String>,
    pub(crate) friend: Option<Box<Self>>,
}

pub(crate) fn ann() -> Person {
    Person {
        name: "Ann".into(),
        age: 41,
        tags: vec!["a".into(), "ü".into()],
        friend: Some(Box::new(Person {
            name: "Bob".into(),
            age: 7,
            tags: vec![],
            friend: None,
        })),
    }
}

hub::dotnet_enum! {
    /// A colour.
    enum Colour { Red = 0, Green = 1, Blue = 2 }
}

async fn values(site: Site) -> Checked {
    let hub = site.connect().await?;
    same(hub.invoke::<i32>("Zero", ()).await?, 0)?;
    same(hub.invoke::<i32>("Add", (20, 22)).await?, 42)?;
    same(hub.invoke::<i32>("Add", [1, 2]).await?, 3)?;
    same(hub.invoke::<i32>("add", vec![1, -2]).await?, -1)?;
    same(hub.invoke::<bool>("Not", (true,)).await?, false)?;
    same(
        hub.invoke::<i64>("BigInteger", (i64::MAX,)).await?,
        i64::MAX,
    )?;
    same(
        hub.invoke::<i64>("BigInteger", (i64::MIN,)).await?,
        i64::MIN,
    )?;
    same(hub.invoke::<f64>("Number", (-0.1,)).await?, -0.1)?;
    same(hub.invoke::<i32>("LaterValue", (5,)).await?, 5)?;
    same(hub.invoke::<String>("renamed", ()).await?, "renamed")?;
    let bytes = Binary::from(vec![0, 1, 255]);
    same(
        hub.invoke::<Binary>("Reverse", (bytes,)).await?.to_vec(),
        [255, 1, 0],
    )?;
    same(
        hub.invoke::<Colour>("Next", (Colour::Blue,)).await?,
        Colour::Red,
    )?;
    let counts: BTreeMap<String, i32> = hub.invoke("Count", (["a", "b", "a"],)).await?;
    same(counts, BTreeMap::from([("a".into(), 2), ("b".into(), 1)]))
}

async fn text(site: Site) -> Checked {
    let hub = site.connect().await?;
    for text in ["", "ü\u{1e}\u{0}\"\\\n", "🦀", "</script>", "\u{2028}"] {
        same(hub.invoke::<String>("Echo", (text,)).await?, text)?;
    }
    Ok(())
}

async fn nothing(site: Site) -> Checked {
    let hub = site.connect().await?;
    let () = hub.invoke("Nothing", ()).await?;
    let () = hub.invoke("NothingLater", ()).await?;
    let () = hub.invoke("Add", (1, 2)).await?; // whatever it answers
    same(hub.invoke::<Option<String>>("Null", ()).await?, None)?;
    match hub.invoke::<i32>("Nothing", ()).await {
        Err(ClientError::Value(_)) => Ok(()),
        other => Err(format!("{other:?} of nothing").into()),
    }
}

async fn structs(site: Site) -> Checked {
    let hub = site.connect().await?;
    let older: Person = hub.invoke("Older", (ann(),)).await?;
    same(older, Person { age: 42, ..ann() })
}

async fn dates_and_ids(site: Site) -> Checked {
    let hub = site.connect().await?;
    let id = Uuid::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10);
    same(hub.invoke::<Uuid>("SameGuid", (id,)).await?, id)?;
    let day: Timestamp = "2024-02-28T12:00:00Z".parse()?;
    let next: Timestamp = "2024-02-29T12:00:00Z".parse()?;
    same(hub.invoke::<Timestamp>("Tomorrow", (day,)).await?, next)
}

async fn many_arguments(site: Site) -> Checked {
    let hub = site.connect().await?;
    let list = [1, 2];
    let arguments = ("a", 1, 2_i64, 0.5, true, None::<String>, list, ann());
    let joined: String = hub.invoke("Join8", arguments).await?;
    same(joined.contains("Ann"), true)
}

async fn optional(site: Site) -> Checked {
    let hub = site.connect().await?;
    same(
        hub.invoke::<Option<i32>>("Maybe", (None::<i32>,)).await?,
        None,
    )?;
    same(
        hub.invoke::<Option<i32>>("Maybe", (3,)).await?.is_some(),
        true,
    )
}

async fn errors(site: Site) -> Checked {
    let hub = site.connect().await?;
    let of =
        |method: &str| format!("An unexpected error occurred invoking '{method}' on the server.");
    let shown = hub.invoke::<()>("ThrowHub", ("shown",)).await;
    failed(shown, &format!("{} HubException: shown", of("ThrowHub")))?;
    let later = hub.invoke::<()>("ThrowLater", ("x",)).await;
    failed(later, &format!("{} HubException: x", of("ThrowLater")))?;
    failed(
        hub.invoke::<()>("ThrowOther", ("secret",)).await,
        &of("ThrowOther"),
    )?;
    same(hub.invoke::<i32>("Zero", ()).await?, 0)
}

async fn wrong_arguments(site: Site) -> Checked {
    let hub = site.connect().await?;
    failed(
        hub.invoke::<()>("NoSuchMethod", ()).await,
        "Failed to invoke 'NoSuchMethod' due to an error on the server. HubException: Method does not exist.",
    )?;
    failed(
        hub.invoke::<()>("Add", (1,)).await,
        "Failed to invoke 'Add' due to an error on the server.",
    )?;
    match hub.invoke::<i32>("Add", ("one", 2)).await {
        Err(ClientError::Server(why)) => same(why.starts_with("Failed to invoke 'Add'"), true)?,
        other => return Err(format!("{other:?}").into()),
    }
    // Nobody is told of what nobody waits for.
    hub.send("NoSuchMethod", ()).await?;
    same(hub.invoke::<i32>("Zero", ()).await?, 0)
}

async fn who_it_is(site: Site) -> Checked {
    let hub = site
        .builder("/spec?room=lobby")
        .header("x-asked-by", "a test")
        .connect()
        .await?;
    let id: String = hub.invoke("ConnectionId", ()).await?;
    same(hub.connection_id(), Some(id))?;
    same(hub.transport(), Some(site.transport))?;
    same(
        hub.invoke::<String>("Transport", ()).await?,
        site.transport.name(),
    )?;
    same(
        hub.invoke::<Option<String>>("Query", ("room",))
            .await?
            .as_deref(),
        Some("lobby"),
    )?;
    same(
        hub.invoke::<Option<String>>("Header", ("x-asked-by",))
            .await?
            .as_deref(),
        Some("a test"),
    )
}

async fn many_at_once(site: Site) -> Checked {
    let hub = site.connect().await?;
    let calls = (0..200).map(|number| {
        let hub = hub.clone();
        tokio::spawn(async move { (number, hub.invoke::<i32>("Add", (number, number)).await) })
    });
    for call in calls.collect::<Vec<_>>() {
        let (number, sum) = call.await?;
        same(sum?, 2 * number)?;
    }
    Ok(())
}

async fn a_deadline(site: Site) -> Checked {
    let hub = site.connect().await?;
    let limit = Duration::from_millis(300);
    match hub
        .invoke_within::<String>(limit, "Hold", (3000, "late"))
        .await
    {
        Err(ClientError::TimedOut(what)) => same(what, "the answer of Hold"),
        other => Err(format!("{other:?}").into()),
    }
}

async fn a_call_given_up(site: Site) -> Checked {
    let hub = site.connect().await?;
    {
        let call = hub.invoke::<String>("Hold", (200, "one"));
        tokio::pin!(call);
        tokio::select! {
            biased;
            answer = &mut call => return Err(format!("{answer:?} at once").into()),
            () = std::future::ready(()) => {}
        }
    }
    // Its answer, when it comes, is nobody's.
    same(hub.invoke::<String>("Hold", (400, "two")).await?, "two")
}

async fn a_large_value(site: Site) -> Checked {
    // The contract's limit is 32 KiB; its answer has that and more.
    let hub = site.connect().await?;
    let text = "x".repeat(30_000);
    same(hub.invoke::<String>("Echo", (&text,)).await? == text, true)?;
    if site.transport == Transport::LongPolling {
        return Ok(());
    }
    let all = (0..20).map(|_| hub.invoke::<String>("Echo", (&text,)));
    for echo in futures_util::future::join_all(all).await {
        same(echo? == text, true)?;
    }
    Ok(())
}
