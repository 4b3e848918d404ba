//! Drives a WebSocket server on this machine and prints what it costs.
//!
//! ```text
//! cargo run --profile measured -p bench --example load -- echo --url ws://127.0.0.1:9001/echo --pid PID
//! cargo run --profile measured -p bench --example load -- echo --url ws://127.0.0.1:9001/echo --rate 20000 --json echo.json
//! cargo run --profile measured -p bench --example load -- fan-out --url ws://127.0.0.1:9001/fanout --pid PID
//! cargo run --profile measured -p bench --example load -- echo --url ws://127.0.0.1:5000/bench --hub json --pid PID
//! cargo run --profile measured -p bench --example load -- stream --url ws://127.0.0.1:9001/wire --wire --pid PID
//! cargo run --profile measured -p bench --example load -- echo --url ws://127.0.0.1:5000/bench --hub json --transport sse --pid PID
//! cargo run --profile measured -p bench --example load -- idle --url ws://127.0.0.1:9001/echo --pid PID
//! cargo run --profile measured -p bench --example load -- polling --url ws://127.0.0.1:5000/bench --hub json --pid PID
//! cargo run --profile measured -p bench --example load -- flood --url ws://127.0.0.1:9001/echo
//! cargo run --profile measured -p bench --example load -- slow --url ws://127.0.0.1:9001/fanout --pid PID
//! cargo run --profile measured -p bench --example load -- storm --url ws://127.0.0.1:5000/bench --hub json
//! ```
//!
//! Pin the server to one core and this to another (`taskset -c`), and look at the last line: it says
//! what kept the load from doing more, the server or the load itself.

mod client;
mod progress;
mod record;
mod storm;

use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use bench::{
    load::{
        self, Dialect, FloodLoad, HubProtocol, Measurement, Observer, SlowLoad, Target, Transport,
        Window, Work,
    },
    process::Process,
    tell,
};
use clap::{Args, Parser, Subcommand};

use self::{progress::Progress, record::Record};

/// Drives a WebSocket server on this machine and prints what it costs.
#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    load: Load,
    /// Writes what was found out to this file too, with the command, the day and the machine; `-` for
    /// standard output, in place of the text.
    #[arg(long, global = true, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Load {
    /// Every connection keeps messages in flight and sends one for each that returns.
    Echo(AtRate),
    /// One connection publishes and all of them receive every message.
    FanOut(AtRate),
    /// Every connection has a stream under way, of --depth items, and asks for the next at its end.
    Stream(Traffic),
    /// The same with a hub's method Items, whose items are the numbers below --depth.
    Items(Traffic),
    /// Every connection has a stream of its own under way to the server, of --depth items.
    Upload(Traffic),
    /// Connections are opened and closed, --at-once at a time.
    Connect(Connect),
    /// Many connections that do nothing: the server's memory for each.
    Idle(Idle),
    /// Many long-polling clients of a hub that do nothing but poll: the same.
    Polling(Idle),
    /// A few quiet connections beside many that flood: what the quiet ones notice.
    Flood(Flood),
    /// Connections that read nothing among those that do, and one that publishes: when they are cut,
    /// what they hold, and what the others notice.
    Slow(Slow),
    /// Many clients that come at once, come back at once, and find their server restarted.
    Storm(storm::Storm),
}

#[derive(Args)]
struct Traffic {
    #[command(flatten)]
    server: Server,
    /// Connections, all open at once [default: 64, but 1000 for fan-out].
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=15_000))]
    connections: Option<u16>,
    /// Messages in flight: on each connection (echo; 64 at most with --wire), of the publisher
    /// (fan-out); items of a stream.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    depth: u16,
    /// Bytes of a message, or of the text in a call [default: 20, but 125 for fan-out]. What a hub's
    /// client uploads are numbers.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    size: Option<u32>,
    /// Seconds to measure, after one second that does not count.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=600))]
    seconds: u16,
}

#[derive(Args)]
struct AtRate {
    #[command(flatten)]
    traffic: Traffic,
    /// Sends so many messages a second, on all connections by turns (in a fan-out: publishes so many),
    /// however many are in flight, and counts each latency from when the message was due; without it, one
    /// is sent for each that returns.
    #[arg(long, value_name = "PER_SECOND", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    rate: Option<u32>,
}

#[derive(Args)]
struct Connect {
    #[command(flatten)]
    server: Server,
    /// Connections under way at any time
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    at_once: u16,
    /// Seconds to measure, after one second that does not count.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=600))]
    seconds: u16,
}

#[derive(Args)]
struct Flood {
    #[command(flatten)]
    server: Server,
    /// Connections that send as fast as they are answered
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    flooders: u16,
    /// Connections that send a message every 20 ms
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    quiet: u16,
    /// Bytes of a message, or of the text in a call
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1 << 16))]
    size: u32,
    /// Seconds to measure, without the flood and beside it
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=600))]
    seconds: u16,
}

