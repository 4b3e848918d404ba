//! What is measured in which order, and how a table says what failed.

use std::{collections::HashSet, time::Duration};

use bench::{
    machine::Machine,
    results::{Memory, Outcome, Results, Row},
};
use clap::Parser as _;

use crate::{Options, plan, plan::Plan, servers, tables};

fn options(arguments: &[&str]) -> Options {
    Options::parse_from(["compare"].iter().chain(arguments))
}

#[test]
fn everything_has_a_name_of_its_own() {
    let labels = plan::labels(&servers::all());
    let different: HashSet<_> = labels.iter().collect();
    assert_eq!(different.len(), labels.len());
    for label in ["echo-20B-1/raw-ws", "call-json-20B-16/node-socket.io"] {
        assert!(labels.iter().any(|one| one == label), "{label}");
    }
}

#[test]
fn only_what_is_asked_for_is_measured_and_memory_once() {
    let contenders = servers::all();
    let plan = Plan::new(
        &options(&["--only", "idle", "--only", "fan-out/raw"]),
        &contenders,
    );
    let round = |is_first| {
        let tasks = plan.tasks(is_first);
        tasks.map(|task| task.label.clone()).collect::<Vec<_>>()
    };
    assert!(round(true).contains(&"hub-idle-json/hub".into()));
    assert_eq!(round(false), ["fan-out/raw-ws"]);

    let none = ["fan-out".to_owned(), "nothing".to_owned()];
    assert_eq!(plan.matches_nothing(&none), Some("nothing"));
}

#[test]
fn those_that_do_the_same_follow_each_other() {
    let plan = Plan::new(&options(&[]), &servers::all());
    let mut seen = Vec::new();
    for task in plan.tasks(true) {
        if seen.last() != Some(&task.scenario) {
            assert!(!seen.contains(&task.scenario), "{}", task.label);
            seen.push(task.scenario);
        }
        assert!(task.takes >= Duration::from_secs(1));
    }
}

#[test]
fn what_failed_says_so_in_the_place_of_its_figures() {
    let row = |server: &str, memory: Option<Memory>, failure: Option<&str>| Row {
        scenario: "idle".into(),
        server: server.into(),
        rounds: memory.map(Outcome::Memory).into_iter().collect(),
        failure: failure.map(str::to_owned),
    };
    let memory = Memory {
        connections: 5000,
        before: 6_200_000,
        silent: 1499,
        after_message: 1501,
    };
    let results = Results {
        command: "compare".into(),
        date: "2026-11-30".into(),
        machine: Machine::here(),
        versions: vec![("raw-ws".into(), "0.1.0".into())],
        absent: vec![("other".into(), "not here".into())],
        rounds: 1,
        seconds: 1,
        rows: vec![
            row("raw-ws", Some(memory), None),
            row("aspnetcore", None, Some("it was | not quiet")),
        ],
    };
    let page = tables::page(&results);
    for line in [
        "| raw-ws | 1,499 | 1,501 | 6.2 |",
        "| aspnetcore | failed: it was / not quiet | – | – |",
        "| other | absent: not here |",
    ] {
        assert!(page.lines().any(|one| one == line), "{line} in {page}");
    }
}
