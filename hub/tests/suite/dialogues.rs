//! The recorded conversations that are hub protocol and nothing else, replayed against the
//! contract's hub in memory: no port, no process, no real time.

use std::{collections::BTreeMap, fs, path::PathBuf, time::Duration};

use hub::Hub;

use crate::{
    live::{Heard, Server},
    spec,
    transcript::{Dialogue, Messages, Names, all},
};

/// As in `spec_server.rs`; `None` for a hub that is not the contract's.
fn hub(path: &str) -> Option<Hub> {
    let usual = spec::options();
    Some(match path {
        "/spec" => spec::hub(usual),
        "/spec-detailed" => spec::hub(usual.enable_detailed_errors(true)),
        "/spec-parallel" => spec::hub(usual.maximum_parallel_invocations_per_client(4)),
        "/spec-small" => spec::hub(
            usual
                .maximum_receive_message_size(1024)
                .keep_alive_interval(Duration::from_secs(1))
                .client_timeout_interval(Duration::from_secs(3))
                .handshake_timeout(Duration::from_secs(1)),
        ),
        "/spec-filtered" => spec::hub(usual)
            .on_connected(async |cx| cx.caller().send("Received", ("connected",)))
            .filter(spec::SpecFilter),
        _ => return None,
    })
}

async fn replay(hub: Hub, dialogue: Dialogue) -> Result<(), String> {
    let server = Server::start(hub);
    let mut client = server.open().await;
    let (mut names, mut cut) = (Names::default(), Messages::default());
    for turn in dialogue.turns {
        let bytes = names.bytes(&turn.client)?;
        if turn.client.is_binary() {
            client.bytes(&bytes).await;
        } else {
            client.text(&String::from_utf8_lossy(&bytes)).await;
        }
        for (line, expected) in turn.server {
            let message = loop {
                match cut.next() {
                    Some((_, message)) if dialogue.ignored.covers(&message) => {}
                    Some((_, message)) => break message,
                    None => match client.heard().await {
                        Heard::Text(text) => cut.add(text.as_bytes(), false)?,
                        Heard::Binary(bytes) => cut.add(&bytes, true)?,
                        over => return Err(format!("line {line}: {over:?}")),
                    },
                }
            };
            if turn.line > 0 && names.matches(&expected, &message) {
                // A connection is known by its id from its handshake on.
                if let Some(id) = server.handle.groups().everybody().first() {
                    names.bind(format!("{}.id", dialogue.name), id.as_str());
                }
                continue;
            }
            let shown = names.shown(&message, expected.is_binary());
            return Err(format!(
                "line {line}\n   expected {}\n   heard    {shown}",
                expected.source()
            ));
        }
    }
    Ok(())
}

#[test]
fn every_dialogue_goes_as_recorded() {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "transcripts"]
        .iter()
        .collect();
    let listed = fs::read_to_string(folder.join("differences.txt")).unwrap()
        + &fs::read_to_string(folder.join("skipped.txt")).unwrap();
    let (mut replayed, mut wrong) = (0, BTreeMap::new());
    for scenario in all(&folder) {
        let Some(dialogue) = Dialogue::of(&scenario) else {
            continue;
        };
        let Some(hub) = hub(&dialogue.path) else {
            continue;
        };
        if listed.contains(&format!("{}:", scenario.name)) {
            continue;
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        replayed += 1;
        if let Err(why) = runtime.block_on(replay(hub, dialogue)) {
            wrong.insert(scenario.name.clone(), why);
        }
    }
    println!("{replayed} dialogues");
    assert!(replayed > 50, "{replayed}");
    let report: String = wrong
        .iter()
        .map(|(name, why)| format!("\n{name}: {why}\n"))
        .collect();
    assert!(report.is_empty(), "{report}");
}
