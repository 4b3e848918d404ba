//! What clients keep to themselves is in no line of a server's log, at any level, whoever wrote the
//! line: `javascript/canaries.mjs` says secrets to `spec_server`, in every place for one.

use std::{
    collections::BTreeSet,
    io::Read,
    path::Path,
    process::{Command, Stdio},
    thread::{self, JoinHandle},
};

use crate::children::{Server, example};
use crate::skip::skip;

#[test]
fn no_secret_is_in_the_log() {
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/javascript");
    if !suite.join("node_modules").exists() {
        return skip("npm ci has not been run in examples/tests/javascript");
    }
    let mut command = Command::new(example("spec_server"));
    command.env("RUST_LOG", "trace").stderr(Stdio::piped());
    let (mut server, stdout) = Server::spawn(&mut command);
    let written = [read(stdout), read(server.stderr())];
    let mut node = Command::new("node");
    let url = server.url("").replace("ws://", "http://");
    node.arg(suite.join("canaries.mjs")).arg(url);
    let output = node.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    drop(server);
    let log: String = written.map(|all| all.join().unwrap()).concat();
    assert!(output.status.success(), "{errors}\n{log}");

    let planted = String::from_utf8(output.stdout).unwrap();
    let planted: Vec<_> = planted
        .lines()
        .map(|line| line.split_once(": ").unwrap())
        .collect();
    let kinds: BTreeSet<&str> = planted.iter().map(|(kind, _)| *kind).collect();
    assert!(kinds.len() >= 30, "{kinds:?}");
    // It is the whole log: what is told of connections at the level below the default is there.
    let connections = log.matches("disconnected").count();
    assert!(connections >= 7, "{log}");

    let told: Vec<_> = planted
        .iter()
        .filter(|(_, secret)| spellings(secret).iter().any(|one| log.contains(one)))
        .collect();
    assert!(told.is_empty(), "{told:?} in\n{log}");
}

fn read(mut output: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut all = Vec::new();
        output.read_to_end(&mut all).unwrap();
        String::from_utf8_lossy(&all).into_owned()
    })
}

/// As a log may spell it: as text, and as bytes in the ways in which Rust shows those.
fn spellings(secret: &str) -> [String; 5] {
    let bytes = |separator: &str, shown: fn(&u8) -> String| {
        let all: Vec<String> = secret.as_bytes().iter().map(shown).collect();
        all.join(separator)
    };
    [
        secret.to_owned(),
        secret.escape_debug().to_string(),
        secret.as_bytes().escape_ascii().to_string(),
        bytes(", ", u8::to_string),
        bytes("", |byte| format!("{byte:02x}")),
    ]
}
