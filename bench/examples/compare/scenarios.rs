//! What every server has to do.

use std::{fmt, io, ops::ControlFlow, time::Duration};

use bench::{
    load::{self, Dialect, HubProtocol, Observer, Target, Traffic, Window, Work},
    peers::Endpoint,
    process::Process,
    results::{Figures, Memory, Outcome},
    server::Server,
};

use crate::servers::Contender;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// Messages.
    Echo { size: usize, depth: u64 },
    /// Requests of the binary protocol.
    Wire { size: usize, depth: u64 },
    /// Messages to everybody.
    FanOut,
    /// Calls of a hub, beside the same bytes returned by the raw layer.
    Call {
        protocol: HubProtocol,
        size: usize,
        depth: u64,
    },
    /// A broadcast of a hub to a group, beside the same bytes published by the raw layer.
    Broadcast { protocol: HubProtocol },
    /// Streams of a hub, beside the same number of bytes sent by the raw layer.
    Items { protocol: HubProtocol },
    /// Connections that come and go; of a hub, until its handshake is answered.
    Connect { hub: Option<HubProtocol> },
    /// An echo, or a call, at a rate that all of them can keep: an open loop.
    Rate { hub: Option<HubProtocol> },
    /// An echo, or a call, on so many connections.
    Growth {
        hub: Option<HubProtocol>,
        connections: usize,
    },
    /// Connections that do nothing.
    Idle { hub: Option<HubProtocol> },
}

