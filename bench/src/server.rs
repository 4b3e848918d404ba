//! Starts the program under test on one core, waits until it listens, and stops it again.

use std::{
    io::{self, BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use crate::process::Process;

/// A server that runs until this is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    /// Starts `program` pinned to `core` and returns when it has printed `listening on ADDR` (or
    /// `http://ADDR`).
    ///
    /// # Errors
    ///
    /// When the program cannot be started, ends without that line, or has not printed it within
    /// 30 s.
    pub fn start(core: usize, program: &Path, arguments: &[&str]) -> io::Result<Self> {
        // taskset executes the program in its own place, so the child's id is the server's.
        let mut taskset = Command::new("taskset");
        taskset.args(["--cpu-list", &core.to_string()]).arg(program);
        taskset.stdin(Stdio::null());
        Self::spawn(taskset.args(arguments)).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => {
                io::Error::new(e.kind(), format!("cannot start taskset (util-linux): {e}"))
            }
            kind => io::Error::new(kind, format!("{}: {e}", program.display())),
        })
    }

    /// The same for a command that pins nothing.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn spawn(command: &mut Command) -> io::Result<Self> {
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take();
        // From here on the guard stops the child, whatever happens.
        let mut server = Self {
            child,
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
        };
        let announced = announcement(stdout.ok_or_else(|| io::Error::other("no standard output"))?);
        server.address = announced
            .recv_timeout(START_LIMIT)
            .map_err(|e| io::Error::other(reason(e)))?;
        Ok(server)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process, to measure.
    ///
    /// # Errors
    ///
    /// When it has ended.
    pub fn process(&self) -> io::Result<Process> {
        Process::new(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already; nothing else can fail here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Pins this process to `core`. Threads started later stay there too; those already running do not
/// move, so call it first.
///
/// # Errors
///
/// When there is no such core, or no `taskset`.
pub fn pin_to_core(core: usize) -> io::Result<()> {
    let output = Command::new("taskset")
        .args([
            "--cpu-list",
            "--pid",
            &core.to_string(),
            &std::process::id().to_string(),
        ])
        .output()
        .map_err(|e| io::Error::new(e.kind(), format!("cannot start taskset (util-linux): {e}")))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!(
        "cannot pin to core {core}: {}",
        text.trim()
    )))
}

/// The address of the first `listening on` line. The thread behind it goes on reading, so that the
/// server never waits for somebody to empty the pipe.
fn announcement(stdout: ChildStdout) -> mpsc::Receiver<SocketAddr> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut sender = Some(sender);
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let (Some(address), Some(waiting)) = (listening_address(&line), sender.as_ref()) {
                // Nobody waits any more when the limit has passed.
                let _ = waiting.send(address);
                sender = None;
            }
        }
    });
    receiver
}

fn listening_address(line: &str) -> Option<SocketAddr> {
    let (_, address) = line.split_once("listening on ")?;
    let address = address.trim();
    let address = address.strip_prefix("http://").unwrap_or(address);
    address.trim_end_matches('/').parse().ok()
}

fn reason(error: mpsc::RecvTimeoutError) -> String {
    match error {
        mpsc::RecvTimeoutError::Timeout => {
            format!(
                "did not print `listening on ADDR` within {} s",
                START_LIMIT.as_secs()
            )
        }
        mpsc::RecvTimeoutError::Disconnected => "ended without printing `listening on ADDR`".into(),
    }
}

const START_LIMIT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_with_and_without_a_scheme() {
        let address = "127.0.0.1:9001".parse().ok();
        assert_eq!(listening_address("listening on 127.0.0.1:9001"), address);
        assert_eq!(
            listening_address("listening on http://127.0.0.1:9001"),
            address
        );
        assert_eq!(
            listening_address("info: listening on http://127.0.0.1:9001/"),
            address
        );
        assert_eq!(listening_address("starting"), None);
    }

    #[test]
    fn a_program_that_ends_at_once_is_an_error() {
        let error = Server::start(0, Path::new("true"), &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "true: ended without printing `listening on ADDR`"
        );
    }
}
