//! The memory that a long-polling client of a hub holds on the server while it does nothing: one
//! poll that waits, and what the hub knows of the connection.

use std::{io, net::SocketAddr};

use super::{
    http::Http,
    hub::{HubProtocol, hub_text},
    idle::{FIRST_CONNECTIONS, IdleMemory, MESSAGE_SIZE, quiet},
    target::Target,
};
use crate::process::Process;

/// Connects `connections` long-polling clients to a hub with the method `Echo`, one after the
/// other, and measures the server's memory before, with a poll of each waiting, and when each has
/// POSTed a call of 16 KiB, polled its answer, and polls again.
///
/// # Errors
///
/// When the hub answers otherwise, or it does not become quiet within 15 s.
pub fn polling(
    target: &Target,
    connections: usize,
    protocol: HubProtocol,
    server: &Process,
) -> io::Result<IdleMemory> {
    let connect = |count| -> io::Result<Vec<Client>> {
        (0..count)
            .map(|_| Client::connect(target, protocol))
            .collect()
    };
    // What the server only does once is not a connection's.
    let mut first = connect(FIRST_CONNECTIONS)?;
    first.iter_mut().try_for_each(Client::echo)?;
    first.into_iter().try_for_each(Client::leave)?;
    quiet(server)?;
    let before = server.resident_bytes()?;

    let mut all = connect(connections)?;
    quiet(server)?;
    let silent = server.resident_bytes()?;

    all.iter_mut().try_for_each(Client::echo)?;
    quiet(server)?;
    let after_message = server.resident_bytes()?;
    all.into_iter().try_for_each(Client::leave)?;
    Ok(IdleMemory {
        connections,
        before,
        silent,
        after_message,
    })
}

/// Asks a hub for a connection; gives the path with its token.
pub(super) fn negotiate(http: &mut Http, hub: &str) -> io::Result<String> {
    let answer = http.ask("POST", &format!("{hub}/negotiate?negotiateVersion=1"), b"")?;
    let answer = String::from_utf8_lossy(&answer);
    answer
        .split_once("\"connectionToken\":\"")
        .and_then(|(_, rest)| rest.split('"').next())
        .map(|token| format!("{hub}?id={token}"))
        .ok_or_else(|| io::Error::other(format!("no token: {answer}")))
}

/// A client whose poll waits.
struct Client {
    polls: Http,
    address: SocketAddr,
    path: String,
    call: Vec<u8>,
}

impl Client {
    fn connect(target: &Target, protocol: HubProtocol) -> io::Result<Self> {
        let hub = target.path.clone().unwrap_or_default();
        let mut polls = Http::connect(target.address)?;
        let path = negotiate(&mut polls, &hub)?;
        let mut client = Self {
            polls,
            address: target.address,
            path,
            call: protocol.call(Some("1"), "Echo", &[&hub_text(MESSAGE_SIZE)]),
        };
        client.polls.ask("GET", &client.path, b"")?;
        client.polls.write("GET", &client.path, b"")?;
        client.post(&protocol.handshake())?;
        client.polls.read()?;
        client.polls.write("GET", &client.path, b"")?;
        Ok(client)
    }

    /// A connection of its own: the other one waits for its poll.
    fn post(&self, body: &[u8]) -> io::Result<()> {
        Http::connect(self.address)?
            .ask("POST", &self.path, body)
            .map(drop)
    }

    fn echo(&mut self) -> io::Result<()> {
        self.post(&self.call)?;
        let mut received = 0;
        while received < MESSAGE_SIZE {
            received += self.polls.read()?.len();
            self.polls.write("GET", &self.path, b"")?;
        }
        Ok(())
    }

    fn leave(self) -> io::Result<()> {
        let path = &self.path;
        Http::connect(self.address)?
            .ask("DELETE", path, b"")
            .map(drop)
    }
}
