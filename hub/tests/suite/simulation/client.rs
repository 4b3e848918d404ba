//! A client that loses its sockets, as the JavaScript client's `MessageBuffer` goes about it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::{
    io::DuplexStream,
    sync::Notify,
    time::{sleep, sleep_until, timeout},
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message},
};

use super::{
    history::{History, Seen},
    network,
    random::Random,
};
use crate::live::{RS, Server, call};

type Socket = WebSocketStream<DuplexStream>;

pub(crate) struct Client {
    pub(crate) number: usize,
    pub(crate) server: Server,
    pub(crate) random: Random,
    pub(crate) history: Arc<Mutex<History>>,
    /// Sockets that will fail, before the network is kind.
    pub(crate) faults: u32,
    pub(crate) fails: Arc<Notify>,
    /// Calls it has yet to make.
    pub(crate) calls: u64,
    pub(crate) state: State,
}

/// What outlives its sockets.
#[derive(Default)]
pub(crate) struct State {
    token: String,
    is_open: bool,
    /// The id of the last counted message it sent.
    sent: i64,
    unacknowledged: VecDeque<(i64, String)>,
    /// The id of the last counted message that came, and the highest of all.
    arrived: i64,
    highest: i64,
    /// After a resume all is dropped until the Sequence comes.
    awaits_sequence: bool,
}

/// The socket is lost.
struct Lost;

impl From<Error> for Lost {
    fn from(_: Error) -> Self {
        Self
    }
}

impl Client {
    /// Goes on until it is dropped.
    pub(crate) async fn run(mut self) {
        let target = "/hub/negotiate?negotiateVersion=1&useStatefulReconnect=true";
        let answer = self.server.request("POST", target).await;
        let body: Value = serde_json::from_str(&answer.body).expect("JSON");
        body["connectionToken"]
            .as_str()
            .expect("a token")
            .clone_into(&mut self.state.token);
        loop {
            match self.connect().await {
                Ok(Some(mut socket)) => {
                    let _ = self.converse(&mut socket).await;
                    if self.state.is_open {
                        self.seen(|seen| seen.resumes += 1);
                    }
                }
                Ok(None) => {}
                Err(409) => {} // its last attempt is still under way
                Err(status) => {
                    self.fault(format!("refused with {status}"));
                    return;
                }
            }
            let pause = self.random.millis(if self.random.clone().once_in(5) {
                3000
            } else {
                40
            });
            sleep(pause).await;
        }
    }

    async fn connect(&mut self) -> Result<Option<Socket>, u16> {
        self.fails = Arc::default();
        if self.state.is_open {
            self.may_fail();
        }
        let io = network::socket(&self.server, &mut self.random, self.fails.clone());
        let target = format!("ws://hub/hub?id={}", self.state.token);
        let upgraded = timeout(Duration::from_secs(5), client_async(target, io)).await;
        match upgraded {
            Ok(Ok((socket, _))) => Ok(Some(socket)),
            Ok(Err(Error::Http(response))) => Err(response.status().as_u16()),
            Ok(Err(_)) | Err(_) => Ok(None),
        }
    }

    /// Not before the hub handshake is done: nothing is resumed then.
    fn may_fail(&mut self) {
        if self.faults > 0 {
            self.faults -= 1;
            self.fails.notify_one();
        }
    }

