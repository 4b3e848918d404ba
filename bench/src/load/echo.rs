//! Every connection keeps a fixed number of messages in flight and sends one for each that returns.

use std::io;

use super::{
    connections::Connections,
    measurement::{Measurement, Observer, Window},
    target::Target,
    traffic::Traffic,
};

/// Runs an echo load for the time of `window`.
///
/// # Errors
///
/// When a connection fails, or the server answers nothing for 5 s.
pub fn echo<'a>(
    target: &Target,
    load: Traffic,
    window: Window,
    observer: impl Into<Observer<'a>>,
) -> io::Result<Measurement> {
    let mut connections = open(target, load)?;
    for index in 0..load.connections {
        connections.send(index, load.depth)?;
    }
    connections.measure(window, observer.into(), |_| true)
}

/// The same in an open loop: `rate` messages a second, on all connections by turns.
pub(super) fn echo_at(
    target: &Target,
    load: Traffic,
    rate: f64,
    window: Window,
    observer: Observer<'_>,
) -> io::Result<Measurement> {
    let mut connections = open(target, load)?;
    connections.measure_at(rate, load.connections, window, observer)
}

fn open(target: &Target, load: Traffic) -> io::Result<Connections> {
    let script = load.dialect.echo(load.size);
    Connections::open(target, load.connections, &script, load.depth as usize)
}
