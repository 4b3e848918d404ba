//! What one load found out.

use std::{
    fmt, io,
    ops::ControlFlow,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::process::{CpuTime, Process};

/// How long to measure, and how long to run before that.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Runs first, and counts for nothing: caches, branch predictors and just-in-time compilers
    /// settle.
    pub warm_up: Duration,
    /// The time that is measured.
    pub measured: Duration,
}

/// The result of a measured window, or of its part that has passed.
#[derive(Clone, Debug)]
pub struct Measurement {
    /// Messages received, on all connections.
    pub messages: u64,
    /// Bytes written and read meanwhile: payloads, and what HTTP, WebSockets and the hub protocol
    /// put around them, without what TCP and IP do. 0 where connections alone are counted.
    pub bytes: u64,
    /// Messages whose time of return is known: all of an echo, those of the publisher in a fan-out,
    /// the end of each stream.
    pub latency: Histogram<u64>,
    /// The length of the window.
    pub elapsed: Duration,
    /// Processor time of the server, when its process was given.
    pub server: Option<CpuTime>,
    /// Processor time of the load itself, where the system tells.
    pub client: Option<CpuTime>,
    /// How it was sent, if not as answers allowed.
    pub open_loop: Option<OpenLoop>,
}

/// What only a load has that sends at a rate.
#[derive(Clone, Debug)]
pub struct OpenLoop {
    /// Messages that were to be sent in a second.
    pub rate: f64,
    /// Messages that were sent.
    pub sent: u64,
    /// Those of them that were never answered: for 5 s nothing more came. No latency tells of them.
    pub unanswered: u64,
    /// How much later than due they were sent. The latencies include it.
    pub late: Histogram<u64>,
}

/// What kept a load from doing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bottleneck {
    /// The server: the rate is its own.
    Server,
    /// The load: the server can do more, and its latencies may be better.
    Load,
    /// Both had no time left: the rate is that of the two.
    Both,
    /// Nobody: at a rate, that it was kept.
    Neither,
    /// Nobody knows how busy the server was.
    Unknown,
}

/// Who watches a load, and what is measured beside it.
///
/// `None`, or a server's process, makes one that says nothing until the end.
pub struct Observer<'a> {
    server: Option<Process>,
    client: Option<Process>,
    tell: Option<Tell<'a>>,
    due: Instant,
}

/// Given what has been measured so far, `None` in the warm-up; says whether to go on.
type Tell<'a> = Box<dyn FnMut(Option<&Measurement>) -> ControlFlow<()> + 'a>;

/// A measurement that has begun.
#[derive(Debug)]
pub(super) struct Recorder {
    server: Option<Process>,
    client: Option<Process>,
    began: Instant,
    server_before: Option<CpuTime>,
    client_before: Option<CpuTime>,
    bytes_before: u64,
    late: Histogram<u64>,
    so_far: Measurement,
}

impl<'a> Observer<'a> {
    /// One for a load that runs on a thread of the server's own process: what the other threads use
    /// is the server's, where the system tells of threads.
    pub fn in_process() -> Self {
        Self {
            server: Process::current().and_then(Process::other_threads).ok(),
            client: Process::current().and_then(Process::this_thread).ok(),
            tell: None,
            due: Instant::now(),
        }
    }

    /// Calls `tell` ten times a second with what has been measured so far, `None` in the warm-up.
    /// A `Break` ends the load with [`io::ErrorKind::Interrupted`].
    #[must_use]
    pub fn telling(
        mut self,
        tell: impl FnMut(Option<&Measurement>) -> ControlFlow<()> + 'a,
    ) -> Self {
        self.tell = Some(Box::new(tell));
        self
    }

    pub(super) fn until_told(&self) -> Option<Duration> {
        let left = self.due.saturating_duration_since(Instant::now());
        self.tell.as_ref().map(|_| left)
    }

    pub(super) fn is_to_be_told(&self) -> bool {
        self.tell.is_some() && Instant::now() >= self.due
    }

