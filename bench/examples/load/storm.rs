//! Many clients that come at once, come back at once, and find their server restarted.

use std::{
    collections::BTreeMap,
    io,
    net::{SocketAddr, ToSocketAddrs},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use bench::{load::HubProtocol, say, tell};
use clap::Args;
use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};

use crate::{
    client::{Clients, Failure, Transport, trust},
    record::Record,
};

/// When the official clients try again after they have lost their connection; then they give up.
const RECONNECTS: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_secs(2),
    Duration::from_secs(10),
    Duration::from_secs(30),
];

#[derive(Args)]
pub(crate) struct Storm {
    /// ws://HOST:PORT/PATH or wss://…, on this machine
    #[arg(long)]
    url: String,
    /// The server is a SignalR hub: json or messagepack
    #[arg(long, value_name = "PROTOCOL")]
    hub: Option<HubProtocol>,
    /// How the clients connect; all but websockets are a hub's
    #[arg(long, default_value = "websockets")]
    transport: Transport,
    /// Negotiates before a WebSocket too, as the official clients do unless told not to
    #[arg(long)]
    negotiate: bool,
    /// How many come at once
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u16).range(1..=15_000))]
    clients: u16,
    /// Milliseconds from a connection to the first byte of its head, as over a slow network
    #[arg(long, default_value_t = 0, value_name = "MS")]
    late: u64,
    /// The PEM file with the certificate to trust; for wss
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// How often all leave and come back at once
    #[arg(long, default_value_t = 1, value_name = "N")]
    back: u32,
    /// A server program to start, with its arguments, which listens at the address of --url; it is
    /// stopped by SIGTERM and by SIGKILL and started again, and the clients come back as the official
    /// ones do: at once, and after 2, 10 and 30 s
    #[arg(long, num_args = 1.., allow_hyphen_values = true, value_name = "PROGRAM")]
    restart: Vec<String>,
}

/// What became of one client in one round.
struct Outcome {
    /// `None` when it gave up.
    after: Option<Duration>,
    failures: Vec<Failure>,
}

/// What became of all of them in one round.
struct Told {
    /// Nobody gave up, or was refused by a server that is there.
    is_calm: bool,
    words: String,
    figures: Value,
}

/// A round of the storm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Round {
    number: u32,
    began: Instant,
    /// Whether the clients leave, or their server does.
    is_left: bool,
}

impl Storm {
    /// Says what becomes of each round as it ends, unless `is_silent`.
    pub(crate) fn run(&self, is_silent: bool) -> io::Result<Record> {
        // Connecting ten thousand takes two threads about as long as serving them.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        runtime.block_on(self.blow(is_silent))
    }

    async fn blow(&self, is_silent: bool) -> io::Result<Record> {
        let clients = Arc::new(self.clients()?);
        let mut program = Program::new(&self.restart);
        program.start(clients.address).await?;

        let now = Instant::now();
        let (round, rounds) = watch::channel(Round {
            number: 0,
            began: now,
            is_left: false,
        });
        let (outcome, mut outcomes) = mpsc::unbounded_channel();
        for nth in 0..self.clients.into() {
            let life = life(nth, clients.clone(), rounds.clone(), outcome.clone());
            tokio::spawn(life);
        }
        let said = |told: Told| {
            if !is_silent {
                say!("{}", told.words);
            }
            told
        };
        let mut told = vec![said(self.report("come", false, &mut outcomes).await)];
        let next = |is_left| {
            let began = Instant::now();
            round.send_modify(|round| {
                *round = Round {
                    number: round.number + 1,
                    began,
                    is_left,
                };
            });
        };
        for _ in 0..self.back {
            next(true);
            told.push(said(self.report("come back", false, &mut outcomes).await));
        }
        for signal in ["TERM", "KILL"] {
            if self.restart.is_empty() {
                break;
            }
            next(false);
            program.stop(signal)?;
            program.start(clients.address).await?;
            let what = format!("SIG{signal}, restart");
            told.push(said(self.report(&what, true, &mut outcomes).await));
        }
        let is_calm = told.iter().all(|told| told.is_calm);
        if !is_calm {
            tell!("error: not everybody was let in");
        }
        let rounds: Vec<_> = told.into_iter().map(|told| told.figures).collect();
        let mut record = Record::new(&"", json!({ "rounds": rounds }));
        record.is_good = is_calm;
        Ok(record)
    }

    fn clients(&self) -> io::Result<Clients> {
        let wrong = |what: &str| io::Error::other(format!("{:?} {what}", self.url));
        let (scheme, rest) = self
            .url
            .split_once("://")
            .ok_or_else(|| wrong("is not of the form ws://HOST:PORT/PATH"))?;
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let address = host
            .to_socket_addrs()?
            .find(|address| address.ip().is_loopback())
            .ok_or_else(|| wrong("is not on this machine"))?;
        let tls = match (scheme, &self.ca) {
            ("ws", None) => None,
            ("wss", Some(ca)) => Some(trust(ca)?),
            ("wss", None) => return Err(wrong("needs --ca")),
            ("ws", Some(_)) => return Err(wrong("needs no --ca")),
            _ => return Err(wrong("is neither ws nor wss")),
        };
        Ok(Clients {
            address,
            host: host.to_owned(),
            path: path.to_owned(),
            hub: self.hub,
            transport: self.transport,
            negotiates: self.negotiate,
            late: Duration::from_millis(self.late),
            tls,
        })
    }

