//! The methods of the contract.

mod dotnet;
pub(crate) mod endpoints;
#[expect(unreachable_pub, reason = "public where the examples share it")]
mod jwt;
mod streams;

use std::time::Duration;

use hub::{
    Binary, Call, ConnectionId, Context, Filter, Hub, HubError, HubOptions, Next, Reply, Timestamp,
    protocol::Names,
};
use serde::{Deserialize, Serialize};

use self::dotnet::{
    ArgumentNullException, ArgumentOutOfRangeException, Counts, Guid, InvalidOperationException,
    NullReferenceException, delay, double, hub_exception,
};

/// As a .NET server names things: camelCase in JSON, PascalCase in MessagePack. Pages of any
/// origin may connect, as there.
pub(crate) fn options() -> HubOptions {
    HubOptions::new()
        .names(Names::DotNet)
        .origins(raw_ws::Origins::any())
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Person {
    name: Option<String>,
    age: i32,
    tags: Option<Vec<Option<String>>>,
    friend: Option<Box<Self>>,
}

hub::dotnet_enum! {
    /// A colour.
    pub(crate) enum Colour { Red = 0, Green = 1, Blue = 2 }
}

impl Colour {
    fn next(self) -> Self {
        match self {
            Self::Red => Self::Green,
            Self::Green => Self::Blue,
            Self::Blue => Self::Red,
        }
    }
}

pub(crate) fn hub(options: HubOptions) -> Hub {
    let hub = calls(Hub::with_options((), options));
    let hub = errors_and_time(hub);
    let hub = streams::add(hub);
    targets(hub)
}

fn calls(hub: Hub) -> Hub {
    hub.method("Zero", async |_: Context| Ok(0))
        .method("Echo", async |_: Context, value: Option<String>| Ok(value))
        .method("Add", async |_: Context, a: i32, b: i32| {
            Ok(a.wrapping_add(b))
        })
        .method("Join8", join_8)
        .method("Nothing", async |_: Context| Ok(()))
        .method("NothingLater", async |_: Context| Ok(()))
        .method("Null", async |_: Context| Ok(None::<String>))
        .method("Not", async |_: Context, value: bool| Ok(!value))
        .method("BigInteger", async |_: Context, value: i64| Ok(value))
        .method("Number", async |_: Context, value: f64| Ok(value))
        .method("Older", async |_: Context, person: Option<Person>| {
            let mut person = person.ok_or(NullReferenceException)?;
            person.age = person.age.wrapping_add(1);
            Ok(person)
        })
        .method("Reverse", async |_: Context, bytes: Option<Binary>| {
            let bytes = bytes.ok_or(ArgumentNullException("array"))?;
            let reversed: Vec<u8> = bytes.iter().rev().copied().collect();
            Ok(Binary::from(reversed))
        })
        .method("Tomorrow", tomorrow)
        .method("SameGuid", async |_: Context, value: Guid| Ok(value))
        .method("Next", async |_: Context, colour: Colour| Ok(colour.next()))
        .method("Count", count)
        .method("Maybe", async |_: Context, value: Option<i32>| Ok(value))
        .method("LaterValue", async |_: Context, value: i32| Ok(value))
        .method("renamed", async |_: Context| Ok("renamed"))
}

#[expect(clippy::too_many_arguments, reason = "the contract has eight")]
async fn join_8(
    _: Context,
    a: Option<String>,
    b: i32,
    c: i64,
    d: f64,
    e: bool,
    f: Option<String>,
    g: Option<Vec<i32>>,
    h: Option<Person>,
) -> hub::Result<String> {
    let a = a.unwrap_or_default();
    let d = double(d);
    let f = f.unwrap_or_else(|| "null".to_owned());
    let e = if e { "True" } else { "False" };
    let g = g.ok_or(ArgumentNullException("values"))?;
    let g: Vec<String> = g.iter().map(i32::to_string).collect();
    let g = g.join(",");
    let name = h.ok_or(NullReferenceException)?.name.unwrap_or_default();
    Ok(format!("{a}|{b}|{c}|{d}|{e}|{f}|{g}|{name}"))
}

async fn tomorrow(_: Context, day: Timestamp) -> hub::Result<Timestamp> {
    let next = day.checked_add(Duration::from_secs(24 * 60 * 60));
    let text = "The added or subtracted value results in an un-representable DateTime. (Parameter 'value')";
    next.map_err(|_| ArgumentOutOfRangeException(text).into())
}

async fn count(_: Context, words: Option<Vec<Option<String>>>) -> hub::Result<Counts> {
    let mut counts = Counts::default();
    for word in words.ok_or(ArgumentNullException("source"))? {
        counts.add(named(word, "key")?);
    }
    Ok(counts)
}

fn errors_and_time(hub: Hub) -> Hub {
    hub.method("ThrowHub", async |_: Context, message: Option<String>| {
        Err::<(), _>(hub_exception(message))
    })
    .method("ThrowOther", async |_: Context, message: Option<String>| {
        Err::<(), _>(InvalidOperationException::new(message).into())
    })
    .method("ThrowLater", async |_: Context, message: Option<String>| {
        tokio::task::yield_now().await;
        Err::<(), _>(hub_exception(message))
    })
    .method(
        "Hold",
        async |_: Context, ms: i32, value: Option<String>| {
            tokio::time::sleep(delay(ms)?).await;
            Ok(value)
        },
    )
    .method("HoldCancellable", hold_cancellable)
    .method("Abort", async |cx: Context| {
        cx.abort();
        Ok(())
    })
    .method("ConnectionId", async |cx: Context| {
        Ok(cx.connection_id().clone())
    })
    .method("UserIdentifier", async |cx: Context| {
        Ok(cx.user_identifier().map(str::to_owned))
    })
    .method("Header", async |cx: Context, name: Option<String>| {
        let name = name.ok_or(NullReferenceException)?;
        Ok(cx.request().header(&name).map(str::to_owned))
    })
    .method("Query", async |cx: Context, name: Option<String>| {
        Ok(name.and_then(|name| cx.request().query(&name)))
    })
    .method("Transport", async |cx: Context| {
        Ok(cx.request().transport().name())
    })
    .method(
        "Item",
        async |cx: Context, key: Option<String>, value: Option<String>| {
            let key = named(key, "key")?;
            Ok(cx.items(|items| items.insert(key, value.into())))
        },
    )
}

async fn hold_cancellable(cx: Context, ms: i32) -> hub::Result<&'static str> {
    tokio::select! {
        () = tokio::time::sleep(delay(ms)?) => Ok("held"),
        () = cx.cancelled() => {
            cx.caller().send("HoldCancelled", ())?;
            Err(InvalidOperationException::new(Some("cancelled".to_owned())).into())
        }
    }
}

