//! Which conversations are replayed, and which are known to end differently.

use std::{collections::BTreeMap, path::Path};

use crate::transcript::{Scenario, Transport};

/// `skipped.txt`: what the server does not have yet. Each line is `transport NAME: reason`,
/// `hub PATH: reason` or `folder NAME: reason`.
#[derive(Debug, Default)]
pub(crate) struct Skipped(Vec<(Rule, String)>);

#[derive(Debug)]
enum Rule {
    Transport(Transport),
    Hub(String),
    Folder(String),
}

impl Skipped {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let rule = |line: &str| {
            let (what, reason) = line
                .split_once(": ")
                .ok_or_else(|| format!("no reason: {line}"))?;
            let (kind, name) = what
                .split_once(' ')
                .ok_or_else(|| format!("no name: {line}"))?;
            let rule = match kind {
                "transport" => Rule::Transport(name.parse()?),
                "hub" => Rule::Hub(name.into()),
                "folder" => Rule::Folder(name.into()),
                _ => return Err(format!("no such rule: {line}")),
            };
            Ok((rule, reason.to_owned()))
        };
        lines(text).map(rule).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn read(folder: &Path) -> Self {
        Self::parse(&read(&folder.join("skipped.txt")))
            .unwrap_or_else(|e| panic!("skipped.txt: {e}"))
    }

    /// Why the scenario is left out, if it is.
    pub(crate) fn reason(&self, scenario: &Scenario) -> Option<&str> {
        let applies = |rule: &Rule| match rule {
            Rule::Transport(transport) => scenario.transports().contains(transport),
            Rule::Hub(hub) => scenario.hubs().contains(hub.as_str()),
            Rule::Folder(folder) => scenario.folder() == folder,
        };
        self.0
            .iter()
            .find(|(rule, _)| applies(rule))
            .map(|(_, reason)| reason.as_str())
    }
}

/// `differences.txt`: conversations that end differently on purpose, `NAME: reason`.
#[derive(Debug, Default)]
pub(crate) struct Differences(BTreeMap<String, String>);

impl Differences {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let entry = |line: &str| {
            let (name, reason) = line
                .split_once(": ")
                .ok_or_else(|| format!("no reason: {line}"))?;
            Ok((name.to_owned(), reason.to_owned()))
        };
        lines(text)
            .map(entry)
            .collect::<Result<_, String>>()
            .map(Self)
    }

    pub(crate) fn read(folder: &Path) -> Self {
        let text = read(&folder.join("differences.txt"));
        Self::parse(&text).unwrap_or_else(|e| panic!("differences.txt: {e}"))
    }

    /// The names listed that no scenario has.
    pub(crate) fn stale<'a>(&'a self, scenarios: &'a [Scenario]) -> impl Iterator<Item = &'a str> {
        let known = |name: &String| scenarios.iter().any(|scenario| scenario.name == *name);
        self.0
            .keys()
            .filter(move |name| !known(name))
            .map(String::as_str)
    }

    /// What is wrong with the outcome of a scenario: a difference that is not listed, or none
    /// where one is.
    pub(crate) fn problem(&self, name: &str, outcome: Result<(), String>) -> Option<String> {
        match (outcome, self.0.get(name)) {
            (Err(why), None) => Some(why),
            (Ok(()), Some(reason)) => Some(format!(
                "passes, but differences.txt lists it ({reason}): remove it there"
            )),
            (Ok(()), None) | (Err(_), Some(_)) => None,
        }
    }
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

/// `TRANSCRIPTS_ONLY`: parts of names, with `|` between alternatives, `^` and `$` for the ends and
/// `.*` for anything between.
pub(crate) fn chosen(filter: &str, name: &str) -> bool {
    let one = |filter: &str| {
        let (at_start, filter) = match filter.strip_prefix('^') {
            Some(filter) => (true, filter),
            None => (false, filter),
        };
        let (at_end, filter) = match filter.strip_suffix('$') {
            Some(filter) => (true, filter),
            None => (false, filter),
        };
        let mut left = name;
        let parts: Vec<_> = filter.split(".*").collect();
        for (i, part) in parts.iter().enumerate() {
            let last = at_end && i + 1 == parts.len();
            let found = if i == 0 && at_start {
                left.starts_with(part).then_some(0)
            } else if last {
                left.len()
                    .checked_sub(part.len())
                    .filter(|at| left[*at..] == **part)
            } else {
                left.find(part)
            };
            let Some(at) = found else { return false };
            left = &left[at + part.len()..];
        }
        !at_end || left.is_empty()
    };
    filter.is_empty() || filter.split('|').any(one)
}
