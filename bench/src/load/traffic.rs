//! What loads have in common that keep messages in flight.

use std::io;

use super::{
    dialect::Dialect,
    echo::echo,
    fan_out::fan_out,
    measurement::{Measurement, Observer, Window},
    stream::{stream, upload},
    target::Target,
};

/// The shape of a load that keeps messages in flight.
#[derive(Clone, Copy, Debug)]
pub struct Traffic {
    /// Connections, all open at once.
    pub connections: usize,
    /// Messages in flight: on each connection (echo), of the publisher (fan-out); items of a
    /// request, of which each connection has one under way (stream, upload).
    pub depth: u64,
    /// Bytes of a message, of the text in a call.
    pub size: usize,
    /// What the messages are.
    pub dialect: Dialect,
}

/// What the messages in flight do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// [`echo`].
    Echo,
    /// [`fan_out`].
    FanOut,
    /// [`stream`].
    Stream,
    /// [`upload`].
    Upload,
}

impl Work {
    /// Runs a load for the time of `window`.
    ///
    /// # Errors
    ///
    /// When a connection fails, or the server answers nothing for 5 s.
    pub fn run<'a>(
        self,
        target: &Target,
        load: Traffic,
        window: Window,
        observer: impl Into<Observer<'a>>,
    ) -> io::Result<Measurement> {
        match self {
            Self::Echo => echo(target, load, window, observer),
            Self::FanOut => fan_out(target, load, window, observer),
            Self::Stream => stream(target, load, window, observer),
            Self::Upload => upload(target, load, window, observer),
        }
    }
}
