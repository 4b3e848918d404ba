//! The examples as people and their programs meet them, and servers of this workspace beside real
//! ones: one program, since each program is linked anew after every change.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a test may tell")]

mod aspnetcore;
mod children;
mod chromium;
mod cluster;
mod deploying;
mod heads;
mod hub_auth;
mod hub_browser;
mod hub_javascript;
mod hub_python;
mod hub_rust;
mod hub_secrets;
#[path = "../../../raw-ws/tests/support/lateness.rs"]
mod lateness;
mod node;
mod official;
mod outputs;
mod own_client;
mod page;
#[allow(dead_code, reason = "the crowd uses more")]
mod peers;
mod quick_start;
mod raw_client;
#[path = "../../../hub/tests/support/redis.rs"]
mod redis;
mod refusals;
#[path = "../../../hub/tests/support/replay/mod.rs"]
#[allow(dead_code, reason = "a replay in memory uses more")]
mod replay;
mod skip;
/// The contract, as `spec_server` serves it.
#[path = "../../../hub/tests/support/spec/mod.rs"]
mod spec;
mod stopping;
#[path = "../../../hub/tests/support/transcript/mod.rs"]
#[allow(dead_code, unused_imports, reason = "a replay in memory uses more")]
mod transcript;
mod transcripts;
mod turns;
mod wire_javascript;
