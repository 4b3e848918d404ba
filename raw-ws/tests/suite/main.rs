//! What `raw-ws` does, from outside: one program, since each program is linked anew after every
//! change. What hostile peers do to a server is a program of its own (`tests/hostile`): its
//! allocator counts, and a panic anywhere in it is a failure.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a test may tell")]

mod allocations;
#[cfg(all(feature = "serve", feature = "deflate"))]
mod aspnetcore_table;
#[cfg(feature = "serve")]
mod backpressure;
mod broken;
mod cancel_safety;
mod contract;
#[path = "../support/contract.rs"]
mod contract_of;
mod differential;
mod feeding;
mod late_testers;
#[path = "../support/lateness.rs"]
mod lateness;
mod layering;
#[path = "../support/layers.rs"]
mod layers;
mod mailbox;
mod timers;
mod turns;
#[cfg(all(feature = "client", feature = "serve"))]
mod wire;