fn targets(hub: Hub) -> Hub {
    type Names = Option<Vec<Option<String>>>;
    type Ids = Option<Vec<Option<ConnectionId>>>;
    hub.method(
        "AskCaller",
        async |cx: Context, question: Option<String>| {
            let answer = cx.caller().invoke_within("Ask", (question,), FOREVER).await;
            Ok(or_error(answer))
        },
    )
    .method("AskClient", ask_client)
    .method("AskInt", async |cx: Context, id: Option<String>| {
        let Some(id) = id else { return Ok(-1) };
        let answer = cx
            .client(id)
            .invoke_within::<i32>("AskInt", (), FOREVER)
            .await;
        Ok(answer.unwrap_or(-1))
    })
    .method("JoinGroup", async |cx: Context, group: Option<String>| {
        let group = named(group, "groupName")?;
        cx.groups().join_and_wait(&group).await
    })
    .method("LeaveGroup", async |cx: Context, group: Option<String>| {
        cx.groups().leave(&named(group, "groupName")?);
        Ok(())
    })
    .method("ToAll", async |cx: Context, text: Option<String>| {
        cx.all().send("Received", (text,))
    })
    .method("ToCaller", async |cx: Context, text: Option<String>| {
        cx.caller().send("Received", (text,))
    })
    .method("ToOthers", async |cx: Context, text: Option<String>| {
        cx.others().send("Received", (text,))
    })
    .method(
        "ToAllExcept",
        async |cx: Context, ids: Ids, text: Option<String>| {
            cx.all_except(some(ids)?).send("Received", (text,))
        },
    )
    .method(
        "ToClient",
        async |cx: Context, id: Option<String>, text: Option<String>| {
            let id = named(id, "connectionId")?;
            cx.client(id).send("Received", (text,))
        },
    )
    .method(
        "ToClients",
        async |cx: Context, ids: Ids, text: Option<String>| {
            cx.clients_of(some(ids)?).send("Received", (text,))
        },
    )
    .method(
        "ToGroup",
        async |cx: Context, group: Option<String>, text: Option<String>| {
            let group = named(group, "groupName")?;
            cx.group(&group).send("Received", (text,))
        },
    )
    .method("ToGroups", to_groups)
    .method(
        "ToGroupExcept",
        async |cx: Context, group: Option<String>, ids: Ids, text: Option<String>| {
            let (group, ids) = (named(group, "groupName")?, ids.unwrap_or_default());
            cx.group_except(&group, ids.into_iter().flatten())
                .send("Received", (text,))
        },
    )
    .method(
        "ToOthersInGroup",
        async |cx: Context, group: Option<String>, text: Option<String>| {
            let group = named(group, "groupName")?;
            cx.others_in_group(&group).send("Received", (text,))
        },
    )
    .method(
        "ToUser",
        async |cx: Context, user: Option<String>, text: Option<String>| {
            let user = named(user, "userId")?;
            cx.user(&user).send("Received", (text,))
        },
    )
    .method(
        "ToUsers",
        async |cx: Context, users: Names, text: Option<String>| {
            cx.users(some(users)?).send("Received", (text,))
        },
    )
    .method("SendArguments", send_arguments)
    .method("Burst", async |cx: Context, count: i32| {
        for i in 0..count {
            cx.caller().send("Received", (i.to_string(),))?;
            // Others have their turn, and who does not read is not sent more.
            tokio::task::consume_budget().await;
        }
        Ok(())
    })
}

