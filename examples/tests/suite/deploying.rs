//! What `examples/deploy` says to a server, said to one. The proxies' files are tested with the real
//! programs in `tests/crowd`.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use crate::children::example;

fn file(name: &str) -> String {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    fs::read_to_string(deploy.join(name)).unwrap()
}

/// Starts `hub_server` with these options, but at a free port; gives the line that it prints then.
fn started(options: &[String]) -> String {
    let mut options = options.to_vec();
    let listen = options.iter().position(|one| one == "--listen").unwrap();
    options[listen + 1] = "127.0.0.1:0".into();
    let mut server = Command::new(example("hub_server"));
    server.args(&options).stdout(Stdio::piped());
    let mut server = server.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    line
}

#[test]
fn the_options_in_compose_start_a_server_and_nginx_is_told_where_it_is() {
    let compose = file("compose.yaml");
    let (_, hub) = compose.split_once("  hub:\n").unwrap();
    let (_, command) = hub.split_once("command: ").unwrap();
    let options: Vec<String> = serde_json::from_str(command.lines().next().unwrap()).unwrap();
    assert!(started(&options).starts_with("listening on http://"));
    let trusted = options.last().unwrap();
    assert!(compose.contains(&format!("subnet: {trusted}")), "{trusted}");

    let substitution = "s/127.0.0.1:5000/hub:5000/";
    assert!(compose.contains(substitution));
    let nginx = file("nginx.conf");
    assert_eq!(nginx.matches("127.0.0.1:5000").count(), 1);
    assert!(nginx.contains("listen 8080 ") && compose.contains("\"8080:8080\""));
}

#[test]
fn the_unit_starts_a_server_that_speaks_tls() {
    let unit = file("hub.service").replace("\\\n", "");
    let start = unit
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart=/usr/local/bin/hub_server "))
        .unwrap();
    let folder = env::temp_dir().join(format!("unit-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let made = rcgen::generate_simple_self_signed(["example.com".into()]).unwrap();
    fs::write(folder.join("fullchain.pem"), made.cert.pem()).unwrap();
    fs::write(folder.join("privkey.pem"), made.signing_key.serialize_pem()).unwrap();
    let options: Vec<String> = start
        .replace("${CREDENTIALS_DIRECTORY}", folder.to_str().unwrap())
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    assert!(started(&options).starts_with("listening on https://"));
    for name in ["fullchain.pem", "privkey.pem"] {
        assert!(unit.contains(&format!("LoadCredential={name}:")), "{name}");
    }
    fs::remove_dir_all(folder).unwrap();
}

/// What the image is built with, and starts.
#[test]
fn the_dockerfile_builds_what_there_is() {
    let dockerfile = file("Dockerfile");
    for there in [
        "--bin workbench",
        "--locked",
        ":nonroot",
        "ENTRYPOINT [\"/server\"]",
    ] {
        assert!(dockerfile.contains(there), "{there}");
    }
    let command = dockerfile
        .lines()
        .find_map(|line| line.strip_prefix("CMD "))
        .unwrap();
    let options: Vec<String> = serde_json::from_str(command).unwrap();
    assert!(started(&options).starts_with("listening on http://"));
}
