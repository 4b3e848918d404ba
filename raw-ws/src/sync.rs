//! Locks that outlive a panic, and a place for a task's waker.
//!
//! It imports nothing of this crate. Not a part of the API: `hub` is built on it too.

use std::{
    array,
    sync::{MutexGuard, PoisonError, RwLockReadGuard, RwLockWriteGuard},
    task::{Context, Waker},
};

/// A mutex that a panic of its holder does not close to everybody else: what these hold is whole
/// wherever code of others may run.
#[derive(Debug, Default)]
pub struct Mutex<T>(std::sync::Mutex<T>);

impl<T> Mutex<T> {
    /// A mutex that nobody holds.
    pub const fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    /// Waits for its turn.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The same with many readers.
#[derive(Debug, Default)]
pub struct RwLock<T>(std::sync::RwLock<T>);

impl<T> RwLock<T> {
    /// A lock that nobody holds.
    pub const fn new(value: T) -> Self {
        Self(std::sync::RwLock::new(value))
    }

    /// Waits until nobody writes.
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nobody reads or writes.
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The same thing many times over, so that threads which look for different parts of it seldom meet: each
/// in cache lines of its own, as those of one line are passed to and fro like one lock.
#[derive(Debug)]
pub struct Shards<T>([Apart<T>; SHARDS]);

/// Two lines, as processors fetch them in pairs.
#[derive(Debug)]
#[repr(align(128))]
struct Apart<T>(T);

/// Far more than there are cores, mostly.
const SHARDS: usize = 16;

impl<T> Shards<T> {
    /// The shard that these numbers share with every sixteenth.
    pub fn of(&self, number: u64) -> &T {
        &self.0[number as usize % SHARDS].0
    }

    /// All of them, that of 0 first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|apart| &apart.0)
    }
}

impl<T: Default> Default for Shards<T> {
    fn default() -> Self {
        Self(array::from_fn(|_| Apart(T::default())))
    }
}

/// Where the waker of a task waits that is woken under a lock.
#[derive(Debug, Default)]
pub struct WakerSlot(Option<Waker>);

impl WakerSlot {
    /// A place without a waker.
    pub const fn new() -> Self {
        Self(None)
    }

    /// Takes the task's waker in, copied only where it is another one.
    pub fn register(&mut self, cx: &Context<'_>) {
        match &mut self.0 {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }

    /// Wakes the task, which has to register again.
    pub fn wake_once(&mut self) {
        if let Some(waker) = self.0.take() {
            waker.wake();
        }
    }

    /// Wakes the task, which stays registered.
    pub fn wake(&self) {
        if let Some(waker) = &self.0 {
            waker.wake_by_ref();
        }
    }
}
