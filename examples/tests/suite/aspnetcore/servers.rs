//! The real ASP.NET Core server and ours, each a process of its own.

use std::{
    env, fs, io,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

/// Until a server listens: a cold .NET runtime on a busy machine takes its time.
const START_WITHIN: Duration = Duration::from_secs(60);

/// An endpoint that both have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Messages back as they came.
    Echo,
    /// The same, with compression and messages of up to 1 MiB.
    EchoDeflate,
    /// "ping", "bye", and the rest back.
    Lesson,
}

/// The servers of one side, stopped on drop.
pub(crate) struct Servers {
    /// `Child`s are killed on drop.
    _processes: Vec<Child>,
    echo: (SocketAddr, &'static str),
    deflate: (SocketAddr, &'static str),
    lesson: (SocketAddr, &'static str),
}

impl Servers {
    pub(crate) fn at(&self, place: Place) -> (SocketAddr, &'static str) {
        match place {
            Place::Echo => self.echo,
            Place::EchoDeflate => self.deflate,
            Place::Lesson => self.lesson,
        }
    }

    /// The example servers of this package.
    pub(crate) async fn ours() -> Self {
        let listen = ["--listen", "127.0.0.1:0"];
        let big = ["--deflate", "--max-message-size", "1048576"];
        let (echo, echo_address) = start(&example("raw_server"), &listen).await;
        let (deflate, deflate_address) =
            start(&example("raw_server"), &[&listen[..], &big].concat()).await;
        let (lesson, lesson_address) = start(&example("lesson"), &listen).await;
        Self {
            _processes: vec![echo, deflate, lesson],
            echo: (echo_address, "/echo"),
            deflate: (deflate_address, "/echo"),
            lesson: (lesson_address, "/lesson"),
        }
    }

    /// The real ASP.NET Core server.
    async fn real(peers: &Path) -> Self {
        let listen = format!("127.0.0.1:{}", free_port().unwrap());
        let (process, address) =
            start(&peers.join("aspnetcore-peer"), &["--listen", &listen]).await;
        Self {
            _processes: vec![process],
            echo: (address, "/ws/echo"),
            deflate: (address, "/ws/echo-deflate"),
            lesson: (address, "/ws/lesson"),
        }
    }
}

/// The real server as one with others through a Redis, at `host:port`; as [`theirs`].
pub(crate) async fn theirs_on(redis: &str) -> Option<(Child, SocketAddr)> {
    let _can_run = theirs().await?;
    let listen = format!("127.0.0.1:{}", free_port().unwrap());
    let arguments = ["--listen", &listen, "--redis", redis];
    Some(start(&peers().join("aspnetcore-peer"), &arguments).await)
}

/// The recorded conversations of two servers through Redis, and what checks them.
pub(crate) fn backplane_check() -> PathBuf {
    peers().join("transcripts/redis/backplane.py")
}

/// The real server; `None`, with a word to the terminal, where it cannot run.
///
/// # Panics
/// Where it cannot run and `CI` is set: there a comparison that is left out is a failure.
pub(crate) async fn theirs() -> Option<Servers> {
    let peers = peers();
    match why_not(&peers).await {
        None => Some(Servers::real(&peers).await),
        Some(why) => {
            let skipped = format!("the comparison with a real ASP.NET Core server: {why}");
            assert!(
                env::var_os("CI").is_none(),
                "must not be skipped: {skipped}"
            );
            eprintln!("SKIPPED {skipped}");
            None
        }
    }
}

fn peers() -> PathBuf {
    env::var_os("PEERS_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/peers"),
        PathBuf::from,
    )
}

async fn why_not(peers: &Path) -> Option<String> {
    let setup = peers.join("setup.sh");
    if !setup.exists() {
        let peers = peers.display();
        return Some(format!("there is no {peers}; set PEERS_DIR to where it is"));
    }
    // Unpacks at the first time.
    match Command::new(&setup).output().await {
        Err(error) => Some(format!("{} does not run: {error}", setup.display())),
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

/// cargo builds the examples of a package before its tests, into a folder next to theirs; but not
/// when it is asked for one test alone.
fn example(name: &str) -> PathBuf {
    let test = env::current_exe().unwrap();
    let target = test.parent().and_then(Path::parent).unwrap();
    let program = target
        .join("examples")
        .join(name)
        .with_extension(env::consts::EXE_EXTENSION);
    if let Some(what) = out_of_date(&program) {
        panic!("{what}; first run: cargo build -p examples --examples");
    }
    program
}

/// Why a program is not what its sources say. cargo lists them beside it.
fn out_of_date(program: &Path) -> Option<String> {
    let shown = program.display();
    let changed = |path: &Path| path.metadata().and_then(|file| file.modified());
    let (Ok(built), Ok(list)) = (
        changed(program),
        fs::read_to_string(program.with_extension("d")),
    ) else {
        return Some(format!("there is no {shown}"));
    };
    let (_, sources) = list.split_once(": ")?;
    // A space in a path is written as a backslash and a space.
    sources
        .trim_end()
        .replace("\\ ", "\0")
        .split(' ')
        .map(|source| source.replace('\0', " "))
        .find(|source| changed(Path::new(source)).is_ok_and(|changed| changed > built))
        .map(|source| format!("{shown} is older than {source}"))
}

/// The real server wants to be told its port.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

async fn start(program: &Path, arguments: &[&str]) -> (Child, SocketAddr) {
    let shown = program.display();
    let mut process = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {shown}: {error}"));
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let address = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some(address) = line.strip_prefix("listening on http://") {
                return address.parse().unwrap();
            }
        }
        panic!("{shown} ended before it listened");
    };
    let address = timeout(START_WITHIN, address)
        .await
        .unwrap_or_else(|_| panic!("{shown} does not listen"));
    // Who prints to a closed pipe fails.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (process, address)
}
