//! `web/wire.js`, written from `PROTOCOL.md`, against the example server.

use std::process::Command;

use crate::{children::Server, node, skip::skip};

#[test]
fn every_operation_and_topics_from_javascript() {
    if Command::new("node").arg("--version").output().is_err() {
        return skip("node is missing");
    }
    let server = Server::start("raw_server");
    let mut node = node::with_web_sockets();
    let output = node
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/clients/wire-operations.mjs"
        ))
        .arg(server.url("/wire"))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let expected = "echo héllo\n\
                    add -42\n\
                    add 3 add takes two i64: 16 bytes\n\
                    clock 8 8 8\n\
                    fail 1000 as you wish\n\
                    unknown 1 unknown operation\n\
                    event news\n\
                    closed 1000\n";
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        expected,
        "{errors}"
    );
}
