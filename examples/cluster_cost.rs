//! What a message costs that crosses servers: CPU of each server and of Redis for each message to a group,
//! on one server alone, on one with Redis, and on two; beside ASP.NET Core's, if it is there.
//!
//! Run it: `cargo run --release --example cluster_cost` (it starts a `redis-server`, and servers of
//! `spec_server`, which must be built; `--peer PROGRAM` adds a real ASP.NET Core server)

use std::{
    env,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bench::{process::Process, server::Server};
use clap::Parser;
use examples::{Error, say};
use hub::{client::HubConnection, protocol::Protocol};
use tokio::{net::TcpStream, task::JoinSet, time::sleep};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a message costs that crosses servers
#[derive(Parser)]
#[command(version)]
struct Options {
    /// A real ASP.NET Core server with the same hub, to be measured too
    #[arg(long, value_name = "PROGRAM")]
    peer: Option<PathBuf>,
    /// Receivers on each server
    #[arg(long, value_name = "N", default_value_t = 8)]
    receivers: usize,
    /// Seconds that are not measured, for what compiles as it runs
    #[arg(long, value_name = "N", default_value_t = 10)]
    warm_up: u64,
    /// Seconds that are measured after that
    #[arg(long, value_name = "N", default_value_t = 5)]
    seconds: u64,
    /// Rounds, in turns
    #[arg(long, value_name = "N", default_value_t = 3)]
    rounds: u32,
}

/// Calls of one sender that are under way.
const DEPTH: usize = 16;
/// Senders, all on the first server.
const SENDERS: usize = 4;

/// What serves.
#[derive(Clone, Copy)]
enum Farm {
    Alone,
    OneWithRedis,
    Two,
}

impl Farm {
    const ALL: [Self; 3] = [Self::Alone, Self::OneWithRedis, Self::Two];

    fn name(self) -> &'static str {
        match self {
            Self::Alone => "one server",
            Self::OneWithRedis => "one with Redis",
            Self::Two => "two with Redis",
        }
    }

    fn servers(self) -> usize {
        match self {
            Self::Alone | Self::OneWithRedis => 1,
            Self::Two => 2,
        }
    }
}

/// A Redis of this program's own; ends with it.
struct Redis {
    process: Child,
    address: SocketAddr,
}

impl Redis {
    async fn start() -> Result<Self, Error> {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let process = Command::new("redis-server")
            .args(["--port", &free.port().to_string(), "--save", ""])
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("redis-server does not start: {error}; install it"))?;
        while TcpStream::connect(free).await.is_err() {
            sleep(Duration::from_millis(10)).await;
        }
        Ok(Self {
            process,
            address: free,
        })
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// CPU-µs for each message, of each process; and messages a second.
struct Cost {
    servers: Vec<f64>,
    redis: f64,
    rate: f64,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let options = Options::parse();
    let ours = env::current_exe()?.with_file_name("spec_server");
    let mut programs = vec![("ours", ours)];
    programs.extend(options.peer.clone().map(|peer| ("ASP.NET Core", peer)));
    say!("| | CPU-µs per message: 1st server | 2nd | Redis | messages/s |");
    say!("|---|--:|--:|--:|--:|");
    for round in 1..=options.rounds {
        for (whose, program) in &programs {
            for farm in Farm::ALL {
                let cost = measure(&options, program, farm).await?;
                let second = cost.servers.get(1);
                let second = second.map_or_else(|| "-".to_owned(), |cost| format!("{cost:.2}"));
                say!(
                    "| {whose}, {}, round {round} | {:.2} | {second} | {:.2} | {:.0} |",
                    farm.name(),
                    cost.servers[0],
                    cost.redis,
                    cost.rate
                );
            }
        }
    }
    Ok(())
}

async fn measure(options: &Options, program: &Path, farm: Farm) -> Result<Cost, Error> {
    let redis = Redis::start().await?;
    let is_ours = program.ends_with("spec_server");
    let mut servers = Vec::new();
    for core in 0..farm.servers() {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let listen = free.to_string();
        let address = if is_ours {
            format!("redis://{}", redis.address)
        } else {
            redis.address.to_string()
        };
        let mut arguments = vec!["--listen", &listen];
        if !matches!(farm, Farm::Alone) {
            arguments.extend(["--redis", &address]);
        }
        servers.push(Server::start(core, program, &arguments)?);
    }
    let connect = async |server: &Server, got: Option<Arc<AtomicU64>>| {
        let got = got.unwrap_or_default();
        let connection = HubConnection::builder(format!("http://{}/spec", server.address()))
            .protocol(Protocol::MessagePack)
            .on("Received", move |_: String| {
                got.fetch_add(1, Ordering::Relaxed);
                std::future::ready(())
            })
            .connect()
            .await?;
        Ok::<_, Error>(connection)
    };
    let got = Arc::<AtomicU64>::default();
    let mut receivers = Vec::new();
    for server in &servers {
        for _ in 0..options.receivers {
            let receiver = connect(server, Some(got.clone())).await?;
            receiver.invoke::<()>("JoinGroup", ("cost",)).await?;
            receivers.push(receiver);
        }
    }
    let mut senders = JoinSet::new();
    for _ in 0..SENDERS {
        let sender = connect(&servers[0], None).await?;
        for _ in 0..DEPTH {
            let sender = sender.clone();
            senders.spawn(async move {
                let message = ("cost", "twenty bytes of text");
                while sender.invoke::<()>("ToGroup", message).await.is_ok() {}
            });
        }
    }
    sleep(Duration::from_secs(options.warm_up)).await;
    let processes: Vec<Process> = servers
        .iter()
        .map(Server::process)
        .collect::<Result<_, _>>()?;
    let redis_process = Process::new(redis.process.id())?;
    let cpu = |process: &Process| process.cpu_time().map(|time| time.total());
    let before: Vec<Duration> = processes.iter().map(cpu).collect::<Result<_, _>>()?;
    let redis_before = cpu(&redis_process)?;
    let (begun, got_before) = (Instant::now(), got.load(Ordering::Relaxed));
    sleep(Duration::from_secs(options.seconds)).await;
    let took = begun.elapsed().as_secs_f64();
    let received = got.load(Ordering::Relaxed) - got_before;
    let messages = received as f64 / receivers.len() as f64;
    let each = |spent: Duration| spent.as_secs_f64() * 1e6 / messages;
    let mut costs = Vec::new();
    for (process, before) in processes.iter().zip(before) {
        costs.push(each(cpu(process)? - before));
    }
    let redis_cost = each(cpu(&redis_process)? - redis_before);
    senders.abort_all();
    Ok(Cost {
        servers: costs,
        redis: redis_cost,
        rate: messages / took,
    })
}
