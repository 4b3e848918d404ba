//! What this server has published: what of it is to come back, as a message of its own, which its clients
//! have had already, is told from one of another server by that; and what it was, for those who may have
//! missed it.
//!
//! A machine: it knows neither a socket nor a clock.

use std::{
    collections::{HashMap, VecDeque},
    time::Instant,
};

use xxhash_rust::xxh3::{Xxh3Default, xxh3_64};

use super::notes::Published;

/// How many messages are remembered at most.
const MAX_REMEMBERED: usize = 256 * 1024;

/// How many messages are expected back at most. More are on their way only where what publishes is
/// connected and what subscribes is not: they never come.
const MAX_EXPECTED: usize = 256 * 1024;

/// For how many beats they are.
const BEATS: usize = 10;

/// What is counted so far.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// How many messages this server has published.
    published: u64,
    /// The numbers of those that are to come back, in order, by what they are.
    expected: HashMap<u64, VecDeque<u64>>,
    /// The same in the order of their numbers, those too that have come back.
    in_order: VecDeque<(u64, u64)>,
    /// The last messages, up to [`published`](Self::published): channel, message, and when.
    remembered: VecDeque<(u64, u64, Instant)>,
    /// What its last beats that have come back said.
    beats: VecDeque<u64>,
    /// Up to which number some may be lost.
    doubtful: u64,
}

/// Whose a message is that has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Here,
    Elsewhere,
}

impl Ledger {
    /// A message is about to be published. Whether it comes back, by the subscriptions.
    pub(crate) fn publishes(
        &mut self,
        channel: &str,
        payload: &[u8],
        comes_back: bool,
        now: Instant,
    ) {
        self.published += 1;
        let message = digest(channel, payload);
        let channel = channel_digest(channel);
        self.remembered.push_back((channel, message, now));
        if self.remembered.len() > MAX_REMEMBERED {
            self.remembered.pop_front();
        }
        if comes_back {
            let numbers = self.expected.entry(message).or_default();
            numbers.push_back(self.published);
            self.in_order.push_back((self.published, message));
            if self.in_order.len() > MAX_EXPECTED
                && let Some((number, digest)) = self.in_order.pop_front()
            {
                self.forget(number, digest);
            }
        }
    }

    /// It was refused.
    pub(crate) fn was_refused(&mut self) {
        if let Some((number, digest)) = self.in_order.back().copied()
            && number == self.published
        {
            self.in_order.pop_back();
            self.forget(number, digest);
        }
        self.remembered.pop_back();
        self.published -= 1;
    }

    /// Some of what it has published so far may be lost.
    pub(crate) fn doubts(&mut self) {
        self.doubtful = self.published;
    }

    /// Up to which number some may be lost.
    pub(crate) fn doubtful(&self) -> u64 {
        self.doubtful
    }

    /// The number of the oldest message that is still to come back.
    pub(crate) fn oldest_expected(&self) -> Option<u64> {
        self.in_order.front().map(|(number, _)| *number)
    }

    /// What it has published behind one number and up to another, and whether it remembers all of it.
    pub(crate) fn between(&self, after: u64, up_to: u64, now: Instant) -> (Vec<Published>, bool) {
        let forgotten = self.published - self.remembered.len() as u64;
        let skip = usize::try_from(after.saturating_sub(forgotten)).unwrap_or(usize::MAX);
        let count =
            usize::try_from(up_to.saturating_sub(after.max(forgotten))).unwrap_or(usize::MAX);
        let remembered = self.remembered.iter().skip(skip).take(count);
        let published = remembered.map(|(channel, message, at)| {
            let age = now.saturating_duration_since(*at).as_millis();
            Published {
                channel: *channel,
                message: *message,
                age: u32::try_from(age).unwrap_or(u32::MAX),
            }
        });
        (published.collect(), after >= forgotten)
    }

    /// How many messages this server has published.
    pub(crate) fn published(&self) -> u64 {
        self.published
    }

    /// A message has come. One that is the same as one of this server's is taken for it: which of the
    /// two comes first makes no difference to who gets them.
    pub(crate) fn arrives(&mut self, digest: u64) -> Origin {
        let Some(numbers) = self.expected.get_mut(&digest) else {
            return Origin::Elsewhere;
        };
        numbers.pop_front();
        if numbers.is_empty() {
            self.expected.remove(&digest);
        }
        self.forget_the_returned();
        Origin::Here
    }

    /// All that this server had published up to this number has come back, or never will: what it
    /// published then has come back itself, and everything comes in the order in which it was published.
    pub(crate) fn settle(&mut self, published: u64) {
        while let Some((number, digest)) = self.in_order.front().copied()
            && number <= published
        {
            self.in_order.pop_front();
            self.forget(number, digest);
        }
    }