    async fn converse(&mut self, socket: &mut Socket) -> Result<(), Lost> {
        if self.state.is_open {
            self.resume(socket).await?;
        } else {
            say(socket, r#"{"protocol":"json","version":2}"#).await?;
            let Some(Ok(Message::Text(_))) = socket.next().await else {
                return Err(Lost);
            };
            self.state.is_open = true;
            self.may_fail();
            // The real ones do that too.
            say(socket, r#"{"type":6}"#).await?;
            self.send(socket, call("join", "Join", "[]")).await?;
        }
        loop {
            let pause = self.random.millis(120);
            let acts = sleep_until(tokio::time::Instant::now() + pause);
            tokio::select! {
                biased;
                came = socket.next() => match came {
                    Some(Ok(Message::Text(text))) => {
                        for record in text.split(RS).filter(|record| !record.is_empty()) {
                            self.hear(record);
                        }
                        if self.random.once_in(4) {
                            self.acknowledge(socket).await?;
                        }
                    }
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return Err(Lost),
                },
                () = acts => self.act(socket).await?,
            }
        }
    }

    async fn resume(&mut self, socket: &mut Socket) -> Result<(), Lost> {
        self.state.awaits_sequence = true;
        let first = self.state.unacknowledged.front();
        let first = first.map_or(self.state.sent + 1, |(id, _)| *id);
        say(socket, &format!(r#"{{"type":9,"sequenceId":{first}}}"#)).await?;
        for (_, record) in &self.state.unacknowledged {
            say(socket, record).await?;
        }
        Ok(())
    }

    async fn act(&mut self, socket: &mut Socket) -> Result<(), Lost> {
        if self.calls == 0 {
            return self.acknowledge(socket).await;
        }
        for _ in 0..=self.random.below(3).min(self.calls - 1) {
            let number = {
                let mut history = self.history.lock().expect("nobody panicked");
                let called = &mut history.clients[self.number].called;
                let number = called.len() as u64;
                called.push(number);
                number
            };
            self.calls -= 1;
            let arguments = format!("[{},{number}]", self.number);
            let record = call(&number.to_string(), "Note", &arguments);
            self.send(socket, record).await?;
        }
        Ok(())
    }

    /// Sends what is counted: kept until it is acknowledged.
    async fn send(&mut self, socket: &mut Socket, record: String) -> Result<(), Lost> {
        self.state.sent += 1;
        let id = self.state.sent;
        self.state.unacknowledged.push_back((id, record.clone()));
        say(socket, &record).await
    }

    async fn acknowledge(&mut self, socket: &mut Socket) -> Result<(), Lost> {
        let highest = self.state.highest;
        say(socket, &format!(r#"{{"type":8,"sequenceId":{highest}}}"#)).await
    }

    fn hear(&mut self, record: &str) {
        let message: Value = serde_json::from_str(record).expect("JSON");
        let id = message["sequenceId"].as_i64();
        match message["type"].as_u64().expect("a type") {
            9 => {
                let id = id.expect("a sequence id");
                // As strict as the official ones: by what came by this socket.
                if id > self.state.arrived + 1 {
                    let arrived = self.state.arrived;
                    self.fault(format!("Sequence {id} after {arrived}"));
                }
                self.state.awaits_sequence = false;
                self.state.arrived = id - 1;
            }
            8 => {
                let id = id.expect("a sequence id");
                let unacknowledged = &mut self.state.unacknowledged;
                unacknowledged.retain(|(sent, _)| *sent > id);
            }
            6 => {}
            7 => self.fault(format!("closed: {record}")),
            _ if self.state.awaits_sequence => {
                self.fault(format!("before the Sequence: {record}"));
            }
            _ => self.hear_counted(&message),
        }
    }

    fn hear_counted(&mut self, message: &Value) {
        self.state.arrived += 1;
        if self.state.arrived <= self.state.highest {
            return;
        }
        self.state.highest = self.state.arrived;
        if message["type"] == 3 {
            let number = message["invocationId"].as_str().expect("an id").parse();
            if let Ok(number) = number {
                self.seen(|seen| seen.answered.push(number));
            }
            return;
        }
        let number = message["arguments"][0].as_u64().expect("a number");
        match message["target"].as_str().expect("a target") {
            "Told" => self.seen(|seen| seen.told.push(number)),
            "News" => self.seen(|seen| seen.news.push(number)),
            "GroupNews" => self.seen(|seen| seen.group_news.push(number)),
            other => self.fault(format!("nobody sends {other}")),
        }
    }

    fn seen(&self, change: impl FnOnce(&mut Seen)) {
        let mut history = self.history.lock().expect("nobody panicked");
        change(&mut history.clients[self.number]);
    }

    fn fault(&self, fault: String) {
        self.seen(|seen| seen.faults.push(fault));
    }
}

async fn say(socket: &mut Socket, record: &str) -> Result<(), Lost> {
    // A socket that takes nothing for so long is lost.
    let said = timeout(
        Duration::from_secs(5),
        socket.send(Message::text(format!("{record}{RS}"))),
    );
    Ok(said.await.map_err(|_| Lost)??)
}