/// Traffic that goes the same way through a server.
pub(crate) type Kind = (&'static str, Dialect);

impl Scenario {
    /// Where a server does this, and what has to be said there; `None` when it does not.
    pub(crate) fn way(self, contender: &Contender) -> Option<(Endpoint, Dialect)> {
        if matches!(self, Self::Growth { .. } | Self::Rate { .. }) && !contender.is_looked_into() {
            return None;
        }
        let work = self.work();
        let ways = self.dialects().into_iter();
        ways.filter(|dialect| match dialect {
            // What the hub costs is what it costs over the layer below it.
            Dialect::HubBytes(_) => contender.is_below_the_hub(),
            _ => true,
        })
        .find_map(|dialect| Some((contender.endpoint(work, dialect)?, dialect)))
    }

    fn work(self) -> Work {
        match self {
            Self::FanOut | Self::Broadcast { .. } => Work::FanOut,
            Self::Items { .. } => Work::Items,
            _ => Work::Echo,
        }
    }

    /// What it is said in; in which of them, depends on the server.
    fn dialects(self) -> Vec<Dialect> {
        match self {
            Self::Echo { .. } | Self::FanOut => vec![Dialect::Messages],
            Self::Wire { .. } => vec![Dialect::Wire],
            Self::Call { protocol, .. }
            | Self::Broadcast { protocol }
            | Self::Items { protocol } => {
                let mut dialects = vec![Dialect::Hub(protocol), Dialect::HubBytes(protocol)];
                // A call of a method by its name, in text, that is answered: the same thing.
                if protocol == HubProtocol::Json {
                    dialects.push(Dialect::SocketIo);
                }
                dialects
            }
            Self::Connect { hub }
            | Self::Rate { hub }
            | Self::Growth { hub, .. }
            | Self::Idle { hub } => match hub {
                None => vec![Dialect::Messages],
                Some(HubProtocol::Json) => {
                    vec![Dialect::Hub(HubProtocol::Json), Dialect::SocketIo]
                }
                Some(protocol) => vec![Dialect::Hub(protocol)],
            },
        }
    }

    pub(crate) fn is_growth(self) -> bool {
        matches!(self, Self::Growth { .. })
    }

    /// Which protocol its connections speak, if they are those of a hub.
    pub(crate) fn hub(self) -> Option<HubProtocol> {
        match self {
            Self::Connect { hub }
            | Self::Rate { hub }
            | Self::Growth { hub, .. }
            | Self::Idle { hub } => hub,
            Self::Call { protocol, .. }
            | Self::Broadcast { protocol }
            | Self::Items { protocol } => Some(protocol),
            Self::Echo { .. } | Self::Wire { .. } | Self::FanOut => None,
        }
    }

    /// On how many connections it is done.
    pub(crate) fn connections(self) -> usize {
        match self {
            Self::Growth { connections, .. } => connections,
            Self::FanOut | Self::Broadcast { .. } => FAN_OUT_CONNECTIONS,
            Self::Connect { .. } => CONNECTING,
            Self::Idle { .. } => IDLE_CONNECTIONS,
            _ => CONNECTIONS,
        }
    }

    /// What all sizes of its growth are, for the head of their table.
    pub(crate) fn growth_title(self) -> String {
        let what = match self.hub() {
            None => "echo".into(),
            Some(protocol) => format!("hub call ({protocol})"),
        };
        format!("Growth: {what} of {SMALL} B, 1 in flight on each of so many connections")
    }

    /// Which traffic a just-in-time compiler has to see before it is measured.
    pub(crate) fn kind(self, dialect: Dialect) -> Kind {
        let work = match self {
            Self::Echo { .. }
            | Self::Wire { .. }
            | Self::Call { .. }
            | Self::Rate { .. }
            | Self::Growth { .. }
            | Self::Idle { .. } => "echo",
            Self::FanOut | Self::Broadcast { .. } => "fan-out",
            Self::Items { .. } => "items",
            Self::Connect { .. } => "connect",
        };
        (work, dialect)
    }

    /// Whether it is done once, as memory does not vary as time does.
    pub(crate) fn is_memory(self) -> bool {
        matches!(self, Self::Idle { .. })
    }

    /// Whether it needs a server that has done nothing else: memory that traffic left behind is not the
    /// connections'.
    pub(crate) fn needs_fresh_server(self) -> bool {
        matches!(self, Self::Idle { .. } | Self::Growth { .. })
    }

    /// About how long it takes, the warming up left out.
    pub(crate) fn takes(self, seconds: u8) -> Duration {
        let measured = f64::from(seconds);
        Duration::from_secs_f64(match self {
            Self::Idle { .. } => 8.0,
            Self::Growth { connections, .. } => measured + 0.5 + connections as f64 / 5000.0,
            Self::FanOut | Self::Broadcast { .. } => measured + 0.6,
            _ => measured + 0.2,
        })
    }

    /// What it is, for the head of a table.
    pub(crate) fn title(self) -> String {
        match self {
            Self::Echo { size, depth } => {
                format!("Echo: {size} B, {CONNECTIONS} connections, {depth} in flight on each")
            }
            Self::Wire { size, depth } => format!(
                "Binary protocol: requests of {size} B, {CONNECTIONS} connections, {depth} in flight on each"
            ),
            Self::FanOut => format!(
                "Fan-out: {FAN_OUT_SIZE} B to {FAN_OUT_CONNECTIONS} connections, \
                 {FAN_OUT_DEPTH} broadcasts in flight"
            ),
            Self::Call {
                protocol,
                size,
                depth,
            } => format!(
                "Hub call ({protocol}): Echo of {size} B, {CONNECTIONS} connections, \
                 {depth} in flight on each"
            ),
            Self::Broadcast { protocol } => format!(
                "Hub fan-out ({protocol}): {FAN_OUT_SIZE} B to a group of {FAN_OUT_CONNECTIONS}, \
                 {FAN_OUT_DEPTH} broadcasts in flight"
            ),
            Self::Items { protocol } => format!(
                "Hub stream ({protocol}): {ITEMS} numbers at a time on each of {CONNECTIONS} connections"
            ),
            Self::Connect { hub: None } => {
                format!("Connecting: TCP and the upgrade, {CONNECTING} at a time")
            }
            Self::Connect {
                hub: Some(protocol),
            } => format!(
                "Connecting to a hub ({protocol}): TCP, the upgrade and the handshake, {CONNECTING} at a time"
            ),
            Self::Growth { .. } => self.growth_title(),
            Self::Rate { hub } => {
                let what = hub.map_or_else(
                    || "echo".into(),
                    |protocol| format!("hub call ({protocol})"),
                );
                format!(
                    "Latency: {what} of {SMALL} B, {RATE} a second on {CONNECTIONS} connections, \
                     counted from when each was due"
                )
            }
            Self::Idle { hub: None } => format!("Memory: {IDLE_CONNECTIONS} idle connections"),
            Self::Idle {
                hub: Some(protocol),
            } => {
                format!("Hub memory ({protocol}): {IDLE_CONNECTIONS} idle connections")
            }
        }
    }

    pub(crate) fn run(
        self,
        contender: &Contender,
        server: &Server,
        window: Window,
    ) -> io::Result<Outcome> {
        let (endpoint, dialect) = self
            .way(contender)
            .ok_or_else(|| io::Error::other("it has no such endpoint"))?;
        let target = endpoint.at(server.address());
        let process = server.process()?;
        let traffic = |connections, depth, size| Traffic {
            connections,
            depth,
            size,
            dialect,
        };
        let traffic = match self {
            Self::Echo { size, depth }
            | Self::Wire { size, depth }
            | Self::Call { size, depth, .. } => traffic(CONNECTIONS, depth, size),
            Self::FanOut | Self::Broadcast { .. } => {
                traffic(FAN_OUT_CONNECTIONS, FAN_OUT_DEPTH, FAN_OUT_SIZE)
            }
            Self::Items { .. } => traffic(CONNECTIONS, ITEMS, SMALL),
            Self::Rate { .. } => traffic(CONNECTIONS, 1, SMALL),
            Self::Growth { connections, .. } => {
                return grown(&target, traffic(connections, 1, SMALL), window, &process);
            }
            Self::Connect { .. } => {
                let measured = load::connect(&target, dialect, CONNECTING, window, Some(&process))?;
                return Ok(Outcome::Traffic(Figures::from(&measured)));
            }
            Self::Idle { .. } => {
                let memory = load::idle(&target, IDLE_CONNECTIONS, dialect, &process)?;
                return Ok(Outcome::Memory(Memory::from(&memory)));
            }
        };
        let measured = match self {
            Self::Rate { .. } => {
                let rate = f64::from(RATE);
                Work::Echo.run_at(&target, traffic, rate, window, Some(&process))?
            }
            _ => self.work().run(&target, traffic, window, Some(&process))?,
        };
        Ok(Outcome::Traffic(Figures::from(&measured)))
    }
}

/// An echo, and what the server holds of each connection meanwhile.
fn grown(
    target: &Target,
    traffic: Traffic,
    window: Window,
    process: &Process,
) -> io::Result<Outcome> {
    let before = process.resident_bytes()?;
    let mut under_load = None;
    let observer = Observer::from(Some(process)).telling(|so_far| {
        // Once: to read it takes the time of who is asked for it.
        let is_late = so_far.is_some_and(|so_far| so_far.elapsed > window.measured.mul_f64(0.8));
        if is_late && under_load.is_none() {
            under_load = process.resident_bytes().ok();
        }
        ControlFlow::Continue(())
    });
    let measured = Work::Echo.run(target, traffic, window, observer)?;
    let mut figures = Figures::from(&measured);
    if let (Some(used), Some(after)) = (&mut figures.server, under_load) {
        let grown = after.saturating_sub(before) as f64;
        used.resident_per_connection = Some(grown / traffic.connections as f64);
    }
    Ok(Outcome::Traffic(figures))
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_hub = |f: &mut fmt::Formatter<'_>, what: &str, hub: &Option<HubProtocol>| match hub {
            Some(protocol) => write!(f, "hub-{what}-{protocol}"),
            None => f.write_str(what),
        };
        match self {
            Self::Echo { size, depth } => write!(f, "echo-{size}B-{depth}"),
            Self::Wire { size, depth } => write!(f, "wire-{size}B-{depth}"),
            Self::FanOut => f.write_str("fan-out"),
            Self::Call {
                protocol,
                size,
                depth,
            } => write!(f, "call-{protocol}-{size}B-{depth}"),
            Self::Broadcast { protocol } => write!(f, "broadcast-{protocol}"),
            Self::Items { protocol } => write!(f, "stream-{protocol}"),
            Self::Connect { hub } => of_hub(f, "connect", hub),
            Self::Rate { hub } => of_hub(f, "rate", hub),
            Self::Growth { hub, connections } => {
                of_hub(f, "growth", hub)?;
                write!(f, "-{connections}")
            }
            Self::Idle { hub } => of_hub(f, "idle", hub),
        }
    }
}

