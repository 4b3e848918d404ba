//! Whose turn it is: a test that keeps every core busy does not run beside one that judges by time,
//! which would get no verdict.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

static QUIET: RwLock<()> = RwLock::new(());

/// While it is held, nothing is loud.
pub(crate) struct Careful {
    _quiet: RwLockReadGuard<'static, ()>,
}

/// While it is held, nothing else is loud, and nothing judges by time.
pub(crate) struct Loud {
    _alone: RwLockWriteGuard<'static, ()>,
}

/// Waits until nothing is loud. Never within [`loud`].
pub(crate) fn careful() -> Careful {
    // Which test has failed does not matter.
    let _quiet = QUIET.read().unwrap_or_else(PoisonError::into_inner);
    Careful { _quiet }
}

/// Waits until nothing judges by time, and nothing else is loud.
pub(crate) fn loud() -> Loud {
    let _alone = QUIET.write().unwrap_or_else(PoisonError::into_inner);
    Loud { _alone }
}
