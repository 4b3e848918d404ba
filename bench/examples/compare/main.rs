//! Measures our servers beside their peers, on this machine, and prints the tables.
//!
//! ```text
//! cargo build --profile measured --example compare --example load --example peer --example raw_server --example hub_server
//! target/measured/examples/compare
//! target/measured/examples/compare --only tungstenite --only raw-tcp --rounds 1
//! ```
//!
//! The servers are pinned to core 0, the load to core 1. A round goes from scenario to scenario, and in
//! each from server to server, of which one works and the others sleep: whatever else the machine does
//! meanwhile hits alike those that are compared. A table shows the median of the rounds.

mod plan;
mod scenarios;
mod servers;
mod tables;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    fs, io,
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use bench::{
    load::Window,
    machine::{self, Machine},
    results::{Outcome, Results, Row},
    say,
    server::{self, Server},
    tell,
};
use clap::Parser;

use self::{
    plan::{Plan, Task},
    scenarios::Kind,
    servers::Contender,
};

/// Measures our servers beside their peers and prints Markdown tables.
#[derive(Parser)]
struct Options {
    /// How often every server is measured; the tables show the median.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=20))]
    rounds: u8,
    /// Seconds of each measurement, after one second that does not count.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=60))]
    seconds: u8,
    /// Runs only what has this text in its name, as --list shows it; may be given several times.
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// Prints what would be measured, and how long it would take, and ends.
    #[arg(long)]
    list: bool,
    /// Writes the tables to compare.md in this folder too, and all rounds to compare.json.
    #[arg(long, value_name = "FOLDER")]
    save: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
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
    let contenders = servers::all();
    let plan = Plan::new(options, &contenders);
    if let Some(text) = plan.matches_nothing(&options.only) {
        let labels = plan::labels(&contenders).join("\n");
        let what = format!("nothing has \"{text}\" in its name; there is:\n{labels}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    if options.list {
        plan.labels().for_each(|label| say!("{label}"));
        say!("{}", plan.estimate(&contenders));
        return Ok(true);
    }
    if let Some(folder) = &options.save {
        fs::create_dir_all(folder)?;
    }
    let wrong_profile = servers::wrong_profile()?;
    if let Some(wrong) = &wrong_profile {
        tell!("warning: {wrong}");
    }
    server::pin_to_core(LOAD_CORE)?;

    let mut results = Results {
        command: command(options),
        date: machine::today(),
        machine: Machine::here(),
        versions: Vec::new(),
        absent: Vec::new(),
        rounds: options.rounds,
        seconds: options.seconds,
        rows: plan.rows(),
    };
    let mut present = Vec::new();
    for contender in plan.contenders(&contenders) {
        let name = contender.name.to_owned();
        match contender.missing() {
            Some(why) => {
                tell!("skipped {name}: {why}");
                results.rows.retain(|row| row.server != name);
                results.absent.push((name, why));
            }
            None => {
                let version = contender.version();
                results
                    .versions
                    .push((name, version.unwrap_or_else(|| "–".into())));
                present.push(contender);
            }
        }
    }
    let progress = plan.progress(&present);
    for round in 1..=options.rounds {
        progress.tell(&format!("round {round} of {}", options.rounds));
        let mut servers = Servers::default();
        for task in plan.tasks(round == 1) {
            let Some(contender) = present.iter().find(|one| one.name == task.server) else {
                continue;
            };
            measure(
                options,
                contender,
                task,
                &mut servers,
                &mut results,
                &progress,
            );
        }
    }
    progress.finish();

    let mut page = tables::page(&results);
    if let Some(wrong) = wrong_profile {
        page += &format!("\nNot for publication: {wrong}.\n");
    }
    say!("{page}");
    if let Some(folder) = &options.save {
        fs::write(
            folder.join("compare.md"),
            format!("# Servers beside each other\n\n{page}"),
        )?;
        let kept = serde_json::to_string(&results).map_err(io::Error::other)?;
        // A line for each row: a diff tells which changed.
        let kept = kept.replace("{\"scenario\"", "\n{\"scenario\"");
        fs::write(folder.join("compare.json"), kept + "\n")?;
    }
    Ok(results.rows.iter().all(|row| row.failure.is_none()))
}

/// One server in one scenario, in one round.
fn measure(
    options: &Options,
    contender: &Contender,
    task: &Task,
    servers: &mut Servers,
    results: &mut Results,
    progress: &plan::Progress,
) {
    progress.begin(&task.label);
    let row = results.rows.iter_mut().find(|row| task.is_of(row));
    let row = row.expect("the plan has a row for each of its tasks");
    let mut alone = Servers::default();
    let servers = if task.scenario.needs_fresh_server() {
        &mut alone
    } else {
        servers
    };
    let window = Window {
        warm_up: contender.warm_up(servers.kinds.insert((task.server, task.kind))),
        measured: Duration::from_secs(options.seconds.into()),
    };
    let outcome = servers
        .running(contender)
        .and_then(|server| task.scenario.run(contender, server, window));
    match outcome {
        Ok(outcome) => {
            progress.tell(&format!("  {}: {}", task.label, brief(&outcome)));
            row.rounds.push(outcome);
        }
        Err(e) => {
            progress.tell(&format!("  {}: failed: {e}", task.label));
            row.failure.get_or_insert_with(|| e.to_string());
            // What it was in the middle of is not the next one's.
            servers.stop(contender);
        }
    }
    progress.done(task.takes + window.warm_up);
}

/// The servers of a round. Who has nothing to do sleeps beside the one that is measured, so that those
/// which do the same thing do it within seconds of each other.
#[derive(Default)]
struct Servers {
    running: HashMap<&'static str, Server>,
    /// What each of them has seen already.
    kinds: HashSet<(&'static str, Kind)>,
}

impl Servers {
    /// This one, started if it does not run.
    fn running(&mut self, contender: &Contender) -> io::Result<&Server> {
        Ok(match self.running.entry(contender.name) {
            Entry::Occupied(running) => running.into_mut(),
            Entry::Vacant(none) => none.insert(contender.start(SERVER_CORE)?),
        })
    }

    fn stop(&mut self, contender: &Contender) {
        self.running.remove(contender.name);
        self.kinds.retain(|(server, _)| *server != contender.name);
    }
}

fn brief(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Traffic(figures) => {
            let percent = |share: Option<f64>| share.unwrap_or_default() * 100.0;
            let server = figures.server.as_ref();
            format!(
                "{:.3} µs/message, {:.3} user, server {:.0} % busy, load {:.0} %",
                server.map_or(0.0, |used| used.microseconds),
                server.map_or(0.0, |used| used.user_microseconds),
                percent(server.map(|used| used.busy)),
                percent(figures.load_busy),
            )
        }
        Outcome::Memory(memory) => format!(
            "{} B silent, {} B after a message",
            memory.silent, memory.after_message
        ),
    }
}

/// As it was called, by its short name; where the results go is nobody else's.
fn command(options: &Options) -> String {
    let Options {
        rounds,
        seconds,
        only,
        ..
    } = options;
    let only = only.iter().map(|text| format!(" --only {text}"));
    format!(
        "compare --rounds {rounds} --seconds {seconds}{}",
        only.collect::<String>()
    )
}

impl Task {
    fn is_of(&self, row: &Row) -> bool {
        row.server == self.server && row.scenario == self.scenario.to_string()
    }
}

const SERVER_CORE: usize = 0;
const LOAD_CORE: usize = 1;
