//! The official JavaScript client in Chromium against `spec_server`: `javascript/browser.mjs`.

use std::{path::Path, process::Command};

use crate::{
    chromium,
    official::{Target, run},
    skip::skip,
};

#[test]
fn the_official_javascript_client_in_a_browser() {
    let Some(target) = Target::find() else { return };
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/javascript");
    if !suite.join("node_modules/playwright-core").exists() {
        return skip("npm ci has not been run in examples/tests/javascript");
    }
    if !chromium::is_there() {
        return;
    }
    let mut node = Command::new("node");
    node.arg(suite.join("browser.mjs")).arg(target.url());
    if let Some(command) = target.another() {
        node.arg("--server").arg(command);
    }
    run(node, 60);
}
