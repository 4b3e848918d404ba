//! The deadlines of a session: its pings, and the silence of its client.

use std::time::{Duration, Instant};

use super::handshake::Pings;
use crate::options::HubOptions;

pub(super) struct Clock {
    /// `None` where the transport needs no pings (LP-15).
    pings: Option<PingTimer>,
    client_timeout: Duration,
    /// The last sign of life, once the client has pinged (K-05).
    heard: Option<Instant>,
}

struct PingTimer {
    next: Instant,
    interval: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Ping,
    ClientTimeout,
}

impl Clock {
    /// The hub handshake is done: from here on pings go out (K-01).
    pub(super) fn new(options: &HubOptions, pings: Pings, now: Instant) -> Self {
        let interval = options.keep_alive_interval;
        Self {
            pings: (pings == Pings::Sent).then(|| PingTimer {
                next: now + interval,
                interval,
            }),
            client_timeout: options.client_timeout_interval,
            heard: None,
        }
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
    pub(super) fn goes_on(&mut self, now: Instant) {
        self.heard(now);
    }

    /// The next deadline of an open session.
    pub(super) fn next(&self, is_still: bool) -> Option<Instant> {
        let ping = self.pings.as_ref().map(|pings| pings.next);
        ping.into_iter().chain(self.silence_ends(is_still)).min()
    }

    /// What is due in an open session; a ping is then counted as sent.
    pub(super) fn due(&mut self, now: Instant, is_still: bool) -> Option<Due> {
        if self.silence_ends(is_still).is_some_and(|at| now >= at) {
            return Some(Due::ClientTimeout);
        }
        let pings = self.pings.as_mut().filter(|pings| now >= pings.next)?;
        // One ping for however many were missed.
        let is_late = now.duration_since(pings.next) >= pings.interval;
        pings.next = if is_late { now } else { pings.next } + pings.interval;
        Some(Due::Ping)
    }

    fn silence_ends(&self, is_still: bool) -> Option<Instant> {
        let heard = self.heard.filter(|_| !is_still)?;
        Some(heard + self.client_timeout)
    }
}
