//! Every connection has a stream under way, and asks for the next when it has ended.

use std::io;

use super::{
    connections::Connections,
    measurement::{Measurement, Observer, Window},
    target::Target,
    traffic::Traffic,
};

/// Runs a load of streams for the time of `window`. The messages of the measurement are items, its
/// latencies those from a request to the end of its stream.
///
/// # Errors
///
/// When a connection fails, the dialect has no streams, or the server sends nothing for 5 s.
pub fn stream<'a>(
    target: &Target,
    load: Traffic,
    window: Window,
    observer: impl Into<Observer<'a>>,
) -> io::Result<Measurement> {
    let items = u32::try_from(load.depth).unwrap_or(u32::MAX);
    let script = load.dialect.stream(load.size, items);
    let script = script.ok_or_else(|| io::Error::other("there are no streams of bare bytes"))?;
    let mut connections = Connections::open(target, load.connections, &script, 1)?;
    for index in 0..load.connections {
        connections.send(index, 1)?;
    }
    connections.measure(window, observer.into(), |_| true)
}
