//! `raw_client` as somebody at a terminal sees it.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Output, Stdio},
};

use crate::children::{Server, example};

fn client(args: &[&str]) -> Command {
    let mut command = Command::new(example("raw_client"));
    command.args(args);
    command
}

/// Runs a command against the server: exit code, stdout, stderr.
fn run(server: &Server, args: &[&str]) -> (Option<i32>, String, String) {
    let url = server.url("/wire");
    outcome(client(args).args(["--url", &url]).output().unwrap())
}

fn outcome(output: Output) -> (Option<i32>, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn prints(text: &str) -> (Option<i32>, String, String) {
    (Some(0), text.into(), String::new())
}

/// Killed when a test fails before it has ended.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn echo_prints_what_it_was_given() {
    let server = Server::start("raw_server");
    assert_eq!(run(&server, &["echo", "héllo"]), prints("héllo\n"));
    assert_eq!(run(&server, &["echo", ""]), prints("\n"));
}

#[test]
fn add_prints_the_sum_or_why_there_is_none() {
    let server = Server::start("raw_server");
    assert_eq!(run(&server, &["add", "2", "40"]), prints("42\n"));
    assert_eq!(run(&server, &["add", "-2", "-40"]), prints("-42\n"));
    let (code, out, err) = run(&server, &["add", &i64::MAX.to_string(), "1"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert_eq!(
        err,
        "the server refused: the sum is out of range (code 3)\n"
    );
}

#[test]
fn clock_prints_as_many_ticks_as_asked_for() {
    let server = Server::start("raw_server");
    let (code, out, err) = run(&server, &["clock", "3", "10"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let ticks: Vec<u64> = out
        .lines()
        .map(|line| line.strip_suffix(" ms").unwrap().parse().unwrap())
        .collect();
    assert_eq!(ticks.len(), 3);
    assert_eq!(ticks[0], 0);
    assert!(ticks.is_sorted());
    assert_eq!(run(&server, &["clock", "0", "10"]), prints(""));
}

#[test]
fn fail_prints_the_error_and_exits_with_1() {
    let server = Server::start("raw_server");
    let (code, out, err) = run(&server, &["fail", "as you wish"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert_eq!(err, "the server refused: as you wish (code 1000)\n");
}

#[test]
fn nobody_listening_is_an_error() {
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let url = format!("ws://{address}/wire");
    let (code, out, err) = outcome(client(&["echo", "x", "--url", &url]).output().unwrap());
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.starts_with("cannot connect: "), "{err}");
}

#[test]
fn listen_prints_what_is_published() {
    let server = Server::start("raw_server");
    let mut listening = Running(
        client(&["listen", "7", "--url", &server.url("/wire")])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut lines = BufReader::new(listening.0.stdout.take().unwrap());
    let (printed, first) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        printed.send(line).unwrap();
    });
    // It does not say when it listens: publish until it has heard something.
    let wait = std::time::Duration::from_millis(50);
    let line = (0..200).find_map(|_| {
        assert_eq!(run(&server, &["publish", "8", "not for us"]), prints(""));
        assert_eq!(run(&server, &["publish", "7", "news"]), prints(""));
        first.recv_timeout(wait).ok()
    });
    assert_eq!(line.as_deref(), Some("news\n"));
    reader.join().unwrap();
}

#[test]
fn text_sends_each_line_and_prints_what_comes() {
    let server = Server::start("raw_server");
    let mut typing = client(&["text", "--url", &server.url("/echo")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut keys = typing.stdin.take().unwrap();
    keys.write_all(b"one\ntwo\n").unwrap();
    drop(keys); // Ctrl-D
    let (code, out, err) = outcome(typing.wait_with_output().unwrap());
    assert_eq!((code, out.as_str()), (Some(0), "one\ntwo\n"), "{err}");
    assert!(err.starts_with("connected; "), "{err}");
}

#[test]
fn help_names_every_command() {
    let (code, out, _) = outcome(client(&["--help"]).output().unwrap());
    assert_eq!(code, Some(0));
    for command in ["text", "echo", "add", "clock", "fail", "listen", "publish"] {
        assert!(out.contains(&format!("\n  {command} ")), "{command}: {out}");
    }
}

#[test]
fn a_command_that_does_not_exist_exits_with_2() {
    let (code, _, err) = outcome(client(&["dance"]).output().unwrap());
    assert_eq!(code, Some(2));
    assert!(err.contains("dance"), "{err}");
}
