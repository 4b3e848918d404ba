//! A load in rounds, for who measures time himself.

use std::{io, time::Duration};

use super::{
    connections::{Connections, PATIENCE},
    target::Target,
    traffic::Traffic,
};

/// Connections that send when they are told to.
#[derive(Debug)]
pub struct Rounds {
    connections: Connections,
    depth: u64,
}

impl Rounds {
    /// Opens the connections of an echo.
    ///
    /// # Errors
    ///
    /// When one fails.
    pub fn open(target: &Target, load: Traffic) -> io::Result<Self> {
        let script = load.dialect.echo(load.size);
        let depth = load.depth;
        let connections = Connections::open(target, load.connections, &script, depth as usize)?;
        Ok(Self { connections, depth })
    }

    /// Sends as many messages on each connection as it is deep, and waits for the answers without
    /// ever sleeping.
    ///
    /// # Errors
    ///
    /// When a connection fails, or the server answers nothing for 5 s.
    pub fn run(&mut self) -> io::Result<()> {
        for index in 0..self.connections.len() {
            self.connections.send(index, self.depth)?;
        }
        while self.connections.in_flight() > 0 {
            self.connections
                .turn(Duration::ZERO, PATIENCE, |_, came, connection, _| {
                    connection.answered(came.ends).for_each(drop);
                    0
                })?;
        }
        Ok(())
    }
}
