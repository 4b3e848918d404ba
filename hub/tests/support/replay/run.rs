//! One scenario against a server, step by step.

use std::{collections::HashMap, time::Duration};

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{
    address::Address,
    answer,
    connection::{Connection, Event},
    events::{Events, Post},
    polling::Polling,
    websocket::WebSocket,
    wire::{Exchange, Result, Trouble, failed},
};
use crate::transcript::{
    Action, Answer, Body, Encoding, Expected, Names, Opening, Request, Scenario, Sending,
    Transport, Window,
};

/// What `start` and `dial` wait for, so that the server has taken the request up before the next
/// step: a client cannot see when it has.
const UNDER_WAY: Duration = Duration::from_millis(150);

/// How long to wait for one thing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience(pub(crate) Duration);

impl Patience {
    pub(crate) fn deadline(self) -> Instant {
        Instant::now() + self.0
    }
}

pub(crate) struct Run<'a> {
    server: &'a Address,
    scenario: &'a Scenario,
    patience: Patience,
    names: Names,
    connections: HashMap<String, Connection>,
    asked: HashMap<String, Exchange>,
    step_began: Instant,
}

/// Replays the scenario; the error tells the line, what it wants and what came.
pub(crate) async fn replay(
    server: &Address,
    scenario: &Scenario,
) -> std::result::Result<(), String> {
    let mut run = Run {
        server,
        scenario,
        patience: Patience(scenario.patience),
        names: Names::default(),
        connections: HashMap::new(),
        asked: HashMap::new(),
        step_began: Instant::now(),
    };
    for step in &scenario.steps {
        run.step_began = Instant::now();
        if let Err(trouble) = run.step(&step.action).await {
            let why = match trouble {
                Trouble::Failed(why) => why,
                Trouble::Late => "nothing came in time".into(),
                Trouble::Ended(why) => format!("the connection ended ({why})"),
            };
            return Err(format!("line {}: {}\n      {why}", step.number, step.line));
        }
    }
    Ok(())
}

