//! Recorded conversations with ASP.NET Core, replayed: `tests/transcripts/README.md` tells their
//! format, and how to choose the server and the scenarios.

mod answer;
mod connection;
mod events;
mod polling;
mod run;
mod schedule;
mod selection;
mod server;
/// The contract's server, as the example runs it.
#[path = "../../../examples/spec/mod.rs"]
mod spec;
#[path = "../support/transcript/mod.rs"]
mod transcript;
mod websocket;
mod wire;

use std::{env, path::PathBuf, sync::Arc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::{
    schedule::replay_all,
    selection::{Differences, Skipped, chosen},
    server::{BaseUrl, server},
    transcript::{Dialogue, Encoding, Messages, Names, Scenario, all},
};

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "transcripts"]
        .iter()
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_conversation_goes_as_recorded() {
    let scenarios = all(&folder());
    let only = env::var("TRANSCRIPTS_ONLY").unwrap_or_default();
    let slow = env::var_os("TRANSCRIPTS_SLOW").is_some();
    // The server that was recorded has everything and differs in nothing.
    let (skipped, differences) = if env::var_os("TRANSCRIPTS_REFERENCE").is_some() {
        Default::default()
    } else {
        (Skipped::read(&folder()), Differences::read(&folder()))
    };
    let stale: Vec<_> = differences.stale(&scenarios).map(str::to_owned).collect();
    assert!(
        stale.is_empty(),
        "differences.txt lists what does not exist: {stale:?}"
    );

    let count = scenarios.len();
    let wanted =
        |s: &Scenario| chosen(&only, &s.name) && (slow || !s.slow) && skipped.reason(s).is_none();
    let replayed: Vec<_> = scenarios
        .into_iter()
        .filter(|s| wanted(s))
        .map(Arc::new)
        .collect();
    assert!(!replayed.is_empty(), "no scenario is chosen");
    println!("{} of {count} conversations", replayed.len());
    let outcomes = replay_all(&server().await, replayed).await;

    let total = outcomes.len();
    let mut report = String::new();
    let mut failed = 0;
    for (scenario, outcome) in outcomes {
        if let Some(why) = differences.problem(&scenario.name, outcome) {
            failed += 1;
            let Scenario {
                name, title, shows, ..
            } = &*scenario;
            report.push_str(&format!("\n{name} ({title}) [{shows}]\n   {why}\n"));
        }
    }
    println!("{} passed, {failed} failed", total - failed);
    assert!(failed == 0, "{failed} of {total} failed:\n{report}");
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

#[tokio::test]
async fn an_answer_that_differs_is_told_with_its_line() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = BaseUrl::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let serving = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                stream.read_buf(&mut request).await.unwrap();
            }
            let answer = b"HTTP/1.1 200 OK\r\nAllow: GET\r\nContent-Length: 5\r\n\r\n[1.0]";
            stream.write_all(answer).await.unwrap();
        }
    });
    let text = |status: &str, allow: &str, body: &str| {
        format!(
            "# x\nhub: /x\ntransport: http\n\nhttp GET /x\n  < {status}\n  < Allow: {allow}\n  < body {body}\n"
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
        let scenario = Arc::new(Scenario::parse("x/x", &text).unwrap());
        let (_, outcome) = replay_all(&base, vec![scenario]).await.remove(0);
        match (outcome, problem) {
            (Ok(()), None) => {}
            (Err(why), Some(problem)) => {
                assert!(why.starts_with("line 5: http GET /x"), "{why}");
                assert!(why.contains(problem), "{why}");
            }
            (outcome, _) => panic!("{outcome:?} for\n{text}"),
        }
    }
    serving.abort();
}
