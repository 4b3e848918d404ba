//! One recorded conversation: a file of `tests/transcripts`.

use std::{collections::BTreeSet, fs, path::Path, str::FromStr, time::Duration};

use super::action::{Action, Below};

#[derive(Debug)]
pub(crate) struct Scenario {
    /// `folder/file` without its ending.
    pub(crate) name: String,
    pub(crate) title: String,
    /// Ids of the specification.
    pub(crate) shows: String,
    pub(crate) hub: String,
    pub(crate) transport: Transport,
    pub(crate) encoding: Encoding,
    /// Nothing else may use the hub at the same time.
    pub(crate) exclusive: bool,
    /// Takes longer than a minute.
    pub(crate) slow: bool,
    pub(crate) ignored: Ignored,
    /// How long to wait for one thing.
    pub(crate) patience: Duration,
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) number: usize,
    pub(crate) line: String,
    pub(crate) action: Action,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Transport {
    WebSockets,
    Events,
    Polling,
    Http,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Json,
    MessagePack,
    None,
}

/// Messages of the server that may come at any moment and are skipped.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ignored {
    pub(crate) pings: bool,
    pub(crate) acks: bool,
}

impl Ignored {
    pub(crate) fn covers(self, message: &[u8]) -> bool {
        let ping = matches!(message, b"{\"type\":6}\x1e" | b"\x02\x91\x06");
        let ack = message.starts_with(b"{\"type\":8,") || message.get(1..3) == Some(b"\x92\x08");
        self.pings && ping || self.acks && ack
    }
}

/// Every scenario below `folder`, by name.
pub(crate) fn all(folder: &Path) -> Vec<Scenario> {
    let mut found = Vec::new();
    for sub in fs::read_dir(folder).expect("the folder of transcripts") {
        let sub = sub.unwrap().path();
        if !sub.is_dir() {
            continue;
        }
        for file in fs::read_dir(&sub).unwrap() {
            let file = file.unwrap().path();
            let name = file.strip_prefix(folder).unwrap().with_extension("");
            let name = name.to_str().unwrap().replace('\\', "/");
            let text = fs::read_to_string(&file).unwrap();
            found.push(Scenario::parse(&name, &text).unwrap_or_else(|e| panic!("{name}: {e}")));
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

impl Scenario {
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, String> {
        let mut lines = (1..).zip(text.split('\n'));
        let mut scenario = Self::empty(name);
        for (number, line) in lines.by_ref() {
            match line.strip_prefix('#') {
                Some(title) if scenario.title.is_empty() => scenario.title = title.trim().into(),
                Some(_) => {}
                None if line.trim().is_empty() => break,
                None => scenario
                    .head(line)
                    .map_err(|e| format!("line {number}: {e}"))?,
            }
        }
        let mut steps: Vec<(usize, &str, Vec<Below>)> = Vec::new();
        for (number, line) in lines {
            if let (Some(below), Some((_, _, belows))) = (line.strip_prefix("  "), steps.last_mut())
            {
                let (mark, text) = below.split_once(' ').unwrap_or((below, ""));
                let mark = mark
                    .chars()
                    .next()
                    .ok_or_else(|| format!("line {number}: empty"))?;
                belows.push((mark, text.into()));
            } else if !line.trim().is_empty() && !line.starts_with('#') {
                steps.push((number, line, Vec::new()));
            }
        }
        for (number, line, below) in steps {
            let action = Action::parse(line, &below);
            let action = action.map_err(|e| format!("line {number}: {line:?}: {e}"))?;
            scenario.steps.push(Step {
                number,
                line: line.into(),
                action,
            });
        }
        Ok(scenario)
    }

    fn empty(name: &str) -> Self {
        Self {
            name: name.into(),
            title: String::new(),
            shows: String::new(),
            hub: String::new(),
            transport: Transport::Http,
            encoding: Encoding::None,
            exclusive: false,
            slow: false,
            ignored: Ignored::default(),
            patience: Duration::from_secs(8),
            steps: Vec::new(),
        }
    }

    fn head(&mut self, line: &str) -> Result<(), String> {
        let (key, value) = line.split_once(':').ok_or("not `key: value`")?;
        let value = value.trim();
        match key.trim() {
            "shows" => self.shows = value.into(),
            "hub" => self.hub = value.into(),
            "transport" => self.transport = value.parse()?,
            "protocol" => self.encoding = value.parse()?,
            "exclusive" => self.exclusive = value == "yes",
            "slow" => self.slow = value == "yes",
            "ignore" => {
                self.ignored = Ignored {
                    pings: value.contains("pings"),
                    acks: value.contains("acks"),
                };
            }
            "timeout" => {
                let time = value.parse().map_err(|_| "no milliseconds")?;
                self.patience = Duration::from_millis(time);
            }
            _ => return Err(format!("no such key: {key}")),
        }
        Ok(())
    }

    pub(crate) fn folder(&self) -> &str {
        self.name.split_once('/').map_or("", |(folder, _)| folder)
    }

    /// How long it may take, as far as its lines tell.
    pub(crate) fn weight(&self) -> Duration {
        self.steps.iter().map(|step| step.action.weight()).sum()
    }

    /// Every first segment of a path that it asks for, and the hub it names.
    pub(crate) fn hubs(&self) -> BTreeSet<&str> {
        let paths = self.steps.iter().filter_map(|step| step.action.path());
        paths
            .chain([self.hub.as_str()])
            .map(first_segment)
            .collect()
    }

    /// How a report tells that it failed.
    pub(crate) fn failed(&self, why: &str) -> String {
        let Self {
            name, title, shows, ..
        } = self;
        format!("\n{name} ({title}) [{shows}]\n   {why}\n")
    }

    /// Every transport that it uses, and the one it names.
    pub(crate) fn transports(&self) -> BTreeSet<Transport> {
        let used = self.steps.iter().filter_map(|step| step.action.transport());
        used.chain([self.transport]).collect()
    }
}

/// `/spec/negotiate?x` -> `/spec`
fn first_segment(path: &str) -> &str {
    let end = path.char_indices().skip(1).find(|(_, c)| "/?".contains(*c));
    end.map_or(path, |(at, _)| &path[..at])
}

impl FromStr for Transport {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "ws" => Self::WebSockets,
            "sse" => Self::Events,
            "lp" => Self::Polling,
            "http" => Self::Http,
            _ => return Err(format!("no such transport: {text}")),
        })
    }
}

impl FromStr for Encoding {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "json" => Self::Json,
            "messagepack" => Self::MessagePack,
            "none" => Self::None,
            _ => return Err(format!("no such protocol: {text}")),
        })
    }
}
