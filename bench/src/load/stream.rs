//! Every connection has a stream under way, down or up, and begins the next when it has ended.

use std::io;

use super::{
    connections::Connections,
    dialect::Script,
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
    let script = load.dialect.stream(load.size, count(load));
    let script = script.ok_or_else(|| io::Error::other("this dialect has no streams"))?;
    one_at_a_time(target, load, &script, window, observer.into())
}

/// The same with numbers, each item another: the method `Items` of a hub, which every SignalR server in
/// [`peers`](crate::peers) has.
///
/// # Errors
///
/// As [`stream()`].
pub fn items<'a>(
    target: &Target,
    load: Traffic,
    window: Window,
    observer: impl Into<Observer<'a>>,
) -> io::Result<Measurement> {
    let script = load.dialect.items(count(load));
    let script =
        script.ok_or_else(|| io::Error::other("this dialect has no streams of numbers"))?;
    one_at_a_time(target, load, &script, window, observer.into())
}

/// The same with streams of the clients: a latency is that from the first item to the answer to all
/// of them.
///
/// # Errors
///
/// As [`stream()`].
pub fn upload<'a>(
    target: &Target,
    load: Traffic,
    window: Window,
    observer: impl Into<Observer<'a>>,
) -> io::Result<Measurement> {
    let script = load.dialect.upload(load.size, count(load));
    let script = script.ok_or_else(|| io::Error::other("this dialect has no uploads"))?;
    one_at_a_time(target, load, &script, window, observer.into())
}

fn one_at_a_time(
    target: &Target,
    load: Traffic,
    script: &Script,
    window: Window,
    observer: Observer<'_>,
) -> io::Result<Measurement> {
    let mut connections = Connections::open(target, load.connections, script, 1)?;
    for index in 0..load.connections {
        connections.send(index, 1)?;
    }
    connections.measure(window, observer, |_| true)
}

fn count(load: Traffic) -> u32 {
    u32::try_from(load.depth).unwrap_or(u32::MAX)
}
