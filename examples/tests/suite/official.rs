//! Suites in other languages, and the server that they test.

use std::{env, io::Write as _, path::Path, process::Command};

use crate::{
    children::{Server, example},
    skip::skip,
    turns::alone,
};

/// What a suite talks to: `spec_server`, or what `SPEC_SERVER_URL` names.
pub(crate) enum Target {
    Ours(Server),
    Named(String),
}

impl Target {
    /// `None`, with a word to the terminal, as long as there is no `spec_server`.
    pub(crate) fn find() -> Option<Self> {
        if let Ok(url) = env::var("SPEC_SERVER_URL") {
            return Some(Self::Named(url));
        }
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("spec_server.rs");
        if !source.exists() {
            eprintln!("SKIPPED: there is no spec_server; SPEC_SERVER_URL names another server");
            return None;
        }
        let mut server = Command::new(example("spec_server"));
        // What methods fail with on purpose would fill the report.
        server.env("RUST_LOG", "off");
        Some(Self::Ours(Server::spawn(&mut server).0))
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Ours(server) => server.url("").replace("ws://", "http://"),
            Self::Named(url) => url.clone(),
        }
    }

    /// What starts one more server, when an address follows.
    pub(crate) fn another(&self) -> Option<String> {
        match self {
            Self::Ours(_) => Some(format!("{} --listen", example("spec_server").display())),
            Self::Named(_) => env::var("SPEC_SERVER_COMMAND").ok(),
        }
    }
}

/// Runs a suite: nothing failed, and at least so many checks passed that it cannot be an empty one.
pub(crate) fn run(mut suite: Command, at_least: u32) {
    let turn = alone();
    let output = suite
        .output()
        .unwrap_or_else(|error| panic!("{suite:?} does not run: {error}"));
    drop(turn);
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    for line in text.lines().filter(|line| line.starts_with("no verdict")) {
        // Past the test harness, which keeps what a passing test prints to itself.
        let _ = writeln!(std::io::stderr(), "{line}");
    }
    let failed: Vec<_> = text
        .lines()
        .filter(|line| !line.starts_with("ok "))
        .collect();
    let shown = format!("{}\n{errors}", failed.join("\n"));
    assert!(output.status.success(), "{shown}");
    let summary = text.lines().last().unwrap_or_default();
    let passed = summary
        .strip_suffix(" passed, 0 failed")
        .map(str::parse::<u32>);
    // What a suite was not given what it needs for.
    if let Some(left_out) = text.lines().find(|line| line.starts_with("left out:")) {
        skip(left_out);
    }
    let Some(Ok(passed)) = passed else {
        panic!("{shown}");
    };
    assert!(passed >= at_least, "only {summary}");
    println!("{summary}");
}
