//! The race inside the server: the load of `bench` on a thread of this process, one lane after the
//! other.

use std::{
    env, io,
    net::SocketAddr,
    ops::ControlFlow,
    process::{Command, Stdio},
    time::Duration,
};

use bench::{
    load::{self, Dialect, HubProtocol, Measurement, Observer, Target, Traffic, Transport, Window},
    process::Process,
    server::Server,
};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

/// What the page asks for.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Race {
    work: Work,
    lanes: Vec<Lane>,
    /// Bytes of a message, letters of a text.
    size: usize,
    connections: usize,
    /// Messages in flight on each connection, or of the publisher; items of a stream.
    depth: u64,
    /// How long each lane is measured.
    seconds: f64,
    /// Connections held for the memory of each; 0 leaves it out.
    held: usize,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Work {
    Calls,
    FanOut,
    Stream,
}

/// A way through a layer.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Lane {
    Raw,
    Wire,
    HubMessagePack,
    HubJson,
    HubSse,
    HubLongPolling,
}

/// What a lane has done so far.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Progress {
    lane: Lane,
    phase: Phase,
    figures: Option<Figures>,
    error: Option<String>,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum Phase {
    /// Memory of connections that do nothing.
    Holding,
    WarmingUp,
    Measuring,
    Done,
    Failed,
}

#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Figures {
    seconds: f64,
    messages: u64,
    messages_per_second: f64,
    bytes_per_message: f64,
    /// `None` where the system does not tell.
    cpu_microseconds_per_message: Option<f64>,
    /// `None` where the system does not tell, or nobody asked.
    bytes_per_connection: Option<u64>,
    /// Microseconds.
    p50: f64,
    p90: f64,
    p99: f64,
    p999: f64,
}

impl Race {
    /// Whether it stays within what a page may ask for: the reason if not.
    pub(crate) fn check(&self) -> Result<(), String> {
        let is_fair = (1..=load::LARGEST_TEXT).contains(&self.size)
            && (1..=1000).contains(&self.connections)
            && (1..=64).contains(&self.depth)
            && (0.1..=30.0).contains(&self.seconds)
            && self.held <= 2000
            && self.lanes.len() <= 6;
        match is_fair {
            true => Ok(()),
            false => Err(format!(
                "a race has a size of 1 to {}, 1 to 1000 connections, a depth of 1 to 64, 0.1 to 30 \
                 seconds, holds up to 2000 connections and has up to 6 lanes",
                load::LARGEST_TEXT
            )),
        }
    }

    /// Runs all lanes on the calling thread, which is nobody else's meanwhile, and tells of each
    /// until nobody listens any more.
    pub(crate) fn run(self, server: SocketAddr, tell: &mpsc::Sender<Progress>) {
        for lane in &self.lanes {
            let (phase, figures, error) = match self.run_lane(*lane, server, tell) {
                Ok(figures) => (Phase::Done, Some(figures), None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => return,
                Err(error) => (Phase::Failed, None, Some(error.to_string())),
            };
            let lane = *lane;
            let progress = Progress {
                lane,
                phase,
                figures,
                error,
            };
            if tell.blocking_send(progress).is_err() {
                return;
            }
        }
    }

    fn run_lane(
        &self,
        lane: Lane,
        server: SocketAddr,
        tell: &mpsc::Sender<Progress>,
    ) -> io::Result<Figures> {
        let (target, dialect) = lane.target(self.work, server);
        let say = |phase, figures| {
            let progress = Progress {
                lane,
                phase,
                figures,
                error: None,
            };
            // Who is behind with its reading misses a step, who is gone ends the race.
            match tell.try_send(progress) {
                Err(mpsc::error::TrySendError::Closed(_)) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        };
        let mut held = None;
        if self.held > 0 && Process::current().is_ok() {
            if say(Phase::Holding, None).is_break() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            held = Some(self.hold(lane)?);
        }
        let traffic = Traffic {
            connections: self.connections,
            depth: self.depth,
            size: self.size,
            dialect,
        };
        let window = Window {
            warm_up: WARM_UP,
            measured: Duration::from_secs_f64(self.seconds),
        };
        let observer = Observer::in_process().telling(|so_far| match so_far {
            None => say(Phase::WarmingUp, None),
            Some(so_far) => say(Phase::Measuring, Some(Figures::of(so_far, held))),
        });
        let work = match self.work {
            Work::Calls => load::Work::Echo,
            Work::FanOut => load::Work::FanOut,
            Work::Stream => load::Work::Stream,
        };
        let measured = work.run(&target, traffic, window, observer)?;
        Ok(Figures::of(&measured, held))
    }
}

impl Race {
    /// The memory of a connection, in a fresh copy of this server: one that has been busy has memory
    /// to spare, and takes none for the next connections.
    fn hold(&self, lane: Lane) -> io::Result<u64> {
        let mut copy = Command::new(env::current_exe()?);
        copy.args(["--listen", "127.0.0.1:0", "--until-stdin-ends"])
            .env("RUST_LOG", "off")
            .stdin(Stdio::piped());
        let copy = Server::spawn(&mut copy)?;
        let (target, dialect) = lane.target(self.work, copy.address());
        load::held(&target, self.held, dialect, &copy.process()?)
    }
}

impl Lane {
    fn target(self, work: Work, server: SocketAddr) -> (Target, Dialect) {
        let (path, dialect, transport) = match self {
            Self::Raw => {
                let path = match work {
                    Work::Calls => "/raw/echo",
                    Work::FanOut => "/raw/fanout",
                    Work::Stream => "/raw/stream",
                };
                (path, Dialect::Messages, Transport::WebSockets)
            }
            Self::Wire => ("/raw/wire", Dialect::Wire, Transport::WebSockets),
            Self::HubMessagePack => (HUB, MESSAGE_PACK, Transport::WebSockets),
            Self::HubJson => (HUB, JSON, Transport::WebSockets),
            Self::HubSse => (HUB, JSON, Transport::ServerSentEvents),
            Self::HubLongPolling => (HUB, JSON, Transport::LongPolling),
        };
        let target = Target::web_socket(server, path).over(transport);
        (target, dialect)
    }
}

impl Figures {
    fn of(measurement: &Measurement, held: Option<u64>) -> Self {
        let microseconds = |time: Duration| time.as_secs_f64() * 1e6;
        let at = |share| microseconds(measurement.latency_at(share));
        Self {
            seconds: measurement.elapsed.as_secs_f64(),
            messages: measurement.messages,
            messages_per_second: measurement.messages_per_second(),
            bytes_per_message: measurement.bytes_per_message(),
            cpu_microseconds_per_message: measurement.server_per_message().map(microseconds),
            bytes_per_connection: held,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
        }
    }
}

const HUB: &str = "/hub";
const JSON: Dialect = Dialect::Hub(HubProtocol::Json);
const MESSAGE_PACK: Dialect = Dialect::Hub(HubProtocol::MessagePack);
const WARM_UP: Duration = Duration::from_millis(500);
