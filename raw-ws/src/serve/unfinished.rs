//! The connections whose first head is still to come, the oldest first: who is late makes room for
//! those who have just come.

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use tokio::time::Instant;

use super::{progress::Progress, refusal::Refusal};

/// How old a head must be at least to be late: what no healthy client needs, and what everybody else
/// can wait for.
const LATE_AFTER: Duration = Duration::from_secs(2);

/// How many times as long as others a late head takes. Where all take long the machine is slow.
const TIMES_AS_LONG: u32 = 4;

/// The unfinished heads of a server.
pub(super) struct Unfinished {
    by_age: BTreeMap<Key, Head>,
    last: u32,
    /// How long the last few took that came.
    usual: Duration,
    /// After how long they are given up in any case.
    timeout: Duration,
}

/// Which head. They ascend, until after four billion of them they begin anew.
pub(super) type Key = NonZeroU32;

struct Head {
    since: Instant,
    progress: Progress,
}

impl Unfinished {
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            by_age: BTreeMap::new(),
            last: 0,
            usual: Duration::ZERO,
            timeout,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_age.len()
    }

    /// A head is waited for from here on.
    pub(super) fn begin(&mut self, progress: Progress) -> Key {
        let key = NonZeroU32::new(self.last.wrapping_add(1)).unwrap_or(NonZeroU32::MIN);
        self.last = key.get();
        let since = Instant::now();
        self.by_age.insert(key, Head { since, progress });
        key
    }

    /// It has come.
    pub(super) fn finish(&mut self, key: Key) {
        if let Some(head) = self.by_age.remove(&key) {
            self.usual = (self.usual * 7 + head.since.elapsed()) / 8;
        }
    }

    /// Nobody waits for it any more.
    pub(super) fn forget(&mut self, key: Key) {
        self.by_age.remove(&key);
    }

    /// Gives up the oldest one if it is late.
    ///
    /// # Errors
    /// Otherwise when it will be, as others do now.
    pub(super) fn give_up_late_one(&mut self) -> Result<(), Instant> {
        let late_after = (self.usual * TIMES_AS_LONG)
            .max(LATE_AFTER)
            .min(self.timeout);
        let Some(oldest) = self.by_age.first_entry() else {
            return Ok(());
        };
        let late_at = oldest.get().since + late_after;
        if Instant::now() < late_at {
            return Err(late_at);
        }
        oldest.remove().progress.refuse(Refusal::LateHead);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    /// Lets heads come that take so long, one after the other.
    async fn come(unfinished: &mut Unfinished, count: usize, took: Duration) {
        for _ in 0..count {
            let key = unfinished.begin(Progress::default());
            advance(took).await;
            unfinished.finish(key);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn late_is_who_takes_longer_than_others_and_two_seconds() {
        let mut unfinished = Unfinished::new(Duration::from_secs(10));
        for (took, late_after) in [(10, 2_000), (1_000, 4_000), (9_000, 10_000), (10, 2_000)] {
            come(&mut unfinished, 50, Duration::from_millis(took)).await;
            let key = unfinished.begin(Progress::default());
            let late_at = unfinished.give_up_late_one().unwrap_err();
            let late_in = late_at - Instant::now();
            let expected = Duration::from_millis(late_after);
            assert!(late_in.abs_diff(expected) < expected / 50, "{late_in:?}");
            unfinished.forget(key);
        }
    }
}
