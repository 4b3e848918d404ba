//! A crowd that reads nothing among those who do: when it is cut, what it holds, and what the others
//! notice.

use std::{
    fmt, fs, io,
    net::TcpStream,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

use super::{
    connections::{Connections, PATIENCE},
    dialect::Dialect,
    fan_out::{PUBLISHER, wait_until_subscribed},
    target::Target,
};
use crate::process::Process;

/// The shape of a crowd of which some read nothing.
#[derive(Clone, Copy, Debug)]
pub struct SlowLoad {
    /// Connections that read; the first of them also publishes.
    pub healthy: usize,
    /// Connections that read nothing.
    pub slow: usize,
    /// Messages published in a second.
    pub rate: u32,
    /// Bytes of a message, of the text in a call.
    pub size: usize,
    /// What the messages are.
    pub dialect: Dialect,
}

/// What became of them.
#[derive(Debug)]
pub struct Slow {
    load: SlowLoad,
    /// How long after it was published the healthy ones received a message, in nanoseconds.
    pub latency: Histogram<u64>,
    /// When each of those that were cut was, from the first message on, to a fifth of a second.
    pub cut_after: Vec<Duration>,
    /// Resident bytes of the server at most, and before the first connection.
    pub resident: Peak,
    /// Bytes in the buffers of all TCP connections of this machine; both ends count.
    pub kernel: Peak,
}

/// The largest value seen, and the one at the beginning.
#[derive(Clone, Copy, Debug, Default)]
pub struct Peak {
    /// At the beginning.
    pub before: u64,
    /// At most.
    pub most: u64,
}

/// Publishes for `time`.
///
/// # Errors
///
/// When a healthy connection fails or receives nothing for 5 s.
pub fn slow(target: &Target, load: SlowLoad, time: Duration, server: &Process) -> io::Result<Slow> {
    let script = load.dialect.fan_out(load.size);
    let mut resident = Peak::new(server.resident_bytes()?);
    let mut kernel = Peak::new(kernel_bytes()?);
    let mut healthy = Connections::open(target, load.healthy, &script, 1)?;
    wait_until_subscribed(&mut healthy)?;
    let slow: Vec<TcpStream> = (0..load.slow)
        .map(|_| Ok(target.converse(&script.opening)?.0))
        .collect::<io::Result<_>>()?;
    let before: Vec<u64> = (0..healthy.len())
        .map(|index| healthy.received(index))
        .collect();
    let open = server.sockets()?;

    let mut latency = Histogram::new_with_max(60_000_000_000, 3).map_err(io::Error::other)?;
    let mut cut_after = Vec::new();
    let mut published = Vec::new();
    let began = Instant::now();
    let every = Duration::from_secs(1) / load.rate;
    let (mut due, mut look) = (began, began);
    while began.elapsed() < time {
        if Instant::now() >= due {
            published.push(due);
            healthy.probe(PUBLISHER, 1)?;
            due += every;
        }
        if Instant::now() >= look {
            let gone = open.saturating_sub(server.sockets()?);
            cut_after.resize(gone.min(load.slow), began.elapsed());
            resident.see(server.resident_bytes()?);
            kernel.see(kernel_bytes()?);
            look = Instant::now() + LOOK_EVERY;
        }
        let left = due.min(look).saturating_duration_since(Instant::now());
        healthy.turn(left, PATIENCE, |index, came, connection, now| {
            let last = connection.received() - before[index];
            for nth in last - came.messages..last {
                let sent = published.get(nth as usize).copied().unwrap_or(now);
                let nanoseconds = now.duration_since(sent).as_nanos();
                latency.saturating_record(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
            }
            0
        })?;
    }
    drop(slow);
    Ok(Slow {
        load,
        latency,
        cut_after,
        resident,
        kernel,
    })
}

/// What the kernel holds for TCP, by its own count.
fn kernel_bytes() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/net/sockstat")?;
    let tcp = text.lines().find(|line| line.starts_with("TCP:"));
    let pages = tcp.and_then(|line| line.split(" mem ").nth(1)?.trim().parse::<u64>().ok());
    pages
        .map(|pages| pages * PAGE)
        .ok_or_else(|| io::Error::other("/proc/net/sockstat has another form"))
}

impl Peak {
    fn new(before: u64) -> Self {
        Self {
            before,
            most: before,
        }
    }

    fn see(&mut self, now: u64) {
        self.most = self.most.max(now);
    }

    /// How much it grew at most.
    pub fn growth(self) -> u64 {
        self.most - self.before
    }
}

impl fmt::Display for Slow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SlowLoad {
            healthy,
            slow,
            rate,
            size,
            ..
        } = self.load;
        writeln!(
            f,
            "crowd    {healthy} that read, {slow} that do not, {rate} messages of {size} B a second"
        )?;
        let at = |share| Duration::from_nanos(self.latency.value_at_quantile(share));
        let (p50, p99, max) = (at(0.5), at(0.99), at(1.0));
        writeln!(f, "healthy  p50 {p50:.1?}, p99 {p99:.1?}, max {max:.1?}")?;
        match &self.cut_after[..] {
            [] => writeln!(f, "cut      nobody")?,
            cut => writeln!(
                f,
                "cut      {} of {slow}, the first after {:.1?}, half of them after {:.1?}, the last \
                 after {:.1?}",
                cut.len(),
                cut[0],
                cut[cut.len() / 2],
                cut[cut.len() - 1],
            )?,
        }
        let megabytes = |peak: Peak| peak.growth() as f64 / 1e6;
        write!(
            f,
            "memory   {:.1} MB more resident, {:.1} MB more in the kernel, at most",
            megabytes(self.resident),
            megabytes(self.kernel)
        )
    }
}

const LOOK_EVERY: Duration = Duration::from_millis(200);
const PAGE: u64 = 4096;
