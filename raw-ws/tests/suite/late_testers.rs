//! A tester that was late has no verdict, and tries again.

use std::{cell::Cell, thread::sleep, time::Duration};

use crate::lateness::{BOUND, REPEATS, verdict_saying};

/// Late in its first runs; gives the number of the run.
async fn late_in(first: u32, runs: &Cell<u32>) -> u32 {
    runs.set(runs.get() + 1);
    if runs.get() <= first {
        sleep(BOUND + Duration::from_millis(20));
    }
    runs.get()
}

#[tokio::test]
async fn a_run_whose_tester_was_late_is_repeated_and_one_in_time_counts() {
    let (runs, said) = (Cell::new(0), Cell::new(0));
    let judged = verdict_saying(
        |_| said.set(said.get() + 1),
        BOUND,
        async || late_in(2, &runs).await,
    );
    let judged = judged.await.unwrap();
    // On a busy machine the tester may have been late on its own account as well.
    assert!(judged >= 3, "{judged}");
    assert_eq!(
        said.get(),
        judged,
        "one line for each repetition, and the last"
    );
}

#[tokio::test]
async fn a_tester_that_is_always_late_has_no_verdict() {
    let runs = Cell::new(0);
    let always = async || late_in(u32::MAX, &runs).await;
    let judged = verdict_saying(|_| {}, BOUND, always).await;
    assert_eq!(runs.get(), 1 + REPEATS);
    assert!(judged.unwrap_err().ends_with("in the last of 6 runs"));
}
