//! Modules depend downwards only.
//!
//! A module names what it uses by its module path (`crate::error::Result`, never `crate::Result`),
//! so that this test can see it. Submodules stand on the line of their top module.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Lowest first. Within a line no two modules name each other, but for the lowest line: an error
/// has a close code, and a close code can be misused.
const LAYERS: &[&[&str]] = &[
    &["buffers", "close", "error", "mask", "utf8"],
    &["config", "deflate", "events", "frame", "message"],
    &["proto"],
    &["tcp"],
    &["upgraded"],
    &["outbound"],
    &["farewell", "sender"],
    &[
        "ack_deadline",
        "body_limit",
        "connections",
        "mailbox",
        "origins",
        "remote",
        "socket",
        "topics",
    ],
    &["upgrade"],
    &["serve"],
    &["wire"],
];

/// The highest module that is a pure machine, and what those may not name.
const HIGHEST_MACHINE: &str = "proto";
const IMPURE: &[&str] = &[
    "tokio",
    "std::net",
    "net::",
    "Instant::now",
    "SystemTime",
    "getrandom",
    "rand::",
    "RandomState",
];

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// The code of a file: without comments and without its tests.
fn code(source: &str) -> String {
    let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = source.lines().map(|line| line.split("//").next().unwrap());
    lines.collect::<Vec<_>>().join("\n")
}

/// The modules of this crate that some code names, each by the first segment behind `crate::`.
fn named(code: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let Some(group) = rest.strip_prefix('{') else {
            named.insert(first_segment(rest));
            continue;
        };
        let mut depth = 1;
        let mut item = String::new();
        for c in group.chars() {
            depth += match c {
                '{' => 1,
                '}' => -1,
                _ => 0,
            };
            if depth == 0 || (depth == 1 && c == ',') {
                if !item.trim().is_empty() {
                    named.insert(first_segment(item.trim()));
                }
                item.clear();
            } else {
                item.push(c);
            }
            if depth == 0 {
                break;
            }
        }
    }
    named
}

fn first_segment(path: &str) -> String {
    path.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

fn offences(module: &str, source: &str) -> Vec<String> {
    let from = layer(module).unwrap_or_else(|| panic!("`{module}` is in no layer"));
    named(&code(source))
        .into_iter()
        .filter(|used| layer(used).is_none_or(|to| to > from))
        .map(|used| format!("{module} -> crate::{used}"))
        .collect()
}

fn impurities(module: &str, source: &str) -> Vec<String> {
    if layer(module) > layer(HIGHEST_MACHINE) {
        return Vec::new();
    }
    let code = code(source);
    let named = IMPURE.iter().filter(|word| code.contains(**word));
    named.map(|word| format!("{module} names {word}")).collect()
}

/// Every source file but those of tests, with its top module.
fn sources() -> Vec<(String, String)> {
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
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&src, &mut files);
    let with_module = files.into_iter().map(|path| {
        let inside = path.strip_prefix(&src).unwrap();
        let top = inside.iter().next().unwrap().to_str().unwrap();
        let module = top.strip_suffix(".rs").unwrap_or(top).to_owned();
        (module, fs::read_to_string(&path).unwrap())
    });
    with_module.filter(|(module, _)| module != "lib").collect()
}

#[test]
fn modules_depend_downwards_only() {
    let found: Vec<_> = sources()
        .iter()
        .flat_map(|(module, source)| offences(module, source))
        .collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn modules_of_one_line_do_not_name_each_other_both_ways() {
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (module, source) in sources() {
        uses.entry(module)
            .or_default()
            .extend(named(&code(&source)));
    }
    for layer in &LAYERS[1..] {
        for a in *layer {
            for b in layer.iter().filter(|b| *b > a) {
                let names = |x: &str, y: &str| uses.get(x).is_some_and(|used| used.contains(y));
                assert!(!(names(a, b) && names(b, a)), "{a} <-> {b}");
            }
        }
    }
}

#[test]
fn the_machines_name_no_socket_no_task_no_clock_and_no_random_source() {
    let found: Vec<_> = sources()
        .iter()
        .flat_map(|(module, source)| impurities(module, source))
        .collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn every_module_of_the_layers_exists() {
    let sources = sources();
    for module in LAYERS.iter().copied().flatten() {
        assert!(sources.iter().any(|(known, _)| known == module), "{module}");
    }
}

#[test]
fn upward_and_root_imports_are_caught() {
    assert_eq!(
        offences("error", "use crate::proto::Connection;"),
        ["error -> crate::proto"]
    );
    assert_eq!(
        offences(
            "proto",
            "use crate::{error::Result, socket::{WebSocket, Settings}};"
        ),
        ["proto -> crate::socket"]
    );
    assert_eq!(
        offences(
            "proto",
            "use crate::{\n    config::Config,\n    tests::{self, Pair},\n};"
        ),
        ["proto -> crate::tests"]
    );
    assert_eq!(
        offences("socket", "use crate::Config;"),
        ["socket -> crate::Config"]
    );
    assert_eq!(
        offences("topics", "let x = crate::serve::serve(y);"),
        ["topics -> crate::serve"]
    );
    assert_eq!(
        offences("wire", "use crate::{serve::serve}; // crate::Nowhere"),
        [""; 0]
    );
    assert_eq!(
        offences(
            "error",
            "#[cfg(test)]\nmod tests {\n    use crate::wire::Packet;\n}"
        ),
        [""; 0]
    );
}

#[test]
fn clocks_and_sockets_in_a_machine_are_caught() {
    assert_eq!(
        impurities("proto", "let now = Instant::now();"),
        ["proto names Instant::now"]
    );
    assert_eq!(
        impurities("deflate", "use tokio::time;"),
        ["deflate names tokio"]
    );
    assert_eq!(impurities("proto", "// tokio"), [""; 0]);
    assert_eq!(impurities("socket", "use tokio::time;"), [""; 0]);
}
