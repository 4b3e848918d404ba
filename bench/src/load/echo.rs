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
    let script = load.dialect.echo(load.size);
    let mut connections =
        Connections::open(target, load.connections, &script, load.depth as usize)?;
    for index in 0..load.connections {
        connections.send(index, load.depth)?;
    }
    connections.measure(window, observer.into(), |_| true)
}
