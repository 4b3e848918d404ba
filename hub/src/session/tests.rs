//! A model client and a server's session as a pair: bytes between them, cut as a test likes, and a
//! clock that a test moves.

mod any_sequence;
mod calls;
mod endings;
mod handshake;
mod splits;
mod timing;
mod uploads;

use std::time::Duration;

use super::*;
use crate::protocol::{HandshakeRequest, Protocol};

/// The two ends of a connection.
struct Pair {
    now: Instant,
    protocol: Protocol,
    server: Server,
    client: Client,
}

/// What drives a connection's machines: every call runs until the test finishes it.
struct Server {
    machine: Machine,
    running: Vec<ActiveCall>,
    waiting: Option<ActiveCall>,
    /// What happened, in order.
    log: Vec<String>,
    end: Option<End>,
    /// Bytes that the session would not take yet.
    unread: VecDeque<Bytes>,
}

enum Machine {
    ShakingHands(Handshake),
    Session(Box<Session>),
    /// The hub handshake failed.
    Refused,
}

impl Machine {
    fn session(&mut self) -> &mut Session {
        match self {
            Self::Session(session) => session,
            Self::ShakingHands(_) | Self::Refused => panic!("there is no session"),
        }
    }
}

#[derive(Default)]
struct Client {
    frames: Frames,
    /// The answer to the hub handshake, then everything else.
    handshake: Option<String>,
    received: Vec<HubMessage>,
}

/// Of a WebSocket, without stateful reconnect.
const TERMS: Terms = Terms {
    carries: TransferFormat::Binary,
    pings: Pings::Sent,
    reconnect: Reconnect::Anew,
};

fn json(options: HubOptions) -> Pair {
    Pair::open(options, Protocol::Json)
}

fn detailed() -> HubOptions {
    HubOptions::new().enable_detailed_errors(true)
}

impl Pair {
    /// Before the hub handshake.
    fn new(options: HubOptions, protocol: Protocol) -> Self {
        let now = Instant::now();
        Self {
            now,
            protocol,
            server: Server {
                machine: Machine::ShakingHands(Handshake::new(Arc::new(options), TERMS, now)),
                running: Vec::new(),
                waiting: None,
                log: Vec::new(),
                end: None,
                unread: VecDeque::new(),
            },
            client: Client::default(),
        }
    }

    /// After it, and after what runs on connect.
    fn open(options: HubOptions, protocol: Protocol) -> Self {
        let mut pair = Self::new(options, protocol);
        pair.deliver(&pair.hello());
        assert_eq!(pair.client.handshake.as_deref(), Some("{}"));
        pair.server.log.clear();
        pair
    }

    fn hello(&self) -> Vec<u8> {
        let mut bytes = BytesMut::new();
        HandshakeRequest {
            protocol: self.protocol.name().into(),
            version: 1,
        }
        .encode(&mut bytes);
        bytes.to_vec()
    }

    fn encode(&self, messages: &[HubMessage]) -> Vec<u8> {
        let mut bytes = BytesMut::new();
        for message in messages {
            let mut message = message.clone();
            if let HubMessage::Invocation(call) | HubMessage::StreamInvocation(call) = &mut message
            {
                call.arguments = match self.protocol {
                    Protocol::Json => Bytes::from_static(b"[]"),
                    Protocol::MessagePack => Bytes::from_static(&[0x90]),
                };
            }
            self.protocol.encode(&message, &mut bytes);
        }
        bytes.to_vec()
    }

    fn say(&mut self, messages: &[HubMessage]) {
        self.deliver(&self.encode(messages));
    }

    /// Bytes of the client reach the server, and what it says to them the client.
    fn deliver(&mut self, bytes: &[u8]) {
        self.server.unread.push_back(Bytes::copy_from_slice(bytes));
        self.run();
    }

    /// Everything that can happen now.
    fn run(&mut self) {
        loop {
            self.work();
            self.flush();
            let room = match &self.server.machine {
                Machine::ShakingHands(handshake) => handshake.room(),
                Machine::Session(session) => session.room(false),
                Machine::Refused => usize::MAX,
            };
            if room == 0 {
                return;
            }
            let Some(bytes) = self.server.unread.pop_front() else {
                return;
            };
            match &mut self.server.machine {
                Machine::ShakingHands(handshake) => handshake.handle_input(bytes),
                Machine::Session(session) => session.handle_input(bytes),
                Machine::Refused => {} // nobody listens
            }
        }
    }

