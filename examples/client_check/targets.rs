//! What a server calls, and what clients answer.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use hub::{
    HubError,
    client::{Event, HubConnection},
};
use tokio::sync::mpsc;

use crate::{
    calls::{Person, ann},
    site::{Check, Checked, Site, checks, same},
};

pub(crate) const CHECKS: &[(&str, Check)] = checks! {
    caller_and_others groups one_client arguments in_order several_handlers a_handler_removed
    a_handler_that_fails a_handler_that_does_not_fit a_handler_that_calls results results_that_fail
    no_result
};

/// A group that nobody else is in.
fn group() -> String {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    format!("group {} {number}", std::process::id())
}

async fn caller_and_others(site: Site) -> Checked {
    let (ann, mut to_ann) = site.listen("/spec").await?;
    let () = ann.invoke("ToCaller", ("for me",)).await?;
    same(to_ann.recv().await.as_deref(), Some("for me"))
}

async fn groups(site: Site) -> Checked {
    let (ann, mut to_ann) = site.listen("/spec").await?;
    let (bob, mut to_bob) = site.listen("/spec").await?;
    let group = group();
    let () = ann.invoke("JoinGroup", (&group,)).await?;
    let () = bob.invoke("JoinGroup", (&group,)).await?;
    let () = ann.invoke("ToGroup", (&group, "both")).await?;
    same(to_ann.recv().await.as_deref(), Some("both"))?;
    same(to_bob.recv().await.as_deref(), Some("both"))?;
    let () = ann.invoke("ToOthersInGroup", (&group, "others")).await?;
    same(to_bob.recv().await.as_deref(), Some("others"))?;
    let except = [bob.connection_id()];
    let () = ann
        .invoke("ToGroupExcept", (&group, except, "not bob"))
        .await?;
    same(to_ann.recv().await.as_deref(), Some("not bob"))?;
    let () = bob.invoke("LeaveGroup", (&group,)).await?;
    let () = ann.invoke("ToGroup", (&group, "without bob")).await?;
    same(to_ann.recv().await.as_deref(), Some("without bob"))?;
    let () = bob.invoke("ToCaller", ("the next for bob",)).await?;
    same(to_bob.recv().await.as_deref(), Some("the next for bob"))
}

async fn one_client(site: Site) -> Checked {
    let (_bob, mut to_bob) = site.listen("/spec").await?;
    let ann = site.connect().await?;
    let () = ann
        .invoke("ToClient", (_bob.connection_id(), "for bob"))
        .await?;
    same(to_bob.recv().await.as_deref(), Some("for bob"))
}

async fn arguments(site: Site) -> Checked {
    let (tell, mut told) = mpsc::unbounded_channel();
    let take =
        move |text: String, one: i32, half: f64, yes: bool, no: Option<String>, who: Person| {
            let _ = tell.send((text, one, half, yes, no, who.name));
            std::future::ready(())
        };
    let hub = site
        .builder("/spec")
        .on("Arguments", take)
        .connect()
        .await?;
    let () = hub.invoke("SendArguments", ()).await?;
    let (text, one, half, yes, no, _) = told.recv().await.ok_or("nothing")?;
    same((&*text, one, half, yes, no), ("text", 1, 2.5, true, None))
}

async fn in_order(site: Site) -> Checked {
    let (hub, mut told) = site.listen("/spec").await?;
    hub.send("Burst", (500,)).await?;
    let mut last = None;
    for number in 0..500 {
        let text = told.recv().await.ok_or("nothing")?;
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let seen: i64 = digits.parse()?;
        if last.is_some_and(|last| seen != last + 1) {
            return Err(format!("{seen} behind {last:?}, at {number}").into());
        }
        last = Some(seen);
    }
    Ok(())
}

async fn several_handlers(site: Site) -> Checked {
    let (tell, mut told) = mpsc::unbounded_channel();
    let say = |who: &'static str| {
        let tell = tell.clone();
        move |text: String| {
            let _ = tell.send(format!("{who} {text}"));
            std::future::ready(())
        }
    };
    let hub = site
        .builder("/spec")
        .on("received", say("first"))
        .connect()
        .await?;
    hub.on("RECEIVED", say("second"));
    let () = hub.invoke("ToCaller", ("x",)).await?;
    same(told.recv().await.as_deref(), Some("first x"))?;
    same(told.recv().await.as_deref(), Some("second x"))
}

async fn a_handler_removed(site: Site) -> Checked {
    let (hub, mut told) = site.listen("/spec").await?;
    let count = Arc::new(AtomicU32::new(0));
    let counting = {
        let count = count.clone();
        move |_: String| {
            count.fetch_add(1, Ordering::Relaxed);
            std::future::ready(())
        }
    };
    let counts = hub.on("Received", counting);
    let () = hub.invoke("ToCaller", ("counted",)).await?;
    same(told.recv().await.as_deref(), Some("counted"))?;
    // Behind the second handler of the first call.
    let () = hub.invoke("ToCaller", ("counted too",)).await?;
    same(told.recv().await.as_deref(), Some("counted too"))?;
    counts.remove();
    let before = count.load(Ordering::Relaxed);
    let () = hub.invoke("ToCaller", ("not counted",)).await?;
    same(told.recv().await.as_deref(), Some("not counted"))?;
    let () = hub.invoke("ToCaller", ("nor this",)).await?;
    same(told.recv().await.as_deref(), Some("nor this"))?;
    let after = count.load(Ordering::Relaxed);
    same(before >= 1 && after <= 2, true)
}

