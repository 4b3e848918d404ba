//! Node, with a WebSocket of its own.

use std::process::Command;

/// Node before 22 has one only if it is asked for.
pub(crate) fn with_web_sockets() -> Command {
    let mut node = Command::new("node");
    let version = Command::new("node").arg("--version").output();
    let version = version.map(|version| String::from_utf8_lossy(&version.stdout).into_owned());
    let major = version.unwrap_or_default();
    let major = major.trim().trim_start_matches('v').split('.').next();
    if major.and_then(|major| major.parse::<u32>().ok()) < Some(22) {
        node.args(["--experimental-websocket", "--no-warnings"]);
    }
    node
}
