//! The same conversations with a real ASP.NET Core server and with ours: the same answers, except
//! where ours are better on purpose. The client can do what is not allowed.

mod better;
mod client;
mod conversations;
mod frames;
pub(crate) mod servers;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::Duration,
};

use better::{BETTER, Better, KEEP_ALIVE, KEPT_ALIVE_OURS, KEPT_ALIVE_THEIRS};
use client::{play, play_with_a_library, silence};
use conversations::conversations;
use futures_util::{StreamExt, stream};
use servers::{Servers, theirs};

use crate::lateness::verdict;

/// What is told from silence here lasts five seconds and more.
const LATE: Duration = Duration::from_secs(2);

/// Conversations that go on at once: some wait for a silence.
const AT_ONCE: usize = 16;

type Transcripts = BTreeMap<String, Vec<String>>;

async fn transcripts(servers: &Servers) -> Transcripts {
    let mut all: Transcripts = stream::iter(conversations())
        .map(|conversation| async move {
            let lines = play(servers, &conversation).await;
            (conversation.name, lines)
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let library = play_with_a_library(servers).await;
    all.insert("a library's client".into(), library);
    all
}

fn better(name: &str) -> Option<&'static Better> {
    BETTER
        .iter()
        .find(|better| better.conversations.contains(&name))
}

/// What is not as expected: a line of a report for each conversation.
fn wrong(theirs: &Transcripts, mut ours: Transcripts) -> String {
    let mut wrong = String::new();
    for (name, theirs) in theirs {
        let ours = ours.remove(name).unwrap_or_default();
        let is_as_expected = match better(name) {
            None => *theirs == ours,
            Some(better) => *theirs == better.theirs && ours == better.ours,
        };
        if !is_as_expected {
            wrong += &format!("\n{name}\n  theirs   {theirs:?}\n  ours     {ours:?}\n");
            if let Some(better) = better(name) {
                wrong += &format!("  expected {:?} and {:?}\n", better.theirs, better.ours);
            }
        }
    }
    wrong
}

#[tokio::test]
async fn our_servers_answer_as_asp_net_core_does_or_better() {
    let Some(theirs) = theirs().await else { return };
    let ours = Servers::ours().await;
    // A client that was kept from running takes that for the server's silence.
    let judged = verdict("beside ASP.NET Core", LATE, async || {
        wrong(&transcripts(&theirs).await, transcripts(&ours).await)
    });
    let wrong = judged.await.unwrap();
    assert!(wrong.is_empty(), "{wrong}");
}

#[tokio::test]
async fn our_server_notices_a_silent_client() {
    if std::env::var_os("CI").is_none() {
        eprintln!("skipped: sits in silence for 50 s; runs with CI=true");
        return;
    }
    let Some(theirs) = theirs().await else { return };
    let ours = Servers::ours().await;
    let time = Duration::from_secs(50);
    let judged = verdict("in silence beside ASP.NET Core", LATE, async || {
        tokio::join!(silence(&theirs, time), silence(&ours, time))
    });
    let (theirs, ours) = judged.await.unwrap();
    assert_eq!(theirs, KEPT_ALIVE_THEIRS);
    assert_eq!(ours, KEPT_ALIVE_OURS);
}

#[test]
fn every_conversation_has_a_name_of_its_own() {
    let names: Vec<String> = conversations().into_iter().map(|one| one.name).collect();
    let unique: BTreeSet<&String> = names.iter().collect();
    assert_eq!(names.len(), unique.len());
    for name in BETTER.iter().flat_map(|better| better.conversations) {
        assert!(unique.contains(&name.to_string()), "no conversation {name}");
    }
}

/// The table there is what is asserted here, and nothing else.
#[test]
fn the_readme_lists_where_we_do_better() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../raw-ws/README.md");
    let readme = fs::read_to_string(path).unwrap();
    let (_, section) = readme.split_once("### Where raw-ws does better").unwrap();
    let section = section.split("\n#").next().unwrap();
    let rows: BTreeSet<&str> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next())
        .skip(1) // the head
        .collect();
    let reasons: BTreeSet<&str> = BETTER.iter().map(|better| better.reason).collect();
    let reasons = &reasons | &BTreeSet::from([KEEP_ALIVE]);
    assert_eq!(rows, reasons);
}
