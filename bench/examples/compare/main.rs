//! Measures our servers beside their peers, on this machine, and prints the tables.
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

mod plan;
mod scenarios;
mod servers;
mod tables;

use std::{env, fs, io, path::PathBuf, process::ExitCode, time::Duration};

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
        command: command(),
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
        for contender in &present {
            progress.tell(&format!(
                "round {round} of {}: {}",
                options.rounds, contender.name
            ));
            for group in plan.groups(contender, round == 1) {
                measure(options, contender, &group, &mut results, &progress);
            }
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

/// What one process of a server does, one after the other.
fn measure(
    options: &Options,
    contender: &Contender,
    tasks: &[Task],
    results: &mut Results,
    progress: &plan::Progress,
) {
    let mut server = None;
    let mut last_kind = None;
    for task in tasks {
        progress.begin(&task.label);
        let row = results.rows.iter_mut().find(|row| task.is_of(row));
        let row = row.expect("the plan has a row for each of its tasks");
        let is_first_of_kind = last_kind.replace(task.kind) != Some(task.kind);
        let window = Window {
            warm_up: contender.warm_up(is_first_of_kind),
            measured: Duration::from_secs(options.seconds.into()),
        };
        let outcome = running(&mut server, contender)
            .and_then(|server| task.scenario.run(contender, server, window));
        match outcome {
            Ok(outcome) => {
                progress.tell(&format!("  {}: {}", task.scenario, brief(&outcome)));
                row.rounds.push(outcome);
            }
            Err(e) => {
                progress.tell(&format!("  {}: failed: {e}", task.scenario));
                row.failure.get_or_insert_with(|| e.to_string());
                // What it was in the middle of is not the next one's.
                server = None;
                last_kind = None;
            }
        }
        progress.done(task.takes + window.warm_up);
    }
}

/// The server that runs, started if none does.
fn running<'a>(server: &'a mut Option<Server>, contender: &Contender) -> io::Result<&'a Server> {
    Ok(match server {
        Some(server) => server,
        none => none.insert(contender.start(SERVER_CORE)?),
    })
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

/// As it was called, by its short name.
fn command() -> String {
    let arguments = env::args().skip(1);
    ["compare".to_owned()]
        .into_iter()
        .chain(arguments)
        .collect::<Vec<_>>()
        .join(" ")
}

impl Task {
    fn is_of(&self, row: &Row) -> bool {
        row.server == self.server && row.scenario == self.scenario.to_string()
    }
}

const SERVER_CORE: usize = 0;
const LOAD_CORE: usize = 1;
