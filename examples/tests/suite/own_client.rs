//! `web/hub.js`, the client that the workbench's page shows, in Node and in Chromium, against
//! `spec_server` and against a real ASP.NET Core server: `javascript/own-client`.

use std::path::Path;

use crate::{
    aspnetcore::servers::{Place, theirs},
    chromium, node,
    official::{Target, run},
    skip::skip,
};

#[test]
fn against_our_server() {
    let Some(target) = Target::find() else { return };
    check(&target.url());
}

#[tokio::test]
async fn against_a_real_aspnetcore_server() {
    let Some(real) = theirs().await else { return };
    let url = format!("http://{}", real.at(Place::Echo).0);
    let checked = tokio::task::spawn_blocking(move || check(&url));
    checked.await.unwrap();
}

fn check(url: &str) {
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/javascript");
    if !suite.join("node_modules/playwright-core").exists() {
        return skip("npm ci has not been run in examples/tests/javascript");
    }
    if !chromium::is_there() {
        return;
    }
    let mut suite_of_node = node::with_web_sockets();
    suite_of_node.arg(suite.join("own-client/run.mjs")).arg(url);
    run(suite_of_node, 136);
}