    /// Waits for what becomes of all.
    async fn report(
        &self,
        what: &str,
        is_restart: bool,
        outcomes: &mut mpsc::UnboundedReceiver<Outcome>,
    ) -> Told {
        let mut after = Vec::new();
        let mut failures = BTreeMap::<Failure, usize>::new();
        let mut gave_up = 0;
        for _ in 0..self.clients {
            let Some(outcome) = outcomes.recv().await else {
                break;
            };
            match outcome.after {
                Some(time) => after.push(time),
                None => gave_up += 1,
            }
            for failure in outcome.failures {
                *failures.entry(failure).or_default() += 1;
            }
        }
        after.sort();
        let at = |share: usize| after.get(after.len().saturating_sub(1) * share / 100);
        let seconds = |time: Option<&Duration>| time.map_or(f64::NAN, Duration::as_secs_f64);
        let mut words = format!(
            "{what:>17}: {} in, p50 {:.2} s, p99 {:.2} s, the last {:.2} s; {gave_up} gave up",
            after.len(),
            seconds(at(50)),
            seconds(at(99)),
            seconds(at(100)),
        );
        for (failure, count) in &failures {
            words += &format!("\n{:>17}  {count} tries failed: {failure}", "");
        }
        let failed_tries: BTreeMap<_, _> = failures
            .iter()
            .map(|(failure, count)| (failure.to_string(), count))
            .collect();
        let figures = json!({
            "round": what,
            "in": after.len(),
            "gave_up": gave_up,
            "seconds": {
                "p50": seconds(at(50)), "p99": seconds(at(99)), "last": seconds(at(100)),
            },
            "failed_tries": failed_tries,
        });
        Told {
            is_calm: gave_up == 0 && (is_restart || failures.is_empty()),
            words,
            figures,
        }
    }
}

/// A client's life, in rounds: it comes, and comes back when it has left or was left.
async fn life(
    nth: usize,
    clients: Arc<Clients>,
    mut rounds: watch::Receiver<Round>,
    outcomes: mpsc::UnboundedSender<Outcome>,
) {
    loop {
        let round = *rounds.borrow_and_update();
        // Who has never been in gives up at once.
        let tries = match round.number {
            0 => &RECONNECTS[..1],
            _ => &RECONNECTS[..],
        };
        let mut failures = Vec::new();
        let mut held = None;
        for wait in tries {
            sleep(*wait).await;
            match clients.connect(nth).await {
                Ok(connected) => {
                    held = Some(connected);
                    break;
                }
                Err(failure) => failures.push(failure),
            }
        }
        let after = held.as_ref().map(|_| round.began.elapsed());
        if outcomes.send(Outcome { after, failures }).is_err() {
            return;
        }
        let Some(mut held) = held else { return };
        loop {
            tokio::select! {
                changed = rounds.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    if rounds.borrow().is_left {
                        break;
                    }
                }
                () = held.left() => {
                    if rounds.borrow().number == round.number {
                        // Nobody told it to leave: it is cut off, and says so in the next round.
                        let _ = rounds.changed().await;
                    }
                    break;
                }
            }
        }
    }
}

/// The server program, if it is this storm's.
struct Program {
    command: Vec<String>,
    child: Option<Child>,
}

impl Program {
    fn new(command: &[String]) -> Self {
        Self {
            command: command.to_vec(),
            child: None,
        }
    }

    /// Starts it, and waits until it listens.
    async fn start(&mut self, address: SocketAddr) -> io::Result<()> {
        let [program, arguments @ ..] = &self.command[..] else {
            return Ok(());
        };
        let mut child = Command::new(program)
            .args(arguments)
            .args(["--listen", &address.to_string()])
            .stdout(Stdio::null())
            .spawn()
            .map_err(|e| io::Error::new(e.kind(), format!("cannot start {program}: {e}")))?;
        while tokio::net::TcpStream::connect(address).await.is_err() {
            if let Some(status) = child.try_wait()? {
                return Err(io::Error::other(format!("{program} ended: {status}")));
            }
            sleep(Duration::from_millis(5)).await;
        }
        self.child = Some(child);
        Ok(())
    }

    fn stop(&mut self, signal: &str) -> io::Result<()> {
        if let Some(mut child) = self.child.take() {
            let id = child.id().to_string();
            Command::new("kill").args(["-s", signal, &id]).status()?;
            child.wait()?;
        }
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