impl Run<'_> {
    async fn step(&mut self, action: &Action) -> Result<()> {
        match action {
            Action::Open { name, opening } => self.open(name, opening).await,
            Action::Http { request, answer } => {
                let mut exchange = self.exchange(request).await?;
                self.answered(answer, &mut exchange, true).await
            }
            Action::Start { name, request } => {
                let exchange = self.exchange(request).await?;
                self.asked.insert(name.clone(), exchange);
                sleep(UNDER_WAY).await;
                Ok(())
            }
            Action::Pending { name, time } => {
                let deadline = Instant::now() + *time;
                match self.asked(name)?.head(deadline).await {
                    Err(Trouble::Late) => Ok(()),
                    Ok(head) => failed(format!("answered already: {}", head.status)),
                    Err(trouble) => Err(trouble),
                }
            }
            Action::Await {
                name,
                window,
                answer,
            } => self.awaited(name, *window, answer).await,
            Action::Finished { name } => {
                let deadline = self.patience.deadline();
                self.asked(name)?.body(deadline).await.map(drop)
            }
            Action::Abort { name } => {
                self.asked(name)?.wire.reset();
                Ok(())
            }
            Action::WebSocket {
                name,
                request,
                answer,
            } => {
                let mut ws = self.dial(request).await?;
                let head = ws.answered(self.patience.deadline()).await?;
                self.answered(answer, &mut ws.exchange, !head.is("101"))
                    .await?;
                self.connections
                    .insert(name.clone(), Connection::WebSocket(ws));
                Ok(())
            }
            Action::Dial { name, request } => {
                let ws = self.dial(request).await?;
                self.connections
                    .insert(name.clone(), Connection::WebSocket(ws));
                sleep(UNDER_WAY).await;
                Ok(())
            }
            Action::Dialled {
                name,
                window,
                answer,
            } => self.dialled(name, *window, answer).await,
            Action::Events {
                name,
                request,
                answer,
            } => self.events(name, request, answer).await,
            Action::Send { name, sending } => self.send(name, sending).await,
            Action::Expect {
                name,
                window,
                expected,
            } => self.expect(name, *window, expected).await,
            Action::ExpectAny { name, expected } => self.expect_any(name, expected).await,
            Action::Silence { name, time } => {
                match self.next(name, Instant::now() + *time, false).await {
                    Err(Trouble::Late) => Ok(()),
                    Ok(event) => failed(format!(
                        "want  silence\n      got   {}",
                        event.shown(&self.names)
                    )),
                    Err(trouble) => Err(trouble),
                }
            }
            Action::Wait(time) => {
                sleep(*time).await;
                Ok(())
            }
        }
    }

    // -- HTTP --

    fn filled(&self, headers: &[String]) -> Vec<String> {
        headers.iter().map(|line| self.names.fill(line)).collect()
    }

    async fn exchange(&self, request: &Request) -> Result<Exchange> {
        let body = request
            .body
            .as_ref()
            .map(|body| self.names.bytes(body))
            .transpose()?;
        let path = self.names.fill(&request.path);
        let headers = self.filled(&request.headers);
        Exchange::send(
            self.server,
            &request.method,
            &path,
            &headers,
            body.as_deref(),
        )
        .await
    }

    fn asked(&mut self, name: &str) -> Result<&mut Exchange> {
        let unknown = || Trouble::Failed(format!("nothing was asked as {name:?}"));
        self.asked.get_mut(name).ok_or_else(unknown)
    }

    async fn awaited(&mut self, name: &str, window: Option<Window>, want: &Answer) -> Result<()> {
        let unknown = || Trouble::Failed(format!("nothing was asked as {name:?}"));
        let mut exchange = self.asked.remove(name).ok_or_else(unknown)?;
        if let Some(window) = window {
            exchange.head(Instant::now() + window.to).await?;
            // The answer may be on its way since before this step.
            within(window, exchange.began(), self.step_began)?;
        }
        self.answered(want, &mut exchange, true).await
    }

    async fn answered(
        &mut self,
        want: &Answer,
        exchange: &mut Exchange,
        with_body: bool,
    ) -> Result<()> {
        let deadline = self.patience.deadline();
        let body = if with_body {
            Some(exchange.body(deadline).await?)
        } else {
            None
        };
        let head = exchange.head(deadline).await?;
        answer::compare(&mut self.names, want, &head, body.as_deref())?;
        Ok(())
    }

    /// Has what came come within the window, counted from the beginning of the step?
    fn within(&self, window: Window) -> Result<()> {
        within(window, self.step_began, self.step_began)
    }

    // -- connections --

    async fn open(&mut self, name: &str, opening: &Opening) -> Result<()> {
        let mut path = self.names.fill(&opening.path);
        let headers = self.filled(&opening.headers);
        if opening.stateful {
            path.push(if path.contains('?') { '&' } else { '?' });
            path.push_str("useStatefulReconnect=true");
        }
        if opening.transport != Transport::WebSockets || opening.negotiate {
            path = self.negotiate(name, &path, &headers).await?;
        }
        let binary = opening.encoding == Encoding::MessagePack;
        let mut connection = match opening.transport {
            Transport::WebSockets => {
                let mut ws = WebSocket::dial(self.server, &path, &headers).await?;
                let head = ws.answered(self.patience.deadline()).await?;
                if !head.is("101") {
                    return failed(format!("no WebSocket: {}", head.status));
                }
                Connection::WebSocket(ws)
            }
            Transport::Events => {
                let mut events = Events::open(self.post(path, headers)).await?;
                let head = events.exchange.head(self.patience.deadline()).await?;
                if head.status != "200 OK" {
                    return failed(format!("no event stream: {}", head.status));
                }
                Connection::Events(events)
            }
            Transport::Polling => {
                Connection::Polling(Polling::open(self.post(path, headers), binary).await?)
            }
            Transport::Http => return failed("a connection over plain HTTP"),
        };
        connection
            .say(opening.handshake().as_bytes(), false)
            .await?;
        let got = connection.event(self.patience.deadline()).await?;
        self.connections.insert(name.into(), connection);
        if got
            != (Event::Message {
                binary,
                data: b"{}\x1e".into(),
            })
        {
            return failed(format!(
                "the handshake was answered {}",
                got.shown(&self.names)
            ));
        }
        Ok(())
    }

    /// Asks for a connection and answers with the path that leads to it.
    async fn negotiate(&mut self, name: &str, path: &str, headers: &[String]) -> Result<String> {
        let (base, query) = path.split_once('?').unwrap_or((path, ""));
        let query = if query.is_empty() {
            String::new()
        } else {
            format!("&{query}")
        };
        let asking = format!("{base}/negotiate?negotiateVersion=1{query}");
        let mut exchange = Exchange::send(self.server, "POST", &asking, headers, None).await?;
        let deadline = self.patience.deadline();
        let body = exchange.body(deadline).await?;
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        let (Some(id), Some(token)) = (
            answer["connectionId"].as_str(),
            answer["connectionToken"].as_str(),
        ) else {
            let head = exchange.head(deadline).await?;
            return failed(format!("negotiate was answered {}", head.status));
        };
        self.names.bind(format!("{name}.id"), id);
        self.names.bind(format!("{name}.token"), token);
        Ok(format!("{base}?id={token}{query}"))
    }

    fn post(&self, path: String, headers: Vec<String>) -> Post {
        Post {
            server: self.server.clone(),
            path,
            headers,
            patience: self.patience,
        }
    }

    async fn dial(&self, request: &Request) -> Result<WebSocket> {
        let headers = self.filled(&request.headers);
        WebSocket::dial(self.server, &self.names.fill(&request.path), &headers).await
    }

    async fn dialled(&mut self, name: &str, window: Option<Window>, want: &Answer) -> Result<()> {
        let unknown = || Trouble::Failed(format!("no connection {name:?}"));
        let mut connection = self.connections.remove(name).ok_or_else(unknown)?;
        let ws = connection.websocket()?;
        let patience = window.map_or(self.patience.0, |window| window.to);
        let head = ws.answered(Instant::now() + patience).await?;
        if let Some(window) = window {
            self.within(window)?;
        }
        self.answered(want, &mut ws.exchange, !head.is("101"))
            .await?;
        self.connections.insert(name.into(), connection);
        Ok(())
    }

    async fn events(&mut self, name: &str, request: &Request, want: &Answer) -> Result<()> {
        let path = self.names.fill(&request.path);
        let mut events = Events::open(self.post(path, self.filled(&request.headers))).await?;
        let head = events.exchange.head(self.patience.deadline()).await?;
        let streams =
            head.status == "200 OK" && head.header("content-type") == Some("text/event-stream");
        self.answered(want, &mut events.exchange, !streams).await?;
        self.connections
            .insert(name.into(), Connection::Events(events));
        Ok(())
    }

    fn connection(&mut self, name: &str) -> Result<&mut Connection> {
        let unknown = || Trouble::Failed(format!("no connection {name:?}"));
        self.connections.get_mut(name).ok_or_else(unknown)
    }

    async fn send(&mut self, name: &str, sending: &Sending) -> Result<()> {
        match sending {
            Sending::Message(body) => {
                let bytes = self.names.bytes(body)?;
                self.connection(name)?.say(&bytes, body.is_binary()).await
            }
            Sending::Fragment { opcode, fin, body } => {
                let bytes = self.names.bytes(body)?;
                self.connection(name)?
                    .websocket()?
                    .send(*opcode, &bytes, *fin)
                    .await
            }
            Sending::Ping(text) => {
                self.connection(name)?
                    .websocket()?
                    .send_ping(text.as_bytes())
                    .await
            }
            Sending::Close(close) => {
                let close = close
                    .as_ref()
                    .map(|(code, reason)| (*code, reason.as_str()));
                self.connection(name)?.websocket()?.send_close(close).await
            }
            Sending::Raw(hex) => {
                let bytes = self.names.fill_hex(hex)?;
                self.connection(name)?
                    .websocket()?
                    .exchange
                    .wire
                    .write(&bytes)
                    .await
            }
            Sending::Drop => {
                self.connection(name)?.close();
                Ok(())
            }
            Sending::Reset => {
                self.connection(name)?.reset();
                Ok(())
            }
        }
    }

    /// The next event that the scenario does not ignore.
    async fn next(&mut self, name: &str, deadline: Instant, whole: bool) -> Result<Event> {
        let ignored = self.scenario.ignored;
        let connection = self.connection(name)?;
        loop {
            let event = if whole {
                connection.whole(deadline).await?
            } else {
                connection.event(deadline).await?
            };
            match &event {
                Event::Message { data, .. } if ignored.covers(data) => {}
                _ => return Ok(event),
            }
        }
    }

    async fn expect(
        &mut self,
        name: &str,
        window: Option<Window>,
        expected: &Expected,
    ) -> Result<()> {
        let patience = window.map_or(self.patience.0, |window| window.to);
        let whole = matches!(expected, Expected::Frame(_));
        let event = match self.next(name, Instant::now() + patience, whole).await {
            Err(Trouble::Late) => return failed(format!("nothing came within {patience:?}")),
            event => event?,
        };
        if let Some(window) = window {
            self.within(window)?;
        }
        if !self.fits(expected, &event) {
            let (want, got) = (wanted(expected), event.shown(&self.names));
            return failed(format!("want  {want}\n      got   {got}"));
        }
        self.finish_closing(name, &event).await
    }

    /// Several messages, in any order.
    async fn expect_any(&mut self, name: &str, expected: &[Expected]) -> Result<()> {
        let mut got = Vec::new();
        for _ in expected {
            let event = self.next(name, self.patience.deadline(), false).await?;
            self.finish_closing(name, &event).await?;
            got.push(event);
        }
        let mut left: Vec<_> = expected.iter().collect();
        for event in &got {
            if let Some(at) = left.iter().position(|expected| self.fits(expected, event)) {
                left.remove(at);
            }
        }
        if left.is_empty() {
            return Ok(());
        }
        let want: Vec<_> = expected.iter().map(wanted).collect();
        let got: Vec<_> = got.iter().map(|event| event.shown(&self.names)).collect();
        let gap = "\n            ";
        failed(format!(
            "want  {}\n      got   {}",
            want.join(gap),
            got.join(gap)
        ))
    }

    fn fits(&mut self, expected: &Expected, event: &Event) -> bool {
        match (expected, event) {
            (Expected::Message(body), Event::Message { binary, data })
            | (Expected::Frame(body), Event::Frame { binary, data }) => {
                body.is_binary() == *binary && self.names.matches(body, data)
            }
            (Expected::Ping(text), Event::Ping(data))
            | (Expected::Pong(text), Event::Pong(data)) => text.as_bytes() == data,
            (Expected::Close(code, reason), Event::Close(c, r)) => code == c && reason == r,
            (Expected::Partial(hex), Event::Partial(data)) => {
                self.names.fill_hex(hex).is_ok_and(|bytes| bytes == *data)
            }
            (Expected::Gone(Some(code)), Event::Close(c, _)) => *c == Some(*code),
            (Expected::End | Expected::Gone(_), Event::End)
            | (Expected::Gone(_), Event::Partial(_) | Event::Close(..)) => true,
            _ => false,
        }
    }

    async fn finish_closing(&mut self, name: &str, event: &Event) -> Result<()> {
        if !matches!(event, Event::Close(..)) {
            return Ok(());
        }
        let deadline = self.patience.deadline();
        self.connection(name)?.websocket()?.finish(deadline).await
    }
}

fn wanted(expected: &Expected) -> String {
    let body = |kind: &str, body: &Body| {
        format!(
            "{kind}{} {}",
            if body.is_binary() { "binary" } else { "" },
            body.source()
        )
    };
    match expected {
        Expected::Message(message) => body("", message).trim_start().to_owned(),
        Expected::Frame(frame) => body("frame ", frame),
        other => format!("{other:?}"),
    }
}

/// Was there nothing for so long since `began`, and not too long a wait since `waited_from`?
fn within(window: Window, began: Instant, waited_from: Instant) -> Result<()> {
    let (took, waited) = (began.elapsed(), waited_from.elapsed());
    if window.from <= took && waited <= window.to {
        return Ok(());
    }
    failed(format!(
        "came after {took:.1?}, not within {:?}..{:?}",
        window.from, window.to
    ))
}
