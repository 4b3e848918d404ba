//! Rules have names, which code, tests and documents cite: each must stand in the crate's contract,
//! and none may stand alone where a reader wants its sentence.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The names of rules: two digits behind one of these.
pub(crate) const SECTIONS: &[&str] = &[
    "R", "C", "N", "P", "WS", "SSE", "LP", "F", "H", "J", "M", "IN", "OR", "ST", "UP", "CR", "E",
    "K", "CL", "HB", "API", "O", "AU", "SR", "RC", "RD", "X",
];

/// What a text cites: `SR-08`, `row 58`, `L4`, `fn sr_08_…`, `fn row_58_…`, `fn l4_…`, by the names in
/// the contract.
pub(crate) fn cited(text: &str) -> BTreeSet<String> {
    let mut cited = BTreeSet::new();
    let words = |c: char| !(c.is_alphanumeric() || c == '-' || c == '_');
    let mut words = text.split(words).filter(|word| !word.is_empty()).peekable();
    while let Some(word) = words.next() {
        if let Some((section, number)) = word.split_once('-')
            && SECTIONS.contains(&section)
            && is_number(number)
        {
            cited.insert(word.to_owned());
        }
        if ["row", "rows", "Row", "Rows"].contains(&word) {
            // `rows 15, 16 and 63`.
            while let Some(next) =
                words.next_if(|next| is_row(next) || ["and", "to"].contains(next))
            {
                if is_row(next) {
                    cited.insert(row(next));
                }
            }
        }
        if let Some(limit) = word
            .split('_')
            .next()
            .and_then(|part| part.strip_prefix(['L', 'l']))
            && (word.contains('_') || word.starts_with('L'))
            && limit.len() < 3
            && is_row(limit)
        {
            cited.insert(format!("L{limit}"));
        }
        let mut parts = word.split('_').peekable();
        while let Some(part) = parts.next() {
            let section = part.to_uppercase();
            let is_section = SECTIONS.contains(&&*section) && part != section;
            while let Some(number) = parts.next_if(|next| {
                is_section && is_number(next) || ["row", "rows"].contains(&part) && is_row(next)
            }) {
                cited.insert(if is_section {
                    format!("{section}-{number}")
                } else {
                    row(number)
                });
            }
        }
    }
    cited
}

fn row(number: &str) -> String {
    format!("row {}", number.trim_start_matches('0'))
}

fn is_number(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_row(text: &str) -> bool {
    (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What a contract holds: `- **SR-08** …` and `| 58 | …`.
pub(crate) fn held(contract: &str) -> BTreeSet<String> {
    let rules = contract.lines().filter_map(|line| {
        if let Some(rule) = line.strip_prefix("- **") {
            return rule.split_once("** ").map(|(name, _)| name.to_owned());
        }
        let (name, _) = line.strip_prefix("| ")?.split_once(" |")?;
        let is_limit = name.strip_prefix('L').is_some_and(is_row);
        match name {
            row if is_row(row) => Some(format!("row {row}")),
            limit if is_limit => Some(limit.to_owned()),
            _ => None,
        }
    });
    rules.collect()
}

/// What the files under some places cite and a contract does not hold, each with a file.
pub(crate) fn missing(places: &[PathBuf], contract: &Path) -> BTreeMap<String, PathBuf> {
    let held = held(&fs::read_to_string(contract).unwrap());
    assert!(held.len() > 50, "a contract that holds something");
    let mut missing = BTreeMap::new();
    for file in files(places) {
        if file == contract {
            continue;
        }
        for name in cited(&fs::read_to_string(&file).unwrap()) {
            if !held.contains(&name) {
                missing.insert(name, file.clone());
            }
        }
    }
    missing
}

/// Comments that are nothing but the names of rules.
pub(crate) fn bare(places: &[PathBuf]) -> Vec<String> {
    let mut bare = Vec::new();
    for file in files(places) {
        let text = fs::read_to_string(&file).unwrap();
        let lines: Vec<_> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let goes_on = |other: Option<&&str>| {
                other.is_some_and(|other| other.trim_start().starts_with("//"))
            };
            let is_whole = line.trim_start().starts_with("//");
            let before = at.checked_sub(1).and_then(|before| lines.get(before));
            let stands_alone = !is_whole || !(goes_on(before) || goes_on(lines.get(at + 1)));
            if stands_alone && is_bare(line) {
                bare.push(format!("{}:{}: {}", file.display(), at + 1, line.trim()));
            }
        }
    }
    bare
}

/// Whether the comment of a line has no word of its own.
pub(crate) fn is_bare(line: &str) -> bool {
    let comment = line.split_once("// ").or_else(|| line.split_once("//! "));
    let Some((_, comment)) = comment else {
        return false;
    };
    let mut cites = false;
    let words = comment.split(|c: char| !(c.is_alphanumeric() || c == '-'));
    for word in words.filter(|word| !word.is_empty()) {
        let is_name = !cited(word).is_empty() || word.bytes().all(|byte| byte.is_ascii_digit());
        let joins = [
            "and", "to", "Row", "row", "rows", "Section", "section", "spec",
        ]
        .contains(&word);
        if !is_name && !joins {
            return false;
        }
        cites |= is_name;
    }
    cites
}

fn files(places: &[PathBuf]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut ahead = places.to_vec();
    while let Some(place) = ahead.pop() {
        let name = place.file_name().unwrap().to_str().unwrap();
        if place.is_dir() {
            if !["target", "node_modules"].contains(&name) {
                ahead.extend(
                    fs::read_dir(&place)
                        .unwrap()
                        .map(|entry| entry.unwrap().path()),
                );
            }
        } else if [".rs", ".md", ".mjs", ".js", ".html"]
            .iter()
            .any(|end| name.ends_with(end))
        {
            files.push(place);
        }
    }
    assert!(!files.is_empty(), "{places:?}");
    files
}

/// The steps of a walk through the sources of a crate, `file.rs` and a function in it, that are not
/// there.
pub(crate) fn lost_steps(readme: &Path, src: &Path) -> Vec<String> {
    let text = fs::read_to_string(readme).unwrap();
    let walk = text.split("## How it fits together").nth(1).unwrap();
    let walk = walk.split("\n## ").next().unwrap();
    let spans: Vec<_> = walk.split('`').collect();
    let mut steps = 0;
    let mut lost = Vec::new();
    // Text and spans take turns: a file, `, `, a function.
    for at in (1..spans.len()).step_by(2) {
        let [file, between, function] = [at, at + 1, at + 2].map(|at| spans.get(at).copied());
        let file = file.unwrap();
        if !file.ends_with(".rs") || file.starts_with("raw-ws/") {
            continue;
        }
        let source = fs::read_to_string(src.join(file)).unwrap_or_default();
        let function = function.filter(|_| between == Some(", "));
        let is_there = match function {
            Some(function) => ["(", "<"]
                .iter()
                .any(|end| source.contains(&format!("fn {function}{end}"))),
            None => !source.is_empty(),
        };
        if !is_there {
            lost.push(format!("{file}: {}", function.unwrap_or("no such file")));
        }
        steps += usize::from(function.is_some());
    }
    assert!(steps >= 9, "a walk of {steps} steps");
    lost
}

/// Links that lead nowhere where the file is published alone.
pub(crate) fn relative_links(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let links = text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    let is_relative = |link: &&str| link.contains('/') && !link.contains("://");
    links.filter(is_relative).map(str::to_owned).collect()
}
