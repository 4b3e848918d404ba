//! Recorded conversations with ASP.NET Core, replayed in memory: no port, no process, and time that
//! passes only where nothing else can happen, so that their windows of time hold on any machine.
//! `tests/transcripts/README.md` tells their format, and how to choose some of them. The same over
//! TCP, with a server of its own: `examples/tests/suite/transcripts.rs`.

use std::{
    env, iter,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use axum::{Router, routing::get};
use hub::testing::TestServer;

use crate::{
    replay::{Address, Differences, Skipped, chosen, replay},
    spec,
    transcript::{Dialogue, Encoding, Messages, Names, Scenario, all},
};

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "transcripts"]
        .iter()
        .collect()
}

/// Replays one against a server of its own.
fn outcome(scenario: &Scenario, app: impl FnOnce() -> Router) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let server = TestServer::new(app());
        let socket = move |bytes| server.socket_of(bytes);
        replay(&Address::Memory(Arc::new(socket)), scenario).await
    })
}

fn contract() -> Router {
    spec::endpoints::app(Router::new(), &[], &|hub, _| hub)
}

/// The outcome of each, on every core.
fn outcomes(scenarios: &[&Scenario]) -> Vec<Result<(), String>> {
    let next = AtomicUsize::new(0);
    let take = || {
        let at = next.fetch_add(1, Ordering::Relaxed);
        Some((at, *scenarios.get(at)?))
    };
    let work = || -> Vec<_> {
        iter::from_fn(take)
            .map(|(at, scenario)| (at, outcome(scenario, contract)))
            .collect()
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut all: Vec<_> = thread::scope(|threads| {
        let running: Vec<_> = (0..cores).map(|_| threads.spawn(work)).collect();
        running
            .into_iter()
            .flat_map(|thread| thread.join().expect("a replay does not panic"))
            .collect()
    });
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, outcome)| outcome).collect()
}

/// Tokens end by the calendar, which simulated time does not move: those are replayed over TCP alone.
fn looks_at_the_calendar(scenario: &Scenario) -> bool {
    let steps = &scenario.steps;
    steps
        .iter()
        .any(|step| step.line.contains("/token?") && step.line.contains("seconds="))
}

#[test]
fn every_conversation_goes_as_recorded() {
    let scenarios = all(&folder());
    let only = env::var("TRANSCRIPTS_ONLY").unwrap_or_default();
    let (skipped, differences) = (Skipped::read(&folder()), Differences::read(&folder()));
    let stale: Vec<_> = differences.stale(&scenarios).collect();
    assert!(
        stale.is_empty(),
        "differences.txt lists what does not exist: {stale:?}"
    );

    let replayed: Vec<_> = scenarios
        .iter()
        .filter(|s| chosen(&only, &s.name) && skipped.reason(s).is_none())
        .filter(|s| !looks_at_the_calendar(s))
        .collect();
    assert!(!replayed.is_empty(), "no scenario is chosen");
    println!("{} of {} conversations", replayed.len(), scenarios.len());
    let mut failed = String::new();
    for (scenario, outcome) in replayed.iter().zip(outcomes(&replayed)) {
        if let Some(why) = differences.problem(&scenario.name, outcome) {
            failed.push_str(&scenario.failed(&why));
        }
    }
    assert!(failed.is_empty(), "{failed}");
}

#[test]
fn every_file_of_the_repository_is_a_scenario() {
    let scenarios = all(&folder());
    assert!(scenarios.len() > 800);
    for scenario in &scenarios {
        assert!(
            !scenario.title.is_empty() && !scenario.shows.is_empty(),
            "{}",
            scenario.name
        );
        assert!(
            !scenario.steps.is_empty() && scenario.hub.starts_with('/'),
            "{}",
            scenario.name
        );
    }
    let by_calendar = scenarios.iter().filter(|s| looks_at_the_calendar(s));
    assert!(
        (1..10).contains(&by_calendar.count()),
        "no other is left out in memory"
    );
    // Both lists are read and name what exists.
    let skipped = Skipped::read(&folder());
    assert!(
        scenarios
            .iter()
            .any(|scenario| skipped.reason(scenario).is_none())
    );
    assert_eq!(Differences::read(&folder()).stale(&scenarios).count(), 0);
}

