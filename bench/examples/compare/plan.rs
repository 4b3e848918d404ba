//! What is measured in which order, how long that takes, and how far it is.

use std::{collections::HashSet, time::Duration};

use bench::{results::Row, tell};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    Options,
    scenarios::{self, Kind, Scenario},
    servers::Contender,
};

/// All that is to be done.
pub(crate) struct Plan {
    /// In the order of the tables: by scenario, then by server.
    tasks: Vec<Task>,
    rounds: u8,
}

/// One server in one scenario.
#[derive(Clone)]
pub(crate) struct Task {
    pub(crate) scenario: Scenario,
    pub(crate) server: &'static str,
    pub(crate) label: String,
    /// A just-in-time compiler has to see each kind.
    pub(crate) kind: Kind,
    /// About how long it takes, the warming up left out.
    pub(crate) takes: Duration,
}

impl Plan {
    pub(crate) fn new(options: &Options, contenders: &[Contender]) -> Self {
        let wanted = |label: &String| {
            options.only.is_empty() || options.only.iter().any(|text| label.contains(text))
        };
        let tasks = scenarios::all().flat_map(|scenario| {
            contenders.iter().filter_map(move |contender| {
                let (_, dialect) = scenario.way(contender)?;
                Some(Task {
                    scenario,
                    server: contender.name,
                    label: format!("{scenario}/{}", contender.name),
                    kind: scenario.kind(dialect),
                    takes: scenario.takes(options.seconds),
                })
            })
        });
        Self {
            tasks: tasks.filter(|task| wanted(&task.label)).collect(),
            rounds: options.rounds,
        }
    }

    /// What --only asks for, and nothing has in its name.
    pub(crate) fn matches_nothing<'a>(&self, only: &'a [String]) -> Option<&'a str> {
        let has = |text: &str| self.labels().any(|label| label.contains(text));
        only.iter().map(String::as_str).find(|text| !has(text))
    }

    pub(crate) fn labels(&self) -> impl Iterator<Item = &str> {
        self.tasks.iter().map(|task| &*task.label)
    }

    /// A row for each, without results.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let row = |task: &Task| Row {
            scenario: task.scenario.to_string(),
            server: task.server.into(),
            rounds: Vec::new(),
            failure: None,
        };
        self.tasks.iter().map(row).collect()
    }

    /// Those who have something to do.
    pub(crate) fn contenders<'a>(
        &self,
        contenders: &'a [Contender],
    ) -> impl Iterator<Item = &'a Contender> {
        let has_task = |name| self.tasks.iter().any(|task| task.server == name);
        contenders.iter().filter(move |one| has_task(one.name))
    }

    /// What is done in one round, one after the other. Memory is measured in the first alone.
    pub(crate) fn tasks(&self, is_first: bool) -> impl Iterator<Item = &Task> {
        let tasks = self.tasks.iter();
        tasks.filter(move |task| is_first || !task.scenario.is_memory())
    }

    /// How long it takes with these servers.
    fn takes(&self, contenders: &[&Contender]) -> Duration {
        let round = |is_first| {
            let mut seen = HashSet::new();
            let mut takes = Duration::ZERO;
            for task in self.tasks(is_first) {
                let Some(contender) = contenders.iter().find(|one| one.name == task.server) else {
                    continue;
                };
                let is_new =
                    task.scenario.needs_fresh_server() || seen.insert((task.server, task.kind));
                takes += task.takes + contender.warm_up(is_new);
            }
            takes
        };
        round(true) + round(false) * (u32::from(self.rounds) - 1)
    }

    /// How many measurements there are, and how long they take.
    pub(crate) fn estimate(&self, contenders: &[Contender]) -> String {
        let contenders: Vec<_> = self.contenders(contenders).collect();
        let takes = self.takes(&contenders);
        format!(
            "{} measurements, {} rounds, about {} min",
            self.tasks.len(),
            self.rounds,
            takes.as_secs().div_ceil(60)
        )
    }

    /// How far these servers are with it.
    pub(crate) fn progress(&self, contenders: &[&Contender]) -> Progress {
        let takes = self.takes(contenders);
        let bar = ProgressBar::new(takes.as_secs());
        let style = "{bar:30} {percent} %, about {msg}";
        bar.set_style(ProgressStyle::with_template(style).expect("a template without mistakes"));
        tell!(
            "{} rounds, about {} min",
            self.rounds,
            takes.as_secs().div_ceil(60)
        );
        Progress { bar }
    }
}

/// Everything there is to measure.
pub(crate) fn labels(contenders: &[Contender]) -> Vec<String> {
    let of = |scenario: Scenario| {
        let fitting = contenders
            .iter()
            .filter(move |one| scenario.way(one).is_some());
        fitting.map(move |one| format!("{scenario}/{}", one.name))
    };
    scenarios::all().flat_map(of).collect()
}

/// A line at the bottom of the terminal, where there is one.
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    pub(crate) fn begin(&self, label: &str) {
        let left = self
            .bar
            .length()
            .unwrap_or_default()
            .saturating_sub(self.bar.position());
        self.bar
            .set_message(format!("{} min left: {label}", left.div_ceil(60)));
    }

    pub(crate) fn done(&self, took: Duration) {
        self.bar.inc(took.as_secs_f64().round() as u64);
    }

    /// A line above it.
    pub(crate) fn tell(&self, line: &str) {
        self.bar.suspend(|| tell!("{line}"));
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
