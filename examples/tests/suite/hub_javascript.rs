//! The official JavaScript client against `spec_server`: `javascript/run.mjs`.

use std::{path::Path, process::Command};

use crate::{
    official::{Target, run},
    skip::skip,
};

#[test]
fn the_official_javascript_client() {
    let Some(target) = Target::find() else { return };
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/javascript");
    if !suite.join("node_modules").exists() {
        return skip("npm ci has not been run in examples/tests/javascript");
    }
    let mut node = Command::new("node");
    node.arg(suite.join("run.mjs"))
        .arg(target.url())
        .arg("--auth");
    if let Some(command) = target.another() {
        node.arg("--server").arg(command);
    }
    run(node, 700);
}
