//! Whose turn it is: a test that keeps every core busy does not run beside one that judges by time,
//! which would get no verdict. The suites in other languages do both.

use std::sync::{Mutex, MutexGuard, PoisonError};

static ALONE: Mutex<()> = Mutex::new(());

/// While it is held, no other test has one.
pub(crate) struct Turn {
    _alone: MutexGuard<'static, ()>,
}

/// Waits until no other test has a turn. Never by one that has one.
pub(crate) fn alone() -> Turn {
    // That another test has failed does not matter.
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    Turn { _alone }
}
