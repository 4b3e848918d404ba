//! The servers that are compared, and how each is started.

use std::{
    env, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use bench::{
    load::{Dialect, HubProtocol, Work},
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
    pub(crate) echo: Option<Endpoint>,
    pub(crate) fan_out: Option<Endpoint>,
    /// Where the methods of the benchmarks are, if it is a SignalR server.
    pub(crate) hub: Option<Endpoint>,
}

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
}

/// All of them, in the order of the tables: the limits first, ours next.
pub(crate) fn all() -> Vec<Contender> {
    let of_peers = peers::ALL.into_iter().filter_map(of_peer);
    of_peers.chain([aspnetcore()]).collect()
}

/// What a peer does as a process. Ours are the example servers, with all that they have.
fn of_peer(peer: &'static dyn Peer) -> Option<Contender> {
    let name = peer.name();
    let program = match name {
        "raw-ws" => Program::RawServer,
        "hub" => Program::HubServer,
        _ => Program::Peer,
    };
    let contender = Contender {
        name,
        program,
        echo: peer.endpoint(Work::Echo, Dialect::Messages),
        fan_out: peer.endpoint(Work::FanOut, Dialect::Messages),
        hub: peer.endpoint(Work::Echo, Dialect::Hub(HubProtocol::Json)),
    };
    let does_something = [contender.echo, contender.fan_out, contender.hub]
        .iter()
        .any(Option::is_some);
    does_something.then_some(contender)
}

fn aspnetcore() -> Contender {
    Contender {
        name: "aspnetcore",
        program: Program::AspNetCore,
        echo: Some(Endpoint::WebSocket("/ws/echo")),
        fan_out: Some(Endpoint::WebSocket("/ws/fanout")),
        hub: Some(Endpoint::WebSocket("/bench")),
    }
}

impl Contender {
    /// Starts it pinned to `core`.
    pub(crate) fn start(&self, core: usize) -> io::Result<Server> {
        let mut arguments = vec!["--listen", "127.0.0.1:0"];
        match self.program {
            Program::Peer => arguments.insert(0, self.name),
            Program::RawServer | Program::HubServer => {
                arguments.extend(["--max-connections", "20000"]);
            }
            Program::AspNetCore => {}
        }
        Server::start(core, &self.program.path()?, &arguments)
    }

    /// How long it runs before it is measured. A just-in-time compiler gets 10 s for each kind of
    /// traffic.
    pub(crate) fn warm_up(&self, is_first_of_kind: bool) -> Duration {
        let needs_long = self.program == Program::AspNetCore && is_first_of_kind;
        Duration::from_secs(if needs_long { 10 } else { 1 })
    }

    /// Whether the hub is built on it.
    pub(crate) fn is_below_the_hub(&self) -> bool {
        self.program == Program::RawServer
    }

    /// Why it cannot be started here, if so.
    pub(crate) fn missing(&self) -> Option<String> {
        let path = match self.program.path() {
            Ok(path) => path,
            Err(e) => return Some(e.to_string()),
        };
        match self.program {
            Program::RawServer | Program::HubServer | Program::Peer if !path.exists() => {
                Some(format!("not built; run `{BUILD}` first"))
            }
            Program::AspNetCore if !path.exists() => {
                let directory = "the folder with the ASP.NET Core server is not there";
                Some(format!("{directory}; set PEERS_DIR to where it is"))
            }
            Program::AspNetCore => set_up(&path.with_file_name("setup.sh")).err(),
            _ => None,
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
        }
    }
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

/// Unpacks the .NET runtime, once, so that this does not count as the start of the server.
fn set_up(script: &Path) -> Result<(), String> {
    let status = Command::new(script).stdout(Stdio::null()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("setup.sh ended with {status}")),
        Err(e) => Err(format!("setup.sh did not start: {e}")),
    }
}
