//! What `hub` does, from outside: one program, since each program is linked anew after every
//! change. Nearly all of it in memory and in simulated time.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a test may tell")]
#![allow(
    clippy::needless_pass_by_value,
    reason = "methods take their context by value"
)]

mod allocations;
mod authorization;
mod backplanes;
mod broken;
mod callers;
mod calls;
mod client;
mod contract;
#[path = "../../../raw-ws/tests/support/contract.rs"]
mod contract_of;
mod cut;
mod dark;
mod diagnostics;
mod dialogues;
mod fallbacks;
mod hostile;
mod last_words;
mod layering;
#[path = "../../../raw-ws/tests/support/layers.rs"]
mod layers;
mod leaving;
mod lifecycle;
mod live;
mod mistakes;
mod mounting;
mod ordering;
mod panics;
mod raw;
mod reach;
#[path = "../support/redis.rs"]
#[allow(dead_code, reason = "a test of several processes uses more")]
mod redis;
#[path = "../support/replay/mod.rs"]
#[allow(dead_code, reason = "a replay over TCP uses more")]
mod replay;
mod rows;
mod simulation;
mod slow_consumers;
/// The contract that `examples/spec_server.rs` serves.
#[path = "../support/spec/mod.rs"]
mod spec;
mod stateful;
#[path = "../support/transcript/mod.rs"]
#[allow(dead_code, reason = "a replay over TCP uses more")]
mod transcript;
mod transcripts;
