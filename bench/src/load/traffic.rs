//! What loads have in common that keep messages in flight.

use std::io;

use super::{
    dialect::Dialect,
    echo::{echo, echo_at},
    fan_out::{fan_out, fan_out_at},
    measurement::{Measurement, Observer, Window},
    stream::{items, stream, upload},
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
    /// [`items`].
    Items,
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
            Self::Items => items(target, load, window, observer),
            Self::Upload => upload(target, load, window, observer),
        }
    }

    /// The same in an open loop: `rate` messages a second leave when they are due, however many are in
    /// flight, and the latencies are counted from then. What was due in the window is waited for.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run); and [`io::ErrorKind::InvalidInput`] for streams, of which each connection has
    /// one under way, and for a rate that is not above 0.
    pub fn run_at<'a>(
        self,
        target: &Target,
        load: Traffic,
        rate: f64,
        window: Window,
        observer: impl Into<Observer<'a>>,
    ) -> io::Result<Measurement> {
        let invalid = |why| io::Error::new(io::ErrorKind::InvalidInput, why);
        if !(rate > 0.0 && rate.is_finite()) {
            return Err(invalid("a rate is above 0"));
        }
        match self {
            Self::Echo => echo_at(target, load, rate, window, observer.into()),
            Self::FanOut => fan_out_at(target, load, rate, window, observer.into()),
            Self::Stream | Self::Items | Self::Upload => {
                Err(invalid("streams follow each other, at no rate"))
            }
        }
    }
}