#[derive(Args)]
struct Slow {
    #[command(flatten)]
    server: Server,
    /// Connections that read; the first of them publishes
    #[arg(long, default_value_t = 800, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    healthy: u16,
    /// Connections that read nothing
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    slow: u16,
    /// Messages published in a second
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: u32,
    /// Bytes of a message, or of the text in a call
    #[arg(long, default_value_t = 125, value_parser = clap::value_parser!(u32).range(1..=1 << 16))]
    size: u32,
    /// Seconds to publish
    #[arg(long, default_value_t = 45, value_parser = clap::value_parser!(u16).range(1..=600))]
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
    /// The server is a SignalR hub with the methods Echo, Join and Broadcast (Texts or Items for streams,
    /// Sum for uploads): json or messagepack.
    #[arg(long, value_name = "PROTOCOL")]
    hub: Option<HubProtocol>,
    /// How its clients are connected: websockets, sse or long-polling.
    #[arg(long, requires = "hub", default_value = "websockets")]
    transport: Transport,
    /// The server speaks the binary protocol of raw-ws, with the operations of raw_server.
    #[arg(long, conflicts_with = "hub")]
    wire: bool,
    /// The server speaks Socket.IO, and has the events Echo, Join and Broadcast.
    #[arg(long, conflicts_with_all = ["hub", "wire"])]
    socket_io: bool,
    /// With --hub: sends the same bytes to a server that returns them unread.
    #[arg(long, requires = "hub")]
    as_bytes: bool,
    /// The server's process, to measure what it uses; `idle`, `polling` and `slow` need it.
    #[arg(long)]
    pid: Option<u32>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let json = options.json.as_deref();
    let done =
        run(&options.load, json == Some(Path::new("-"))).and_then(|record| record.keep(json));
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            tell!("error: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(load: &Load, is_silent: bool) -> io::Result<Record> {
    Ok(match load {
        Load::Storm(storm) => storm.run(is_silent)?,
        Load::Flood(options) => {
            let load = FloodLoad {
                flooders: options.flooders.into(),
                quiet: options.quiet.into(),
                size: options.size as usize,
                dialect: options.server.dialect(),
            };
            let window = window(options.seconds);
            Record::from(load::flood(&options.server.url, load, window)?)
        }
        Load::Slow(options) => {
            let load = SlowLoad {
                healthy: options.healthy.into(),
                slow: options.slow.into(),
                rate: options.rate,
                size: options.size as usize,
                dialect: options.server.dialect(),
            };
            let process = options.server.measured()?;
            let time = Duration::from_secs(options.seconds.into());
            Record::from(load::slow(&options.server.url, load, time, &process)?)
        }
        Load::Echo(options) => options.run(Work::Echo, 64, 20)?.into(),
        Load::FanOut(options) => options.run(Work::FanOut, 1000, 125)?.into(),
        Load::Stream(options) => options.run(Work::Stream, 64, 20, None)?.into(),
        Load::Items(options) => options.run(Work::Items, 64, 20, None)?.into(),
        Load::Upload(options) => options.run(Work::Upload, 64, 20, None)?.into(),
        Load::Connect(options) => options.run()?.into(),
        Load::Idle(options) => {
            let process = options.server.measured()?;
            let (url, dialect) = (&options.server.url, options.server.dialect());
            let count = options.connections.into();
            Record::from(load::idle(url, count, dialect, &process)?)
        }
        Load::Polling(options) => {
            let process = options.server.measured()?;
            let protocol = options.server.hub.unwrap_or(HubProtocol::Json);
            let (url, count) = (&options.server.url, options.connections.into());
            Record::from(load::polling(url, count, protocol, &process)?)
        }
    })
}

impl AtRate {
    fn run(&self, work: Work, connections: u16, size: u32) -> io::Result<Measurement> {
        self.traffic.run(work, connections, size, self.rate)
    }
}

impl Traffic {
    fn run(
        &self,
        work: Work,
        connections: u16,
        size: u32,
        rate: Option<u32>,
    ) -> io::Result<Measurement> {
        let traffic = load::Traffic {
            connections: self.connections.unwrap_or(connections).into(),
            depth: self.depth.into(),
            size: self.size.unwrap_or(size) as usize,
            dialect: self.server.dialect(),
        };
        let target = self.server.url.clone().over(self.server.transport);
        let process = self.server.process()?;
        let (window, progress) = (window(self.seconds), Progress::new(self.seconds));
        let observer = progress.watch(Observer::from(process.as_ref()));
        match rate {
            None => work.run(&target, traffic, window, observer),
            Some(rate) => work.run_at(&target, traffic, rate.into(), window, observer),
        }
    }
}

impl Connect {
    fn run(&self) -> io::Result<Measurement> {
        let target = self.server.url.clone().over(self.server.transport);
        let process = self.server.process()?;
        let (window, progress) = (window(self.seconds), Progress::new(self.seconds));
        let observer = progress.watch(Observer::from(process.as_ref()));
        let dialect = self.server.dialect();
        load::connect(&target, dialect, self.at_once.into(), window, observer)
    }
}

fn window(seconds: u16) -> Window {
    Window {
        warm_up: Duration::from_secs(1),
        measured: Duration::from_secs(seconds.into()),
    }
}

impl Server {
    fn dialect(&self) -> Dialect {
        match self.hub {
            None if self.wire => Dialect::Wire,
            None if self.socket_io => Dialect::SocketIo,
            None => Dialect::Messages,
            Some(protocol) if self.as_bytes => Dialect::HubBytes(protocol),
            Some(protocol) => Dialect::Hub(protocol),
        }
    }

    fn measured(&self) -> io::Result<Process> {
        let process = self.process()?;
        process.ok_or_else(|| io::Error::other("this needs --pid"))
    }

    fn process(&self) -> io::Result<Option<Process>> {
        self.pid.map(Process::new).transpose()
    }
}
