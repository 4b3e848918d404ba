//! A hub with stateful reconnect, and conversations with it.

use std::time::Duration;

use hub::{Context, Hub, HubOptions};
use tokio::time::{sleep, timeout};

use crate::live::{Client, Count, Heard, Server};

pub(crate) const QUERY: &str = "/hub/negotiate?negotiateVersion=1&useStatefulReconnect=true";

#[derive(Clone, Default)]
pub(crate) struct Shared {
    pub(crate) connected: Count,
    pub(crate) disconnected: Count,
}

type Cx = Context<Shared>;

pub(crate) fn options() -> HubOptions {
    HubOptions::new()
        .allow_stateful_reconnects(true)
        .keep_alive_interval(Duration::from_secs(3600))
}

pub(crate) fn start(options: HubOptions) -> (Server, Shared) {
    let shared = Shared::default();
    let hub = Hub::with_options(shared.clone(), options)
        .method("Echo", async |_: Cx, value: i64| Ok(value))
        .method("Length", async |_: Cx, text: String| Ok(text.len()))
        .method("Hold", async |_: Cx, millis: u64| {
            sleep(Duration::from_millis(millis)).await;
            Ok(millis)
        })
        .method("Tell", async |cx: Cx, text: String| {
            cx.caller().send("Told", (text,))
        })
        .method("Fill", async |cx: Cx, length: usize| {
            cx.caller().send("Told", ("x".repeat(length),))
        })
        .method("Join", async |cx: Cx, group: String| {
            cx.groups().join(&group)
        })
        .method("Groups", async |cx: Cx| Ok(cx.groups().mine()))
        .method("Abort", async |cx: Cx| {
            cx.abort();
            Ok(())
        })
        .method("Watch", async |cx: Cx| {
            let resumed = cx.resumed();
            tokio::spawn(async move {
                resumed.await;
                cx.caller().send("Back", ())
            });
            Ok(())
        })
        .on_connected(async |cx: Cx| {
            cx.state().connected.add();
            if cx.request().query("greet").is_some() {
                cx.caller().send("Hello", ())?;
            }
            Ok(())
        })
        .on_disconnected(async |cx: Cx, _| {
            cx.state().disconnected.add();
            Ok(())
        });
    (Server::start(hub), shared)
}

/// What happens in a conversation, one step after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    Says(&'static str),
    /// Without an end.
    SaysHalf(&'static str),
    /// This record is the next.
    Hears(&'static str),
    /// The same, and it is there already.
    HearsNow(&'static str),
    HearsNothing(Duration),
    /// A hub Close, then a Close frame 1000.
    IsEnded(&'static str),
    /// The socket is gone, without a word.
    Drops,
    /// A Close frame, and its answer.
    Leaves,
    Waits(Duration),
    /// Another socket, with the same token.
    Returns,
    IsRefused(u16),
}

pub(crate) const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A client that negotiated.
pub(crate) struct Peer<'a> {
    pub(crate) server: &'a Server,
    pub(crate) token: String,
    pub(crate) client: Option<Client>,
}

impl<'a> Peer<'a> {
    /// After the hub handshake of this version.
    pub(crate) async fn open(server: &'a Server, version: u32) -> Self {
        let token = negotiate(server, QUERY).await;
        let mut peer = Self::before_handshake(server, token).await;
        let hello = format!(r#"{{"protocol":"json","version":{version}}}"#);
        peer.says(&hello).await;
        peer.hears("{}").await;
        peer
    }

    /// The same, and it counts.
    pub(crate) async fn counting(server: &'a Server) -> Self {
        let mut peer = Self::open(server, 2).await;
        peer.says(r#"{"type":6}"#).await;
        peer
    }

    pub(crate) async fn before_handshake(server: &'a Server, token: String) -> Self {
        let mut peer = Self {
            server,
            token,
            client: None,
        };
        peer.returns().await.expect("a new connection");
        peer
    }

    fn client(&mut self) -> &mut Client {
        self.client.as_mut().expect("it is there")
    }

    pub(crate) async fn says(&mut self, record: &str) {
        self.client().send(record).await;
    }

    pub(crate) async fn hears(&mut self, record: &str) {
        assert_eq!(self.client().next().await, record);
    }

    pub(crate) fn drops(&mut self) {
        self.client = None;
    }

    async fn does_drop(&mut self) {
        self.drops();
        sleep(millis(10)).await;
    }

    pub(crate) async fn returns(&mut self) -> Result<(), u16> {
        let target = format!("/hub?id={}", self.token);
        self.client = Some(Client::try_connect(self.server.socket(), &target).await?);
        Ok(())
    }

    pub(crate) async fn does(&mut self, step: Step) {
        match step {
            Step::Says(record) => self.says(record).await,
            Step::SaysHalf(record) => {
                self.client().text(record).await;
                sleep(millis(10)).await;
            }
            Step::Hears(record) => self.hears(record).await,
            Step::HearsNow(record) => {
                let next = timeout(millis(50), self.client().next()).await;
                assert_eq!(next.as_deref(), Ok(record));
            }
            Step::HearsNothing(time) => {
                let heard = timeout(time, self.client().heard()).await;
                assert!(heard.is_err(), "silence was expected: {heard:?}");
            }
            Step::IsEnded(record) => {
                self.client().expect_end(record, 1000).await;
                self.does_drop().await; // until then its token is in use
            }
            Step::Drops => self.does_drop().await,
            Step::Leaves => self.client.take().expect("it is there").leave().await,
            Step::Waits(time) => sleep(time).await,
            Step::Returns => assert_eq!(self.returns().await, Ok(())),
            Step::IsRefused(status) => assert_eq!(self.returns().await, Err(status)),
        }
    }
}

pub(crate) async fn negotiate(server: &Server, target: &str) -> String {
    let answer = server.request("POST", target).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let body: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!(body["useStatefulReconnect"], true, "{body}");
    body["connectionToken"].as_str().expect("text").to_owned()
}

/// What the client hears until its socket ends; the last is a close code, or 0.
pub(crate) async fn hears_until_gone(client: &mut Client) -> (Vec<String>, u16) {
    let mut records = Vec::new();
    loop {
        match client.heard().await {
            Heard::Text(text) => records.push(text),
            Heard::Binary(bytes) => records.push(format!("{bytes:x?}")),
            Heard::Close(code) => return (records, code),
            Heard::Gone => return (records, 0),
        }
    }
}

/// Each conversation with a hub of its own.
pub(crate) async fn table(options: HubOptions, rows: &[(&str, &[Step])]) {
    for (rule, steps) in rows {
        let (server, _) = start(options.clone());
        let mut peer = Peer::counting(&server).await;
        for (at, step) in steps.iter().enumerate() {
            println!("{rule}, step {at}: {step:?}");
            peer.does(*step).await;
        }
    }
}
