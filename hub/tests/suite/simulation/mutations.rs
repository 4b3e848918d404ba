//! Bugs put back in, each of which some seed must find: `cargo test -p signalr-hub simulation -- --ignored`.
//! It builds a copy of the workspace for each.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Seeds that are tried before a bug counts as not found.
const SEEDS: &str = "50";

struct Mutation {
    bug: &'static str,
    file: &'static str,
    changes: &'static [(&'static str, &'static str)],
}

const MUTATIONS: &[Mutation] = &[
    Mutation {
        // aspnetcore#55575; only what is sent to selections of clients is an invocation.
        bug: "messages that come encoded are not counted (SR-18)",
        file: "hub/src/counted/sent.rs",
        changes: &[(
            "Some(HubMessage::PING | HubMessage::ACK | HubMessage::SEQUENCE) =>",
            "Some(1 | HubMessage::PING | HubMessage::ACK | HubMessage::SEQUENCE) =>",
        )],
    },
    Mutation {
        // aspnetcore#69283
        bug: "a negative Sequence is accepted (SR-09)",
        file: "hub/src/counted/arrived.rs",
        changes: &[("if sequence_id < 1 {", "if false {")],
    },
    Mutation {
        bug: "the old socket is still written to after a resume (SR-13)",
        file: "hub/src/transport/stateful.rs",
        changes: &[
            (
                "Some(Order::GiveWay) if !self.is_last => return self.lost(),",
                "Some(Order::GiveWay) if !self.is_last => {}",
            ),
            (
                "        self.socket = None;\n        self.away = None;\n        let mut socket",
                "        self.away = None;\n        let mut socket",
            ),
            (
                "            socket.write(sent.resume());\n",
                "            socket.write(sent.resume());\n            if let Some(old) = &mut self.socket && let Some(next) = sent.next() {\n                old.write(next);\n            }\n",
            ),
        ],
    },
];

#[test]
#[ignore = "builds the crate three times"]
fn each_bug_that_is_put_back_is_found() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let copy = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("mutations");
    let test_binaries = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    for mutation in MUTATIONS {
        let _ = fs::remove_dir_all(&copy);
        copy_sources(workspace, &copy);
        let file = copy.join(mutation.file);
        let mut source = fs::read_to_string(&file).unwrap();
        for (from, to) in mutation.changes {
            assert!(source.contains(from), "{}: {from}", mutation.bug);
            source = source.replacen(from, to, 1);
        }
        fs::write(&file, source).unwrap();
        let tested = Command::new(env!("CARGO"))
            .args(["test", "-p", "signalr-hub", "--test", "suite", "no_seed"])
            .current_dir(&copy)
            .env("CARGO_TARGET_DIR", test_binaries)
            .env("SIMULATION_SEEDS", SEEDS)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&tested.stdout).into_owned()
            + &String::from_utf8_lossy(&tested.stderr);
        let found = told.lines().find(|line| line.contains("SIMULATION_SEED="));
        let Some(found) = found else {
            panic!("not found: {}\n{told}", mutation.bug);
        };
        println!("{}: {found}", mutation.bug);
    }
    fs::remove_dir_all(&copy).unwrap();
}

/// The sources of the workspace, without what was built from them.
fn copy_sources(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        let is_source = !name.to_string_lossy().starts_with('.') && name != "target";
        if path.is_dir() {
            if is_source {
                copy_sources(&path, &to.join(name));
            }
        } else {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}
