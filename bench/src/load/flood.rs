//! A few quiet clients beside many that flood: what the quiet ones notice.

use std::{
    fmt, io,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

use super::{
    connections::{Connections, PATIENCE},
    dialect::{Dialect, Script},
    measurement::Window,
    target::Target,
};

/// The shape of a flood.
#[derive(Clone, Copy, Debug)]
pub struct FloodLoad {
    /// Connections that send as fast as they are answered.
    pub flooders: usize,
    /// Connections that send a message every 20 ms, whatever became of the one before.
    pub quiet: usize,
    /// Bytes of a message, of the text in a call.
    pub size: usize,
    /// What the messages are.
    pub dialect: Dialect,
}

/// What the quiet clients saw, in nanoseconds.
#[derive(Debug)]
pub struct Flood {
    /// Before the flood.
    pub alone: Histogram<u64>,
    /// Beside it.
    pub beside: Histogram<u64>,
    /// Messages of the flooders that were answered in a second.
    pub flooded_per_second: f64,
}

/// Runs the quiet clients for the time of `window` alone, and as long beside the flood.
///
/// # Errors
///
/// When a connection fails, or the server answers nothing for 5 s.
pub fn flood(target: &Target, load: FloodLoad, window: Window) -> io::Result<Flood> {
    let script = load.dialect.echo(load.size);
    let mut quiet = Connections::open(target, load.quiet, &script, 1)?;
    ask_now_and_then(&mut quiet, window.warm_up)?;
    let alone = ask_now_and_then(&mut quiet, window.measured)?;

    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let flooders = scope.spawn(|| send_without_end(target, load.flooders, &script, &is_over));
        let beside = ask_now_and_then(&mut quiet, window.warm_up)
            .and_then(|_| ask_now_and_then(&mut quiet, window.measured));
        is_over.store(true, Ordering::Relaxed);
        let flooded_per_second = flooders
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok(Flood {
            alone,
            beside: beside?,
            flooded_per_second,
        })
    })
}

/// Every connection sends on time. Gives how long after that time the answers came.
fn ask_now_and_then(quiet: &mut Connections, time: Duration) -> io::Result<Histogram<u64>> {
    let mut latency = Histogram::new_with_max(60_000_000_000, 3).map_err(io::Error::other)?;
    let mut record = |quiet: &mut Connections, left| {
        quiet.turn(left, PATIENCE, |_, came, connection, now| {
            for sent in connection.answered(came.ends) {
                let nanoseconds = now.duration_since(sent).as_nanos();
                latency.saturating_record(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
            }
            0
        })
    };
    let began = Instant::now();
    let mut due = began;
    while due < began + time {
        while let Some(left) = due.checked_duration_since(Instant::now()) {
            record(quiet, left)?;
        }
        for index in 0..quiet.len() {
            quiet.send_as_of(index, due)?;
        }
        due += EVERY;
    }
    // What is still on its way belongs to the picture.
    while quiet.in_flight() > 0 {
        record(quiet, EVERY)?;
    }
    Ok(latency)
}

/// Keeps more in flight than a server reads at a time. Gives the answers per second.
fn send_without_end(
    target: &Target,
    connections: usize,
    script: &Script,
    is_over: &AtomicBool,
) -> io::Result<f64> {
    let depth = (IN_FLIGHT / script.requests[0].len()).max(2);
    let mut flooders = Connections::open(target, connections, script, depth)?;
    for index in 0..connections {
        flooders.probe(index, depth as u64)?;
    }
    let began = Instant::now();
    let mut answers = 0;
    while !is_over.load(Ordering::Relaxed) {
        flooders.turn(EVERY, PATIENCE, |_, came, _, _| {
            answers += came.messages;
            came.ends
        })?;
    }
    Ok(answers as f64 / began.elapsed().as_secs_f64())
}

impl fmt::Display for Flood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (when, latency) in [("alone", &self.alone), ("beside", &self.beside)] {
            let at = |share| Duration::from_nanos(latency.value_at_quantile(share));
            let (p50, p99, max) = (at(0.5), at(0.99), at(1.0));
            let answers = latency.len();
            writeln!(
                f,
                "{when:<7}  p50 {p50:.1?}, p99 {p99:.1?}, max {max:.1?} of {answers}"
            )?;
        }
        write!(f, "flood    {:.0} answers/s", self.flooded_per_second)
    }
}

const EVERY: Duration = Duration::from_millis(20);
const IN_FLIGHT: usize = 256 * 1024;
