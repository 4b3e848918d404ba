//! The memory that a connection holds while it does nothing.

use std::{fmt, io, net::TcpStream, time::Duration};

use super::{
    connections::{Connections, PATIENCE},
    dialect::{Dialect, Script},
    posting,
    target::{Target, Transport},
};
use crate::process::Process;

/// Resident memory of a server with many connections that are quiet.
#[derive(Clone, Copy, Debug)]
pub struct IdleMemory {
    /// How many connections were open.
    pub connections: usize,
    /// Resident bytes of the server before the first of them.
    pub before: u64,
    /// Resident bytes when all were open and none had sent anything.
    pub silent: u64,
    /// Resident bytes when each had sent one message of 16 KiB, received it back, and was quiet
    /// again: what a server keeps of the buffers it needed once.
    pub after_message: u64,
}

/// Opens `connections` connections one after the other, and measures the server's memory before,
/// with all of them silent, and after an echo of 16 KiB on each.
///
/// # Errors
///
/// When a connection fails, the server does not echo, or it does not become quiet within 15 s.
pub fn idle(
    target: &Target,
    connections: usize,
    dialect: Dialect,
    server: &Process,
) -> io::Result<IdleMemory> {
    let script = dialect.echo(MESSAGE_SIZE);
    // What the server only does once (loading code, growing its tables) is not a connection's.
    let mut first = Connections::open(target, FIRST_CONNECTIONS, &script, 1)?;
    echo_on_each(&mut first)?;
    drop(first);
    quiet(server)?;
    let before = server.resident_bytes()?;

    let mut all = Connections::open(target, connections, &script, 1)?;
    wait_until_quiet(server, |time| all.idle(time))?;
    let silent = server.resident_bytes()?;

    echo_on_each(&mut all)?;
    wait_until_quiet(server, |time| all.idle(time))?;
    let after_message = server.resident_bytes()?;
    Ok(IdleMemory {
        connections,
        before,
        silent,
        after_message,
    })
}

/// Opens `connections` connections, one after the other, and gives the resident bytes that each
/// adds, none having said anything.
///
/// # Errors
///
/// When a connection fails, or the server does not become quiet within 15 s.
pub fn held(
    target: &Target,
    connections: usize,
    dialect: Dialect,
    server: &Process,
) -> io::Result<u64> {
    let script = dialect.echo(1);
    let hold = |count| -> io::Result<Vec<TcpStream>> {
        (0..count).map(|_| open(target, &script)).collect()
    };
    // What the server only does once is not a connection's.
    let first = hold(FIRST_CONNECTIONS)?;
    quiet(server)?;
    let before = server.resident_bytes()?;
    let all = hold(connections)?;
    quiet(server)?;
    let grown = server.resident_bytes()?.saturating_sub(before);
    drop((first, all));
    Ok(grown / connections.max(1) as u64)
}

/// A connection that has only said what it begins with.
pub(super) fn open(target: &Target, script: &Script) -> io::Result<TcpStream> {
    match target.transport {
        Transport::WebSockets => Ok(target.converse(&script.opening)?.0),
        Transport::ServerSentEvents | Transport::LongPolling => {
            let (listens, _) = posting::open(target, script)?.listens.into_parts()?;
            Ok(listens)
        }
    }
}

fn echo_on_each(connections: &mut Connections) -> io::Result<()> {
    for index in 0..connections.len() {
        connections.send(index, 1)?;
        while connections.received(index) == 0 {
            connections.turn(PATIENCE, PATIENCE, |_, _, _, _| 0)?;
        }
    }
    Ok(())
}

/// The same with nothing to do meanwhile.
pub(super) fn quiet(server: &Process) -> io::Result<()> {
    wait_until_quiet(server, |time| {
        std::thread::sleep(time);
        Ok(())
    })
}

fn wait_until_quiet(
    server: &Process,
    meanwhile: impl FnMut(Duration) -> io::Result<()>,
) -> io::Result<()> {
    if server.wait_until_quiet(QUIET_LIMIT, meanwhile)? {
        return Ok(());
    }
    let text = format!(
        "the server did not become quiet within {} s",
        QUIET_LIMIT.as_secs()
    );
    Err(io::Error::new(io::ErrorKind::TimedOut, text))
}

impl IdleMemory {
    /// Resident bytes of a connection that has never sent anything.
    pub fn per_silent_connection(&self) -> u64 {
        self.silent.saturating_sub(self.before) / self.connections.max(1) as u64
    }

    /// Resident bytes of a connection that is quiet after one message of 16 KiB.
    pub fn per_connection_after_message(&self) -> u64 {
        self.after_message.saturating_sub(self.before) / self.connections.max(1) as u64
    }
}

impl fmt::Display for IdleMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "resident before       {} kB", self.before / 1000)?;
        writeln!(
            f,
            "silent                {} B per connection",
            self.per_silent_connection()
        )?;
        let after = self.per_connection_after_message();
        write!(f, "after 16 KiB on each  {after} B per connection")
    }
}

pub(super) const FIRST_CONNECTIONS: usize = 64;
pub(super) const MESSAGE_SIZE: usize = 16 * 1024;
const QUIET_LIMIT: Duration = Duration::from_secs(15);
