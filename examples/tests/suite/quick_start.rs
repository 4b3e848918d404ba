//! What both READMEs begin with, as it stands there: a client that sends a lot at once loses
//! nothing, with the defaults of everything.

use std::{fs, future::IntoFuture as _, path::Path, process::Command};

use axum::Router;
use tokio::net::TcpListener;

use crate::skip::skip;

#[path = "../../quick_start.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is a program of its own")]
mod server;

/// And the page of the workbench shows the same files.
#[test]
fn the_readmes_begin_with_it() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (example, readme) in [
        ("quick_start.rs", "../README.md"),
        ("quick_start.rs", "../hub/README.md"),
        ("echo.rs", "../README.md"),
    ] {
        let source = fs::read_to_string(package.join(example)).unwrap();
        let code = examples::code(&source);
        let text = fs::read_to_string(package.join(readme)).unwrap();
        assert!(
            text.contains(&format!("```rust,no_run\n{code}```\n")),
            "{example} is not in {readme}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_at_once_arrives() {
    let (listener, url) = listen().await;
    let serving = tokio::spawn(raw_ws::serve(listener, server::app()).into_future());
    sends_at_once(url).await;
    serving.abort();
}

/// The hub's limits are its own, wherever it is mounted.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_at_once_arrives_under_axum_too() {
    let (listener, url) = listen().await;
    let app: Router = server::app();
    let serving = tokio::spawn(axum::serve(listener, app).into_future());
    sends_at_once(url).await;
    serving.abort();
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/chat", listener.local_addr().unwrap());
    (listener, url)
}

async fn sends_at_once(url: String) {
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/javascript");
    if !suite.join("node_modules").exists() {
        return skip("npm ci has not been run in examples/tests/javascript");
    }
    let mut node = Command::new("node");
    node.arg(suite.join("burst.mjs")).arg(url);
    let output = tokio::task::spawn_blocking(move || node.output().unwrap());
    let output = output.await.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let sent = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        sent,
        "100 over ws\n100 over ws-skip\n100 over sse\n100 over lp\n"
    );
}
