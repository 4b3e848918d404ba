//! Streams in both directions.

use std::pin::pin;

use futures_util::{Stream, StreamExt as _, future, stream};
use hub::{Context, Hub, UploadStream};

use super::{
    Person,
    dotnet::{
        ChannelClosedException, InvalidOperationException, NullReferenceException, delay,
        hub_exception,
    },
};

pub(crate) fn add(hub: Hub) -> Hub {
    down(up(hub))
}

fn numbers(count: i32) -> impl Stream<Item = hub::Result<i32>> + Send {
    stream::iter((0..count).map(Ok))
}

fn down(hub: Hub) -> Hub {
    hub.stream("Numbers", |_: Context, count: i32| numbers(count))
        .stream(
            "NumbersThenHubError",
            |_: Context, count: i32, message: Option<String>| {
                numbers(count).chain(stream::once(future::ready(Err(hub_exception(message)))))
            },
        )
        .stream(
            "NumbersThenError",
            |_: Context, count: i32, message: Option<String>| {
                let error = InvalidOperationException::new(message).into();
                numbers(count).chain(stream::once(future::ready(Err(error))))
            },
        )
        .stream("Ticks", ticks)
        .stream("Letters", |_: Context, text: Option<String>| {
            let text = text.ok_or(NullReferenceException)?;
            // .NET's letters are UTF-16: half of a pair is no character, on the wire U+FFFD.
            let letters: Vec<u16> = text.encode_utf16().collect();
            Ok(stream::iter(letters).map(|letter| Ok(String::from_utf16_lossy(&[letter]))))
        })
        .stream("NullStream", |_: Context| {
            None::<stream::Empty<hub::Result<i32>>>
        })
        .stream(
            "ThrowsBeforeStream",
            |_: Context, message: Option<String>| {
                Err::<stream::Empty<hub::Result<i32>>, _>(hub_exception(message))
            },
        )
        .stream("People", |_: Context, count: i32| {
            stream::iter(0..count).map(|i| {
                Ok(Person {
                    name: Some(format!("p{i}")),
                    age: i,
                    tags: Some(vec![Some(format!("t{i}"))]),
                    friend: None,
                })
            })
        })
}

/// Says so when it is dropped: that is how a stream learns that nobody wants it any more.
struct SaysGoodbye(Context);

impl Drop for SaysGoodbye {
    fn drop(&mut self) {
        let _ = self.0.caller().send("TicksEnded", ("cancelled",));
    }
}

fn ticks(cx: Context, milliseconds: i32) -> impl Stream<Item = hub::Result<u64>> + Send {
    let goodbye = Some(SaysGoodbye(cx));
    stream::unfold((0, goodbye), move |(tick, goodbye)| async move {
        let goodbye = goodbye?;
        if tick > 0 {
            match delay(milliseconds) {
                Ok(delay) => tokio::time::sleep(delay).await,
                // It ends before it is told why.
                Err(error) => return Some((Err(error), (tick, None))),
            }
        }
        Some((Ok(tick), (tick + 1, Some(goodbye))))
    })
}

fn up(hub: Hub) -> Hub {
    hub.method("Sum", async |_: Context, numbers: UploadStream<i32>| {
        let mut numbers = pin!(numbers);
        let mut sum = 0_i64;
        while let Some(number) = numbers.next().await {
            sum += i64::from(number?);
        }
        Ok(sum)
    })
    .method(
        "Concat",
        async |_: Context, mut parts: UploadStream<Option<String>>| {
            let mut all = String::new();
            while let Some(part) = parts.next().await {
                all.push_str(&part?.unwrap_or_default());
            }
            Ok(all)
        },
    )
    .method("Zip", zip)
    .stream("Doubled", |_: Context, numbers: UploadStream<i32>| {
        numbers.map(|number| Ok(number? * 2))
    })
    .method(
        "TakeTwo",
        async |_: Context, mut numbers: UploadStream<i32>| {
            let mut sum = 0;
            for _ in 0..2 {
                // An upload that failed is a closed one, too.
                let number = numbers.next().await.ok_or(ChannelClosedException)?;
                sum += number.map_err(|_| ChannelClosedException)?;
            }
            Ok(sum)
        },
    )
    .method(
        "CountUp",
        async |_: Context, mut people: UploadStream<Option<Person>>| {
            let mut count = 0;
            while let Some(person) = people.next().await {
                person?;
                count += 1;
            }
            Ok(count)
        },
    )
}

async fn zip(
    _: Context,
    separator: Option<String>,
    mut left: UploadStream<Option<String>>,
    mut right: UploadStream<i32>,
) -> hub::Result<String> {
    let separator = separator.unwrap_or_default();
    let mut all = Vec::new();
    while let Some(left) = left.next().await {
        let left = left?.unwrap_or_default();
        let Some(right) = right.next().await else {
            break;
        };
        all.push(format!("{left}{separator}{}", right?));
    }
    Ok(all.join(" "))
}
