//! What every server has to do.

use std::{fmt, io};

use bench::{
    load::{self, Dialect, HubProtocol, IdleMemory, Measurement, Traffic, Window},
    peers::Endpoint,
    server::Server,
};

use crate::servers::Contender;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scenario {
    Echo {
        size: usize,
        depth: u64,
    },
    FanOut,
    Idle,
    /// Calls of a hub, beside the same bytes returned by the raw layer.
    Call {
        protocol: HubProtocol,
        depth: u64,
    },
    /// A broadcast of a hub to a group, beside the same bytes published by the raw layer.
    Broadcast {
        protocol: HubProtocol,
    },
    HubIdle {
        protocol: HubProtocol,
    },
}

#[derive(Clone, Copy)]
pub(crate) enum Outcome {
    Traffic(Figures),
    Memory(IdleMemory),
}

/// One measured window, reduced to what the tables show.
#[derive(Clone, Copy)]
pub(crate) struct Figures {
    pub(crate) server_microseconds: f64,
    /// What of it is the server's own code.
    pub(crate) user_microseconds: f64,
    pub(crate) kernel_share: f64,
    pub(crate) messages_per_second: f64,
    pub(crate) p50_milliseconds: f64,
    pub(crate) p99_milliseconds: f64,
    pub(crate) server_busy: f64,
    pub(crate) client_busy: f64,
}

impl Scenario {
    pub(crate) fn fits(self, contender: &Contender) -> bool {
        self.endpoint(contender).is_some()
    }

    /// Where a server does this, and what has to be said there.
    fn endpoint(self, contender: &Contender) -> Option<(Endpoint, Dialect)> {
        let raw = match self {
            Self::FanOut | Self::Broadcast { .. } => contender.fan_out,
            Self::Echo { .. } | Self::Idle | Self::Call { .. } | Self::HubIdle { .. } => {
                contender.echo
            }
        };
        match self {
            Self::Echo { .. } | Self::FanOut | Self::Idle => Some((raw?, Dialect::Messages)),
            Self::Call { protocol, .. }
            | Self::Broadcast { protocol }
            | Self::HubIdle { protocol } => match contender.hub {
                Some(hub) => Some((hub, Dialect::Hub(protocol))),
                // What the hub costs is what it costs over the layer below it.
                None if contender.is_below_the_hub() => Some((raw?, Dialect::HubBytes(protocol))),
                None => None,
            },
        }
    }

    /// Which traffic a just-in-time compiler has to see before it is measured.
    pub(crate) fn kind(self) -> u8 {
        match self {
            Self::Echo { .. } | Self::Idle => 0,
            Self::FanOut => 1,
            Self::Call { protocol, .. } | Self::HubIdle { protocol } => 2 + protocol as u8,
            Self::Broadcast { protocol } => 4 + protocol as u8,
        }
    }

    pub(crate) fn is_memory(self) -> bool {
        matches!(self, Self::Idle | Self::HubIdle { .. })
    }

    /// What it is, for the head of a table.
    pub(crate) fn title(self) -> String {
        match self {
            Self::Echo { size, depth } => {
                format!("Echo: {size} B, {ECHO_CONNECTIONS} connections, {depth} in flight on each")
            }
            Self::FanOut => format!(
                "Fan-out: {FAN_OUT_SIZE} B to {FAN_OUT_CONNECTIONS} connections, \
                 {FAN_OUT_DEPTH} broadcasts in flight"
            ),
            Self::Idle => format!("Memory: {IDLE_CONNECTIONS} idle connections"),
            Self::Call { protocol, depth } => format!(
                "Hub call ({protocol}): Echo of {CALL_SIZE} B, {ECHO_CONNECTIONS} connections, \
                 {depth} in flight on each"
            ),
            Self::Broadcast { protocol } => format!(
                "Hub fan-out ({protocol}): {FAN_OUT_SIZE} B to a group of {FAN_OUT_CONNECTIONS}, \
                 {FAN_OUT_DEPTH} broadcasts in flight"
            ),
            Self::HubIdle { protocol } => {
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
            .endpoint(contender)
            .ok_or_else(|| io::Error::other("it has no such endpoint"))?;
        let target = endpoint.at(server.address());
        let process = server.process()?;
        let echo = |size, depth| {
            let echo = Traffic {
                connections: ECHO_CONNECTIONS,
                depth,
                size,
                dialect,
            };
            load::echo(&target, echo, window, Some(&process))
        };
        let measurement = match self {
            Self::Echo { size, depth } => echo(size, depth)?,
            Self::Call { depth, .. } => echo(CALL_SIZE, depth)?,
            Self::FanOut | Self::Broadcast { .. } => {
                let fan_out = Traffic {
                    connections: FAN_OUT_CONNECTIONS,
                    depth: FAN_OUT_DEPTH,
                    size: FAN_OUT_SIZE,
                    dialect,
                };
                load::fan_out(&target, fan_out, window, Some(&process))?
            }
            Self::Idle | Self::HubIdle { .. } => {
                let memory = load::idle(&target, IDLE_CONNECTIONS, dialect, &process);
                return memory.map(Outcome::Memory);
            }
        };
        Ok(Outcome::Traffic(Figures::of(&measurement)))
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Echo { size, depth } => write!(f, "echo-{size}B-{depth}"),
            Self::FanOut => f.write_str("fan-out"),
            Self::Idle => f.write_str("idle"),
            Self::Call { protocol, depth } => write!(f, "call-{protocol}-{depth}"),
            Self::Broadcast { protocol } => write!(f, "broadcast-{protocol}"),
            Self::HubIdle { protocol } => write!(f, "hub-idle-{protocol}"),
        }
    }
}

impl Figures {
    fn of(measurement: &Measurement) -> Self {
        let milliseconds = |share| measurement.latency_at(share).as_secs_f64() * 1e3;
        let per_message = measurement.server_per_message().unwrap_or_default();
        Self {
            server_microseconds: per_message.as_secs_f64() * 1e6,
            user_microseconds: measurement
                .user_per_message()
                .unwrap_or_default()
                .as_secs_f64()
                * 1e6,
            kernel_share: measurement.kernel_share().unwrap_or_default(),
            messages_per_second: measurement.messages_per_second(),
            p50_milliseconds: milliseconds(0.5),
            p99_milliseconds: milliseconds(0.99),
            server_busy: measurement.server_busy().unwrap_or_default(),
            client_busy: measurement.client_busy().unwrap_or_default(),
        }
    }
}

/// In the order of the report.
pub(crate) fn all() -> impl Iterator<Item = Scenario> {
    let sizes = [20, 1024].into_iter();
    let echoes = sizes.flat_map(|size| DEPTHS.map(|depth| Scenario::Echo { size, depth }));
    let hubs = HubProtocol::ALL.into_iter().flat_map(|protocol| {
        let calls = DEPTHS.map(|depth| Scenario::Call { protocol, depth });
        let broadcast = Scenario::Broadcast { protocol };
        calls
            .into_iter()
            .chain([broadcast, Scenario::HubIdle { protocol }])
    });
    echoes.chain([Scenario::FanOut, Scenario::Idle]).chain(hubs)
}

const DEPTHS: [u64; 2] = [1, 16];
const ECHO_CONNECTIONS: usize = 64;
const CALL_SIZE: usize = 20;
const FAN_OUT_CONNECTIONS: usize = 1000;
const FAN_OUT_DEPTH: u64 = 16;
const FAN_OUT_SIZE: usize = 125;
const IDLE_CONNECTIONS: usize = 5000;
