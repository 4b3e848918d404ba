//! Measures our server beside its peers, on this machine, and prints the tables.
//!
//! ```text
//! cargo build --profile measured --example compare --example load --example peer --example raw_server --example hub_server
//! target/measured/examples/compare
//! target/measured/examples/compare --only tungstenite --only raw-tcp --rounds 1
//! ```
//!
//! Each server runs alone, pinned to core 0, and the load pinned to core 1. The rounds go over all
//! servers in turn, so that whatever else the machine does meanwhile hits all of them alike, and a
//! table shows the median of the rounds.

mod scenarios;
mod servers;
mod tables;

use std::{fs, io, iter, path::PathBuf, process::ExitCode, time::Duration};

use bench::{load::Window, say, server, tell};
use clap::Parser;

use self::{
    scenarios::{Outcome, Scenario},
    servers::Contender,
    tables::Results,
};

/// Measures our server beside its peers and prints markdown tables.
#[derive(Parser)]
struct Options {
    /// How often every server is measured; the tables show the median.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=20))]
    rounds: u8,
    /// Seconds of each measurement, after one second that does not count.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=60))]
    seconds: u8,
    /// Runs only what has this text in its name, as --list shows it; may be given several times.
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// Prints what would be measured, and ends.
    #[arg(long)]
    list: bool,
    /// Writes the tables to this file too.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            tell!("error: {e}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether everything that was started could be measured.
fn run(options: &Options) -> io::Result<bool> {
    let contenders: Vec<_> = servers::all()
        .into_iter()
        .filter(|c| options.wants_any(c))
        .collect();
    if let Some(text) = options.matches_nothing() {
        let what = format!(
            "nothing has \"{text}\" in its name; there is:\n{}",
            labels().join("\n")
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    if options.list {
        for contender in &contenders {
            for scenario in options.scenarios(contender) {
                say!("{}", label(scenario, contender));
            }
        }
        return Ok(true);
    }
    let wrong_profile = servers::wrong_profile()?;
    if let Some(wrong) = &wrong_profile {
        tell!("warning: {wrong}");
    }
    server::pin_to_core(LOAD_CORE)?;
    let present: Vec<_> = contenders.into_iter().filter(is_present).collect();

    let mut results = Results::default();
    for round in 1..=options.rounds {
        for contender in &present {
            tell!("round {round} of {}: {}", options.rounds, contender.name);
            measure(options, contender, round == 1, &mut results);
        }
    }
    let mut report = tables::report(&results, options.rounds, options.seconds);
    if let Some(wrong) = wrong_profile {
        report += &format!("\nNot for publication: {wrong}.\n");
    }
    say!("{report}");
    if let Some(file) = &options.save {
        fs::write(file, &report)?;
    }
    Ok(results.failures.is_empty())
}

/// One round of one server. Memory does not vary as time does: it is measured in the first only.
fn measure(options: &Options, contender: &Contender, is_first: bool, results: &mut Results) {
    let scenarios = options.scenarios(contender);
    let (memory, traffic): (Vec<_>, Vec<_>) = scenarios
        .into_iter()
        .partition(|scenario| scenario.is_memory());
    let memory = if is_first { memory } else { Vec::new() };
    // Memory is that of a fresh process, and must not be left behind by the traffic.
    let memory = memory.into_iter().map(|scenario| vec![scenario]);
    for scenarios in iter::once(traffic).chain(memory) {
        if scenarios.is_empty() {
            continue;
        }
        let server = match contender.start(SERVER_CORE) {
            Ok(server) => server,
            Err(e) => {
                tell!("  failed to start: {e}");
                results.failures.push(format!("{}: {e}", contender.name));
                return;
            }
        };
        let mut last_kind = None;
        for scenario in scenarios {
            let kind = scenario.kind();
            let is_first_of_kind = last_kind.replace(kind) != Some(kind);
            let window = Window {
                warm_up: contender.warm_up(is_first_of_kind),
                measured: Duration::from_secs(options.seconds.into()),
            };
            match scenario.run(contender, &server, window) {
                Ok(outcome) => {
                    tell!("  {scenario}: {}", brief(&outcome));
                    results.add(scenario, contender.name, outcome);
                }
                Err(e) => {
                    tell!("  {scenario}: failed: {e}");
                    results
                        .failures
                        .push(format!("{}: {e}", label(scenario, contender)));
                }
            }
        }
    }
}

fn brief(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Traffic(figures) => format!(
            "{:.3} µs/message, {:.3} user, server {:.0} % busy, load {:.0} %",
            figures.server_microseconds,
            figures.user_microseconds,
            figures.server_busy * 100.0,
            figures.client_busy * 100.0
        ),
        Outcome::Memory(memory) => format!(
            "{} B silent, {} B after a message",
            memory.per_silent_connection(),
            memory.per_connection_after_message()
        ),
    }
}

fn is_present(contender: &Contender) -> bool {
    match contender.missing() {
        None => true,
        Some(why) => {
            tell!("skipped {}: {why}", contender.name);
            false
        }
    }
}

fn label(scenario: Scenario, contender: &Contender) -> String {
    format!("{scenario}/{}", contender.name)
}

/// Everything there is to measure.
fn labels() -> Vec<String> {
    let of = |contender: &Contender| {
        let fitting = scenarios::all().filter(|scenario| scenario.fits(contender));
        let labels = fitting.map(|scenario| label(scenario, contender));
        labels.collect::<Vec<_>>()
    };
    servers::all().iter().flat_map(of).collect()
}

impl Options {
    fn scenarios(&self, contender: &Contender) -> Vec<Scenario> {
        let wanted = |scenario: &Scenario| {
            let label = label(*scenario, contender);
            self.only.is_empty() || self.only.iter().any(|text| label.contains(text))
        };
        scenarios::all()
            .filter(|s| s.fits(contender))
            .filter(wanted)
            .collect()
    }

    /// What --only asks for, and nothing has in its name.
    fn matches_nothing(&self) -> Option<&str> {
        let labels = labels();
        let wanted = self.only.iter().map(String::as_str);
        let mut unmatched = wanted.filter(|text| !labels.iter().any(|label| label.contains(text)));
        unmatched.next()
    }

    fn wants_any(&self, contender: &Contender) -> bool {
        !self.scenarios(contender).is_empty()
    }
}

const SERVER_CORE: usize = 0;
const LOAD_CORE: usize = 1;