/// In the order of the report.
pub(crate) fn all() -> impl Iterator<Item = Scenario> {
    let of_sizes = |make: fn(usize, u64) -> Scenario| {
        let sizes = [SMALL, LARGE].into_iter();
        sizes.flat_map(move |size| DEPTHS.map(|depth| make(size, depth)))
    };
    let echoes = of_sizes(|size, depth| Scenario::Echo { size, depth });
    let wires = of_sizes(|size, depth| Scenario::Wire { size, depth });
    let growth = |hub| GROWTH.map(|connections| Scenario::Growth { hub, connections });
    let hubs = HubProtocol::ALL.into_iter().flat_map(move |protocol| {
        let sizes = [SMALL, LARGE].into_iter();
        let calls = sizes.flat_map(move |size| {
            DEPTHS.map(|depth| Scenario::Call {
                protocol,
                size,
                depth,
            })
        });
        let hub = Some(protocol);
        calls.chain([
            Scenario::Broadcast { protocol },
            Scenario::Items { protocol },
            Scenario::Rate { hub },
            Scenario::Connect { hub },
            Scenario::Idle { hub },
        ])
    });
    let (fan_out, hub) = (Scenario::FanOut, None);
    echoes
        .chain(wires)
        .chain([
            fan_out,
            Scenario::Rate { hub },
            Scenario::Connect { hub },
            Scenario::Idle { hub },
        ])
        .chain(growth(None))
        .chain(hubs)
        .chain(growth(Some(HubProtocol::MessagePack)))
}

const DEPTHS: [u64; 2] = [1, 16];
const SMALL: usize = 20;
const LARGE: usize = 1024;
const CONNECTIONS: usize = 64;
const FAN_OUT_CONNECTIONS: usize = 1000;
const FAN_OUT_DEPTH: u64 = 16;
const FAN_OUT_SIZE: usize = 125;
const ITEMS: u64 = 64;
/// What the slowest of those who are looked into does with half a core.
const RATE: u32 = 10_000;
const CONNECTING: usize = 16;
const GROWTH: [usize; 5] = [1, 64, 1000, 5000, 10_000];
const IDLE_CONNECTIONS: usize = 5000;
