//! Whether the tester itself is on time. Where a test asserts when something happens between real
//! sockets, a tester that was kept from running can judge nothing: such a run is no verdict, and is
//! repeated. The windows of time themselves stay as narrow as they are.

use std::{
    cell::Cell,
    convert::Infallible,
    future::Future,
    io::Write as _,
    panic::{AssertUnwindSafe, resume_unwind},
    time::{Duration, Instant},
};

use futures_util::FutureExt as _;

/// A tester that woke longer than this past its due time has seen nothing that counts. Windows of
/// time leave more than that between their edges and what is right.
pub(crate) const BOUND: Duration = Duration::from_millis(200);

/// How often a run that is no verdict is repeated.
pub(crate) const REPEATS: u32 = 5;

const TICK: Duration = Duration::from_millis(5);

/// How long past its due times a timer beside the test woke the task of the test.
struct Watch {
    /// Real time: a test may move the runtime's.
    due: Cell<Instant>,
    latest: Cell<Duration>,
}

impl Watch {
    fn new() -> Self {
        Self {
            due: Cell::new(Instant::now() + TICK),
            latest: Cell::default(),
        }
    }

    async fn tick(&self) -> Infallible {
        loop {
            tokio::time::sleep(TICK).await;
            self.look();
            self.due.set(Instant::now() + TICK);
        }
    }

    /// The most that it was late so far.
    fn look(&self) -> Duration {
        let latest = self.latest.get().max(self.due.get().elapsed());
        self.latest.set(latest);
        latest
    }
}

/// What a run gives whose tester was late by `bound` at most. Any other is no verdict and is
/// repeated, and said so.
///
/// # Errors
/// How late the tester was, when no run of them all was a verdict.
pub(crate) async fn verdict<T>(
    what: &str,
    bound: Duration,
    run: impl AsyncFn() -> T,
) -> Result<T, String> {
    // Past the test harness, which keeps what a passing test prints to itself.
    let say = |line: &str| {
        let _ = writeln!(std::io::stderr(), "{what}: {line}");
    };
    verdict_saying(say, bound, run).await
}

pub(crate) async fn verdict_saying<T>(
    say: impl Fn(&str),
    bound: Duration,
    run: impl AsyncFn() -> T,
) -> Result<T, String> {
    let mut repeated = 0;
    loop {
        let watch = Watch::new();
        let outcome = tokio::select! {
            outcome = run() => outcome,
            never = watch.tick() => match never {},
        };
        let late = watch.look();
        if late <= bound {
            if repeated > 0 {
                say(&format!("judged at repetition {repeated}"));
            }
            return Ok(outcome);
        }
        let no_verdict = format!("no verdict: the tester was late by {late:?}");
        say(&no_verdict);
        if repeated == REPEATS {
            return Err(format!("{no_verdict}, in the last of {} runs", REPEATS + 1));
        }
        repeated += 1;
    }
}

/// Runs a test that asserts windows of time until its tester was on time.
///
/// # Panics
/// As the run that counts does, or when none counts.
#[track_caller]
#[allow(
    dead_code,
    reason = "another user of this file has verdicts of its own"
)]
pub(crate) fn on_time(run: impl AsyncFn()) -> impl Future<Output = ()> {
    let at = std::panic::Location::caller();
    async move {
        let caught = async || AssertUnwindSafe(run()).catch_unwind().await;
        match verdict(&at.to_string(), BOUND, caught).await {
            Ok(Ok(())) => {}
            Ok(Err(panic)) => resume_unwind(panic),
            Err(no_verdict) => panic!("{no_verdict}"),
        }
    }
}
