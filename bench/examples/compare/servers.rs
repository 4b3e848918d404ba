//! The servers that are compared, and how each is started.

use std::{
    env, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use bench::{
    load::{Dialect, HubProtocol, Work},
    machine::said_by,
    peers::{self, Endpoint, Peer},
    profile,
    server::Server,
};

/// Builds all that is needed, with the profile whose figures count.
const BUILD: &str = "cargo build --profile measured --example compare --example load \
                     --example peer --example raw_server --example hub_server";

/// A server that can be started.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    program: Program,
    does: Does,
}

/// What it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Program {
    /// Ours: the example `raw_server`.
    RawServer,
    /// Ours: the example `hub_server`.
    HubServer,
    /// The example `peer`, which takes the name of the server.
    Peer,
    /// A real ASP.NET Core, where the folder with the peers is there.
    AspNetCore,
    /// A script for Node.js.
    Node(&'static str),
    /// A script for Python.
    Python(&'static str),
    /// Nothing that can be had here, and why.
    Nowhere(&'static str),
}

/// How it is known what it does.
enum Does {
    As(&'static dyn Peer),
    Other(fn(Work, Dialect) -> Option<Endpoint>),
}

/// All of them, in the order of the tables: the limits first, ours next.
pub(crate) fn all() -> Vec<Contender> {
    let of_peers = peers::ALL.into_iter().map(|peer| Contender {
        name: peer.name(),
        program: match peer.name() {
            "raw-ws" => Program::RawServer,
            "hub" => Program::HubServer,
            _ => Program::Peer,
        },
        does: Does::As(peer),
    });
    let other = |name, program, does| Contender {
        name,
        program,
        does: Does::Other(does),
    };
    let others = [
        other("aspnetcore", Program::AspNetCore, aspnetcore),
        other("node-ws", Program::Node("ws.js"), messages),
        other("node-socket.io", Program::Node("socket_io.js"), socket_io),
        other(
            "aiosignalr",
            Program::Python("aiosignalr_server.py"),
            aiosignalr,
        ),
        other(
            "uWebSockets.js",
            Program::Nowhere(
                "npm has no package of it: its name has capital letters, and it is handed out from GitHub alone",
            ),
            messages,
        ),
    ];
    of_peers.chain(others).collect()
}

fn aspnetcore(work: Work, dialect: Dialect) -> Option<Endpoint> {
    let path = match (work, dialect) {
        (Work::Echo, Dialect::Messages) => "/ws/echo",
        (Work::FanOut, Dialect::Messages) => "/ws/fanout",
        (Work::Echo | Work::FanOut | Work::Items, Dialect::Hub(_)) => "/bench",
        _ => return None,
    };
    Some(Endpoint::WebSocket(path))
}

fn messages(work: Work, dialect: Dialect) -> Option<Endpoint> {
    let path = match (work, dialect) {
        (Work::Echo, Dialect::Messages) => "/echo",
        (Work::FanOut, Dialect::Messages) => "/fanout",
        _ => return None,
    };
    Some(Endpoint::WebSocket(path))
}

fn socket_io(work: Work, dialect: Dialect) -> Option<Endpoint> {
    peers::Socketioxide.endpoint(work, dialect)
}

/// Not in MessagePack, in which version 0.1.1 writes a number where the headers of a message belong.
fn aiosignalr(work: Work, dialect: Dialect) -> Option<Endpoint> {
    match (work, dialect) {
        (Work::Echo | Work::FanOut | Work::Items, Dialect::Hub(HubProtocol::Json)) => {
            Some(Endpoint::WebSocket("/bench"))
        }
        _ => None,
    }
}

impl Contender {
    /// Where it does this work for who speaks so; `None` when it does not.
    pub(crate) fn endpoint(&self, work: Work, dialect: Dialect) -> Option<Endpoint> {
        match self.does {
            Does::As(peer) => peer.endpoint(work, dialect),
            Does::Other(endpoint) => endpoint(work, dialect),
        }
    }

    /// Starts it pinned to `core`.
    pub(crate) fn start(&self, core: usize) -> io::Result<Server> {
        let path = self.program.path()?;
        let path = path.to_string_lossy();
        let mut arguments = match self.program {
            Program::Node(_) => vec!["node", &path],
            Program::Python(_) => vec![&*path],
            _ => Vec::new(),
        };
        let python = python();
        let program = match self.program {
            Program::Node(_) => Path::new(arguments.remove(0)),
            Program::Python(_) => &python,
            _ => Path::new(&*path),
        };
        if self.program == Program::Peer {
            arguments.push(self.name);
        }
        arguments.extend(["--listen", "127.0.0.1:0"]);
        if matches!(self.program, Program::RawServer | Program::HubServer) {
            arguments.extend(["--max-connections", "20000"]);
        }
        Server::start(core, program, &arguments)
    }

    /// How long it runs before it is measured. A just-in-time compiler gets 10 s for each kind of
    /// traffic.
    pub(crate) fn warm_up(&self, is_first_of_kind: bool) -> Duration {
        let is_compiled = !matches!(self.program, Program::AspNetCore | Program::Node(_));
        let needs_long = !is_compiled && is_first_of_kind;
        Duration::from_secs(if needs_long { 10 } else { 1 })
    }

    /// Whether the hub is built on it.
    pub(crate) fn is_below_the_hub(&self) -> bool {
        self.program == Program::RawServer
    }

    /// Whether it is also measured at a rate, and with more and more connections: the limit, ours, and what
    /// ours are compared with most.
    pub(crate) fn is_looked_into(&self) -> bool {
        [
            "raw-tcp",
            "raw-ws",
            "hub",
            "tungstenite-tuned",
            "aspnetcore",
        ]
        .contains(&self.name)
    }

    /// Why it cannot be started here, if so.
    pub(crate) fn missing(&self) -> Option<String> {
        let path = match self.program.path() {
            Ok(path) => path,
            Err(e) => return Some(e.to_string()),
        };
        match self.program {
            Program::Nowhere(why) => Some(why.into()),
            Program::RawServer | Program::HubServer | Program::Peer if !path.exists() => {
                Some(format!("not built; run `{BUILD}` first"))
            }
            Program::AspNetCore if !path.exists() => {
                let directory = "the folder with the ASP.NET Core server is not there";
                Some(format!("{directory}; set PEERS_DIR to where it is"))
            }
            Program::AspNetCore => set_up(&path.with_file_name("setup.sh"), &[]).err(),
            Program::Node(_) => needs("node", &["node", "npm"]),
            Program::Python(_) => needs("python", &["python3"]),
            Program::RawServer | Program::HubServer | Program::Peer => None,
        }
    }

    /// Which version it is; `None` where the lock file of this workspace, or nobody, tells.
    pub(crate) fn version(&self) -> Option<String> {
        match self.program {
            Program::RawServer | Program::HubServer => Some(env!("CARGO_PKG_VERSION").into()),
            Program::Peer => locked(self.name.trim_end_matches("-tuned")),
            Program::AspNetCore => Some("10".into()),
            Program::Node(_) => {
                let name = self.name.trim_start_matches("node-");
                let package = scripts().join(format!("node/node_modules/{name}/package.json"));
                let package = std::fs::read(package).ok()?;
                let package: serde_json::Value = serde_json::from_slice(&package).ok()?;
                let version = package["version"].as_str()?.to_owned();
                Some(format!(
                    "{version}, Node.js {}",
                    said_by("node", &["--version"])?
                ))
            }
            Program::Python(_) => {
                let requirements =
                    std::fs::read_to_string(scripts().join("python/requirements.txt"));
                let requirements = requirements.ok()?;
                let (_, version) = requirements.trim().split_once("==")?;
                Some(format!(
                    "{version}, {}",
                    said_by("python3", &["--version"])?
                ))
            }
            Program::Nowhere(_) => None,
        }
    }
}

impl Program {
    fn path(self) -> io::Result<PathBuf> {
        match self {
            Self::Peer => sibling("peer"),
            Self::RawServer => sibling("raw_server"),
            Self::HubServer => sibling("hub_server"),
            Self::AspNetCore => {
                let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
                let peers = env::var_os("PEERS_DIR").unwrap_or_else(|| "../shared/peers".into());
                Ok(workspace.join(peers).join("aspnetcore-peer"))
            }
            Self::Node(script) => Ok(scripts().join("node").join(script)),
            Self::Python(script) => Ok(scripts().join("python").join(script)),
            Self::Nowhere(_) => Ok(PathBuf::new()),
        }
    }
}

/// Where the servers in other languages are.
fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}

/// The interpreter that has the packages.
fn python() -> PathBuf {
    scripts().join("python/env/bin/python3")
}

/// Another example of the workspace, as cargo places it: beside this one.
fn sibling(example: &str) -> io::Result<PathBuf> {
    Ok(env::current_exe()?.with_file_name(example))
}

/// What is wrong with the profile that the servers of this workspace were built with. They stand
/// beside this program, which cargo built with the same.
pub(crate) fn wrong_profile() -> io::Result<Option<String>> {
    let program = env::current_exe()?;
    let found = profile::of(&program).unwrap_or("an unknown profile");
    let wrong = format!(
        "the servers here were built with `{found}`; figures count with `{}` alone: {BUILD}, \
         then target/{0}/examples/compare",
        profile::MEASURED
    );
    Ok((found != profile::MEASURED).then_some(wrong))
}

/// Why the servers in this language cannot run here, if so; installs their packages, once.
fn needs(language: &str, programs: &[&str]) -> Option<String> {
    let is_missing = |program: &&&str| said_by(program, &["--version"]).is_none();
    if let Some(missing) = programs.iter().find(is_missing) {
        return Some(format!("{missing} is not installed"));
    }
    set_up(&scripts().join("setup.sh"), &[language]).err()
}

/// Runs what a server needs once, so that this does not count as its start.
fn set_up(script: &Path, arguments: &[&str]) -> Result<(), String> {
    let status = Command::new(script)
        .args(arguments)
        .stdout(Stdio::null())
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("setup.sh ended with {status}")),
        Err(e) => Err(format!("setup.sh did not start: {e}")),
    }
}

/// The version of a crate that the workspace is built with; the newest, where others need older ones.
fn locked(name: &str) -> Option<String> {
    let of_package = |package: &str| {
        let mut lines = package.lines();
        let found = lines.find_map(|line| line.strip_prefix("name = "))?;
        let version = lines.next()?.strip_prefix("version = ")?;
        let [found, version] = [found, version].map(|quoted| quoted.trim_matches('"'));
        let is_meant = found == name || found.strip_prefix("tokio-") == Some(name);
        is_meant.then(|| (found.len(), version.to_owned()))
    };
    let lock = include_str!("../../../Cargo.lock");
    // cargo writes the older ones first; of `tungstenite` what is driven is `tokio-tungstenite`.
    let all = lock.split("[[package]]").filter_map(of_package);
    all.max_by_key(|(length, _)| *length)
        .map(|(_, version)| version)
}
