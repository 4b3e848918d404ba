//! What the benchmarks call; every server that is compared offers the same.

use std::sync::LazyLock;

use futures_util::{Stream, StreamExt as _, stream};
use hub::{Context, Hub, HubError, UploadStream};

use crate::raw_layer::{LARGEST_ITEM, MOST_ITEMS};

/// The hub for benchmarks: `Echo`, `Join`, `Leave`, `Broadcast`, `Items`, `Texts`, `Sum`.
pub fn hub() -> Hub {
    methods(Hub::new(()))
}

/// Its methods, for any hub.
pub fn methods<S: Send + Sync + 'static>(hub: Hub<S>) -> Hub<S> {
    hub.method("Echo", async |_: Context<S>, value: String| Ok(value))
        .method("Join", async |cx: Context<S>, group: String| {
            cx.groups().join(&group)
        })
        .method("Leave", async |cx: Context<S>, group: String| {
            cx.groups().leave(&group);
            Ok(())
        })
        .method(
            "Broadcast",
            async |cx: Context<S>, group: String, payload: String| {
                cx.group(&group).send("Received", (payload,))
            },
        )
        .stream("Items", items)
        .stream("Texts", texts)
        .method("Sum", sum)
}

/// `count` texts of `size` letters.
fn texts<S>(
    _: Context<S>,
    count: u32,
    size: u32,
) -> impl Stream<Item = hub::Result<&'static str>> + use<S> {
    static LETTERS: LazyLock<String> =
        LazyLock::new(|| ('a'..='z').cycle().take(LARGEST_ITEM as usize).collect());
    if count > MOST_ITEMS || size > LARGEST_ITEM {
        let why = format!("a stream has up to {MOST_ITEMS} texts of up to {LARGEST_ITEM} letters");
        return stream::iter([Err(HubError::new(why))]).left_stream();
    }
    let text = &LETTERS[..size as usize];
    stream::iter((0..count).map(move |_| Ok(text))).right_stream()
}

fn items<S>(_: Context<S>, count: i32) -> impl Stream<Item = hub::Result<i32>> + use<S> {
    stream::iter((0..count).map(Ok))
}

async fn sum<S>(_: Context<S>, mut numbers: UploadStream<i64>) -> hub::Result<i64> {
    let mut sum = 0;
    while let Some(number) = numbers.next().await {
        sum += number?;
    }
    Ok(sum)
}
