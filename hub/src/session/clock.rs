//! The deadlines of a session.

use std::time::{Duration, Instant};

use crate::options::HubOptions;

pub(super) struct Clock {
    /// When the handshake must be done; once the client is gone, when the call that waits must have
    /// begun.
    beginning: Instant,
    /// When to ping next; `None` before the handshake.
    ping: Option<Instant>,
    /// `None` where the transport needs no pings (LP-15).
    keep_alive_interval: Option<Duration>,
    client_timeout: Duration,
    /// The last sign of life, once the client has pinged (K-05).
    heard: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Ping,
    ClientTimeout,
}

impl Clock {
    pub(super) fn new(options: &HubOptions, pings: bool, now: Instant) -> Self {
        Self {
            beginning: now + options.handshake_timeout,
            ping: None,
            keep_alive_interval: pings.then_some(options.keep_alive_interval),
            client_timeout: options.client_timeout_interval,
            heard: None,
        }
    }

    pub(super) fn beginning(&self) -> Instant {
        self.beginning
    }

    /// The client is gone: the call that waits must begin until then.
    pub(super) fn begins(&mut self, until: Instant) {
        self.beginning = until;
    }

    /// The handshake is done: from here on pings go out (K-01).
    pub(super) fn opened(&mut self, now: Instant) {
        self.ping = self.keep_alive_interval.map(|interval| now + interval);
    }

    /// K-05: only a client that pings is expected to go on.
    pub(super) fn pinged(&mut self, now: Instant) {
        self.heard = Some(now);
    }

    pub(super) fn is_armed(&self) -> bool {
        self.heard.is_some()
    }

    /// K-06: any message is a sign of life.
    pub(super) fn heard(&mut self, now: Instant) {
        if self.heard.is_some() {
            self.heard = Some(now);
        }
    }

    /// K-06: while a message waits for its turn the clock stands still.
    pub(super) fn resumed(&mut self, now: Instant) {
        self.heard(now);
    }

    /// The next deadline of an open session.
    pub(super) fn next(&self, is_held: bool) -> Option<Instant> {
        let silence = self.silence_ends(is_held);
        match (self.ping, silence) {
            (Some(ping), Some(silence)) => Some(ping.min(silence)),
            (ping, silence) => ping.or(silence),
        }
    }

    /// What is due in an open session; a ping is then counted as sent.
    pub(super) fn due(&mut self, now: Instant, is_held: bool) -> Option<Due> {
        if self.silence_ends(is_held).is_some_and(|at| now >= at) {
            return Some(Due::ClientTimeout);
        }
        let (ping, interval) = self.ping.zip(self.keep_alive_interval)?;
        if now < ping {
            return None;
        }
        // One ping for however many were missed.
        let is_late = now.duration_since(ping) >= interval;
        self.ping = Some(if is_late { now } else { ping } + interval);
        Some(Due::Ping)
    }

    fn silence_ends(&self, is_held: bool) -> Option<Instant> {
        let heard = self.heard.filter(|_| !is_held)?;
        Some(heard + self.client_timeout)
    }
}
