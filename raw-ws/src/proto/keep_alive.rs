//! Whether the peer is still there, and whether it reads: what it is asked by pings, and how long it
//! may take to answer.

use std::time::{Duration, Instant};

use crate::{proto::config::Config, vocabulary::error::CapacityError};

/// How long a peer that is written to may say nothing before it is asked whether it reads.
const UNHEARD_FOR: Duration = Duration::from_secs(1);

/// What a peer may have to read before it meets a ping is counted in whole pieces of so many bytes, and
/// it has so long for each: who reads 2 KiB a second is in time. A part of a piece is read in the time
/// that everybody has.
const AHEAD: u32 = 20 * 1024;
const TIME_AHEAD: Duration = Duration::from_secs(10);

/// What is known of the peer's being there. `since` is always when it was last heard or pinged, which
/// the connection keeps: here it would take more room than it needs.
#[derive(Debug, Default)]
pub(super) struct KeepAlive {
    pinged: Pinged,
    /// Nobody minds its silence: something else looks after it.
    may_be_silent: bool,
    /// How often the peer was heard so far, modulo 256: whether it was since is what matters.
    heard: u8,
    /// How many times [`AHEAD`] the peer has to read before it meets the last ping.
    ahead: u8,
}

/// Which question is open.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Pinged {
    /// None: what was heard last, the peer said by itself.
    #[default]
    No,
    /// None: what was heard last came after a ping, and was its answer if the peer reads at all.
    Answered,
    /// Whether it is there: it was silent.
    Silent,
    /// Whether it reads: much was written to it.
    Written,
}

impl KeepAlive {
    /// The peer has said something.
    #[inline]
    pub(super) fn heard(&mut self) {
        self.pinged = match self.is_pinged() {
            true => Pinged::Answered,
            false => Pinged::No,
        };
        self.heard = self.heard.wrapping_add(1);
    }

    /// From here on it may be silent for as long as it likes.
    pub(super) fn stop(&mut self) {
        self.may_be_silent = true;
        if self.pinged == Pinged::Silent {
            self.pinged = Pinged::No;
        }
    }

    pub(super) fn deadline(&self, since: Instant, config: &Config) -> Option<Instant> {
        let ahead = TIME_AHEAD * self.ahead.into();
        let patience = match self.pinged {
            Pinged::No | Pinged::Answered if self.may_be_silent => return None,
            Pinged::No | Pinged::Answered => config.keep_alive_interval?,
            Pinged::Silent => config.keep_alive_timeout + ahead,
            Pinged::Written => config.progress_timeout + ahead,
        };
        since.checked_add(patience)
    }

    /// What a passed deadline asks for: a ping, of which `true` tells.
    ///
    /// # Errors
    /// The peer has not answered the last one.
    pub(super) fn handle_timeout(
        &mut self,
        since: Instant,
        now: Instant,
        config: &Config,
    ) -> Result<bool, CapacityError> {
        if self
            .deadline(since, config)
            .is_none_or(|deadline| now < deadline)
        {
            return Ok(false);
        }
        match self.pinged {
            Pinged::Silent => return Err(CapacityError::PeerSilent),
            Pinged::Written => return Err(CapacityError::SlowConsumer),
            Pinged::No | Pinged::Answered => {}
        }
        self.pinged = Pinged::Silent;
        Ok(true)
    }

    /// Much was written. Whether the peer is to be pinged for it.
    pub(super) fn written(&mut self, since: Instant, now: Instant, config: &Config) -> bool {
        let asks = !self.is_pinged()
            && config.keep_alive_interval.is_some()
            && now.saturating_duration_since(since) >= UNHEARD_FOR;
        if asks {
            self.pinged = Pinged::Written;
        }
        asks
    }

    /// So many bytes were written that the peer may not have read.
    pub(super) fn set_unread(&mut self, bytes: u32) {
        if !self.is_pinged() {
            self.ahead = u8::try_from(bytes / AHEAD).unwrap_or(u8::MAX);
        }
    }

    /// How often the peer was heard so far, modulo 256.
    pub(super) fn times_heard(&self) -> u8 {
        self.heard
    }

    /// Of so many bytes that it may not have read, how many that still are, now that it was heard.
    pub(super) fn still_unread(&self, bytes: u32) -> u32 {
        match self.pinged {
            Pinged::Answered => bytes.saturating_sub(u32::from(self.ahead) * AHEAD),
            _ => 0, // who speaks by itself is taken to read
        }
    }

    fn is_pinged(&self) -> bool {
        matches!(self.pinged, Pinged::Silent | Pinged::Written)
    }
}