    pub(super) fn tell(&mut self, so_far: Option<&Measurement>) -> io::Result<()> {
        self.due = Instant::now() + TELL_EVERY;
        match self.tell.as_mut().map(|tell| tell(so_far)) {
            Some(ControlFlow::Break(())) => Err(io::ErrorKind::Interrupted.into()),
            _ => Ok(()),
        }
    }
}

impl From<Option<&Process>> for Observer<'_> {
    fn from(server: Option<&Process>) -> Self {
        Self {
            server: server.cloned(),
            client: Process::current().ok(),
            tell: None,
            due: Instant::now(),
        }
    }
}

impl Measurement {
    /// Processor time of the server per message received.
    pub fn server_per_message(&self) -> Option<Duration> {
        self.server
            .map(|used| used.total().div_f64(self.messages.max(1) as f64))
    }

    /// That part of it which the server spent in its own code.
    pub fn user_per_message(&self) -> Option<Duration> {
        self.server
            .map(|used| used.user.div_f64(self.messages.max(1) as f64))
    }

    /// The share of one core that the server used: near 1 when it was saturated.
    pub fn server_busy(&self) -> Option<f64> {
        self.server
            .map(|used| used.total().div_duration_f64(self.elapsed))
    }

    /// The share of the server's time that was spent in the kernel.
    pub fn kernel_share(&self) -> Option<f64> {
        self.server
            .map(|used| used.kernel.div_duration_f64(used.total()))
    }

    /// The share of one core that the load used: near 1 means that it, not the server, may be the
    /// bottleneck.
    pub fn client_busy(&self) -> Option<f64> {
        self.client
            .map(|used| used.total().div_duration_f64(self.elapsed))
    }

    /// What kept the load from doing more: who uses 90 % of a core, or sends late, has no time left.
    pub fn bottleneck(&self) -> Bottleneck {
        let is_busy = |share: f64| share >= BUSY;
        let is_server = self.server_busy().map(is_busy);
        let is_load = match &self.open_loop {
            // It looks at the clock all the time: being busy says nothing.
            Some(open) => {
                let late = open.late.value_at_quantile(0.99);
                late > 1_000_000 && late > self.latency.value_at_quantile(0.99) / 2
            }
            None => self.client_busy().is_some_and(is_busy),
        };
        match (is_server, is_load) {
            (Some(true), false) => Bottleneck::Server,
            (Some(true), true) => Bottleneck::Both,
            (_, true) => Bottleneck::Load,
            (Some(false), false) => Bottleneck::Neither,
            (None, false) => Bottleneck::Unknown,
        }
    }

    /// Bytes written and read per message received.
    pub fn bytes_per_message(&self) -> f64 {
        self.bytes as f64 / self.messages.max(1) as f64
    }

    /// Messages received in a second.
    pub fn messages_per_second(&self) -> f64 {
        self.messages as f64 / self.elapsed.as_secs_f64()
    }

    /// The latency that this share of the messages did not exceed.
    pub fn latency_at(&self, share: f64) -> Duration {
        Duration::from_nanos(self.latency.value_at_quantile(share))
    }
}

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.elapsed.as_secs_f64();
        writeln!(f, "messages     {} in {seconds:.2} s", self.messages)?;
        writeln!(
            f,
            "rate         {:.0} messages/s",
            self.messages_per_second()
        )?;
        let [p50, p90, p99, p999] = [0.5, 0.9, 0.99, 0.999].map(|share| self.latency_at(share));
        let most = Duration::from_nanos(self.latency.max());
        writeln!(
            f,
            "latency      p50 {p50:.1?}, p90 {p90:.1?}, p99 {p99:.1?}, p99.9 {p999:.1?}, most {most:.1?}"
        )?;
        if let Some(open) = &self.open_loop {
            let late = Duration::from_nanos(open.late.value_at_quantile(0.99));
            writeln!(
                f,
                "open loop    {:.0} messages/s wanted, {} sent, {} never answered; p99 sent {late:.1?} late",
                open.rate, open.sent, open.unanswered
            )?;
        }
        let cost = self
            .server_per_message()
            .zip(self.server_busy())
            .zip(self.kernel_share());
        if let Some(((per_message, busy), kernel)) = cost {
            let (microseconds, kernel) = (per_message.as_secs_f64() * 1e6, kernel * 100.0);
            writeln!(
                f,
                "server cost  {microseconds:.3} µs/message, {kernel:.0} % of it kernel"
            )?;
            let user = self.user_per_message().unwrap_or_default().as_secs_f64() * 1e6;
            writeln!(f, "server user  {user:.3} µs/message")?;
            writeln!(f, "server busy  {:.0} % of a core", busy * 100.0)?;
        }
        if self.bytes > 0 {
            writeln!(
                f,
                "bytes        {:.1} per message",
                self.bytes_per_message()
            )?;
        }
        if let Some(busy) = self.client_busy() {
            writeln!(f, "client busy  {:.0} % of a core", busy * 100.0)?;
        }
        write!(f, "bottleneck   {}", self.bottleneck())
    }
}

