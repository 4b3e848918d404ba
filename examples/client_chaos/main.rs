//! Clients whose connections are cut all the time, while both ends send numbered messages, calls and
//! streams: with stateful reconnect nothing may be lost, doubled or out of order.
//!
//! Run it: `cargo run --release --example client_chaos -- http://127.0.0.1:5001 --cuts 1000 --messages 1000000`
//! (against `cargo run --release --example spec_server`)

mod ledger;
mod traffic;

use std::{
    net::SocketAddr,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::{Parser, ValueEnum};
use examples::{
    Error,
    cut::{Cut, Proxy},
    say,
};
use hub::{
    Transport,
    client::{Event, Events, HubConnection},
    protocol::Protocol,
};
use ledger::{Expected, Ledger};
use tokio::{
    net::lookup_host,
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

/// Cuts the connections of SignalR clients, and counts what is lost
#[derive(Parser)]
#[command(version)]
struct Options {
    /// The server: spec_server, or another with the same hub at /spec-stateful
    url: String,
    /// Connections to cut, in all
    #[arg(long, value_name = "N", default_value_t = 200)]
    cuts: u64,
    /// Messages to send, in all and both ways, at least
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    messages: u64,
    /// Clients
    #[arg(long, value_name = "N", default_value_t = 20)]
    clients: u64,
    /// The ways to cut them
    #[arg(long, value_name = "WAYS", value_delimiter = ',', default_values = ["reset", "end", "hole", "torn"])]
    ways: Vec<Way>,
    /// What is sent
    #[arg(long, value_name = "KINDS", value_delimiter = ',', default_values = ["messages", "calls", "down", "up"])]
    kinds: Vec<Kind>,
    /// Milliseconds between the messages of each kind: what waits for acknowledgements is then never
    /// as much as may, which a server of .NET does not survive
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pause: u64,
    /// What the random numbers begin with; printed, so that a run can be made again
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Way {
    /// Both ends get a RST
    Reset,
    /// Both ends get a FIN
    End,
    /// Nothing arrives any more, and nobody is told
    Hole,
    /// Some bytes more arrive, and then a RST
    Torn,
}

/// What is sent to and fro. At the least it is messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Messages that nobody answers, and what they make the server send
    Messages,
    /// Calls and their answers
    Calls,
    /// Streams from the server
    Down,
    /// Streams to the server and back
    Up,
}

/// How long the server may say nothing: what is cut without a word is noticed by that.
const SERVER_TIMEOUT: Duration = Duration::from_secs(3);

/// When a client that gets nothing has lost something.
const STALLED: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> Result<ExitCode, Error> {
    let options = Options::parse();
    let seed = match options.seed {
        Some(seed) => seed,
        None => getrandom::u64()?,
    };
    say!("seed {seed}");
    let server = address(&options.url).await?;
    let goal = options.messages / options.clients.max(1);
    let ledger = Arc::new(Ledger::new(
        goal,
        Duration::from_millis(options.pause),
        options.kinds.clone(),
    ));
    let begun = Instant::now();
    let mut clients = JoinSet::new();
    for number in 0..options.clients {
        let cuts =
            options.cuts / options.clients + u64::from(number < options.cuts % options.clients);
        let random = Random(seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let ways = options.ways.clone();
        clients.spawn(live(server, number, cuts, ways, random, ledger.clone()));
    }
    let progress = tokio::spawn(tell_progress(ledger.clone(), options.cuts));
    while let Some(client) = clients.join_next().await {
        if let Err(error) = client? {
            ledger.fault(error.to_string());
        }
    }
    progress.abort();
    Ok(ledger.report(begun.elapsed()))
}

async fn address(url: &str) -> Result<SocketAddr, Error> {
    let host = url.strip_prefix("http://").unwrap_or(url);
    let host = host
        .strip_prefix("ws://")
        .unwrap_or(host)
        .trim_end_matches('/');
    let mut found = lookup_host(host)
        .await
        .map_err(|error| format!("{host}: {error}"))?;
    Ok(found
        .next()
        .ok_or_else(|| format!("{host} has no address"))?)
}

/// One client, whose connection is cut so many times.
async fn live(
    server: SocketAddr,
    number: u64,
    cuts: u64,
    ways: Vec<Way>,
    random: Random,
    ledger: Arc<Ledger>,
) -> Result<(), Error> {
    let proxy = Proxy::before(server).await?;
    let told = watch::Sender::new(Expected::new("messages to the client"));
    let received = {
        let (told, ledger) = (told.clone(), ledger.clone());
        move |text: String| {
            let number = text.parse().unwrap_or(u64::MAX);
            told.send_modify(|expected| expected.came(number, &ledger));
            ledger.received();
            std::future::ready(())
        }
    };
    let hub = HubConnection::builder(format!("http://{}/spec-stateful", proxy.address()))
        .transports([Transport::WebSockets])
        .protocol(if number.is_multiple_of(2) {
            Protocol::Json
        } else {
            Protocol::MessagePack
        })
        .stateful_reconnect()
        .server_timeout(SERVER_TIMEOUT)
        .keep_alive_interval(Duration::from_secs(1))
        .on("Received", received)
        .connect()
        .await?;
    let watching = tokio::spawn(follow(hub.events(), ledger.clone()));
    let cutting = tokio::spawn(cut(proxy, cuts, ways, random, ledger.clone()));
    let all = traffic::run(&hub, &ledger, &cutting, told.subscribe());
    tokio::select! {
        done = all => done?,
        () = stalled(&told) => ledger.fault(format!("client {number} gets nothing more")),
    }
    // It is kept until nobody needs it any more.
    let _proxy = cutting.await?;
    hub.stop().await;
    watching.await?;
    Ok(())
}

/// Ends when nothing has come for too long.
async fn stalled(told: &watch::Sender<Expected>) {
    let mut told = told.subscribe();
    while timeout(STALLED, told.changed()).await.is_ok() {}
}

async fn cut(
    proxy: Proxy,
    cuts: u64,
    ways: Vec<Way>,
    mut random: Random,
    ledger: Arc<Ledger>,
) -> Proxy {
    for _ in 0..cuts {
        sleep(Duration::from_millis(50 + random.below(500))).await;
        let way = ways[random.below(ways.len() as u64) as usize];
        let how = match way {
            Way::Reset => Cut::Reset,
            Way::End => Cut::End,
            Way::Hole => Cut::Hole,
            Way::Torn => Cut::Torn(1 + random.below(3000) as usize),
        };
        proxy.cut(how);
        ledger.cut(way);
        if way == Way::Hole {
            // Another cut would be none before the client has noticed this one.
            sleep(SERVER_TIMEOUT).await;
        }
    }
    proxy
}

/// A connection that is not resumed is a fault.
async fn follow(mut events: Events, ledger: Arc<Ledger>) {
    while let Some(event) = events.next().await {
        match event {
            Event::Resumed => ledger.resumed(),
            Event::Reconnecting {
                is_stateful: false,
                error,
                ..
            } => {
                ledger.fault(format!("not resumed: {error}"));
            }
            Event::HandlerFailed { error, .. } => ledger.fault(error),
            Event::Disconnected { error } => {
                if let Some(error) = error {
                    ledger.fault(format!("ended: {error}"));
                }
                return;
            }
            _ => {}
        }
    }
}

async fn tell_progress(ledger: Arc<Ledger>, cuts: u64) {
    loop {
        sleep(Duration::from_secs(5)).await;
        say!("{}", ledger.progress(cuts));
    }
}

/// SplitMix64.
pub(crate) struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % limit.max(1)
    }
}
