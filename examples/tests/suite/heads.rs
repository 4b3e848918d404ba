//! Every example says what it shows and how to run and talk to it, in its head and in `--help`, is in
//! the list, and starts.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    children::{Server, example},
    page::workbench,
};

/// Those that `Cargo.toml` names.
fn examples() -> Vec<String> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(package.join("Cargo.toml")).unwrap();
    let blocks = manifest.split("[[example]]").skip(1);
    let name = |block: &str| block.split('"').nth(1).unwrap().to_owned();
    blocks.map(name).collect()
}

#[test]
fn every_example_says_what_it_shows() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let list = fs::read_to_string(package.join("README.md")).unwrap();
    for name in examples() {
        let file = format!("{name}.rs");
        let file = if package.join(&file).exists() {
            file
        } else {
            format!("{name}/main.rs")
        };
        let source = fs::read_to_string(package.join(&file)).unwrap();
        let head: String = source
            .lines()
            .take_while(|line| line.starts_with("//!"))
            .collect();
        let run = format!("cargo run --release --example {name}");
        assert!(head.contains(&run), "{name}: how it is run");
        assert!(list.contains(&format!("[`{name}`]({file})")), "{name}");
        let help = Command::new(example(&name)).arg("--help").output().unwrap();
        assert!(help.status.success(), "{name}: {help:?}");
        assert!(help.stdout.len() > 100, "{name}: {help:?}");
        let wrong = Command::new(example(&name)).arg("--no-such").output();
        assert_eq!(wrong.unwrap().status.code(), Some(2), "{name}");
    }
    let help = workbench().arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for option in ["--listen", "--open", "--npm", "--tls-cert"] {
        assert!(help.contains(option), "{option}: {help}");
    }
}

#[test]
fn every_server_has_a_first_page_or_says_where_to_go() {
    let servers = [
        "raw_server",
        "hub_server",
        "hub_auth",
        "spec_server",
        "lesson",
    ];
    for name in servers {
        let server = Server::start(name);
        let answer = get(server.address(), "/healthz");
        assert!(answer.starts_with("HTTP/1.1 200"), "{name}: {answer}");
        if ["raw_server", "hub_server", "hub_auth"].contains(&name) {
            let page = get(server.address(), "/");
            assert!(page.contains(&format!("<h1>{name}</h1>")), "{name}: {page}");
            let style = get(server.address(), "/style.css");
            assert!(style.contains("text/css"), "{name}: {style}");
        }
    }
}

/// They are the READMEs', with addresses of their own.
#[test]
fn the_shortest_servers_start() {
    for (name, address, path) in [
        (
            "quick_start",
            "127.0.0.1:5000",
            "/chat/negotiate?negotiateVersion=1",
        ),
        ("echo", "127.0.0.1:9001", "/echo"),
    ] {
        let mut server = Command::new(example(name)).spawn().unwrap();
        let answer = loop {
            if TcpStream::connect(address).is_ok() {
                break ask(address, "POST", path);
            }
            assert_eq!(server.try_wait().unwrap(), None, "{name} ended");
            // Nobody is told when it listens.
            std::thread::sleep(std::time::Duration::from_millis(5));
        };
        server.kill().unwrap();
        server.wait().unwrap();
        let expected = if name == "echo" { "400" } else { "200" };
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {expected}")),
            "{name}: {answer}"
        );
    }
}

/// What people see who run the first command of the README.
#[test]
fn the_workbench_says_what_it_serves_and_what_to_do_when_it_cannot() {
    let mut first = workbench();
    first
        .args(["--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped());
    let mut first = first.spawn().unwrap();
    let said = BufReader::new(first.stdout.take().unwrap());
    let lines: Vec<String> = said.lines().map_while(Result::ok).take(9).collect();
    let url = lines[0].strip_prefix("listening on ").unwrap();
    let address = url.strip_prefix("http://").unwrap();
    for path in [
        "/raw/echo",
        "/raw/wire",
        "/hub",
        "/healthz",
        "/readyz",
        "/metrics",
    ] {
        assert!(
            lines.iter().any(|line| line.contains(path)),
            "{path}: {lines:?}"
        );
    }
    let second = workbench().args(["--listen", address]).output().unwrap();
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!(second.status.code(), Some(1));
    let error = String::from_utf8(second.stderr).unwrap();
    assert!(
        error.starts_with(&format!("error: cannot listen on {address}:"))
            && error.contains("--listen"),
        "{error}"
    );
}

#[test]
fn the_page_needs_nothing_from_elsewhere_and_all_of_it_is_there() {
    let (server, _lines) = Server::spawn(&mut workbench());
    let page = get(server.address(), "/");
    assert!(
        page.contains("content-security-policy: default-src 'self'"),
        "{page}"
    );
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
    for file in fs::read_dir(web).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        if [".js", ".css", ".svg"]
            .iter()
            .any(|end| name.ends_with(end))
        {
            let answer = get(server.address(), &format!("/{name}"));
            assert!(answer.starts_with("HTTP/1.1 200"), "{name}: {answer}");
        }
    }
    let missing = get(server.address(), "/nothing");
    assert!(missing.starts_with("HTTP/1.1 404"), "{missing}");
}

fn get(address: &str, path: &str) -> String {
    ask(address, "GET", path)
}

fn ask(address: &str, method: &str, path: &str) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}
