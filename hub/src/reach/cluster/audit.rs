//! What this server has missed, by what the others say they have published.
//!
//! Each server says once a second how many messages it has published. Between two such beats of a server
//! this one has got all of it, unless something was away meanwhile: then it asks what that was, and
//! compares. A machine: it knows neither a socket nor a clock.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

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
    /// When the last of them was forgotten.
    forgotten_at: Option<Instant>,
    /// Where the beats stand among them, by server.
    marks: HashMap<String, Mark>,
    /// What was asked, and of whom.
    asked: HashMap<String, Asked>,
}

#[derive(Debug, Clone, Copy)]
struct Mark {
    /// How many messages its server had published.
    published: u64,
    /// How many had come from others.
    received: u64,
    /// Something was away since.
    is_doubtful: bool,
}

#[derive(Debug)]
struct Asked {
    question: Question,
    /// What has come since the mark, and how often.
    received: HashMap<u64, u32>,
    /// The channels that are subscribed to, and since when.
    channels: HashMap<u64, Instant>,
    /// What was published before is not known any more to have come; `None` where it is.
    not_before: Option<Instant>,
    /// Some of what has come is forgotten.
    is_whole: bool,
}

/// When a beat comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contact {
    Usual,
    /// Something may have been missed, of a server too that was not heard before.
    InAGap,
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
    /// A message of another server has come.
    pub(crate) fn receives(&mut self, digest: u64) {
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
    /// those that are subscribed to, and since when.
    pub(crate) fn beat(
        &mut self,
        beat: &Beat,
        contact: Contact,
        channels: impl Iterator<Item = (u64, Instant)>,
        now: Instant,
    ) -> Option<Question> {
        if let Some(asked) = self.asked.get(&beat.from) {
            return Some(asked.question); // it, or its answer, was lost too; what came since is looked at later
        }
        let mark = Mark {
            published: beat.published,
            received: self.forgotten + self.received.len() as u64,
            is_doubtful: false,
        };
        let question = match self.marks.insert(beat.from.clone(), mark) {
            Some(before) => self.ask(beat, before, None, channels),
            None if contact == Contact::InAGap => {
                // It may have begun to publish meanwhile, or before it was heard for the first time.
                let never_heard = Mark {
                    published: 0,
                    received: self.forgotten,
                    is_doubtful: true,
                };
                self.ask(beat, never_heard, self.forgotten_at, channels)
            }
            None => None,
        };
        self.forget(now);
        question
    }

    /// A beat of this server has come back: without others nobody will be asked.
    pub(crate) fn beat_of_its_own(&mut self, now: Instant) {
        if self.marks.is_empty() {
            self.forget(now);
        }
    }

    fn ask(
        &mut self,
        beat: &Beat,
        before: Mark,
        not_before: Option<Instant>,
        channels: impl Iterator<Item = (u64, Instant)>,
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
        let question = Question {
            after: before.published,
            up_to: beat.published,
        };
        let asked = Asked {
            question,
            received,
            channels: channels.collect(),
            not_before,
            is_whole: before.received >= self.forgotten,
        };
        self.asked.insert(beat.from.clone(), asked);
        Some(question)
    }

    /// A server has answered.
    pub(crate) fn answered(&mut self, audit: &Audit, now: Instant) -> Option<Found> {
        if self.asked.get(&audit.from)?.question.up_to != audit.up_to {
            return None; // to an earlier question
        }
        let mut asked = self.asked.remove(&audit.from)?;
        let mut missed = 0;
        for published in &audit.published {
            // What was published before is none of this server's.
            let at = now.checked_sub(Duration::from_millis(published.age.into()));
            let is_before = |since: &Instant| at.is_none_or(|at| at < *since);
            let since = asked.channels.get(&published.channel);
            if since.is_none_or(is_before) || asked.not_before.as_ref().is_some_and(is_before) {
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
    }

    /// Forgets what came before all marks.
    fn forget(&mut self, now: Instant) {
        let oldest = self.marks.values().map(|mark| mark.received).min();
        let seen = oldest.unwrap_or(u64::MAX).saturating_sub(self.forgotten);
        let count = self
            .received
            .len()
            .min(usize::try_from(seen).unwrap_or(usize::MAX));
        self.received.drain(..count);
        self.forgotten += count as u64;
        if count > 0 {
            self.forgotten_at = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reach::cluster::ledger::{Ledger, channel_digest, digest};

    #[derive(Debug, Clone)]
    enum Step {
        /// Two servers publish; on which of two channels, and what.
        Publish(bool, u8, u8),
        Beat,
        Away,
        Back,
        /// What publishes fails: the next so many are lost to all.
        Fails(u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            8 => (any::<bool>(), 0_u8..2, 0_u8..3).prop_map(|(a, b, c)| Step::Publish(a, b, c)),
            3 => Just(Step::Beat),
            1 => Just(Step::Away),
            2 => Just(Step::Back),
            1 => (0_u8..3).prop_map(Step::Fails),
        ]
    }

    /// One server that publishes, and what of it is lost on its way.
    #[derive(Default)]
    struct Publisher {
        name: &'static str,
        ledger: Ledger,
        failing: u8,
    }

    /// The server that counts.
    struct Receiver {
        begun: Instant,
        auditor: Auditor,
        is_away: bool,
        missed: u64,
        lost: u64,
    }

    const CHANNELS: [&str; 2] = ["subscribed", "other"];

    impl Receiver {
        fn beat(&mut self, publisher: &mut Publisher) {
            let beat = Beat {
                from: publisher.name.to_owned(),
                published: publisher.ledger.published(),
                doubtful: publisher.ledger.doubtful(),
                presence: 0,
            };
            if self.is_away {
                return;
            }
            let subscribed = [(channel_digest(CHANNELS[0]), self.begun)];
            if let Some(question) =
                self.auditor
                    .beat(&beat, Contact::Usual, subscribed.into_iter(), self.begun)
            {
                let (published, is_whole) =
                    publisher
                        .ledger
                        .between(question.after, question.up_to, self.begun);
                let audit = Audit {
                    from: beat.from,
                    up_to: question.up_to,
                    is_whole,
                    published,
                };
                let found = self.auditor.answered(&audit, self.begun);
                let found = found.expect("it was asked");
                assert!(found.is_whole);
                self.missed += found.missed;
            }
        }

        fn publish(&mut self, publisher: &mut Publisher, channel: &str, what: &[u8]) {
            publisher.ledger.publishes(channel, what, false, self.begun);
            let fails = publisher.failing > 0;
            if fails {
                publisher.failing -= 1;
                publisher.ledger.doubts();
            }
            if channel != CHANNELS[0] {
                return;
            }
            if self.is_away || fails {
                self.lost += 1;
            } else {
                self.auditor.receives(digest(channel, what));
            }
        }
    }

    proptest! {
        /// Whatever is away when, what is reported as missed is what was lost. Two servers publish
        /// different things; the same things are counted by their number.
        #[test]
        fn what_is_reported_is_what_was_lost(steps in prop::collection::vec(step(), 0..80)) {
            let mut receiver = Receiver {
                begun: Instant::now(),
                auditor: Auditor::default(),
                is_away: false,
                missed: 0,
                lost: 0,
            };
            let mut publishers = ["a", "b"].map(|name| Publisher { name, ..Publisher::default() });
            let beats = |receiver: &mut Receiver, publishers: &mut [Publisher; 2]| {
                publishers.iter_mut().for_each(|publisher| receiver.beat(publisher));
            };
            beats(&mut receiver, &mut publishers);
            for step in steps {
                match step {
                    Step::Publish(is_second, channel, what) => {
                        let publisher = &mut publishers[usize::from(is_second)];
                        let what = [u8::from(is_second), what];
                        receiver.publish(publisher, CHANNELS[usize::from(channel)], &what);
                    }
                    Step::Beat => beats(&mut receiver, &mut publishers),
                    Step::Away => {
                        receiver.is_away = true;
                        receiver.auditor.interrupted();
                    }
                    Step::Back => receiver.is_away = false,
                    Step::Fails(count) => publishers[0].failing = count,
                }
            }
            receiver.is_away = false;
            beats(&mut receiver, &mut publishers);
            prop_assert_eq!(receiver.missed, receiver.lost);
            prop_assert_eq!(receiver.auditor.unanswered() + receiver.auditor.unheard(), 0);
            // Nothing is remembered that nobody will ask for.
            prop_assert!(receiver.auditor.received.is_empty());
        }
    }

    #[test]
    fn who_does_not_answer_is_asked_again_and_at_last_given_up() {
        let mut auditor = Auditor::default();
        let beat = |published| Beat {
            from: "a".to_owned(),
            published,
            doubtful: 0,
            presence: 0,
        };
        let hear = |auditor: &mut Auditor, published| {
            let beat = beat(published);
            auditor.beat(&beat, Contact::Usual, [].into_iter(), Instant::now())
        };
        assert_eq!(hear(&mut auditor, 3), None);
        auditor.interrupted();
        assert_eq!(auditor.unheard(), 1);
        let question = hear(&mut auditor, 5);
        assert_eq!(question, Some(Question { after: 3, up_to: 5 }));
        assert_eq!(hear(&mut auditor, 9), question);
        assert_eq!((auditor.unheard(), auditor.unanswered()), (0, 1));
        auditor.give_up();
        assert_eq!(auditor.unanswered(), 0);
        assert_eq!(hear(&mut auditor, 9), None);
    }

    #[test]
    fn a_server_that_was_never_heard_is_asked_in_a_gap_for_what_could_have_come() {
        let begun = Instant::now();
        let mut ledger = Ledger::default();
        let mut auditor = Auditor::default();
        ledger.publishes("subscribed", b"before", false, begun);
        ledger.publishes("subscribed", b"came", false, begun + Duration::from_secs(2));
        auditor.receives(digest("subscribed", b"came"));
        ledger.publishes("subscribed", b"lost", false, begun + Duration::from_secs(3));
        let beat = Beat {
            from: "a".to_owned(),
            published: 3,
            doubtful: 0,
            presence: 0,
        };
        let now = begun + Duration::from_secs(4);
        let since = begun + Duration::from_secs(1);
        let channels = [(channel_digest("subscribed"), since)].into_iter();
        let question = auditor.beat(&beat, Contact::InAGap, channels, now);
        assert_eq!(question, Some(Question { after: 0, up_to: 3 }));
        let (published, is_whole) = ledger.between(0, 3, now);
        let audit = Audit {
            from: "a".to_owned(),
            up_to: 3,
            is_whole,
            published,
        };
        let found = Found {
            missed: 1,
            is_whole: true,
        };
        assert_eq!(auditor.answered(&audit, now), Some(found));
    }
}