impl fmt::Display for Bottleneck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server => "the server",
            Self::Load => {
                "this load: rate and latencies are its own, and the server can do better; what a message \
                 costs it holds all the same"
            }
            Self::Both => {
                "the server and this load: rate and latencies are those of both; what a message costs the \
                 server holds all the same"
            }
            Self::Neither => "neither the server nor this load",
            Self::Unknown => "not this load; --pid tells whether it is the server",
        })
    }
}

impl Recorder {
    pub(super) fn begin(observer: &Observer<'_>, bytes: u64) -> io::Result<Self> {
        let used = |process: &Option<Process>| process.as_ref().map(Process::cpu_time).transpose();
        Ok(Self {
            server_before: used(&observer.server)?,
            client_before: used(&observer.client)?,
            bytes_before: bytes,
            began: Instant::now(),
            server: observer.server.clone(),
            client: observer.client.clone(),
            late: new_histogram()?,
            so_far: Measurement {
                messages: 0,
                bytes: 0,
                latency: new_histogram()?,
                elapsed: Duration::ZERO,
                server: None,
                client: None,
                open_loop: None,
            },
        })
    }

    pub(super) fn count(&mut self, messages: u64) {
        self.so_far.messages += messages;
    }

    pub(super) fn latency(&mut self, latency: Duration) {
        self.so_far.latency.saturating_record(nanoseconds(latency));
    }

    /// A message was sent so much later than it was due.
    pub(super) fn late(&mut self, late: Duration) {
        self.late.saturating_record(nanoseconds(late));
    }

    /// What is known of an open loop at its end.
    pub(super) fn open_loop(&mut self, rate: f64, sent: u64, unanswered: u64) {
        self.so_far.open_loop = Some(OpenLoop {
            rate,
            sent,
            unanswered,
            late: self.late.clone(),
        });
    }

    /// The measurement now, when `bytes` have gone over all connections since they were opened.
    pub(super) fn so_far(&mut self, bytes: u64) -> io::Result<&Measurement> {
        let since = |process: &Option<Process>, before: Option<CpuTime>| {
            let now = process.as_ref().map(Process::cpu_time).transpose()?;
            io::Result::Ok(now.zip(before).map(|(now, before)| now - before))
        };
        self.so_far.elapsed = self.began.elapsed();
        self.so_far.client = since(&self.client, self.client_before)?;
        self.so_far.server = since(&self.server, self.server_before)?;
        self.so_far.bytes = bytes - self.bytes_before;
        Ok(&self.so_far)
    }

    pub(super) fn end(mut self, bytes: u64) -> io::Result<Measurement> {
        self.so_far(bytes)?;
        Ok(self.into_measurement())
    }

    /// What it was when it was last asked for.
    pub(super) fn into_measurement(self) -> Measurement {
        self.so_far
    }
}

fn new_histogram() -> io::Result<Histogram<u64>> {
    Histogram::new_with_max(60_000_000_000, 3).map_err(io::Error::other)
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// From this share of a core on somebody has no time left.
const BUSY: f64 = 0.9;

const TELL_EVERY: Duration = Duration::from_millis(100);
