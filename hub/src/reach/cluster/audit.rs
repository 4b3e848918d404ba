//! What this server has missed, by what the others say they have published.
//!
//! Each server says once a second how many messages it has published. Between two such beats of a server
//! this one has got all of it, unless something was away meanwhile: then it asks what that was, and
//! compares. A machine: it knows neither a socket nor a clock.

use std::collections::{HashMap, HashSet, VecDeque};

use super::notes::{Audit, Beat};

/// How many messages of others are remembered until their beats have come.
const MAX_RECEIVED: usize = 256 * 1024;

/// What is known of the others' messages.
#[derive(Debug, Default)]
pub(crate) struct Auditor {
    /// The digests of what has come from others, in order.
    received: VecDeque<u64>,
    /// How many came before those.
    forgotten: u64,
    /// Where the beats stand among them, by server.
    marks: HashMap<String, Mark>,
    /// What was asked, and of whom.
    asked: HashMap<String, Asked>,
    /// How many beats have come.
    beats: u64,
}

#[derive(Debug, Clone, Copy)]
struct Mark {
    /// How many messages its server had published.
    published: u64,
    /// How many had come from others.
    received: u64,
    /// Which beat it was.
    beat: u64,
    /// Something was away since.
    is_doubtful: bool,
}

#[derive(Debug)]
struct Asked {
    question: Question,
    /// What has come since the mark, and how often.
    received: HashMap<u64, u32>,
    /// The channels that were subscribed to all the time.
    channels: HashSet<u64>,
    /// Some of what has come is forgotten.
    is_whole: bool,
}

/// What is to be asked of a server: what it has published between these numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) after: u64,
    pub(crate) up_to: u64,
}

/// What has been found out of one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    /// Messages of that server which have not come.
    pub(crate) missed: u64,
    /// Whether there can be no more.
    pub(crate) is_whole: bool,
}

impl Auditor {
    /// How many beats have come: what subscribes to a channel remembers it.
    pub(crate) fn beats(&self) -> u64 {
        self.beats
    }

    /// A message of another server has come.
    pub(crate) fn receives(&mut self, digest: u64) {
        if self.marks.is_empty() {
            return; // nobody will be asked
        }
        self.received.push_back(digest);
        if self.received.len() > MAX_RECEIVED {
            self.received.pop_front();
            self.forgotten += 1;
        }
    }

    /// From here on messages may be missed.
    pub(crate) fn interrupted(&mut self) {
        for mark in self.marks.values_mut() {
            mark.is_doubtful = true;
        }
    }

    /// Another server is there. What to ask it, if some of its messages may be missed; `channels` are
    /// those that are subscribed to, and since which beat.
    pub(crate) fn beat(
        &mut self,
        beat: &Beat,
        channels: impl Iterator<Item = (u64, u64)>,
    ) -> Option<Question> {
        self.beats += 1;
        if let Some(asked) = self.asked.get(&beat.from) {
            return Some(asked.question); // it, or its answer, was lost too; what came since is looked at later
        }
        let now = Mark {
            published: beat.published,
            received: self.forgotten + self.received.len() as u64,
            beat: self.beats,
            is_doubtful: false,
        };
        let before = self.marks.insert(beat.from.clone(), now);
        let question = before.and_then(|before| self.ask(beat, before, channels));
        self.forget();
        question
    }

    fn ask(
        &mut self,
        beat: &Beat,
        before: Mark,
        channels: impl Iterator<Item = (u64, u64)>,
    ) -> Option<Question> {
        let is_doubtful = before.is_doubtful || beat.doubtful > before.published;
        if !is_doubtful || beat.published <= before.published {
            return None;
        }
        let seen = before.received.saturating_sub(self.forgotten) as usize;
        let mut received = HashMap::new();
        for digest in self.received.iter().skip(seen) {
            *received.entry(*digest).or_default() += 1;
        }
        let all_the_time = channels.filter(|(_, since)| *since < before.beat);
        let question = Question {
            after: before.published,
            up_to: beat.published,
        };
        let asked = Asked {
            question,
            received,
            channels: all_the_time.map(|(channel, _)| channel).collect(),
            is_whole: before.received >= self.forgotten,
        };
        self.asked.insert(beat.from.clone(), asked);
        Some(question)
    }

    /// A server has answered.
    pub(crate) fn answered(&mut self, audit: &Audit) -> Option<Found> {
        if self.asked.get(&audit.from)?.question.up_to != audit.up_to {
            return None; // to an earlier question
        }
        let mut asked = self.asked.remove(&audit.from)?;
        let mut missed = 0;
        for published in &audit.published {
            if !asked.channels.contains(&published.channel) {
                continue;
            }
            match asked.received.get_mut(&published.message) {
                Some(count) if *count > 0 => *count -= 1,
                _ => missed += 1,
            }
        }
        Some(Found {
            missed,
            is_whole: asked.is_whole && audit.is_whole,
        })
    }

    /// How many servers have been asked and have not answered.
    pub(crate) fn unanswered(&self) -> usize {
        self.asked.len()
    }

    /// How many servers were there before something was away, and have not been heard of since.
    pub(crate) fn unheard(&self) -> usize {
        self.marks.values().filter(|mark| mark.is_doubtful).count()
    }

    /// Waits no longer for any of them.
    pub(crate) fn give_up(&mut self) {
        self.asked.clear();
        self.marks.retain(|_, mark| !mark.is_doubtful);
    }

    /// A server is gone.
    pub(crate) fn gone(&mut self, server: &str) {
        self.marks.remove(server);
        self.forget();
    }

    /// Forgets what came before all marks.
    fn forget(&mut self) {
        let oldest = self.marks.values().map(|mark| mark.received).min();
        let seen = oldest.unwrap_or(u64::MAX).saturating_sub(self.forgotten);
        let count = self
            .received
            .len()
            .min(usize::try_from(seen).unwrap_or(usize::MAX));
        self.received.drain(..count);
        self.forgotten += count as u64;
    }
}
