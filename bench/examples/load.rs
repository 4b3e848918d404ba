//! Drives a WebSocket server on this machine and prints what it costs.
//!
//! ```text
//! cargo run --profile measured -p bench --example load -- echo --url ws://127.0.0.1:9001/echo --pid PID
//! cargo run --profile measured -p bench --example load -- fan-out --url ws://127.0.0.1:9001/fanout --pid PID
//! cargo run --profile measured -p bench --example load -- echo --url ws://127.0.0.1:5000/bench --hub json --pid PID
//! cargo run --profile measured -p bench --example load -- idle --url ws://127.0.0.1:9001/echo --pid PID
//! cargo run --profile measured -p bench --example load -- polling --url ws://127.0.0.1:5000/bench --hub json --pid PID
//! ```
//!
//! Pin the server to one core and this to another (`taskset -c`), and look at the busy shares: when
//! the server's is well under 100 %, something else was the bottleneck.

use std::{io, process::ExitCode, time::Duration};

use bench::{
    load::{self, Dialect, EchoLoad, FanOutLoad, HubProtocol, Target, Window},
    process::Process,
    say, tell,
};
use clap::{Args, Parser, Subcommand};

/// Drives a WebSocket server on this machine and prints what it costs.
#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    load: Load,
}

#[derive(Subcommand)]
enum Load {
    /// Every connection keeps messages in flight and sends one for each that returns.
    Echo(Traffic),
    /// One connection publishes and all of them receive every message.
    FanOut(Traffic),
    /// Many connections that do nothing: the server's memory for each.
    Idle(Idle),
    /// Many long-polling clients of a hub that do nothing but poll: the same.
    Polling(Idle),
}

#[derive(Args)]
struct Traffic {
    #[command(flatten)]
    server: Server,
    /// Connections, all open at once [default: 64 for echo, 1000 for fan-out].
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=15_000))]
    connections: Option<u16>,
    /// Messages in flight: on each connection (echo), of the publisher (fan-out).
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    depth: u16,
    /// Bytes of a message, or of the text in a call [default: 20 for echo, 125 for fan-out].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    size: Option<u32>,
    /// Seconds to measure, after one second that does not count.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=600))]
    seconds: u16,
}

#[derive(Args)]
struct Idle {
    #[command(flatten)]
    server: Server,
    /// Connections, opened one after the other.
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u16).range(1..=15_000))]
    connections: u16,
}

#[derive(Args)]
struct Server {
    /// ws://HOST:PORT/PATH, or tcp://HOST:PORT for a server that returns bytes as they came.
    #[arg(long)]
    url: Target,
    /// The server is a SignalR hub with the methods Echo, Join and Broadcast: json or messagepack.
    #[arg(long, value_name = "PROTOCOL")]
    hub: Option<HubProtocol>,
    /// With --hub: sends the same bytes to a server that returns them unread.
    #[arg(long, requires = "hub")]
    as_bytes: bool,
    /// The server's process, to measure what it uses; `idle` and `polling` need it.
    #[arg(long)]
    pid: Option<u32>,
}

fn main() -> ExitCode {
    match run(&Options::parse().load) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            tell!("error: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(load: &Load) -> io::Result<()> {
    match load {
        Load::Echo(options) => {
            let load = EchoLoad {
                connections: options.connections.unwrap_or(64).into(),
                depth: options.depth.into(),
                size: options.size.unwrap_or(20) as usize,
                dialect: options.server.dialect(),
            };
            let process = options.server.process()?;
            let url = &options.server.url;
            say!(
                "{}",
                load::echo(url, load, options.window(), process.as_ref())?
            );
        }
        Load::FanOut(options) => {
            let load = FanOutLoad {
                connections: options.connections.unwrap_or(1000).into(),
                depth: options.depth.into(),
                size: options.size.unwrap_or(125) as usize,
                dialect: options.server.dialect(),
            };
            let process = options.server.process()?;
            let url = &options.server.url;
            say!(
                "{}",
                load::fan_out(url, load, options.window(), process.as_ref())?
            );
        }
        Load::Idle(options) => {
            let process = options.process()?;
            let (url, dialect) = (&options.server.url, options.server.dialect());
            say!(
                "{}",
                load::idle(url, options.connections.into(), dialect, &process)?
            );
        }
        Load::Polling(options) => {
            let process = options.process()?;
            let protocol = options.server.hub.unwrap_or(HubProtocol::Json);
            let (url, count) = (&options.server.url, options.connections.into());
            say!("{}", load::polling(url, count, protocol, &process)?);
        }
    }
    Ok(())
}

impl Traffic {
    fn window(&self) -> Window {
        let measured = Duration::from_secs(self.seconds.into());
        Window {
            warm_up: Duration::from_secs(1),
            measured,
        }
    }
}

impl Idle {
    fn process(&self) -> io::Result<Process> {
        let process = self.server.process()?;
        process.ok_or_else(|| io::Error::other("this needs --pid"))
    }
}

impl Server {
    fn dialect(&self) -> Dialect {
        match self.hub {
            None => Dialect::Messages,
            Some(protocol) if self.as_bytes => Dialect::HubBytes(protocol),
            Some(protocol) => Dialect::Hub(protocol),
        }
    }

    fn process(&self) -> io::Result<Option<Process>> {
        self.pid.map(Process::new).transpose()
    }
}
