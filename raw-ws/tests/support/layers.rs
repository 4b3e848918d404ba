//! Reads the sources of a crate, and says which of its rooms names what it may not.
//!
//! A room is an entry of `src`: a file, or an opening file and its folder. Code names what it uses
//! by its path (`crate::error::Result`, never `crate::Result`), so that it can be seen here.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The rules of one crate.
pub(crate) struct Layers {
    /// The crate's own folder.
    pub(crate) root: &'static str,
    /// Its rooms, lowest first. A room names lower ones only; two on one line do not name each
    /// other.
    pub(crate) rooms: &'static [&'static [&'static str]],
    /// Files of one room that name each other in a circle: the step that closes it, and why it is
    /// there.
    pub(crate) circles: &'static [Circle],
    /// The rooms that are pure machines, and what those may name all the same.
    pub(crate) machines: &'static [&'static str],
    pub plain_data: &'static [&'static str],
}

/// `from` names `to`, two files of `room`, which leads back to it.
pub(crate) struct Circle {
    pub(crate) room: &'static str,
    pub(crate) from: &'static str,
    pub(crate) to: &'static str,
    pub(crate) why: &'static str,
}

/// What a pure machine may not name: sockets, tasks, clocks (an `Instant` is an argument), random
/// sources.
const IMPURE: &[&str] = &[
    "tokio",
    "raw_ws",
    "axum",
    "std::net",
    "net::",
    "Instant::now",
    "SystemTime",
    "getrandom",
    "rand::",
    "RandomState",
];

/// A source file: its room, its place in it, its text.
struct Source {
    room: String,
    file: String,
    text: String,
}

impl Layers {
    /// What names upwards, sideways in both directions, or something that is in no line.
    pub(crate) fn upward(&self) -> Vec<String> {
        let mut found = BTreeSet::new();
        let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for source in self.sources() {
            found.extend(self.offences(&source.room, &source.text));
            let named = named(&source.text).into_iter().map(|path| path[0].clone());
            uses.entry(source.room).or_default().extend(named);
        }
        for line in self.rooms {
            for a in *line {
                for b in line.iter().filter(|b| *b > a) {
                    let names = |x: &str, y: &str| uses.get(x).is_some_and(|used| used.contains(y));
                    if names(a, b) && names(b, a) {
                        found.insert(format!("{a} <-> {b}"));
                    }
                }
            }
        }
        found.into_iter().collect()
    }

    /// What the code of a room names and may not.
    pub(crate) fn offences(&self, room: &str, text: &str) -> Vec<String> {
        let from = self
            .line(room)
            .unwrap_or_else(|| panic!("`{room}` is in no line"));
        let named: BTreeSet<_> = named(text)
            .into_iter()
            .map(|path| path[0].clone())
            .collect();
        let upward = named
            .into_iter()
            .filter(|used| self.line(used).is_none_or(|to| to > from));
        upward
            .map(|used| format!("{room} -> crate::{used}"))
            .collect()
    }

    /// The files of one room that name each other in a circle nobody has given a reason for.
    pub(crate) fn circles(&self) -> Vec<String> {
        let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for source in self.sources() {
            let file = format!("{}::{}", source.room, source.file);
            for path in named(&source.text) {
                let [room, other, ..] = &path[..] else {
                    continue;
                };
                let is_known = self.circles.iter().any(|circle| {
                    (circle.room, circle.from, circle.to) == (&source.room, &source.file, other)
                });
                if *room == source.room && *other != source.file && !is_known {
                    let other = format!("{room}::{other}");
                    uses.entry(file.clone()).or_default().insert(other);
                }
            }
        }
        let comes_back = |file: &String| reached(&uses, file).contains(file);
        uses.keys()
            .filter(|file| comes_back(file))
            .cloned()
            .collect()
    }

