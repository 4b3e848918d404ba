//! An example server as a child, found next to the test.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, ChildStdout, Command, Stdio},
    time::SystemTime,
};

/// A running example server; ends with this.
pub(crate) struct Server {
    child: Child,
    address: String,
}

impl Server {
    pub(crate) fn start(name: &str) -> Self {
        Self::start_with(name, &[])
    }

    pub(crate) fn start_with(name: &str, args: &[&str]) -> Self {
        Self::spawn(Command::new(example(name)).args(args)).0
    }

    /// The same for a command with more to it; and what else it writes to stdout.
    pub(crate) fn spawn(command: &mut Command) -> (Self, BufReader<ChildStdout>) {
        Self::spawn_at("127.0.0.1:0", command)
    }

    /// The same at an address of one's own.
    pub(crate) fn spawn_at(listen: &str, command: &mut Command) -> (Self, BufReader<ChildStdout>) {
        let mut child = command
            .args(["--listen", listen])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        lines.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http");
        let address = address.map(|rest| rest.trim_start_matches('s').trim_start_matches("://"));
        let address = address.unwrap_or_else(|| panic!("{line:?}")).to_owned();
        (Self { child, address }, lines)
    }

    pub(crate) fn stderr(&mut self) -> ChildStderr {
        self.child.stderr.take().unwrap()
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Presses Ctrl-C and waits for the end: its exit code.
    #[cfg(unix)]
    pub(crate) fn interrupt(&mut self) -> Option<i32> {
        self.signal("INT");
        self.ended()
    }

    #[cfg(unix)]
    pub(crate) fn signal(&self, name: &str) {
        let (signal, id) = (format!("-{name}"), self.child.id().to_string());
        let sent = Command::new("kill").args([signal, id]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the end: its exit code.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("ws://{}{path}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Cargo builds the examples of a package before its tests run, but not when it is asked for one
/// test alone: what is older than its source is refused, or a test would judge yesterday's program.
pub(crate) fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let built = test.ancestors().nth(2).unwrap();
    let example = built.join("examples").join(name);
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = package.join(name).with_extension("rs");
    let own = if file.exists() {
        file
    } else {
        package.join(name)
    };
    let sources = [
        own,
        package.join("src"),
        package.join("../raw-ws/src"),
        package.join("../hub/src"),
    ];
    let changed = sources.iter().map(|source| newest(source)).max();
    assert!(
        example.exists() && Some(modified(&example)) >= changed,
        "{} is missing or old: cargo build --examples",
        example.display()
    );
    example
}

fn newest(path: &Path) -> SystemTime {
    let Ok(inside) = path.read_dir() else {
        return modified(path);
    };
    let inside = inside.map(|entry| newest(&entry.unwrap().path()));
    inside.max().unwrap_or(SystemTime::UNIX_EPOCH)
}

fn modified(path: &Path) -> SystemTime {
    path.metadata().unwrap().modified().unwrap()
}
