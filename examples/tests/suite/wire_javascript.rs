//! `clients/wire.mjs`, written from `PROTOCOL.md`, against the example server.

use std::process::Command;

use crate::children::Server;

#[test]
fn every_operation_and_topics_from_javascript() {
    let Ok(version) = Command::new("node").arg("--version").output() else {
        assert!(std::env::var_os("CI").is_none(), "node is missing");
        eprintln!("SKIPPED: node is missing");
        return;
    };
    let version = String::from_utf8(version.stdout).unwrap();
    let major = version.trim().trim_start_matches('v').split('.').next();
    let major: u32 = major.unwrap().parse().unwrap();

    let server = Server::start("raw_server");
    let mut node = Command::new("node");
    if major < 22 {
        node.arg("--experimental-websocket");
    }
    let output = node
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/clients/operations.mjs"
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
