//! The report: one markdown table for each scenario, medians over the rounds.

use std::{fmt::Write, fs, process::Command, thread};

use bench::load::IdleMemory;

use crate::scenarios::{self, Figures, Outcome, Scenario};

/// Everything measured so far, in the order in which the servers were started.
#[derive(Default)]
pub(crate) struct Results {
    traffic: Vec<(Scenario, &'static str, Vec<Figures>)>,
    memory: Vec<(Scenario, &'static str, IdleMemory)>,
    pub(crate) failures: Vec<String>,
}

impl Results {
    pub(crate) fn add(&mut self, scenario: Scenario, server: &'static str, outcome: Outcome) {
        let figures = match outcome {
            Outcome::Memory(memory) => return self.memory.push((scenario, server, memory)),
            Outcome::Traffic(figures) => figures,
        };
        let row = self
            .traffic
            .iter_mut()
            .find(|(s, name, _)| (*s, *name) == (scenario, server));
        match row {
            Some((_, _, rounds)) => rounds.push(figures),
            None => self.traffic.push((scenario, server, vec![figures])),
        }
    }

    fn rows(&self, scenario: Scenario) -> impl Iterator<Item = (&'static str, &[Figures])> {
        let rows = self.traffic.iter().filter(move |(s, ..)| *s == scenario);
        rows.map(|(_, server, rounds)| (*server, rounds.as_slice()))
    }
}

/// The whole report, as markdown.
pub(crate) fn report(results: &Results, rounds: u8, seconds: u8) -> String {
    let mut report = format!(
        "Measured {} on {}. Servers pinned to one core, the load to another; \
         median of {rounds} × {seconds} s.\n",
        today(),
        machine()
    );
    for scenario in scenarios::all() {
        let memory = results.memory.iter().any(|(s, ..)| *s == scenario);
        if !memory && results.rows(scenario).next().is_none() {
            continue;
        }
        report += &format!("\n### {}\n\n", scenario.title());
        report += &match scenario {
            Scenario::Idle | Scenario::HubIdle { .. } => memory_table(results, scenario),
            Scenario::Call { .. } => hub_table(results, scenario, "call"),
            Scenario::Broadcast { .. } => hub_table(results, scenario, "delivery"),
            Scenario::Echo { .. } | Scenario::FanOut => traffic_table(results, scenario),
        };
    }
    if !results.failures.is_empty() {
        report += "\nNot measured, because it failed:\n\n";
        report.extend(
            results
                .failures
                .iter()
                .map(|failure| format!("- {failure}\n")),
        );
    }
    report
}

fn traffic_table(results: &Results, scenario: Scenario) -> String {
    let (limit, unit, units) = match scenario {
        Scenario::FanOut => ("epoll-fan-out", "delivery", "deliveries"),
        _ => ("raw-tcp", "message", "messages"),
    };
    let limit_cost = results
        .rows(scenario)
        .find(|(server, _)| *server == limit)
        .map(|(_, rounds)| median(rounds, |f| f.server_microseconds));
    let mut table = format!(
        "| server | CPU-µs per {unit} | lowest–highest | × {limit} | in kernel | {units}/s \
         | p50 ms | p99 ms | server busy | load busy |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"
    );
    for (server, rounds) in results.rows(scenario) {
        let cost = median(rounds, |f| f.server_microseconds);
        let (low, high) = range(rounds, |f| f.server_microseconds);
        let ratio = ratio(cost, limit_cost);
        let percent = |part: fn(&Figures) -> f64| median(rounds, part) * 100.0;
        // Writing to a String does not fail.
        let _ = writeln!(
            table,
            "| {server} | {cost:.2} | {low:.2}–{high:.2} | {ratio} | {:.0} % | {} | {:.2} | {:.2} \
             | {:.0} % | {:.0} % |",
            percent(|f| f.kernel_share),
            thousands(median(rounds, |f| f.messages_per_second)),
            median(rounds, |f| f.p50_milliseconds),
            median(rounds, |f| f.p99_milliseconds),
            percent(|f| f.server_busy),
            percent(|f| f.client_busy),
        );
    }
    table
}

/// What the hub adds to the layer below it, and where ASP.NET Core stands.
fn hub_table(results: &Results, scenario: Scenario, unit: &str) -> String {
    let of = |name, part: fn(&Figures) -> f64| {
        let mut rows = results.rows(scenario);
        rows.find(|(server, _)| *server == name)
            .map(|(_, rounds)| median(rounds, part))
    };
    let (raw_user, raw) = (
        of("raw-ws", |f| f.user_microseconds),
        of("raw-ws", |f| f.server_microseconds),
    );
    let aspnetcore = of("aspnetcore", |f| f.server_microseconds);
    let mut table = format!(
        "| server | user CPU-µs per {unit} | lowest–highest | above raw-ws | CPU-µs per {unit} \
         | × raw-ws | × aspnetcore | per second | server busy | load busy |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"
    );
    for (server, rounds) in results.rows(scenario) {
        let cost = median(rounds, |f| f.server_microseconds);
        let user = median(rounds, |f| f.user_microseconds);
        let (low, high) = range(rounds, |f| f.user_microseconds);
        let above = raw_user.map_or_else(|| "–".into(), |raw| format!("{:.2}", user - raw));
        // Writing to a String does not fail.
        let _ = writeln!(
            table,
            "| {server} | {user:.2} | {low:.2}–{high:.2} | {above} | {cost:.2} | {} | {} | {} \
             | {:.0} % | {:.0} % |",
            ratio(cost, raw),
            ratio(cost, aspnetcore),
            thousands(median(rounds, |f| f.messages_per_second)),
            median(rounds, |f| f.server_busy) * 100.0,
            median(rounds, |f| f.client_busy) * 100.0,
        );
    }
    table
}

fn memory_table(results: &Results, scenario: Scenario) -> String {
    let mut table = String::from(
        "| server | bytes per silent connection | bytes per connection after 16 KiB each way \
         | server before, MB |\n|---|--:|--:|--:|\n",
    );
    let rows = results.memory.iter().filter(|(s, ..)| *s == scenario);
    for (_, server, memory) in rows {
        let silent = thousands(memory.per_silent_connection() as f64);
        let after = thousands(memory.per_connection_after_message() as f64);
        let before = memory.before as f64 / 1e6;
        // Writing to a String does not fail.
        let _ = writeln!(table, "| {server} | {silent} | {after} | {before:.1} |");
    }
    table
}

fn median(rounds: &[Figures], part: impl Fn(&Figures) -> f64) -> f64 {
    let mut values: Vec<f64> = rounds.iter().map(part).collect();
    values.sort_by(f64::total_cmp);
    let upper = values[values.len() / 2];
    let lower = values[(values.len() - 1) / 2];
    f64::midpoint(lower, upper)
}

fn range(rounds: &[Figures], part: impl Fn(&Figures) -> f64) -> (f64, f64) {
    let values = || rounds.iter().map(&part);
    (
        values().fold(f64::MAX, f64::min),
        values().fold(0.0, f64::max),
    )
}

fn ratio(cost: f64, to: Option<f64>) -> String {
    to.map_or_else(|| "–".into(), |to| format!("{:.2}", cost / to))
}

/// A whole number with a comma after every three digits.
fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

fn today() -> String {
    let output = Command::new("date").args(["-u", "+%F"]).output();
    output.map_or_else(
        |_| "today".into(),
        |o| String::from_utf8_lossy(&o.stdout).trim().into(),
    )
}

fn machine() -> String {
    let cpu_info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu_info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("an unknown processor", |(_, model)| model);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let all_cores = cpu_info.matches("processor\t").count().max(cores);
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let version = release.split('-').next().unwrap_or_default().trim();
    format!("{all_cores} cores of {model}, Linux {version}")
}