    /// What the server has to do now.
    fn work(&mut self) {
        if let Machine::ShakingHands(handshake) = &mut self.server.machine {
            match handshake.poll(self.now) {
                None => return,
                Some(Err(_)) => {
                    let answer = handshake.outgoing().1.split().freeze();
                    self.client.take(answer, self.protocol);
                    self.server.machine = Machine::Refused;
                }
                Some(Ok(session)) => {
                    self.server.machine = Machine::Session(Box::new(session));
                    self.server.log.push("opened".into());
                    self.server.machine.session().go_on(self.now);
                }
            }
        }
        if let Machine::Session(_) = self.server.machine {
            self.server.work(self.now);
        }
    }

    fn flush(&mut self) {
        let Machine::Session(session) = &mut self.server.machine else {
            return;
        };
        session.rest();
        let (format, outgoing) = session.outgoing();
        if !outgoing.is_empty() && self.client.handshake.is_some() {
            assert_eq!(format, self.protocol.transfer_format());
        }
        let bytes = outgoing.split().freeze();
        self.client.take(bytes, self.protocol);
    }

    /// The client's end of the transport is closed.
    fn hang_up(&mut self) {
        match &mut self.server.machine {
            Machine::ShakingHands(_) => self.server.machine = Machine::Refused,
            Machine::Session(session) => session.handle_eof(self.now),
            Machine::Refused => {}
        }
        self.run();
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        if let Machine::Session(session) = &mut self.server.machine {
            let end = session.handle_timeout(self.now);
            self.server.ended(end);
        }
        self.run();
    }

    /// Moves the clock through every deadline that falls into this time.
    fn live(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.server.poll_timeout().filter(|at| *at <= until) {
            self.wait(at.saturating_duration_since(self.now));
        }
        self.now = until;
    }

    /// The call that began as `key` is answered.
    fn finish(&mut self, key: u64, completion: Completion) {
        let place = self.server.running.iter().position(|call| call.key == key);
        let call = self.server.running.remove(place.expect("it runs"));
        self.server.machine.session().complete(call, completion);
        self.run();
    }

    fn release_slot(&mut self, key: u64) {
        let call = self.server.running.iter_mut().find(|call| call.key == key);
        let session = self.server.machine.session();
        session.release_slot(call.expect("it runs"));
        self.run();
    }

    fn end(&mut self, end: End) {
        let end = self.server.machine.session().end(end);
        self.server.ended(Some(end));
        self.flush();
    }

    /// What the client has received since it was last asked, as one word each.
    fn received(&mut self) -> Vec<String> {
        self.client.received.drain(..).map(|m| show(&m)).collect()
    }

    /// What the server has seen since it was last asked.
    fn log(&mut self) -> Vec<String> {
        std::mem::take(&mut self.server.log)
    }
}

impl Server {
    fn is_refused(&self) -> bool {
        matches!(self.machine, Machine::Refused)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match &self.machine {
            Machine::ShakingHands(handshake) => Some(handshake.deadline()),
            Machine::Session(session) => session.poll_timeout(),
            Machine::Refused => None,
        }
    }

    fn work(&mut self, now: Instant) {
        loop {
            self.start_waiting(now);
            let Some(event) = self.machine.session().poll_event(now) else {
                return;
            };
            match event {
                Event::Call(invocation, kind) => self.begin(invocation, kind),
                Event::Cancel(key) => {
                    self.log.push(format!("cancel {key}"));
                    let place = self.running.iter().position(|call| call.key == key);
                    // As the driver does: a stream stops at once.
                    if let Some(place) = place
                        && self.running[place].kind == CallKind::Stream
                    {
                        let call = self.running.remove(place);
                        self.machine.session().complete(call, Completion::Void);
                    }
                }
                Event::UploadItem(StreamKey { call, position }, item) => {
                    let item = String::from_utf8_lossy(&item).into_owned();
                    self.log.push(format!("item {item} for {call}.{position}"));
                }
                Event::UploadEnd(StreamKey { call, position }, error) => {
                    self.log.push(format!("end of {call}.{position} {error:?}"));
                }
                Event::ClientResult(id, _) => self.log.push(format!("result {id}")),
                Event::BrokenCall(broken) => {
                    let end = self.machine.session().end(End::Protocol(broken.2));
                    self.ended(Some(end));
                }
                Event::Ended(end) => self.ended(Some(end)),
            }
        }
    }

