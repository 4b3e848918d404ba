//! `hub::client` against `spec_server` and a real ASP.NET Core server: every feature over every
//! transport (`client_check`), and connections that are cut all the time (`client_chaos`).

use std::{
    env, fs,
    process::{Command, Stdio},
};

use crate::{
    aspnetcore::servers,
    children::{Server, example},
    official::{Target, run},
    turns::alone,
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

/// What every transport does, with more arguments and variables of the environment; so many of it.
fn check_some(command: &mut Command, url: &str) {
    let output = command
        .arg(url)
        .args(["--only", "/values"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.ends_with("5 passed, 0 failed\n"), "{text}");
}

#[test]
fn the_rust_client_speaks_tls() {
    let folder = env::temp_dir().join(format!("client-tls-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".into()]).unwrap();
    let [cert, key] = ["cert.pem", "key.pem"].map(|name| folder.join(name));
    fs::write(&cert, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let mut server = Command::new(example("spec_server"));
    server
        .arg("--tls-cert")
        .arg(&cert)
        .arg("--tls-key")
        .arg(&key);
    let (server, _stdout) = Server::spawn(server.env("RUST_LOG", "off"));
    for scheme in ["https", "wss"] {
        let url = format!("{scheme}://{}", server.address());
        let mut trusting = Command::new(example("client_check"));
        check_some(trusting.arg("--trust").arg(&cert), &url);
        // Who does not trust it does not speak to it.
        let mut other = Command::new(example("client_check"));
        let refused = other
            .arg(&url)
            .args(["--only", "/values"])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&refused.stdout);
        assert!(text.ends_with("0 passed, 5 failed\n"), "{text}");
        assert!(text.contains("certificate"), "{text}");
    }
    fs::remove_dir_all(folder).unwrap();
}

/// A server takes requests as a proxy gets them, with the whole address: it stands for one here, and
/// the host that is asked for is nowhere.
#[test]
fn the_rust_client_goes_by_the_proxy_of_the_environment() {
    let Some(Target::Ours(proxy)) = Target::find() else {
        return;
    };
    let mut command = Command::new(example("client_check"));
    command.env("HTTP_PROXY", format!("http://{}", proxy.address()));
    check_some(command.env_remove("NO_PROXY"), "http://hub.invalid");
    let mut command = Command::new(example("client_check"));
    command.env("HTTP_PROXY", format!("http://{}", proxy.address()));
    command
        .env("NO_PROXY", "hub.invalid")
        .arg("http://hub.invalid");
    let direct = command.args(["--only", "/values"]).output().unwrap();
    let text = String::from_utf8_lossy(&direct.stdout);
    assert!(text.ends_with("0 passed, 5 failed\n"), "{text}");
}

/// Cuts connections to a server so many times.
fn chaos(url: &str, cuts: u32, more: &[&str]) {
    let mut command = Command::new(example("client_chaos"));
    command
        .arg(url)
        .arg("--cuts")
        .arg(cuts.to_string())
        .args(more);
    let _turn = alone();
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

/// What the program that measures says of a few clients.
#[test]
fn what_the_client_costs_is_told() {
    let Some(target) = Target::find() else { return };
    let _turn = alone();
    let told = |arguments: &[&str], path: &str| {
        let mut command = Command::new(example("client_cost"));
        command
            .args(arguments)
            .arg("--url")
            .arg(target.url() + path);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let calls = told(&["calls", "--seconds", "1"], "/bench");
    assert!(calls.contains("CPU-µs of the client for each"), "{calls}");
    let crowd = told(&["crowd", "--clients", "50"], "/spec-stateful");
    assert!(crowd.contains("50 resumed and 0 as other"), "{crowd}");
    let crowd = told(&["crowd", "--clients", "50", "--ordinary"], "/spec");
    assert!(crowd.contains("0 resumed and 50 as other"), "{crowd}");
}
