//! What `hub::client` costs: CPU for each call, and memory and time of many clients that are cut all
//! at once and come back.
//!
//! Run it: `cargo run --release --example client_cost -- calls --url http://127.0.0.1:5001/bench`
//!         `cargo run --release --example client_cost -- crowd --url http://127.0.0.1:5001/spec-stateful`
//! (against `cargo run --release --example spec_server`)

use std::{
    net::{Shutdown, SocketAddr, TcpStream as StdStream},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bench::process::Process;
use clap::{Parser, Subcommand, ValueEnum};
use examples::{Error, say};
use futures_util::{StreamExt as _, stream};
use hub::{
    Transport,
    client::{Backoff, Event, HubConnection, HubConnectionBuilder},
    protocol::Protocol,
};
use tokio::{net::TcpStream, task::JoinSet, time::timeout};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a client of a hub costs
#[derive(Parser)]
#[command(version)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// CPU of this process for each call of Echo; beside it, that of `load echo --hub`
    Calls {
        /// The hub, with BenchHub's Echo
        #[arg(
            long,
            value_name = "URL",
            default_value = "http://127.0.0.1:5001/bench"
        )]
        url: String,
        /// The hub protocol
        #[arg(long, value_enum, default_value = "messagepack")]
        protocol: ProtocolName,
        /// Connections
        #[arg(long, value_name = "N", default_value_t = 4)]
        connections: usize,
        /// Calls in flight on each
        #[arg(long, value_name = "N", default_value_t = 16)]
        depth: usize,
        /// Seconds that are measured
        #[arg(long, value_name = "N", default_value_t = 5)]
        seconds: u64,
    },
    /// Many clients that connect, are cut all at once, and come back
    Crowd {
        /// The hub
        #[arg(
            long,
            value_name = "URL",
            default_value = "http://127.0.0.1:5001/spec-stateful"
        )]
        url: String,
        /// Clients
        #[arg(long, value_name = "N", default_value_t = 5000)]
        clients: usize,
        /// Make other connections, and do not resume these
        #[arg(long)]
        ordinary: bool,
        /// Only tell what they take, with the network stack that they have by default
        #[arg(long)]
        by_default: bool,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum ProtocolName {
    Json,
    Messagepack,
}

/// Clients that connect at once.
const AT_ONCE: usize = 100;

/// Longer than anybody takes to come back.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::main]
async fn main() -> Result<(), Error> {
    match Options::parse().command {
        Command::Calls {
            url,
            protocol,
            connections,
            depth,
            seconds,
        } => {
            calls(
                &url,
                protocol,
                connections,
                depth,
                Duration::from_secs(seconds),
            )
            .await
        }
        Command::Crowd {
            url,
            clients,
            ordinary,
            by_default,
        } => crowd(&url, clients, ordinary, by_default).await,
    }
}

async fn calls(
    url: &str,
    protocol: ProtocolName,
    connections: usize,
    depth: usize,
    time: Duration,
) -> Result<(), Error> {
    let protocol = match protocol {
        ProtocolName::Json => Protocol::Json,
        ProtocolName::Messagepack => Protocol::MessagePack,
    };
    let mut calling = JoinSet::new();
    let ends = Instant::now() + time;
    let this = Process::current()?;
    let before = this.cpu_time()?;
    for _ in 0..connections {
        let hub = HubConnection::builder(url)
            .transports([Transport::WebSockets])
            .protocol(protocol)
            .connect()
            .await?;
        for _ in 0..depth {
            let hub = hub.clone();
            calling.spawn(async move {
                let mut made = 0_u64;
                while Instant::now() < ends {
                    let echo: String = hub.invoke("Echo", ("twenty bytes of text",)).await?;
                    debug_assert_eq!(echo.len(), 20);
                    made += 1;
                }
                Ok::<_, Error>(made)
            });
        }
    }
    let mut made = 0;
    while let Some(caller) = calling.join_next().await {
        made += caller??;
    }
    let used = (this.cpu_time()? - before).total();
    say!(
        "{made} calls, {:.2} CPU-µs of the client for each",
        used.as_secs_f64() * 1e6 / made as f64
    );
    Ok(())
}

