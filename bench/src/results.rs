//! Measurements as they are kept: `load --json` writes one, `compare` all of its rounds, and `report`
//! draws them.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::{
    load::{Bottleneck, IdleMemory, Measurement},
    machine::Machine,
};

/// All that one run of `compare` found out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Results {
    /// The command that made it.
    pub command: String,
    /// The day, in UTC.
    pub date: String,
    /// Where.
    pub machine: Machine,
    /// What was measured, each with its version.
    pub versions: Vec<(String, String)>,
    /// What could not be measured at all, each with the reason.
    pub absent: Vec<(String, String)>,
    /// How often everything was measured.
    pub rounds: u8,
    /// How long each time.
    pub seconds: u8,
    /// In the order of the tables.
    pub rows: Vec<Row>,
}

/// What one server did in one scenario.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// What had to be done, by its short name.
    pub scenario: String,
    /// Who did it.
    pub server: String,
    /// One for each round that succeeded; memory is measured in one.
    pub rounds: Vec<Outcome>,
    /// What failed, in the first round in which something did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// What one round found out.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Of messages.
    Traffic(Figures),
    /// Of connections that are silent.
    Memory(Memory),
}

/// A measured window of messages.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Figures {
    /// Messages received; connections, where those are what is made.
    pub messages: u64,
    /// The length of the window.
    pub seconds: f64,
    /// Messages received in a second.
    pub messages_per_second: f64,
    /// Bytes written and read for one of them, without those of TCP and IP; 0 where it is not known.
    pub bytes_per_message: f64,
    /// Until they were answered.
    pub latency: Percentiles,
    /// The share of a core that the load used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_busy: Option<f64>,
    /// What the server used, where its process was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<Used>,
    /// What only a load at a rate has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_loop: Option<OpenLoop>,
    /// What kept it from being more.
    pub bottleneck: Bottleneck,
}

/// What a server used in a window.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Used {
    /// Processor time per message, in µs.
    pub microseconds: f64,
    /// What of it the server's own code used.
    pub user_microseconds: f64,
    /// The share of it that the kernel used.
    pub kernel_share: f64,
    /// The share of a core.
    pub busy: f64,
    /// Resident bytes of each connection at the end, above those of a server without any; where it was
    /// looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resident_per_connection: Option<f64>,
}

/// A load that sent at a rate.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct OpenLoop {
    /// Messages that were to be sent in a second.
    pub rate: f64,
    /// Messages that were.
    pub sent: u64,
    /// Those that were never answered.
    pub unanswered: u64,
    /// How late they were sent.
    pub late: Percentiles,
}

/// A distribution of times, in ms: this share of them is no longer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// How many times there are.
    pub count: u64,
    /// Half of them.
    pub p50: f64,
    /// 90 %.
    pub p90: f64,
    /// 99 %.
    pub p99: f64,
    /// 99.9 %.
    pub p999: f64,
    /// All of them.
    pub most: f64,
}

/// Resident bytes of a server with connections that are silent.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Memory {
    /// How many there were.
    pub connections: usize,
    /// Of the server without them.
    pub before: u64,
    /// Of each that has said nothing.
    pub silent: u64,
    /// Of each that has echoed 16 KiB and is silent again.
    pub after_message: u64,
}

impl From<&Measurement> for Figures {
    fn from(measurement: &Measurement) -> Self {
        let microseconds = |time: Option<Duration>| time.unwrap_or_default().as_secs_f64() * 1e6;
        let server = measurement.server.map(|_| Used {
            microseconds: microseconds(measurement.server_per_message()),
            user_microseconds: microseconds(measurement.user_per_message()),
            kernel_share: measurement.kernel_share().unwrap_or_default(),
            busy: measurement.server_busy().unwrap_or_default(),
            resident_per_connection: None,
        });
        let open_loop = measurement.open_loop.as_ref().map(|open| OpenLoop {
            rate: open.rate,
            sent: open.sent,
            unanswered: open.unanswered,
            late: Percentiles::from(&open.late),
        });
        Self {
            messages: measurement.messages,
            seconds: measurement.elapsed.as_secs_f64(),
            messages_per_second: measurement.messages_per_second(),
            bytes_per_message: measurement.bytes_per_message(),
            latency: Percentiles::from(&measurement.latency),
            load_busy: measurement.client_busy(),
            server,
            open_loop,
            bottleneck: measurement.bottleneck(),
        }
    }
}

impl From<&Histogram<u64>> for Percentiles {
    /// Of nanoseconds.
    fn from(times: &Histogram<u64>) -> Self {
        let at = |share| times.value_at_quantile(share) as f64 / 1e6;
        Self {
            count: times.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            most: times.max() as f64 / 1e6,
        }
    }
}

impl From<&IdleMemory> for Memory {
    fn from(memory: &IdleMemory) -> Self {
        Self {
            connections: memory.connections,
            before: memory.before,
            silent: memory.per_silent_connection(),
            after_message: memory.per_connection_after_message(),
        }
    }
}

/// The one in the middle, and the range that the others are in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Half of the values are no larger.
    pub median: f64,
    /// The smallest.
    pub low: f64,
    /// The largest.
    pub high: f64,
}

impl Spread {
    /// `None` without values.
    ///
    /// ```
    /// # use bench::results::Spread;
    /// let spread = Spread::of([3.0, 1.0, 2.0]).unwrap();
    /// assert_eq!((spread.low, spread.median, spread.high), (1.0, 2.0, 3.0));
    /// assert_eq!(Spread::of([]), None);
    /// ```
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (low, high) = (*values.first()?, *values.last()?);
        let upper = values[values.len() / 2];
        let lower = values[(values.len() - 1) / 2];
        Some(Self {
            median: f64::midpoint(lower, upper),
            low,
            high,
        })
    }
}

impl Row {
    /// A figure over the rounds; `None` where none has it.
    pub fn spread(&self, of: impl Fn(&Figures) -> Option<f64>) -> Option<Spread> {
        let rounds = self.rounds.iter().filter_map(|outcome| match outcome {
            Outcome::Traffic(figures) => of(figures),
            Outcome::Memory(_) => None,
        });
        Spread::of(rounds)
    }

    /// The processor time of the server per message, in µs.
    pub fn cost(&self) -> Option<Spread> {
        self.spread(|figures| Some(figures.server?.microseconds))
    }

    /// What was found out of memory, if that is what was looked at.
    pub fn memory(&self) -> Option<&Memory> {
        self.rounds.iter().find_map(|outcome| match outcome {
            Outcome::Memory(memory) => Some(memory),
            Outcome::Traffic(_) => None,
        })
    }
}

impl Results {
    /// What was measured of one scenario, in the order of the tables.
    pub fn of(&self, scenario: &str) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.scenario == scenario)
    }

    /// One server's part in one scenario.
    pub fn row(&self, scenario: &str, server: &str) -> Option<&Row> {
        self.of(scenario).find(|row| row.server == server)
    }
}
