//! What one load found out.

use std::{
    fmt, io,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

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

/// The result of a measured window.
#[derive(Debug)]
pub struct Measurement {
    /// Messages received, on all connections.
    pub messages: u64,
    /// Messages whose time of return is known: all of an echo, those of the publisher in a fan-out.
    pub latency: Histogram<u64>,
    /// The length of the window.
    pub elapsed: Duration,
    /// Processor time of the server, when its process was given.
    pub server: Option<CpuTime>,
    /// Processor time of the load itself.
    pub client: CpuTime,
}

/// A measurement that has begun.
#[derive(Debug)]
pub(super) struct Recorder {
    server: Option<Process>,
    client: Process,
    began: Instant,
    server_before: Option<CpuTime>,
    client_before: CpuTime,
    messages: u64,
    latency: Histogram<u64>,
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
    pub fn client_busy(&self) -> f64 {
        self.client.total().div_duration_f64(self.elapsed)
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
        let (p50, p99) = (self.latency_at(0.5), self.latency_at(0.99));
        writeln!(f, "latency      p50 {p50:.1?}, p99 {p99:.1?}")?;
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
        write!(
            f,
            "client busy  {:.0} % of a core",
            self.client_busy() * 100.0
        )
    }
}

impl Recorder {
    pub(super) fn begin(server: Option<&Process>) -> io::Result<Self> {
        let client = Process::current()?;
        Ok(Self {
            latency: Histogram::new_with_max(60_000_000_000, 3).map_err(io::Error::other)?,
            messages: 0,
            server_before: server.map(Process::cpu_time).transpose()?,
            client_before: client.cpu_time()?,
            began: Instant::now(),
            server: server.cloned(),
            client,
        })
    }

    pub(super) fn count(&mut self, messages: u64) {
        self.messages += messages;
    }

    pub(super) fn latency(&mut self, latency: Duration) {
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.latency.saturating_record(nanoseconds);
    }

    pub(super) fn end(self) -> io::Result<Measurement> {
        let elapsed = self.began.elapsed();
        let client = self.client.cpu_time()? - self.client_before;
        let now = self.server.as_ref().map(Process::cpu_time).transpose()?;
        let server = now
            .zip(self.server_before)
            .map(|(now, before)| now - before);
        let (messages, latency) = (self.messages, self.latency);
        Ok(Measurement {
            messages,
            latency,
            elapsed,
            server,
            client,
        })
    }
}
