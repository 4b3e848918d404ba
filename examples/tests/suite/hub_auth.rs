//! `hub_auth` and its terminal client, as people and their programs meet them.

use std::{
    io::{BufRead, BufReader, Lines, Read, Write},
    net::TcpStream,
    process::{Child, ChildStdout, Command, Stdio},
};

use crate::children::{Server, example};

/// What a request gets: status, `WWW-Authenticate`, content type, body.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    challenge: Option<String>,
    content_type: Option<String>,
    body: String,
}

fn ask(server: &Server, method: &str, target: &str, headers: &str, body: &str) -> Answer {
    let mut socket = TcpStream::connect(server.address()).unwrap();
    let length = body.len();
    write!(
        socket,
        "{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let header = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        let mut found = lines.filter(|(known, _)| known.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.to_owned())
    };
    Answer {
        status: head[9..12].parse().unwrap(),
        challenge: header("www-authenticate"),
        content_type: header("content-type"),
        body: body.to_owned(),
    }
}

fn log_in(server: &Server, name: &str, password: &str) -> Answer {
    let body = format!(r#"{{"name":"{name}","password":"{password}"}}"#);
    ask(server, "POST", "/login", "", &body)
}

fn token(server: &Server, name: &str, password: &str) -> String {
    let answer = log_in(server, name, password);
    assert_eq!(answer.status, 200, "{answer:?}");
    let (_, rest) = answer.body.split_once(r#""accessToken":""#).unwrap();
    rest.split_once('"').unwrap().0.to_owned()
}

/// AU-01, to the byte.
fn unauthorized(challenge: &str) -> Answer {
    Answer {
        status: 401,
        challenge: Some(challenge.into()),
        content_type: None,
        body: String::new(),
    }
}

/// Somebody at a terminal.
struct Terminal {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Terminal {
    fn start(server: &Server, name: &str, password: &str, args: &[&str]) -> Self {
        let mut child = Command::new(example("hub_auth_client"))
            .args(["--server", &format!("http://{}", server.address())])
            .args(["--name", name, "--password", password])
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let greeting = lines.next().unwrap().unwrap();
        assert_eq!(
            greeting,
            format!("you are {name}; type to talk, Ctrl-D to leave")
        );
        Self { child, lines }
    }

    fn types(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    fn reads(&mut self) -> Option<String> {
        self.lines.next().map(Result::unwrap)
    }

    fn ends(mut self) -> Option<i32> {
        drop(self.child.stdin.take()); // Ctrl-D
        self.child.wait().unwrap().code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn without_a_good_token_every_request_is_401() {
    let server = Server::start("hub_auth");
    for (method, target) in [
        ("POST", "/talk/negotiate?negotiateVersion=1"),
        ("GET", "/talk/negotiate"),
        ("GET", "/talk"),
        ("POST", "/talk?id=x"),
        ("DELETE", "/talk?id=x"),
        ("PUT", "/talk"),
        ("POST", "/talk/refresh"),
    ] {
        let answer = ask(&server, method, target, "", "");
        assert_eq!(answer, unauthorized("Bearer"), "{method} {target}");
    }
    let forged = "Authorization: Bearer forged\r\n";
    let answer = ask(&server, "POST", "/talk/negotiate", forged, "");
    assert_eq!(answer, unauthorized(r#"Bearer error="invalid_token""#));
}

#[test]
fn a_login_is_answered_with_a_token_or_with_why_not() {
    let server = Server::start("hub_auth");
    let wrong = [log_in(&server, "ann", "x"), log_in(&server, "nobody", "x")];
    for answer in wrong {
        assert_eq!(answer.status, 401);
        assert_eq!(answer.body, r#"{"error":"wrong name or password"}"#);
    }
    let answer = ask(&server, "POST", "/login", "", "name=ann");
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.body,
        r#"{"error":"send {\"name\": \"…\", \"password\": \"…\"} as JSON"}"#
    );
    // The header on the hub's paths, or the query.
    let token = token(&server, "bob", "builder");
    let header = format!("Authorization: Bearer {token}\r\n");
    let by_header = ask(&server, "POST", "/talk/negotiate", &header, "");
    let query = format!("/talk/negotiate?access_token={token}");
    let by_query = ask(&server, "POST", &query, "", "");
    assert_eq!((by_header.status, by_query.status), (200, 200));
}

#[test]
fn everybody_talks_and_admins_announce() {
    let server = Server::start("hub_auth");
    let mut bob = Terminal::start(&server, "bob", "builder", &[]);
    bob.types("hello");
    assert_eq!(bob.reads().unwrap(), "bob: hello");
    let mut ann = Terminal::start(&server, "ann", "wonderland", &[]);
    bob.types("!I am the boss");
    assert_eq!(
        bob.reads().unwrap(),
        "Failed to invoke 'Announce' because user is unauthorized"
    );
    ann.types("!tea at five");
    assert_eq!(ann.reads().unwrap(), "ann announces: tea at five");
    assert_eq!(bob.reads().unwrap(), "ann announces: tea at five");
    assert_eq!((ann.ends(), bob.ends()), (Some(0), Some(0)));
}

#[test]
fn a_token_that_ends_closes_the_connection() {
    let server = Server::start_with("hub_auth", &["--token-lifetime", "2"]);
    let token = token(&server, "bob", "builder");
    let mut bob = Terminal::start(&server, "bob", "builder", &["--no-refresh"]);
    assert_eq!(
        bob.reads().unwrap(),
        "the server ended the connection: log in again"
    );
    assert_eq!(bob.reads(), None);
    let header = format!("Authorization: Bearer {token}\r\n");
    let answer = ask(&server, "POST", "/talk/negotiate", &header, "");
    assert_eq!(answer.status, 401);
    let challenge = answer.challenge.unwrap();
    let expired = r#"Bearer error="invalid_token", error_description="The token expired at '"#;
    assert!(challenge.starts_with(expired), "{challenge}");
}

#[test]
fn a_token_that_is_refreshed_does_not() {
    let server = Server::start_with("hub_auth", &["--token-lifetime", "4"]);
    let mut ann = Terminal::start(&server, "ann", "wonderland", &[]);
    // The second time is past the end of the first token.
    for _ in 0..2 {
        assert_eq!(ann.reads().unwrap(), "your token was refreshed");
    }
    ann.types("!still an admin");
    assert_eq!(ann.reads().unwrap(), "ann announces: still an admin");
}

#[cfg(unix)]
#[test]
fn ctrl_c_tells_its_clients_to_come_back() {
    let mut server = Server::start("hub_auth");
    let mut bob = Terminal::start(&server, "bob", "builder", &[]);
    let code = server.interrupt();
    assert_eq!(
        bob.reads().unwrap(),
        "the server ended the connection: log in again"
    );
    assert_eq!(code, Some(0));
}

#[test]
fn a_refused_login_is_a_sentence() {
    let server = Server::start("hub_auth");
    let refused = Command::new(example("hub_auth_client"))
        .args(["--server", &format!("http://{}", server.address())])
        .args(["--name", "bob", "--password", "wrong"])
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(
        said.contains("the server refused /login: 401, wrong name or password"),
        "{said}"
    );
}

#[test]
fn the_page_is_served_and_says_what_it_misses() {
    let server = Server::start_with("hub_auth", &["--signalr-js", "not/there.js"]);
    let page = ask(&server, "GET", "/", "", "");
    assert_eq!(page.status, 200);
    assert!(page.body.contains("/signalr.js"));
    let missing = ask(&server, "GET", "/signalr.js", "", "");
    assert_eq!(missing.status, 404);
    assert!(missing.body.contains("npm ci"), "{}", missing.body);
}

#[test]
fn help_names_the_options() {
    let help = Command::new(example("hub_auth"))
        .arg("--help")
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for option in ["--listen", "--token-lifetime", "--signalr-js"] {
        assert!(help.contains(option), "{option}: {help}");
    }
}
