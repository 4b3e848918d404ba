//! When a lost connection is tried again.

use std::{fmt, time::Duration};

use super::error::ClientError;

/// A try to come back that is about to be made.
#[derive(Debug)]
#[non_exhaustive]
pub struct Attempt<'a> {
    /// How many have failed before it.
    pub failed: u32,
    /// How long the connection has been away.
    pub away: Duration,
    /// Why it was lost, or the last try failed.
    pub error: &'a ClientError,
}

/// Says how long to wait before the next try; `None` to give up.
///
/// [`Backoff`] and [`Delays`] are two, and so is every function of an [`Attempt`]:
///
/// ```no_run
/// use std::time::Duration;
/// use hub::client::{Attempt, ClientError, HubConnection};
///
/// # async fn connect() -> Result<HubConnection, ClientError> {
/// // Each second, for a minute.
/// let policy = |attempt: &Attempt<'_>| {
///     (attempt.away < Duration::from_secs(60)).then_some(Duration::from_secs(1))
/// };
/// HubConnection::builder("https://example.com/chat").automatic_reconnect(policy).connect().await
/// # }
/// ```
pub trait RetryPolicy: Send + Sync + 'static {
    /// The wait before this try.
    fn delay(&self, attempt: &Attempt<'_>) -> Option<Duration>;
}

impl<F: Fn(&Attempt<'_>) -> Option<Duration> + Send + Sync + 'static> RetryPolicy for F {
    fn delay(&self, attempt: &Attempt<'_>) -> Option<Duration> {
        self(attempt)
    }
}

/// Waits that are random, and longer the more tries have failed: between nothing and a limit that
/// doubles from one second up to 30 ("full jitter"). Clients that a server lost all at once do not
/// come back all at once. Never gives up by default.
///
/// ```
/// use std::time::Duration;
/// use hub::client::Backoff;
///
/// let patient = Backoff::default();
/// assert_eq!((patient.first, patient.most, patient.attempts), (Duration::from_secs(1), Duration::from_secs(30), None));
/// let brief = Backoff::default().most(Duration::from_secs(5)).attempts(10);
/// assert_eq!(brief.attempts, Some(10));
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Backoff {
    /// The longest wait before the first try; one second by default.
    pub first: Duration,
    /// The longest of all waits; 30 s by default.
    pub most: Duration,
    /// Tries before it gives up; `None`, the default, for no end of them.
    pub attempts: Option<u32>,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            most: Duration::from_secs(30),
            attempts: None,
        }
    }
}

impl Backoff {
    raw_ws::__setters! {
        first: Duration,
        most: Duration,
        attempts?: u32,
    }

    /// The longest wait after so many failures.
    fn limit(&self, failed: u32) -> Duration {
        let doubled = 2_u32.checked_pow(failed);
        let limit = doubled.and_then(|factor| self.first.checked_mul(factor));
        limit.map_or(self.most, |limit| limit.min(self.most))
    }
}

impl RetryPolicy for Backoff {
    fn delay(&self, attempt: &Attempt<'_>) -> Option<Duration> {
        if self.attempts.is_some_and(|most| attempt.failed >= most) {
            return None;
        }
        Some(part_of(self.limit(attempt.failed)))
    }
}

/// A random part of it.
fn part_of(limit: Duration) -> Duration {
    // Without a random source all come at once, which is better than not at all.
    let random = getrandom::u32().unwrap_or(u32::MAX);
    limit.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

/// Waits that are given, one for each try; then it gives up. At once and after 2, 10 and 30 s by
/// default, as the official clients do.
///
/// ```
/// use std::time::Duration;
/// use hub::client::Delays;
///
/// assert_eq!(Delays::default().0, [0, 2, 10, 30].map(Duration::from_secs));
/// ```
#[derive(Clone)]
pub struct Delays(
    /// The waits.
    pub Vec<Duration>,
);

impl Default for Delays {
    fn default() -> Self {
        Self([0, 2, 10, 30].map(Duration::from_secs).into())
    }
}

impl fmt::Debug for Delays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

impl RetryPolicy for Delays {
    fn delay(&self, attempt: &Attempt<'_>) -> Option<Duration> {
        self.0.get(attempt.failed as usize).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(failed: u32) -> Attempt<'static> {
        Attempt {
            failed,
            away: Duration::ZERO,
            error: &ClientError::Reconnecting,
        }
    }

    #[test]
    fn a_backoff_doubles_up_to_its_limit_and_stays_below_it() {
        let backoff = Backoff::default().attempts(40);
        for (failed, limit) in [(0, 1), (1, 2), (4, 16), (5, 30), (39, 30)] {
            let limit = Duration::from_secs(limit);
            assert_eq!(backoff.limit(failed), limit);
            for _ in 0..100 {
                assert!(backoff.delay(&attempt(failed)) <= Some(limit));
            }
        }
        assert_eq!(backoff.delay(&attempt(40)), None);
    }

    #[test]
    fn a_backoff_does_not_wait_the_same_each_time() {
        let waits: Vec<_> = (0..20).map(|_| part_of(Duration::from_secs(30))).collect();
        assert!(waits.iter().any(|wait| *wait != waits[0]), "{waits:?}");
    }

    #[test]
    fn delays_are_tried_in_turn() {
        let waits: Vec<_> = (0..5)
            .map(|failed| Delays::default().delay(&attempt(failed)))
            .collect();
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(
            waits,
            [seconds(0), seconds(2), seconds(10), seconds(30), None]
        );
    }
}
