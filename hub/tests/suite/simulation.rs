//! Clients that lose their sockets at any byte, in simulated time: a real server, clients, and a network
//! between them that delays, splits, loses and cuts, all from one number (`SPEC.md`, rows 178 and 179).
//! The clients are models, which speak stateful reconnect as the JavaScript client does, or the crate's
//! own.
//!
//! `SIMULATION_SEEDS=10000` runs more of them, `SIMULATION_SEED=7` one again.

mod client;
mod history;
mod mutations;
mod network;
mod random;
mod real;
mod run;

use std::env;

use run::Clients;

/// Seeds of a normal run.
const SEEDS: u64 = 200;

#[test]
fn no_seed_loses_repeats_or_reorders_a_message() {
    all_seeds(Clients::Models);
}

#[test]
fn no_seed_does_with_the_clients_of_this_crate() {
    all_seeds(Clients::Real);
}

fn all_seeds(clients: Clients) {
    let number = |name: &str| {
        env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    let seeds = match number("SIMULATION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SIMULATION_SEEDS").unwrap_or(SEEDS),
    };
    let (mut resumed, mut count) = (0, 0);
    for seed in seeds {
        let seen = run::run(seed, clients);
        resumed += seen.resumes();
        count += 1;
        if let Err(fault) = seen.check() {
            panic!("SIMULATION_SEED={seed}, {clients:?}: {fault}");
        }
    }
    println!("{count} seeds, {resumed} resumes");
    assert!(
        resumed >= count * 10,
        "the network is too kind: {resumed} resumes"
    );
}

#[test]
fn a_seed_gives_the_same_again() {
    for clients in [Clients::Models, Clients::Real] {
        for seed in [1, 2, 3] {
            let [one, other] = [(), ()].map(|()| run::run(seed, clients));
            assert_eq!(one, other, "SIMULATION_SEED={seed}, {clients:?}");
        }
    }
}