/// What a replay without a socket starts from: a server that says what was recorded passes, and
/// its messages come out of the framing one by one.
#[test]
fn conversations_of_the_hub_protocol_alone_become_dialogues() {
    let scenarios = all(&folder());
    let dialogues: Vec<_> = scenarios
        .iter()
        .filter_map(|s| Some((s, Dialogue::of(s)?)))
        .collect();
    assert!(dialogues.len() > 150, "{} dialogues", dialogues.len());
    for (scenario, dialogue) in &dialogues {
        assert_eq!(dialogue.path, scenario.hub, "{}", scenario.name);
        assert_eq!(dialogue.encoding, scenario.encoding, "{}", scenario.name);
        let (mut names, mut cut) = (Names::default(), Messages::default());
        names.bind(format!("{}.id", dialogue.name), "AAAAAAAAAAAAAAAAAAAAAA");
        names.bind("call", "1");
        for turn in &dialogue.turns {
            let at = format!("{} line {}", scenario.name, turn.line);
            assert!(!names.bytes(&turn.client).unwrap().is_empty(), "{at}");
            for (line, body) in &turn.server {
                let bytes = names.bytes(body).unwrap();
                cut.add(&bytes, dialogue.encoding == Encoding::MessagePack)
                    .unwrap();
                let (_, message) = cut
                    .next()
                    .unwrap_or_else(|| panic!("{at}: {line}: not whole"));
                assert!(
                    dialogue.ignored.covers(&message) || names.matches(body, &message),
                    "{at}"
                );
                assert!(!names.matches(body, b"something else"), "{at}");
            }
        }
    }
}

#[test]
fn an_answer_that_differs_is_told_with_its_line() {
    let app = || Router::new().route("/x", get(async || ([("allow", "GET")], "[1.0]")));
    let text = |status: &str, allow: &str, body: &str| {
        format!(
            "# x\nhub: /x\ntransport: http\n\nhttp GET /x\n  < {status}\n  < Allow: {allow}\n  \
             < Content-Type: text/plain; charset=utf-8\n  < body {body}\n"
        )
    };
    for (text, problem) in [
        (text("200 OK", "GET", "[1]"), None),
        (
            text("404 Not Found", "GET", "[1]"),
            Some("want 404 Not Found, got 200 OK"),
        ),
        (
            text("200 OK", "POST", "[1]"),
            Some("want Some(\"POST\"), got Some(\"GET\")"),
        ),
        (
            text("200 OK", "GET", "[2]"),
            Some("want [2]\n            got  [1.0]"),
        ),
    ] {
        let scenario = Scenario::parse("x/x", &text).unwrap();
        match (outcome(&scenario, app), problem) {
            (Ok(()), None) => {}
            (Err(why), Some(problem)) => {
                assert!(why.starts_with("line 5: http GET /x"), "{why}");
                assert!(why.contains(problem), "{why}");
            }
            (outcome, _) => panic!("{outcome:?} for\n{text}"),
        }
    }
}

#[test]
fn a_filter_finds_parts_of_names() {
    for filter in [
        "",
        "json",
        "^json/",
        "nul$",
        "x|null",
        "^json/.*l$",
        "^json/null$",
    ] {
        assert!(chosen(filter, "json/null") || filter == "nul$", "{filter}");
    }
    for filter in ["nul$", "^null", "sse|lp", "json.*x", "^json$"] {
        assert!(!chosen(filter, "json/null"), "{filter}");
    }
}

#[test]
fn a_listed_difference_must_differ_and_any_other_must_not() {
    let listed = Differences::parse("# kept on purpose\njson/null: ours is shorter\n").unwrap();
    assert_eq!(listed.problem("json/null", Err("differs".into())), None);
    assert_eq!(listed.problem("json/true", Ok(())), None);
    assert_eq!(
        listed.problem("json/true", Err("differs".into())).unwrap(),
        "differs"
    );
    assert!(
        listed
            .problem("json/null", Ok(()))
            .unwrap()
            .contains("ours is shorter")
    );
    assert_eq!(listed.stale(&[]).collect::<Vec<_>>(), ["json/null"]);
    assert!(Differences::parse("json/null").is_err());
}

#[test]
fn what_the_server_lacks_is_left_out_with_its_reason() {
    let rules = "transport sse: later\nhub /spec-auth: no tokens\nfolder post: none";
    let skipped = Skipped::parse(rules).unwrap();
    let reason = |name: &str, text: &str| {
        let scenario = Scenario::parse(name, text).unwrap();
        skipped.reason(&scenario).map(str::to_owned)
    };
    let head = "# x\nhub: /spec\ntransport: ws\nprotocol: json\n\n";
    assert_eq!(reason("a/b", &format!("{head}open a /spec ws json")), None);
    assert_eq!(
        reason("a/b", &format!("{head}open a /spec sse json")).unwrap(),
        "later"
    );
    let auth = format!("{head}http POST /spec-auth/negotiate?x");
    assert_eq!(reason("a/b", &auth).unwrap(), "no tokens");
    assert_eq!(reason("post/b", head).unwrap(), "none");
    assert!(Skipped::parse("hub /spec").is_err() && Skipped::parse("hubs /x: y").is_err());
}
