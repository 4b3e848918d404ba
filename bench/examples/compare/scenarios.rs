//! What every server has to do.

use std::{fmt, io};

use bench::{
    load::{self, EchoLoad, FanOutLoad, IdleMemory, Measurement, Window},
    server::Server,
};

use crate::servers::Contender;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scenario {
    Echo { size: usize, depth: u64 },
    FanOut,
    Idle,
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
    pub(crate) kernel_share: f64,
    pub(crate) messages_per_second: f64,
    pub(crate) p50_milliseconds: f64,
    pub(crate) p99_milliseconds: f64,
    pub(crate) server_busy: f64,
    pub(crate) client_busy: f64,
}

impl Scenario {
    pub(crate) fn fits(self, contender: &Contender) -> bool {
        match self {
            Self::Echo { .. } | Self::Idle => contender.echo.is_some(),
            Self::FanOut => contender.fan_out.is_some(),
        }
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
        }
    }

    pub(crate) fn run(
        self,
        contender: &Contender,
        server: &Server,
        window: Window,
    ) -> io::Result<Outcome> {
        let endpoint = if self == Self::FanOut {
            contender.fan_out
        } else {
            contender.echo
        };
        let endpoint = endpoint.ok_or_else(|| io::Error::other("it has no such endpoint"))?;
        let target = endpoint.at(server.address());
        let process = server.process()?;
        let measurement = match self {
            Self::Echo { size, depth } => {
                let echo = EchoLoad {
                    connections: ECHO_CONNECTIONS,
                    depth,
                    size,
                };
                load::echo(&target, echo, window, Some(&process))?
            }
            Self::FanOut => {
                let fan_out = FanOutLoad {
                    connections: FAN_OUT_CONNECTIONS,
                    depth: FAN_OUT_DEPTH,
                    size: FAN_OUT_SIZE,
                };
                load::fan_out(&target, fan_out, window, Some(&process))?
            }
            Self::Idle => {
                return load::idle(&target, IDLE_CONNECTIONS, &process).map(Outcome::Memory);
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
        }
    }
}

impl Figures {
    fn of(measurement: &Measurement) -> Self {
        let milliseconds = |share| measurement.latency_at(share).as_secs_f64() * 1e3;
        let per_message = measurement.server_per_message().unwrap_or_default();
        Self {
            server_microseconds: per_message.as_secs_f64() * 1e6,
            kernel_share: measurement.kernel_share().unwrap_or_default(),
            messages_per_second: measurement.messages_per_second(),
            p50_milliseconds: milliseconds(0.5),
            p99_milliseconds: milliseconds(0.99),
            server_busy: measurement.server_busy().unwrap_or_default(),
            client_busy: measurement.client_busy(),
        }
    }
}

/// In the order of the report.
pub(crate) const ALL: [Scenario; 6] = [
    Scenario::Echo { size: 20, depth: 1 },
    Scenario::Echo {
        size: 20,
        depth: 16,
    },
    Scenario::Echo {
        size: 1024,
        depth: 1,
    },
    Scenario::Echo {
        size: 1024,
        depth: 16,
    },
    Scenario::FanOut,
    Scenario::Idle,
];

const ECHO_CONNECTIONS: usize = 64;
const FAN_OUT_CONNECTIONS: usize = 1000;
const FAN_OUT_DEPTH: u64 = 16;
const FAN_OUT_SIZE: usize = 125;
const IDLE_CONNECTIONS: usize = 5000;