/// The contract waits as long as it takes.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

async fn ask_client(
    cx: Context,
    id: Option<String>,
    question: Option<String>,
    ms: i32,
) -> hub::Result<Option<String>> {
    let deadline = delay(ms)?.min(FOREVER);
    let answer = match named(id, "connectionId") {
        Ok(id) => {
            cx.client(id)
                .invoke_within("Ask", (question,), deadline)
                .await
        }
        Err(error) => Err(error),
    };
    Ok(or_error(answer))
}

/// A client may answer null: that is an answer.
fn or_error(answer: hub::Result<Option<String>>) -> Option<String> {
    answer.unwrap_or_else(|error| Some(format!("{}: {error}", error.class())))
}

/// A list that is null is an error, a name in it nobody.
fn some<T>(names: Option<Vec<Option<T>>>) -> hub::Result<impl Iterator<Item = T>> {
    let names = names.ok_or(ArgumentNullException("source"))?;
    Ok(names.into_iter().flatten())
}

/// API-08: no name may be null.
fn named(name: Option<String>, parameter: &'static str) -> hub::Result<String> {
    name.ok_or_else(|| ArgumentNullException(parameter).into())
}

async fn to_groups(
    cx: Context,
    groups: Option<Vec<Option<String>>>,
    text: Option<String>,
) -> hub::Result<()> {
    let groups = groups.ok_or(NullReferenceException)?;
    let named: Vec<String> = groups
        .iter()
        .flatten()
        .filter(|name| !name.is_empty())
        .cloned()
        .collect();
    // Through a backplane they are skipped (RD-06).
    if named.len() < groups.len() && cx.servers().is_alone() {
        let text = "Cannot send to an empty group name.".to_owned();
        return Err(InvalidOperationException::new(Some(text)).into());
    }
    cx.groups_of(named).send("Received", (text,))
}

async fn send_arguments(cx: Context) -> hub::Result<()> {
    let ann = Person {
        name: Some("Ann".to_owned()),
        age: 7,
        tags: Some(vec![Some("a".to_owned())]),
        friend: None,
    };
    cx.caller()
        .send("Arguments", ("text", 1, 2.5, true, (), ann))
}

/// Tells the caller what it saw, changes one result and refuses one method.
pub(crate) struct SpecFilter;

impl Filter<()> for SpecFilter {
    async fn invoke(&self, call: Call<()>, next: Next<Reply>) -> hub::Result<Reply> {
        if call.method() == "Nothing" {
            return Err(HubError::new("refused by the filter"));
        }
        let reply = next.run().await?;
        if call.method() == "Echo" {
            let value: Option<String> = reply.decode()?;
            let filtered = format!("filtered {}", value.unwrap_or_default());
            return call.context().reply(&filtered);
        }
        Ok(reply)
    }

    async fn connected(&self, cx: Context, next: Next<()>) -> hub::Result<()> {
        cx.caller().send("Received", ("filter before connect",))?;
        next.run().await
    }
}
