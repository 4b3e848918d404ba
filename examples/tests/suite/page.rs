//! The workbench's page in Chromium, and the pages of the other servers: `javascript/page.mjs`.

use std::{path::Path, process::Command};

use crate::{
    children::{Server, example},
    chromium,
    official::run,
    skip::skip,
};

#[test]
fn every_tab_works() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let suite = package.join("tests/javascript");
    if !suite.join("node_modules/axe-core").exists() {
        return skip("npm ci has not been run in examples/tests/javascript");
    }
    if !chromium::is_there() {
        return;
    }
    let npm = package.join("web");
    let mut workbench = workbench();
    workbench.arg("--npm").arg(&npm);
    let (workbench, _lines) = Server::spawn(&mut workbench);
    let others = ["hub_server", "raw_server", "hub_auth"];
    let others = others.map(|name| (name, spawn_other(name, &suite)));
    let pages = others
        .iter()
        .map(|(name, server)| format!("http://{}/#{name}", server.address()))
        .collect::<Vec<_>>();

    let mut node = Command::new("node");
    node.arg(suite.join("page.mjs"))
        .arg(format!("http://{}", workbench.address()))
        .args(["--pages", &pages.join(",")])
        .arg("--screenshots")
        .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots"));
    if npm.join("node_modules").exists() {
        node.arg("--official");
    } else {
        skip("the official client as a lane: npm ci has not been run in examples/web");
    }
    run(node, 22);
}

fn spawn_other(name: &str, suite: &Path) -> Server {
    let mut server = Command::new(example(name));
    if name == "hub_auth" {
        let client = "node_modules/@microsoft/signalr/dist/browser/signalr.min.js";
        server.arg("--signalr-js").arg(suite.join(client));
    }
    Server::spawn(&mut server).0
}

/// Cargo builds it before the tests.
pub(crate) fn workbench() -> Command {
    Command::new(env!("CARGO_BIN_EXE_workbench"))
}
