//! How long a client's network may take what is written to it, where the client itself says nothing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

/// How long what is written to a client may stay unacknowledged by its TCP before the connection is
/// over; for answers that go on for long while the client says nothing, such as event streams. Under
/// [`serve`](crate::serve()) it is in the extensions of every request, and `None` until it is set.
///
/// It finds clients whose network is gone, and those who have stopped reading, if something is written
/// now and then. Who reads slowly is not meant: what its TCP acknowledges of more than 16 KiB a minute
/// begins the time anew. It is known on Linux alone; elsewhere nothing happens.
///
/// ```
/// use std::time::Duration;
/// use raw_ws::AckDeadline;
/// let deadline = AckDeadline::default();
/// assert_eq!(deadline.get(), None);
/// deadline.set(Some(Duration::from_secs(15)));
/// assert_eq!(deadline.get(), Some(Duration::from_secs(15)));
/// ```
#[derive(Debug, Clone, Default)]
pub struct AckDeadline(Arc<AtomicU32>);

impl AckDeadline {
    /// Sets it, from the next write on; in milliseconds, at least one.
    pub fn set(&self, deadline: Option<Duration>) {
        let milliseconds = deadline.map_or(0, |deadline| {
            u32::try_from(deadline.as_millis()).map_or(u32::MAX, |deadline| deadline.max(1))
        });
        self.0.store(milliseconds, Ordering::Relaxed);
    }

    /// What it is.
    pub fn get(&self) -> Option<Duration> {
        let milliseconds = self.0.load(Ordering::Relaxed);
        (milliseconds > 0).then(|| Duration::from_millis(milliseconds.into()))
    }
}
