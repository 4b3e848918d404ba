//! The load against servers in this process, and what it says when they misbehave.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

mod load;
mod polling;
mod transports;

/// The process: who waits until it is quiet must have it alone.
static PROCESS: RwLock<()> = RwLock::new(());

fn beside_others() -> RwLockReadGuard<'static, ()> {
    PROCESS.read().unwrap_or_else(PoisonError::into_inner)
}

fn alone() -> RwLockWriteGuard<'static, ()> {
    PROCESS.write().unwrap_or_else(PoisonError::into_inner)
}
