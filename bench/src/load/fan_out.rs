//! One connection publishes, and all of them, itself included, receive every message.

use std::{
    io,
    time::{Duration, Instant},
};

use super::{
    connections::{Connections, PATIENCE},
    measurement::{Measurement, Observer, Window},
    target::Target,
    traffic::Traffic,
};

/// Runs a fan-out load for the time of `window`. The messages of the measurement are deliveries.
///
/// # Errors
///
/// When a connection fails, or the server delivers nothing for 5 s.
pub fn fan_out<'a>(
    target: &Target,
    load: Traffic,
    window: Window,
    observer: impl Into<Observer<'a>>,
) -> io::Result<Measurement> {
    let mut connections = open(target, load)?;
    connections.send(PUBLISHER, load.depth)?;
    connections.measure(window, observer.into(), |index| index == PUBLISHER)
}

/// The same in an open loop: `rate` messages a second are published.
pub(super) fn fan_out_at(
    target: &Target,
    load: Traffic,
    rate: f64,
    window: Window,
    observer: Observer<'_>,
) -> io::Result<Measurement> {
    let mut connections = open(target, load)?;
    connections.measure_at(rate, 1, window, observer)
}

fn open(target: &Target, load: Traffic) -> io::Result<Connections> {
    let script = load.dialect.fan_out(load.size);
    let mut connections =
        Connections::open(target, load.connections, &script, load.depth as usize)?;
    wait_until_subscribed(&mut connections)?;
    Ok(connections)
}

/// Publishes until every connection has received something: the response to the upgrade does not
/// say that the server has put the connection on its list yet.
pub(super) fn wait_until_subscribed(connections: &mut Connections) -> io::Result<()> {
    let end = Instant::now() + PATIENCE;
    let mut probes = 0;
    let mut deaf: Vec<usize> = (0..connections.len()).collect();
    while !deaf.is_empty() {
        if Instant::now() > end {
            let text = format!(
                "{} connections of {} receive nothing",
                deaf.len(),
                connections.len()
            );
            return Err(io::Error::new(io::ErrorKind::TimedOut, text));
        }
        connections.probe(PUBLISHER, 1)?;
        probes += 1;
        // Until it has come back, so that no probe is left to be taken for a measured message.
        while connections.received(PUBLISHER) < probes && Instant::now() < end {
            connections.turn(Duration::from_millis(10), PATIENCE, |_, _, _, _| 0)?;
        }
        connections.idle(Duration::from_millis(20))?;
        deaf.retain(|index| connections.received(*index) == 0);
    }
    Ok(())
}

pub(super) const PUBLISHER: usize = 0;
