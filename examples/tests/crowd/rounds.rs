//! Five hundred rounds of what must not be lost, directly and through real proxies: calls of clients
//! that leave as soon as the last is answered, and answers that are given before the body of their
//! request has come. The rounds are those of `tests/javascript/rounds.mjs`: the official JavaScript
//! client, node:http, and Python's http.client.

use std::{env, net::SocketAddr, path::Path, process::Command};

use crate::{
    children::{Server, example},
    deploy::Proxy,
    peers::free_address,
    skip::skip,
};

fn serve(at: SocketAddr) -> Server {
    let mut command = Command::new(example("spec_server"));
    command.args(["--trusted-proxies", "127.0.0.1"]);
    command.env("RUST_LOG", "off");
    Server::spawn_at(&at.to_string(), &mut command).0
}

fn nothing_is_lost(at: SocketAddr) {
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/javascript");
    if !suite.join("node_modules").exists() {
        return skip("npm ci has not been run in examples/tests/javascript");
    }
    let rounds = env::var("ROUNDS").unwrap_or_else(|_| "500".to_owned());
    let run = Command::new("node")
        .arg(suite.join("rounds.mjs"))
        .arg(format!("http://{at}"))
        .args(["--rounds", &rounds])
        .output()
        .unwrap();
    let (told, wrong) = (
        String::from_utf8_lossy(&run.stdout),
        String::from_utf8_lossy(&run.stderr),
    );
    println!("{told}");
    assert!(run.status.success(), "{told}{wrong}");
}

#[tokio::test]
async fn nothing_is_lost_directly() {
    let at = free_address();
    let _server = serve(at);
    nothing_is_lost(at);
}

#[tokio::test]
async fn nothing_is_lost_through_nginx() {
    let at = free_address();
    let _server = serve(at);
    if let Some(proxy) = Proxy::nginx(at).await {
        nothing_is_lost(proxy.address);
    }
}

#[tokio::test]
async fn nothing_is_lost_through_haproxy() {
    let at = free_address();
    let _server = serve(at);
    if let Some(proxy) = Proxy::haproxy(at, "haproxy.cfg").await {
        proxy.reaches_the_server().await;
        nothing_is_lost(proxy.address);
    }
}