    /// The circles that are excused and not there.
    pub(crate) fn needless_excuses(&self) -> Vec<String> {
        let sources = self.sources();
        let is_there = |circle: &&Circle| {
            sources.iter().any(|source| {
                let mut paths = named(&source.text).into_iter();
                (circle.room, circle.from) == (&source.room, &source.file)
                    && paths.any(|path| path.len() > 1 && path[..2] == [circle.room, circle.to])
            })
        };
        let needless = self
            .circles
            .iter()
            .filter(|circle| !is_there(circle) || circle.why.is_empty());
        needless
            .map(|circle| format!("{} -> {}", circle.from, circle.to))
            .collect()
    }

    /// Machines that name a socket, a task, a clock or a random source.
    pub(crate) fn impure(&self) -> Vec<String> {
        let sources = self.sources();
        let found = sources
            .iter()
            .flat_map(|source| self.impurities(&source.room, &source.text));
        found.collect()
    }

    /// What the code of a room names and a machine may not.
    pub(crate) fn impurities(&self, room: &str, text: &str) -> Vec<String> {
        if !self.machines.contains(&room) {
            return Vec::new();
        }
        let mut code = code(text);
        for plain in self.plain_data {
            code = code.replace(plain, "");
        }
        let named = IMPURE.iter().filter(|word| code.contains(**word));
        named.map(|word| format!("{room} names {word}")).collect()
    }

    /// Rooms of the lines that are not there.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        let sources = self.sources();
        let rooms = self.rooms.iter().copied().flatten().copied();
        rooms
            .filter(|room| !sources.iter().any(|source| source.room == *room))
            .collect()
    }

    fn line(&self, room: &str) -> Option<usize> {
        self.rooms.iter().position(|line| line.contains(&room))
    }

    /// Every source file but `lib.rs` and those of tests.
    fn sources(&self) -> Vec<Source> {
        let src = Path::new(self.root).join("src");
        let mut files = Vec::new();
        collect(&src, &mut files);
        let sources = files.into_iter().map(|path| {
            let inside = path.strip_prefix(&src).unwrap().with_extension("");
            let mut names = inside.iter().map(|name| name.to_str().unwrap().to_owned());
            let room = names.next().unwrap();
            let file = names.next().unwrap_or_default();
            let text = fs::read_to_string(&path).unwrap();
            Source { room, file, text }
        });
        sources.filter(|source| source.room != "lib").collect()
    }
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.file_stem().unwrap() == "tests" {
            continue;
        }
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// All that can be reached from a file.
fn reached(uses: &BTreeMap<String, BTreeSet<String>>, from: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut ahead = vec![from.to_owned()];
    while let Some(file) = ahead.pop() {
        for next in uses.get(&file).into_iter().flatten() {
            if reached.insert(next.clone()) {
                ahead.push(next.clone());
            }
        }
    }
    reached
}

/// The code of a file: without comments and without its tests.
fn code(source: &str) -> String {
    let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = source.lines().map(|line| line.split("//").next().unwrap());
    lines.collect::<Vec<_>>().join("\n")
}

/// The paths into this crate that some code names, each without `crate`.
fn named(text: &str) -> Vec<Vec<String>> {
    let code = code(text).replace("$crate::", "");
    let mut paths = Vec::new();
    for (at, found) in code.match_indices("crate::") {
        read_tree(&code[at + found.len()..], &mut Vec::new(), &mut paths);
    }
    paths
}

/// Reads one path or one `{…}` of paths; gives what stands behind it.
fn read_tree<'a>(code: &'a str, before: &mut Vec<String>, paths: &mut Vec<Vec<String>>) -> &'a str {
    let Some(mut rest) = code.strip_prefix('{') else {
        let len = code.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '*');
        let (name, rest) = code.split_at(len.unwrap_or(code.len()));
        before.push(name.to_owned());
        let rest = match rest.strip_prefix("::") {
            Some(below) => read_tree(below, before, paths),
            None => {
                paths.push(before.clone());
                rest
            }
        };
        before.pop();
        return rest;
    };
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
        if let Some(behind) = rest.strip_prefix('}') {
            return behind;
        }
        rest = read_tree(rest, before, paths);
        // An `as` and its name.
        rest = &rest[rest.find([',', '}']).unwrap_or(rest.len())..];
        if rest.is_empty() {
            return rest;
        }
    }
}
