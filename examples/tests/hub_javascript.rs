//! The official JavaScript client against `spec_server`: `javascript/run.mjs`.

mod children;
mod official;

use std::{env, path::Path, process::Command};

use children::example;
use official::{Target, run, skip};

#[test]
fn the_official_javascript_client() {
    let Some(target) = Target::find() else { return };
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/javascript");
    if !suite.join("node_modules").exists() {
        return skip("npm ci has not been run in examples/tests/javascript");
    }
    let mut node = Command::new("node");
    node.arg(suite.join("run.mjs")).arg(target.url());
    if let Some(command) = another(&target) {
        node.arg("--server").arg(command);
    }
    run(node, 300);
}

/// What starts one more server, when an address follows.
fn another(target: &Target) -> Option<String> {
    match target {
        Target::Ours(_) => Some(format!("{} --listen", example("spec_server").display())),
        Target::Named(_) => env::var("SPEC_SERVER_COMMAND").ok(),
    }
}
