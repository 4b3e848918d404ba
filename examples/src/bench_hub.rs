//! What the benchmarks call; every server that is compared offers the same.

use futures_util::{Stream, StreamExt as _, stream};
use hub::{Context, Hub, HubOptions, UploadStream};

/// The hub for benchmarks: `Echo`, `Join`, `Leave`, `Broadcast`, `Items`, `Sum`.
pub fn hub() -> Hub {
    Hub::with_options((), HubOptions::new())
        .method("Echo", async |_: Context, value: String| Ok(value))
        .method("Join", async |cx: Context, group: String| {
            cx.groups().join(&group)
        })
        .method("Leave", async |cx: Context, group: String| {
            cx.groups().leave(&group);
            Ok(())
        })
        .method(
            "Broadcast",
            async |cx: Context, group: String, payload: String| {
                cx.group(&group).send("Received", (payload,))
            },
        )
        .stream("Items", items)
        .method("Sum", sum)
}

fn items(_: Context, count: i32) -> impl Stream<Item = hub::Result<i32>> {
    stream::iter((0..count).map(Ok))
}

async fn sum(_: Context, mut numbers: UploadStream<i64>) -> hub::Result<i64> {
    let mut sum = 0;
    while let Some(number) = numbers.next().await {
        sum += number?;
    }
    Ok(sum)
}