/// The ends of all sockets, to be cut.
type Sockets = Arc<Mutex<Vec<StdStream>>>;

async fn crowd(url: &str, clients: usize, ordinary: bool, by_default: bool) -> Result<(), Error> {
    examples::allow_as_many_files_as_possible();
    let server = address(url)?;
    let sockets = Sockets::default();
    let this = Process::current()?;
    let (memory, cpu, begun) = (this.resident_bytes()?, this.cpu_time()?, Instant::now());
    let connecting = stream::iter(0..clients).map(|_| {
        let builder = HubConnection::builder(url)
            .transports([Transport::WebSockets])
            .automatic_reconnect(Backoff::default().most(Duration::from_secs(2)));
        let builder = if ordinary {
            builder
        } else {
            builder.stateful_reconnect()
        };
        let builder = if by_default {
            builder
        } else {
            cuttable(builder, server, &sockets)
        };
        builder.connect()
    });
    let hubs: Vec<_> = connecting.buffer_unordered(AT_ONCE).collect().await;
    let hubs = hubs.into_iter().collect::<Result<Vec<_>, _>>()?;
    let each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / clients as f64;
    say!(
        "{clients} clients in {:.2} s: {:.0} CPU-µs and {} bytes of this process for each",
        begun.elapsed().as_secs_f64(),
        each((this.cpu_time()? - cpu).total()),
        (this.resident_bytes()?.saturating_sub(memory)) / clients as u64,
    );
    if by_default {
        return Ok(());
    }
    let mut back = JoinSet::new();
    for hub in &hubs {
        let mut events = hub.events();
        back.spawn(async move {
            loop {
                match events.next().await {
                    Some(Event::Resumed) => return Ok(true),
                    Some(Event::Connected { .. }) => return Ok(false),
                    Some(Event::Disconnected { error }) => return Err(format!("gone: {error:?}")),
                    Some(_) => {}
                    None => return Err("gone".to_owned()),
                }
            }
        });
    }
    let (cpu, cut) = (this.cpu_time()?, Instant::now());
    for socket in sockets
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .drain(..)
    {
        let _ = socket.shutdown(Shutdown::Both);
    }
    let (mut resumed, mut anew) = (0, 0);
    let all = async {
        while let Some(came) = back.join_next().await {
            match came? {
                Ok(true) => resumed += 1,
                Ok(false) => anew += 1,
                Err(why) => return Err(Error::from(why)),
            }
        }
        Ok(())
    };
    timeout(PATIENCE, all)
        .await
        .map_err(|_| "not all came back")??;
    say!(
        "cut at once: all back in {:.2} s, {resumed} resumed and {anew} as other connections: {:.0} CPU-µs for each",
        cut.elapsed().as_secs_f64(),
        each((this.cpu_time()? - cpu).total()),
    );
    let answers = hubs.iter().map(|hub| hub.invoke::<i32>("Zero", ()));
    for answer in futures_util::future::join_all(answers).await {
        answer?;
    }
    say!("and each has called a method");
    Ok(())
}

fn address(url: &str) -> Result<SocketAddr, Error> {
    let (_, rest) = url
        .split_once("://")
        .ok_or("the address of a hub, http://IP:PORT/PATH")?;
    let host = rest.split('/').next().unwrap_or_default();
    Ok(host.parse().map_err(|_| format!("{host} is not IP:PORT"))?)
}

/// Connects by sockets that can be cut.
fn cuttable(
    builder: HubConnectionBuilder,
    server: SocketAddr,
    sockets: &Sockets,
) -> HubConnectionBuilder {
    let sockets = sockets.clone();
    builder.sockets(move || {
        let sockets = sockets.clone();
        async move {
            let socket = TcpStream::connect(server).await?.into_std()?;
            let other_end = socket.try_clone()?;
            sockets
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(other_end);
            TcpStream::from_std(socket)
        }
    })
}
