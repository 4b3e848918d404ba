//! Hostile clients: the rows of `SPEC.md` for the hub handshake, hub messages and negotiate.
//! Each says what one client gets, to the byte, while another goes on unharmed. Where a row and
//! the real server differ the real server is right, and a comment says so.

mod handshake;
mod memory;
mod messages;
mod negotiate;
mod streams;

use std::{fmt::Write as _, time::Duration};

use crate::live::{self, Client, Count, Heard, RS, Server};
use futures_util::{Stream, StreamExt, stream};
use hub::{Context, Hub, HubError, HubOptions, UploadStream};

/// CL-02
const CLOSED: &str =
    r#"{"type":7,"error":"Connection closed with an error.","allowReconnect":true}"#;

#[derive(Clone, Default)]
struct Shared {
    running: Count,
    begun: Count,
}

type Cx = Context<Shared>;

fn hub(options: HubOptions) -> (Hub<Shared>, Shared) {
    let shared = Shared::default();
    let hub = Hub::with_options(shared.clone(), options)
        .method("Echo", async |_: Cx, value: i64| Ok(value))
        .method(&"Long".repeat(20), async |_: Cx| Ok(80))
        .method("Text", async |_: Cx, value: String| Ok(value))
        .method("Any", async |_: Cx, value: serde_json::Value| {
            Ok(value.as_array().map_or(0, Vec::len))
        })
        .method("Never", async |cx: Cx| {
            cx.state().begun.add();
            let _held = cx.state().running.hold();
            std::future::pending::<hub::Result<()>>().await
        })
        .method("Secret", async |_: Cx| -> hub::Result<()> {
            Err(std::io::Error::other("the password is 1234"))?
        })
        .method("Ask", async |cx: Cx, seconds: u64| {
            let _held = cx.state().running.hold();
            let deadline = Duration::from_secs(seconds);
            cx.caller().invoke_within::<i64>("Q", (), deadline).await
        })
        .method("Sum", async |cx: Cx, mut numbers: UploadStream<i64>| {
            let _held = cx.state().running.hold();
            let mut sum = 0;
            while let Some(number) = numbers.next().await {
                sum += number?;
            }
            Ok(sum)
        })
        .method("Ignore", async |cx: Cx, numbers: UploadStream<i64>| {
            let _held = cx.state().running.hold();
            cx.cancelled().await;
            drop(numbers);
            Ok(())
        })
        .method("Join", async |cx: Cx, group: String| {
            cx.groups().join(&group)
        })
        .method("JoinMany", async |cx: Cx, count: usize| {
            let joined = (0..count).map(|n| cx.groups().join(&format!("g{n}")));
            Ok(joined.filter(Result::is_ok).count())
        })
        .method("Refuse", async |_: Cx| -> hub::Result<()> {
            Err(HubError::new("no"))
        })
        .stream("Silent", |cx: Cx| -> _ {
            let held = cx.state().running.hold();
            stream::pending().map(move |number: i64| {
                let _ = &held;
                Ok(number)
            })
        })
        .stream("Three", three);
    (hub, shared)
}

fn three(_: Cx) -> impl Stream<Item = hub::Result<i64>> {
    stream::iter([Ok(1), Ok(2), Ok(3)])
}

fn start() -> (Server, Shared) {
    start_with(HubOptions::new())
}

fn start_with(options: HubOptions) -> (Server, Shared) {
    let (hub, shared) = hub(options);
    (Server::start(hub), shared)
}

/// What a client hears until it is answered a last call, or is let go: records, then a close code.
async fn hears(client: &mut Client, says: &str) -> Vec<String> {
    let last = live::call("last", "Echo", "[7]");
    // Who is being let go may be past listening.
    let _ = client.try_text(says).await;
    let _ = client.try_text(&format!("{last}{RS}")).await;
    heard(client).await
}

async fn heard(client: &mut Client) -> Vec<String> {
    let mut records = Vec::new();
    loop {
        match client.heard().await {
            Heard::Text(text) => {
                for record in text.strip_suffix(RS).expect("whole records").split(RS) {
                    match record {
                        r#"{"type":6}"# => {}
                        r#"{"type":3,"invocationId":"last","result":7}"# => return records,
                        record => records.push(record.replace("\\u0027", "'")),
                    }
                }
            }
            Heard::Binary(bytes) => {
                let mut text = String::new();
                for byte in bytes {
                    let _ = write!(text, "{byte:02x}");
                }
                records.push(text);
            }
            Heard::Close(code) => {
                records.push(code.to_string());
                return records;
            }
            Heard::Gone => {
                records.push("gone".into());
                return records;
            }
        }
    }
}

/// Somebody else's connection, which none of this may touch.
struct Witness(Client);

impl Witness {
    async fn of(server: &Server) -> Self {
        let mut client = server.client().await;
        client.ask("Join", "[\"witness\"]").await;
        Self(client)
    }

    /// Somebody waits for something; meanwhile it reads, as programs do, and hears pings alone.
    async fn looks_on<T>(&mut self, waiting: impl Future<Output = T>) -> T {
        let ping = Heard::Text(format!("{{\"type\":6}}{RS}"));
        let mut waiting = std::pin::pin!(waiting);
        loop {
            tokio::select! {
                done = &mut waiting => return done,
                heard = self.0.heard() => assert_eq!(heard, ping),
            }
        }
    }

    /// It gets what is sent to it, is answered, and is alone.
    async fn is_unharmed(&mut self, server: &Server) {
        server.handle.group("witness").send("Still", ()).unwrap();
        let still = r#"{"type":1,"target":"Still","arguments":[]}"#;
        self.0.expect(&[still]).await;
        assert_eq!(self.0.ask("Echo", "[1]").await, "1");
        server.connections(1).await;
    }
}

/// Each text is said by a client of its own, after the hub handshake.
async fn table(row: u32, cases: &[(&str, &[&str])]) {
    let (server, _) = start();
    let mut witness = Witness::of(&server).await;
    for (says, expected) in cases {
        let mut client = server.client().await;
        let heard = hears(&mut client, says).await;
        let shown: String = says.chars().take(100).collect();
        assert_eq!(heard, *expected, "row {row}: {shown}");
        drop(client);
        witness.is_unharmed(&server).await;
    }
}

/// The same in MessagePack: records without their lengths.
async fn binary_table(row: u32, cases: &[(&[u8], &[&str])]) {
    let (server, _) = start();
    let mut witness = Witness::of(&server).await;
    for (says, expected) in cases {
        let mut client = server.binary_client().await;
        client.bytes(&live::Framed::new(says).0).await;
        // Close, after which the server lets go of it.
        client
            .bytes(&live::Framed::new(&[0x92, 0x07, 0xc0]).0)
            .await;
        let heard = heard(&mut client).await;
        let shown = &says[..says.len().min(40)];
        assert_eq!(heard, *expected, "row {row}: {shown:02x?}");
        drop(client);
        witness.is_unharmed(&server).await;
    }
}
