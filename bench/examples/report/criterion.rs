//! What criterion left in its folder.

use std::{fs, io, path::Path};

use bench::{
    machine::{self, Machine},
    results::Spread,
};
use serde::{Deserialize, Serialize};

/// A whole run of `cargo bench`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) command: String,
    pub(crate) date: String,
    pub(crate) machine: Machine,
    pub(crate) measured: Vec<Measured>,
}

/// One benchmark.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) group: String,
    pub(crate) function: String,
    /// Its parameter; empty where it has none.
    pub(crate) value: String,
    /// Nanoseconds of an iteration: criterion's estimate, and the ends of its interval of 95 %.
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

#[derive(Deserialize)]
struct Benchmark {
    group_id: String,
    function_id: Option<String>,
    value_str: Option<String>,
}

#[derive(Deserialize)]
struct Estimates {
    mean: Estimate,
    slope: Option<Estimate>,
}

#[derive(Deserialize)]
struct Estimate {
    point_estimate: f64,
    confidence_interval: Interval,
}

#[derive(Deserialize)]
struct Interval {
    lower_bound: f64,
    upper_bound: f64,
}

impl Run {
    /// All that lies under criterion's folder, made now.
    pub(crate) fn read(folder: &Path, command: &str) -> io::Result<Self> {
        let mut measured = Vec::new();
        collect(folder, &mut measured)?;
        measured.sort_by(|a, b| {
            let key = |one: &Measured| (one.group.clone(), one.function.clone(), one.value.clone());
            key(a).cmp(&key(b))
        });
        Ok(Self {
            command: command.into(),
            date: machine::today(),
            machine: Machine::here(),
            measured,
        })
    }

    /// The time of an iteration, in µs.
    pub(crate) fn microseconds(&self, group: &str, function: &str, value: &str) -> Option<Spread> {
        let is_it =
            |one: &&Measured| one.group == group && one.function == function && one.value == value;
        let found = self.measured.iter().find(is_it)?;
        Some(Spread {
            median: found.median / 1000.0,
            low: found.low / 1000.0,
            high: found.high / 1000.0,
        })
    }
}

fn collect(folder: &Path, measured: &mut Vec<Measured>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if !path.is_dir() {
            continue;
        }
        let benchmark = path.join("benchmark.json");
        if path.ends_with("new") && benchmark.exists() {
            measured.push(one(&benchmark, &path.join("estimates.json"))?);
        } else {
            collect(&path, measured)?;
        }
    }
    Ok(())
}

fn one(benchmark: &Path, estimates: &Path) -> io::Result<Measured> {
    let benchmark: Benchmark = serde_json::from_slice(&fs::read(benchmark)?)?;
    let estimates: Estimates = serde_json::from_slice(&fs::read(estimates)?)?;
    // What criterion itself calls the time.
    let time = estimates.slope.unwrap_or(estimates.mean);
    Ok(Measured {
        group: benchmark.group_id,
        function: benchmark.function_id.unwrap_or_default(),
        value: benchmark.value_str.unwrap_or_default(),
        median: time.point_estimate,
        low: time.confidence_interval.lower_bound,
        high: time.confidence_interval.upper_bound,
    })
}