async fn a_handler_that_fails(site: Site) -> Checked {
    let (hub, mut told) = site.listen("/spec").await?;
    let mut events = hub.events();
    hub.on("Received", async |text: String| {
        assert_eq!(text, "expected")
    });
    let () = hub.invoke("ToCaller", ("surprise",)).await?;
    match events.next().await {
        Some(Event::HandlerFailed { method, error }) => {
            same(method, "Received")?;
            same(error.contains("surprise"), true)?;
        }
        other => return Err(format!("{other:?}").into()),
    }
    // Nothing else is harmed.
    same(told.recv().await.as_deref(), Some("surprise"))?;
    let () = hub.invoke("ToCaller", ("expected",)).await?;
    same(told.recv().await.as_deref(), Some("expected"))
}

async fn a_handler_that_does_not_fit(site: Site) -> Checked {
    let hub = site.connect().await?;
    let mut events = hub.events();
    hub.on("Received", async |_: String, _: i32| {});
    let () = hub.invoke("ToCaller", ("one",)).await?;
    match events.next().await {
        Some(Event::HandlerFailed { error, .. }) => {
            same(error, "1 argument(s), and its handler takes 2")
        }
        other => Err(format!("{other:?}").into()),
    }
}

async fn a_handler_that_calls(site: Site) -> Checked {
    let hub = site.connect().await?;
    let (tell, mut told) = mpsc::unbounded_channel();
    let own = hub.clone();
    let called = hub.on("Received", move |text: String| {
        let (own, tell) = (own.clone(), tell.clone());
        async move {
            let echo = own.invoke::<String>("Echo", (text,)).await;
            let _ = tell.send(echo);
        }
    });
    let () = hub.invoke("ToCaller", ("x",)).await?;
    same(told.recv().await.ok_or("nothing")??, "x")?;
    called.remove();
    Ok(())
}

/// Asks a client through the server.
async fn ask(
    asker: &HubConnection,
    whom: &HubConnection,
) -> Result<Option<String>, examples::Error> {
    let ask = ("why?", 5000);
    Ok(asker
        .invoke("AskClient", (whom.connection_id(), ask.0, ask.1))
        .await?)
}

async fn results(site: Site) -> Checked {
    let bob = site
        .builder("/spec")
        .on("Ask", async |question: String| -> hub::Result<String> {
            Ok(format!("{question} because"))
        })
        .on("AskInt", async || -> hub::Result<i32> { Ok(42) })
        .connect()
        .await?;
    let ann = site.connect().await?;
    same(ask(&ann, &bob).await?.as_deref(), Some("why? because"))?;
    same(
        ann.invoke::<i32>("AskInt", (bob.connection_id(),)).await?,
        42,
    )?;
    // And who asks for it itself.
    let own: Option<String> = bob.invoke("AskCaller", ("me?",)).await?;
    same(own.as_deref(), Some("me? because"))
}

async fn results_that_fail(site: Site) -> Checked {
    let bob = site.connect().await?;
    let ann = site.connect().await?;
    let fails = bob.on("Ask", async |_: String| -> hub::Result<String> {
        Err(HubError::new("I will not say"))
    });
    same(
        ask(&ann, &bob).await?.as_deref(),
        Some("HubException: I will not say"),
    )?;
    fails.remove();
    let panics = bob.on("Ask", async |_: String| -> hub::Result<String> {
        panic!("oh")
    });
    same(ask(&ann, &bob).await?.as_deref(), Some("HubException: oh"))?;
    panics.remove();
    let first = bob.on("Ask", async |_: String| -> hub::Result<i32> { Ok(1) });
    bob.on("Ask", async |_: String| -> hub::Result<i32> { Ok(2) });
    same(
        ask(&ann, &bob).await?.as_deref(),
        Some("HubException: Client provided multiple results."),
    )?;
    first.remove();
    // Ann asks for a string.
    let answer = ask(&ann, &bob).await?.ok_or("nothing")?;
    same(
        answer.starts_with("HubException: Error trying to deserialize result to"),
        true,
    )
}

async fn no_result(site: Site) -> Checked {
    let bob = site.connect().await?;
    let ann = site.connect().await?;
    let none = Some("HubException: Client didn't provide a result.");
    same(ask(&ann, &bob).await?.as_deref(), none)?;
    bob.on("Ask", async |_: String| {});
    same(ask(&ann, &bob).await?.as_deref(), none)?;
    let _ = ann_is_whole(&ann).await?;
    Ok(())
}

async fn ann_is_whole(hub: &HubConnection) -> Result<Person, examples::Error> {
    Ok(hub.invoke("Older", (ann(),)).await?)
}
