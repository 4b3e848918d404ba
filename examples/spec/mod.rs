//! The methods of the contract.

mod streams;

use std::{collections::BTreeMap, time::Duration};

use hub::{
    Binary, Call, ConnectionId, Context, Filter, Hub, HubError, HubOptions, Next, Reply, Timestamp,
    protocol::Names,
};
use serde::{Deserialize, Serialize};

/// As a .NET server names things: camelCase in JSON, PascalCase in MessagePack. Pages of any
/// origin may connect, as there.
pub(crate) fn options() -> HubOptions {
    HubOptions::new()
        .names(Names::DotNet)
        .origins(raw_ws::Origins::any())
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Person {
    name: Option<String>,
    age: i32,
    tags: Option<Vec<String>>,
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
        .method("Older", async |_: Context, mut person: Person| {
            person.age += 1;
            Ok(person)
        })
        .method("Reverse", async |_: Context, bytes: Binary| {
            Ok(Binary::from(
                bytes.iter().rev().copied().collect::<Vec<u8>>(),
            ))
        })
        .method("Tomorrow", tomorrow)
        .method("SameGuid", async |_: Context, value: uuid::Uuid| Ok(value))
        .method("Next", async |_: Context, colour: Colour| Ok(colour.next()))
        .method("Count", count)
        .method("Maybe", async |_: Context, value: Option<i32>| Ok(value))
        .method("LaterValue", async |_: Context, value: i32| Ok(value))
        .method("renamed", async |_: Context| Ok("renamed"))
}

#[expect(clippy::too_many_arguments, reason = "the contract has eight")]
async fn join_8(
    _: Context,
    a: String,
    b: i32,
    c: i64,
    d: f64,
    e: bool,
    f: Option<String>,
    g: Vec<i32>,
    h: Person,
) -> hub::Result<String> {
    let f = f.unwrap_or_else(|| "null".to_owned());
    let e = if e { "True" } else { "False" };
    let g: Vec<String> = g.iter().map(i32::to_string).collect();
    let g = g.join(",");
    let name = h.name.unwrap_or_default();
    Ok(format!("{a}|{b}|{c}|{d}|{e}|{f}|{g}|{name}"))
}

async fn tomorrow(_: Context, day: Timestamp) -> hub::Result<Timestamp> {
    let next = day.unix_seconds() + 24 * 60 * 60;
    Ok(Timestamp::from_unix(next, day.nanoseconds())?)
}

async fn count(_: Context, words: Vec<String>) -> hub::Result<BTreeMap<String, i32>> {
    let mut counts = BTreeMap::new();
    for word in words {
        *counts.entry(word).or_insert(0) += 1;
    }
    Ok(counts)
}

/// What is no `HubError::new`: clients do not see it.
#[derive(Debug)]
struct InvalidOperationException(String);

impl std::fmt::Display for InvalidOperationException {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidOperationException {}

fn errors_and_time(hub: Hub) -> Hub {
    hub.method("ThrowHub", async |_: Context, message: String| {
        Err::<(), _>(HubError::new(message))
    })
    .method("ThrowOther", async |_: Context, message: String| {
        Err::<(), _>(InvalidOperationException(message).into())
    })
    .method("ThrowLater", async |_: Context, message: String| {
        tokio::task::yield_now().await;
        Err::<(), _>(HubError::new(message))
    })
    .method("Hold", async |_: Context, ms: u64, value: String| {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        Ok(value)
    })
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
    .method("Header", async |cx: Context, name: String| {
        Ok(cx.request().header(&name).map(str::to_owned))
    })
    .method("Query", async |cx: Context, name: String| {
        Ok(cx.request().query(&name))
    })
    .method("Transport", async |cx: Context| {
        Ok(cx.request().transport().name())
    })
    .method(
        "Item",
        async |cx: Context, key: String, value: Option<String>| {
            Ok(cx.items(|items| items.insert(key, value.into())))
        },
    )
}

async fn hold_cancellable(cx: Context, ms: u64) -> hub::Result<&'static str> {
    tokio::select! {
        () = tokio::time::sleep(Duration::from_millis(ms)) => Ok("held"),
        () = cx.cancelled() => {
            cx.caller().send("HoldCancelled", ())?;
            Err(InvalidOperationException("cancelled".to_owned()).into())
        }
    }
}

fn targets(hub: Hub) -> Hub {
    type Ids = Vec<ConnectionId>;
    hub.method("AskCaller", async |cx: Context, question: String| {
        let answer = cx.caller().invoke("Ask", (question,), FOREVER).await;
        Ok(or_error(answer))
    })
    .method("AskClient", ask_client)
    .method("AskInt", async |cx: Context, id: String| {
        let answer = cx.client(id).invoke::<i32>("AskInt", (), FOREVER).await;
        Ok(answer.unwrap_or(-1))
    })
    .method("JoinGroup", async |cx: Context, group: String| {
        cx.groups().join(&group)
    })
    .method("LeaveGroup", async |cx: Context, group: String| {
        cx.groups().leave(&group);
        Ok(())
    })
    .method("ToAll", async |cx: Context, text: String| {
        cx.all().send("Received", (text,))
    })
    .method("ToCaller", async |cx: Context, text: String| {
        cx.caller().send("Received", (text,))
    })
    .method("ToOthers", async |cx: Context, text: String| {
        cx.others().send("Received", (text,))
    })
    .method(
        "ToAllExcept",
        async |cx: Context, ids: Ids, text: String| cx.all_except(ids).send("Received", (text,)),
    )
    .method(
        "ToClient",
        async |cx: Context, id: Option<String>, text: String| {
            let id = id.ok_or_else(|| missing("connectionId"))?;
            cx.client(id).send("Received", (text,))
        },
    )
    .method(
        "ToClients",
        async |cx: Context, ids: Vec<Option<String>>, text: String| {
            cx.clients_of(ids.into_iter().flatten())
                .send("Received", (text,))
        },
    )
    .method(
        "ToGroup",
        async |cx: Context, group: Option<String>, text: String| {
            let group = group.ok_or_else(|| missing("groupName"))?;
            cx.group(&group).send("Received", (text,))
        },
    )
    .method("ToGroups", to_groups)
    .method(
        "ToGroupExcept",
        async |cx: Context, group: String, ids: Ids, text: String| {
            cx.group_except(&group, ids).send("Received", (text,))
        },
    )
    .method(
        "ToOthersInGroup",
        async |cx: Context, group: String, text: String| {
            cx.others_in_group(&group).send("Received", (text,))
        },
    )
    .method(
        "ToUser",
        async |cx: Context, user: Option<String>, text: String| {
            let user = user.ok_or_else(|| missing("userId"))?;
            cx.user(&user).send("Received", (text,))
        },
    )
    .method(
        "ToUsers",
        async |cx: Context, users: Vec<String>, text: String| {
            cx.users(users).send("Received", (text,))
        },
    )
    .method("SendArguments", send_arguments)
    .method("Burst", async |cx: Context, count: i32| {
        (0..count).try_for_each(|i| cx.caller().send("Received", (i.to_string(),)))
    })
}

/// The contract waits as long as it takes.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

async fn ask_client(cx: Context, id: String, question: String, ms: u64) -> hub::Result<String> {
    let deadline = Duration::from_millis(ms);
    Ok(or_error(
        cx.client(id).invoke("Ask", (question,), deadline).await,
    ))
}

fn or_error(answer: hub::Result<String>) -> String {
    answer.unwrap_or_else(|error| format!("{}: {error}", error.class()))
}

/// API-08: what .NET says of a null name.
#[derive(Debug)]
struct ArgumentNullException(&'static str);

impl std::fmt::Display for ArgumentNullException {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Value cannot be null. (Parameter '{}')", self.0)
    }
}

impl std::error::Error for ArgumentNullException {}

fn missing(parameter: &'static str) -> HubError {
    ArgumentNullException(parameter).into()
}

async fn to_groups(cx: Context, groups: Vec<Option<String>>, text: String) -> hub::Result<()> {
    let named: Vec<String> = groups
        .iter()
        .flatten()
        .filter(|name| !name.is_empty())
        .cloned()
        .collect();
    if named.len() < groups.len() {
        let text = "Cannot send to an empty group name.".to_owned();
        return Err(InvalidOperationException(text).into());
    }
    cx.groups_of(named).send("Received", (text,))
}

async fn send_arguments(cx: Context) -> hub::Result<()> {
    let ann = Person {
        name: Some("Ann".to_owned()),
        age: 7,
        tags: Some(vec!["a".to_owned()]),
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