    fn begin(&mut self, invocation: Invocation, kind: CallKind) {
        let Invocation {
            invocation_id,
            target,
            stream_ids,
            ..
        } = invocation;
        match self
            .machine
            .session()
            .begin(invocation_id.clone(), kind, stream_ids)
        {
            Err((refused, _)) => {
                self.log.push(format!("refuse {target} {refused:?}"));
                let completion = Completion::Error("refused".into());
                self.machine.session().refuse(invocation_id, completion);
            }
            Ok(mut call) => {
                if self.machine.session().may_run(&mut call) {
                    self.log.push(format!("run {target} as {}", call.key));
                    self.machine.session().keep(&mut call);
                    self.running.push(call);
                } else {
                    self.log.push(format!("hold {target} as {}", call.key));
                    self.machine.session().hold();
                    self.waiting = Some(call);
                }
            }
        }
    }

    fn start_waiting(&mut self, now: Instant) {
        if let Some(mut call) = self.waiting.take() {
            if !self.machine.session().may_run(&mut call) {
                self.waiting = Some(call);
                return;
            }
            self.log.push(format!("start {}", call.key));
            self.machine.session().go_on(now);
            self.machine.session().keep(&mut call);
            self.running.push(call);
        }
    }

    fn ended(&mut self, end: Option<End>) {
        if let Some(end) = end {
            assert_eq!(self.end, None, "a connection ends once");
            self.end = Some(end);
        }
    }
}

impl Client {
    fn take(&mut self, bytes: Bytes, protocol: Protocol) {
        self.frames.push(bytes);
        if self.handshake.is_none()
            && let Some(record) = self.frames.next(Protocol::Json, None).unwrap()
        {
            self.handshake = Some(String::from_utf8(record.to_vec()).unwrap());
        }
        while let Some(record) = self.frames.next(protocol, None).unwrap() {
            let message = protocol.decode(&record).unwrap();
            self.received
                .push(message.expect("a message that is known"));
        }
    }
}

fn show(message: &HubMessage) -> String {
    match message {
        HubMessage::Completion {
            invocation_id,
            completion,
        } => match completion {
            Completion::Result(_) => format!("result {invocation_id}"),
            Completion::Void => format!("done {invocation_id}"),
            Completion::Error(error) => format!("error {invocation_id} {error}"),
        },
        HubMessage::StreamItem { invocation_id, .. } => format!("item {invocation_id}"),
        HubMessage::Ping => "ping".into(),
        HubMessage::Close {
            error,
            allow_reconnect,
        } => format!("close {error:?} {allow_reconnect}"),
        other => format!("{other:?}"),
    }
}

/// A plain call. Its arguments are written as it is sent: none, in the protocol.
fn call(id: &str, target: &str) -> HubMessage {
    HubMessage::Invocation(invocation(id, target, &[]))
}

fn stream(id: &str, target: &str) -> HubMessage {
    HubMessage::StreamInvocation(invocation(id, target, &[]))
}

/// A plain call that sends streams.
fn upload(id: &str, target: &str, stream_ids: &[&str]) -> HubMessage {
    HubMessage::Invocation(invocation(id, target, stream_ids))
}

/// An empty `id` is none.
fn invocation(id: &str, target: &str, stream_ids: &[&str]) -> Invocation {
    Invocation {
        invocation_id: (!id.is_empty()).then(|| id.into()),
        target: target.into(),
        arguments: Bytes::new(),
        stream_ids: stream_ids.iter().map(|id| ByteString::from(*id)).collect(),
    }
}

/// A digit means the same in both protocols' tests: some number.
fn item(stream: &str, value: &'static [u8]) -> HubMessage {
    HubMessage::StreamItem {
        invocation_id: stream.into(),
        item: Bytes::from_static(value),
    }
}

fn completion(id: &str, completion: Completion) -> HubMessage {
    HubMessage::Completion {
        invocation_id: id.into(),
        completion,
    }
}

fn cancel(id: &str) -> HubMessage {
    HubMessage::CancelInvocation {
        invocation_id: id.into(),
    }
}

/// `null`, in the protocol.
fn null(protocol: Protocol) -> Completion {
    Completion::Result(Bytes::from_static(protocol.nothing()))
}
