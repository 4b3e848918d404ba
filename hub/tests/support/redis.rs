//! A Redis of a test's own: a real one, on a free port, gone with the test.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

/// Longer than any start takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// One that runs; ends with this.
pub(crate) struct RedisServer {
    address: SocketAddr,
    options: Vec<String>,
    folder: PathBuf,
    process: Option<Child>,
}

impl RedisServer {
    /// `None` where there is no `redis-server` on this machine.
    pub(crate) fn start(options: &[&str]) -> Option<Self> {
        Command::new("redis-server")
            .arg("--version")
            .stdout(Stdio::null())
            .status()
            .ok()?;
        // Whoever connects gets ports from another range.
        let free = (10_000..30_000).map(|at| 10_000 + (at + std::process::id() as u16) % 20_000);
        let port = free
            .into_iter()
            .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok() && take(*port))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let folder = std::env::temp_dir().join(format!("redis-{}-{port}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let mut server = Self {
            address,
            options: options.iter().map(ToString::to_string).collect(),
            folder,
            process: None,
        };
        server.start_again();
        Some(server)
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Starts it again where it was, and waits until it answers.
    pub(crate) fn start_again(&mut self) {
        let started = Command::new("redis-server")
            .args(["--port", &self.address.port().to_string()])
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(&self.options)
            .current_dir(&self.folder)
            .stdout(Stdio::null())
            .spawn();
        self.process = Some(started.expect("it was there before"));
        let begun = Instant::now();
        while self.ask("PING").is_none() {
            assert!(begun.elapsed() < PATIENCE, "redis-server does not answer");
            sleep(Duration::from_millis(5));
        }
    }

    /// Kills it, as a machine that fails would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Sends its process a signal.
    #[cfg(unix)]
    pub(crate) fn signal(&self, name: &str) {
        let id = self.process.as_ref().expect("it runs").id().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &id])
            .status();
        assert!(sent.expect("kill").success());
    }

    /// What it answers to a command of plain words; `None` where it does not.
    pub(crate) fn ask(&self, command: &str) -> Option<String> {
        let mut socket = TcpStream::connect(self.address).ok()?;
        socket.set_read_timeout(Some(PATIENCE)).ok()?;
        socket.write_all(format!("{command}\r\n").as_bytes()).ok()?;
        let mut answer = [0; 4096];
        let read = socket.read(&mut answer).ok()?;
        (read > 0).then(|| String::from_utf8_lossy(&answer[..read]).into_owned())
    }
}

/// Whether no other test of this process has this port.
fn take(port: u16) -> bool {
    static TAKEN: std::sync::Mutex<Vec<u16>> = std::sync::Mutex::new(Vec::new());
    let mut taken = TAKEN.lock().expect("no test panics here");
    let is_new = !taken.contains(&port);
    taken.push(port);
    is_new
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
