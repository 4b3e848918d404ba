//! Every connection keeps a fixed number of messages in flight and sends one for each that returns.

use std::io;

use super::{
    connections::Connections,
    dialect::Dialect,
    measurement::{Measurement, Window},
    target::Target,
};
use crate::process::Process;

/// The shape of an echo load.
#[derive(Clone, Copy, Debug)]
pub struct EchoLoad {
    /// Connections, all open at once.
    pub connections: usize,
    /// Messages in flight on each.
    pub depth: u64,
    /// Bytes of a message, of the text in a call.
    pub size: usize,
    /// What the messages are.
    pub dialect: Dialect,
}

/// Runs an echo load for the time of `window`.
///
/// # Errors
///
/// When a connection fails, or the server answers nothing for 5 s.
pub fn echo(
    target: &Target,
    load: EchoLoad,
    window: Window,
    server: Option<&Process>,
) -> io::Result<Measurement> {
    let script = load.dialect.echo(load.size);
    let mut connections =
        Connections::open(target, load.connections, &script, load.depth as usize)?;
    for index in 0..load.connections {
        connections.send(index, load.depth)?;
    }
    connections.measure(window, server, |_| true)
}
