//! All connections of one load, and the epoll that tells which of them have something to read.

use std::{
    io,
    time::{Duration, Instant},
};

use mio::{Events, Poll};

use super::{
    connection::{Connection, Outgoing},
    content::Tally,
    dialect::Script,
    measurement::{Measurement, Observer, Recorder, Window},
    target::{Target, Transport},
};

/// Open connections to one server.
#[derive(Debug)]
pub(super) struct Connections {
    all: Vec<Connection>,
    message: Outgoing,
    poll: Poll,
    events: Events,
    buffer: Vec<u8>,
    last_reply: Instant,
}

impl Connections {
    /// Opens `count` connections, one after the other, which will follow `script`.
    ///
    /// `at_once` is the largest number of messages that one write should take.
    pub(super) fn open(
        target: &Target,
        count: usize,
        script: &Script,
        at_once: usize,
    ) -> io::Result<Self> {
        let message = match (target.transport, &script.posted) {
            (Transport::WebSockets, _) | (_, None) => Outgoing::new(&script.requests, at_once),
            (_, Some(posted)) => Outgoing::new(std::slice::from_ref(&posted.request), at_once),
        };
        let poll = Poll::new()?;
        let open = |i| {
            Connection::open(target, script, poll.registry(), i).map_err(|e| {
                io::Error::new(e.kind(), format!("connection {} of {count}: {e}", i + 1))
            })
        };
        Ok(Self {
            all: (0..count).map(open).collect::<io::Result<_>>()?,
            message,
            poll,
            events: Events::with_capacity(1024),
            buffer: vec![0; 64 * 1024],
            last_reply: Instant::now(),
        })
    }

    /// Sends `count` messages on connection `index`, with the time remembered for its latency.
    pub(super) fn send(&mut self, index: usize, count: u64) -> io::Result<()> {
        self.last_reply = Instant::now();
        self.all[index].send(&self.message, count, Some(self.last_reply))
    }

    /// Sends one message on connection `index` which was due at that time.
    pub(super) fn send_as_of(&mut self, index: usize, due: Instant) -> io::Result<()> {
        self.all[index].send(&self.message, 1, Some(due))
    }

    /// Sends messages on connection `index` whose latency is of no interest.
    pub(super) fn probe(&mut self, index: usize, count: u64) -> io::Result<()> {
        self.all[index].send(&self.message, count, None)
    }

    /// Keeps what is in flight in flight: each connection for which `sends` is true sends a message
    /// for each of its own that is answered. Returns what happened in the measured part of `window`.
    pub(super) fn measure(
        &mut self,
        window: Window,
        mut observer: Observer<'_>,
        sends: impl Fn(usize) -> bool,
    ) -> io::Result<Measurement> {
        self.circulate(window.warm_up, None, &mut observer, &sends)?;
        let mut recorder = Recorder::begin(&observer, self.bytes())?;
        self.circulate(window.measured, Some(&mut recorder), &mut observer, &sends)?;
        recorder.end(self.bytes())
    }

    fn circulate(
        &mut self,
        time: Duration,
        mut recorder: Option<&mut Recorder>,
        observer: &mut Observer<'_>,
        sends: &impl Fn(usize) -> bool,
    ) -> io::Result<()> {
        let end = Instant::now() + time;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            let left = observer.until_told().map_or(left, |due| left.min(due));
            self.turn(left, PATIENCE, |index, came, connection, now| {
                let answered = connection.answered(came.ends);
                if let Some(recorder) = recorder.as_deref_mut() {
                    recorder.count(came.messages);
                    answered.for_each(|sent| recorder.latency(now.duration_since(sent)));
                }
                if sends(index) { came.ends } else { 0 }
            })?;
            if observer.is_to_be_told() {
                let so_far = match recorder.as_deref_mut() {
                    Some(recorder) => Some(recorder.so_far(self.bytes())?),
                    None => None,
                };
                observer.tell(so_far)?;
            }
        }
        Ok(())
    }

    /// What has gone over all of them since they were opened.
    pub(super) fn bytes(&self) -> u64 {
        self.all.iter().map(|one| one.traffic().bytes).sum()
    }

    /// Waits up to `timeout` for something to happen and handles it. For every connection that
    /// received messages, `on_reply` gets its index, what came and the connection; it returns how
    /// many to send in return.
    ///
    /// # Errors
    ///
    /// When a connection failed, or `patience` has passed without any message.
    pub(super) fn turn(
        &mut self,
        timeout: Duration,
        patience: Duration,
        mut on_reply: impl FnMut(usize, Tally, &mut Connection, Instant) -> u64,
    ) -> io::Result<()> {
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        for event in &self.events {
            let index = Connection::index_of(event.token());
            let connection = &mut self.all[index];
            let mut send = 0;
            let mut now = None;
            if event.is_readable() {
                let came = connection.read(&self.message, &mut self.buffer)?;
                if came != Tally::default() {
                    let arrived = Instant::now();
                    self.last_reply = arrived;
                    send = on_reply(index, came, connection, arrived);
                    now = Some(arrived);
                }
            }
            if send > 0 {
                connection.send(&self.message, send, now)?;
            } else if event.is_writable() || connection.has_pongs() {
                connection.flush(&self.message)?;
            }
        }
        if self.last_reply.elapsed() > patience {
            let text = format!("no message came back in {} s", patience.as_secs());
            return Err(io::Error::new(io::ErrorKind::TimedOut, text));
        }
        Ok(())
    }

    /// Handles pings, and ignores messages, for `time`.
    pub(super) fn idle(&mut self, time: Duration) -> io::Result<()> {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            self.turn(left, Duration::MAX, |_, _, _, _| 0)?;
            if left.is_zero() {
                return Ok(());
            }
        }
    }

    /// How many messages connection `index` has received.
    pub(super) fn received(&self, index: usize) -> u64 {
        self.all[index].received()
    }

    /// How many messages were sent whose answers have not come.
    pub(super) fn in_flight(&self) -> usize {
        self.all.iter().map(Connection::in_flight).sum()
    }

    /// How many connections there are.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }
}

/// How long a server may take for any one answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
