//! `hub::client` against `spec_server` and a real ASP.NET Core server: every feature over every
//! transport (`client_check`), and connections that are cut all the time (`client_chaos`).

use std::process::{Command, Stdio};

use crate::{
    aspnetcore::servers,
    children::example,
    official::{Target, run},
};

/// As many as there are.
const CHECKS: u32 = 310;

fn check(url: &str) {
    let mut command = Command::new(example("client_check"));
    run(
        // What handlers fail with on purpose would fill the report.
        {
            command.arg(url).env("RUST_BACKTRACE", "0");
            command
        },
        CHECKS,
    );
}

/// Cuts connections to a server so many times.
fn chaos(url: &str, cuts: u32, more: &[&str]) {
    let mut command = Command::new(example("client_chaos"));
    command
        .arg(url)
        .arg("--cuts")
        .arg(cuts.to_string())
        .args(more);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    let summary = text.lines().find(|line| line.contains(" resumed")).unwrap();
    let (before, _) = summary.split_once(" resumed").unwrap();
    let resumed: u32 = before.rsplit(' ').next().unwrap().parse().unwrap();
    // Some are cut again before they are back.
    assert!(resumed > cuts / 2, "{text}");
    println!("{summary}");
}

#[test]
fn the_rust_client_has_every_feature_with_our_server() {
    let Some(target) = Target::find() else { return };
    check(&target.url());
}

#[tokio::test]
async fn the_rust_client_has_every_feature_with_asp_net_core() {
    let Some(theirs) = servers::theirs().await else {
        return;
    };
    check(&format!("http://{}", theirs.at(servers::Place::Echo).0));
}

#[test]
fn sr_12_the_rust_client_loses_nothing_while_it_is_cut_200_times() {
    let Some(target) = Target::find() else { return };
    chaos(&target.url(), 200, &[]);
}

/// SR-02, SR-13: what a real server loses by itself is left out. It miscounts items of uploads that
/// are sent again, aborts connections that were cut while their buffer was full, and ends one whose
/// last socket is silent.
#[tokio::test]
async fn sr_12_the_rust_client_loses_nothing_with_asp_net_core() {
    let Some(theirs) = servers::theirs().await else {
        return;
    };
    let url = format!("http://{}", theirs.at(servers::Place::Echo).0);
    let calm = ["--pause", "5", "--messages", "20000"];
    let kinds = ["--kinds", "messages,calls,down", "--ways", "reset,end,torn"];
    chaos(&url, 200, &[calm, kinds].concat());
}

/// The example that shows it, as somebody runs it who does not type.
#[test]
fn reconnect_shows_what_is_missed_and_what_is_not() {
    let mut command = Command::new(example("reconnect"));
    command.args(["--every", "100", "--until", "90", "--cut-every", "30"]);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert_eq!(text.matches("the network is cut").count(), 2, "{text}");
    assert_eq!(text.matches("stateful: resumed").count(), 2, "{text}");
    assert!(text.contains("stateful: 90 of 90 numbers came"), "{text}");
    assert!(!text.contains("stateful: missed"), "{text}");
    assert_eq!(
        text.matches("ordinary: a new connection").count(),
        2,
        "{text}"
    );
    assert!(text.contains("ordinary: missed 3"), "{text}");
}
