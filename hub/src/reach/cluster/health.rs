//! Whether the other servers are in reach, and since when they were not.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::audit::{Auditor, Found};

/// How often a server says that it is there.
pub(crate) const BEAT: Duration = Duration::from_secs(1);

/// How long nothing may come back of what it says, or nothing be heard of another, before it is out of
/// reach.
pub(crate) const SILENCE: Duration = Duration::from_secs(3);

/// How long it is waited for what others say of a gap, once they are in reach again.
const PATIENCE: Duration = Duration::from_secs(5);

/// A time in which this server may have missed messages of others, as told to
/// [`Hub::on_gap`](crate::Hub::on_gap).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gap {
    /// How many messages for clients of this server were missed, or lost on their way.
    pub missed: u64,
    /// Whether that is all. It is not where a server that was there before has not said what it had
    /// published, or cannot: one that has ended meanwhile, and servers of ASP.NET Core.
    pub is_complete: bool,
    /// When it began.
    pub began: SystemTime,
    /// How long others were out of reach.
    pub lasted: Duration,
}

/// What is known of the way to the others.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// What subscribes is connected.
    is_up: bool,
    /// When a beat of this server has come back last.
    heard_itself: Option<Instant>,
    /// When the others were heard last.
    others: HashMap<String, Instant>,
    gap: Option<Open>,
}

#[derive(Debug)]
struct Open {
    began: Instant,
    began_at: SystemTime,
    /// When they were in reach again.
    ended: Option<Instant>,
    missed: u64,
    is_complete: bool,
}

impl Health {
    /// Whether what is published now comes to the others, and theirs here, as far as can be known.
    pub(crate) fn is_ready(&self) -> bool {
        self.is_up && self.heard_itself.is_some_and(|at| at.elapsed() < SILENCE)
    }

    /// How many other servers of this crate are there.
    pub(crate) fn others(&self) -> usize {
        self.others.len()
    }

    /// The server whose name ends so, if it is there.
    pub(crate) fn server_ending_in(&self, end: &str) -> Option<String> {
        let is_it = |server: &&String| server.rsplit_once('_').is_some_and(|(_, id)| id == end);
        self.others.keys().find(is_it).cloned()
    }

    /// Whether something may have been missed of which not all is known yet.
    pub(crate) fn has_gap(&self) -> bool {
        self.gap.is_some()
    }

    pub(crate) fn interrupted(&mut self) {
        self.is_up = false;
        self.heard_itself = None;
        self.open().ended = None;
    }

    pub(crate) fn resumed(&mut self) {
        self.is_up = true;
        if let Some(gap) = &mut self.gap {
            gap.ended = Some(Instant::now());
        }
    }

    pub(crate) fn heard_itself(&mut self) {
        self.heard_itself = Some(Instant::now());
    }

    pub(crate) fn heard(&mut self, server: &str) {
        let now = Instant::now();
        match self.others.get_mut(server) {
            Some(at) => *at = now,
            None => drop(self.others.insert(server.to_owned(), now)),
        }
    }

    /// Those who have not been heard for long, though this server was in reach: they are gone.
    pub(crate) fn take_silent(&mut self) -> Vec<(String, Duration)> {
        if !self.is_ready() {
            // It hears nobody, and knows nothing of them; they are given their time again.
            let now = Instant::now();
            self.others.values_mut().for_each(|at| *at = now);
            return Vec::new();
        }
        let silent = self.others.extract_if(|_, at| at.elapsed() >= SILENCE);
        silent.map(|(server, at)| (server, at.elapsed())).collect()
    }

    /// Some messages may have been lost, without anything being away here.
    pub(crate) fn doubts(&mut self) {
        let is_up = self.is_up;
        let gap = self.open();
        if is_up && gap.ended.is_none() {
            gap.ended = Some(Instant::now());
        }
    }

    fn open(&mut self) -> &mut Open {
        self.gap.get_or_insert_with(|| Open {
            began: Instant::now(),
            began_at: SystemTime::now(),
            ended: None,
            missed: 0,
            is_complete: true,
        })
    }

    pub(crate) fn found(&mut self, found: Found) {
        let gap = self.open();
        gap.missed += found.missed;
        gap.is_complete &= found.is_whole;
    }

    /// A gap of which all is known that will be.
    pub(crate) fn close(&mut self, auditor: &mut Auditor) -> Option<Gap> {
        let gap = self.gap.as_mut()?;
        let ended = gap.ended?;
        if auditor.unanswered() + auditor.unheard() > 0 {
            if ended.elapsed() < PATIENCE {
                return None;
            }
            auditor.give_up();
            gap.is_complete = false;
        }
        let Open {
            began,
            began_at,
            missed,
            is_complete,
            ..
        } = self.gap.take()?;
        Some(Gap {
            missed,
            is_complete,
            began: began_at,
            lasted: ended - began,
        })
    }
}
