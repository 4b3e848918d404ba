//! The connections whose first head is still to come, the oldest first: who has been waited for
//! long makes room for those who have just come.

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use tokio::time::Instant;

use super::{progress::Progress, refusal::Refusal};

/// The unfinished heads of a server.
#[derive(Default)]
pub(super) struct Unfinished {
    by_age: BTreeMap<Key, Head>,
    last: u32,
}

/// Which head. They ascend, until after four billion of them they begin anew.
pub(super) type Key = NonZeroU32;

struct Head {
    since: Instant,
    progress: Progress,
}

impl Unfinished {
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

    /// It has come, or nobody waits for it any more.
    pub(super) fn finish(&mut self, key: Key) {
        self.by_age.remove(&key);
    }

    /// Gives up the oldest one if it is late.
    ///
    /// # Errors
    /// Otherwise when it will be.
    pub(super) fn give_up_late_one(&mut self, late_after: Duration) -> Result<(), Instant> {
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
