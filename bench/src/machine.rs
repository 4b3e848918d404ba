//! What a measurement was made on, and when.

use std::{fmt, fs, process::Command, thread};

use serde::{Deserialize, Serialize};

/// The machine that a figure belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// As the processor calls itself.
    pub processor: String,
    /// How many of its cores this machine has.
    pub cores: usize,
    /// The release of Linux.
    pub linux: String,
    /// The compiler, as `rustc --version` tells; of what was built here.
    pub rustc: String,
}

impl Machine {
    /// This one. What it does not tell is "unknown".
    pub fn here() -> Self {
        let unknown = || String::from("unknown");
        let cpu_info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpu_info
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let linux = release.split('-').next().unwrap_or_default().trim();
        Self {
            processor: model.map_or_else(unknown, |(_, model)| model.trim().to_owned()),
            cores: cpu_info.matches("processor\t").count().max(cores),
            linux: linux.to_owned(),
            rustc: said_by("rustc", &["--version"]).unwrap_or_else(unknown),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            processor,
            cores,
            linux,
            rustc,
        } = self;
        write!(f, "{cores} cores of {processor}, Linux {linux}, {rustc}")
    }
}

/// The date, as in 2026-11-23, in UTC; empty where there is no `date`.
pub fn today() -> String {
    said_by("date", &["-u", "+%F"]).unwrap_or_default()
}

/// The first line that a program prints; `None` where it is missing or fails.
pub fn said_by(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().next()?.trim().to_owned();
    output.status.success().then_some(line)
}