    /// A beat of its own has come back: who was there has got it too, and asks for nothing much older.
    pub(crate) fn beat_is_back(&mut self, published: u64) {
        self.settle(published);
        self.beats.push_back(published);
        if self.beats.len() > BEATS
            && let Some(oldest) = self.beats.pop_front()
        {
            let kept = usize::try_from(self.published.saturating_sub(oldest)).unwrap_or(usize::MAX);
            let forgotten = self.remembered.len().saturating_sub(kept);
            self.remembered.drain(..forgotten);
        }
    }

    fn forget(&mut self, number: u64, digest: u64) {
        if let Some(numbers) = self.expected.get_mut(&digest) {
            if let Ok(at) = numbers.binary_search(&number) {
                numbers.remove(at);
            }
            if numbers.is_empty() {
                self.expected.remove(&digest);
            }
        }
    }

    fn forget_the_returned(&mut self) {
        while let Some((number, digest)) = self.in_order.front() {
            let numbers = self.expected.get(digest);
            if numbers.is_some_and(|numbers| numbers.binary_search(number).is_ok()) {
                break;
            }
            self.in_order.pop_front();
        }
    }
}

/// What a message is, in 64 bits: two that differ share it in one of 2^64 cases.
pub(crate) fn digest(channel: &str, payload: &[u8]) -> u64 {
    let mut hash = Xxh3Default::new();
    hash.update(channel.as_bytes());
    hash.update(&[0xFF]);
    hash.update(payload);
    hash.digest()
}

/// What a channel is called, in 64 bits.
pub(crate) fn channel_digest(channel: &str) -> u64 {
    xxh3_64(channel.as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_message_of_its_own_is_told_from_the_same_of_another_server() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.arrives(digest("all", b"tick")), Origin::Elsewhere);
        ledger.publishes("all", b"tick", true, Instant::now());
        assert_eq!(ledger.arrives(digest("group", b"tick")), Origin::Elsewhere);
        assert_eq!(ledger.arrives(digest("all", b"tick")), Origin::Here);
        assert_eq!(ledger.arrives(digest("all", b"tick")), Origin::Elsewhere);
        assert!(ledger.in_order.is_empty());
    }

    #[test]
    fn what_was_lost_is_expected_no_longer_once_a_later_one_is_back() {
        let mut ledger = Ledger::default();
        ledger.publishes("all", b"lost", true, Instant::now());
        let published = ledger.published();
        ledger.publishes("all", b"later", true, Instant::now());
        ledger.settle(published);
        assert_eq!(ledger.arrives(digest("all", b"lost")), Origin::Elsewhere);
        assert_eq!(ledger.arrives(digest("all", b"later")), Origin::Here);
    }

    #[test]
    fn what_was_refused_is_not_expected() {
        let mut ledger = Ledger::default();
        ledger.publishes("all", b"same", true, Instant::now());
        ledger.publishes("all", b"same", true, Instant::now());
        ledger.was_refused();
        assert_eq!(ledger.published(), 1);
        assert_eq!(ledger.arrives(digest("all", b"same")), Origin::Here);
        assert_eq!(ledger.arrives(digest("all", b"same")), Origin::Elsewhere);
    }

    #[test]
    fn what_never_comes_back_is_not_expected_for_ever() {
        let mut ledger = Ledger::default();
        for number in 0..MAX_EXPECTED + 1000 {
            ledger.publishes("all", &[number as u8], true, Instant::now());
        }
        assert_eq!(ledger.in_order.len(), MAX_EXPECTED);
        let expected: usize = ledger.expected.values().map(VecDeque::len).sum();
        assert_eq!(expected, MAX_EXPECTED);
    }

    proptest! {
        /// Two servers publish at will, everything comes to both in one order: each gets as many of each
        /// message from elsewhere as the other has published.
        #[test]
        fn each_message_of_another_server_arrives_once(
            published in prop::collection::vec((any::<bool>(), 0_u8..4), 0..40),
            lag in 0_usize..10,
        ) {
            let mut ledger = Ledger::default();
            let mut from_elsewhere = [0; 4];
            let mut on_the_way = VecDeque::new();
            let arrive = |ledger: &mut Ledger, what: u8, got: &mut [i32; 4]| {
                if ledger.arrives(digest("all", &[what])) == Origin::Elsewhere {
                    got[usize::from(what)] += 1;
                }
            };
            for (here, what) in &published {
                if *here {
                    ledger.publishes("all", &[*what], true, Instant::now());
                }
                on_the_way.push_back(*what);
                if on_the_way.len() > lag {
                    let what = on_the_way.pop_front().unwrap();
                    arrive(&mut ledger, what, &mut from_elsewhere);
                }
            }
            for what in on_the_way {
                arrive(&mut ledger, what, &mut from_elsewhere);
            }
            for what in 0..4 {
                let wanted = published.iter().filter(|p| **p == (false, what)).count();
                prop_assert_eq!(from_elsewhere[usize::from(what)], wanted as i32);
            }
            prop_assert!(ledger.expected.is_empty());
        }
    }
}
