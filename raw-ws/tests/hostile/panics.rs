//! Panics on a thread, tasks of the server included: each test has a thread and a runtime of its own.

use std::{cell::Cell, sync::Once};

thread_local! {
    static PANICS: Cell<i32> = const { Cell::new(0) };
}

/// Counts from here on.
pub(crate) fn count() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.set(PANICS.get() + 1);
            usual(panic);
        }));
    });
    PANICS.set(0);
}

/// The next one does not count.
pub(crate) fn one_is_meant() {
    PANICS.set(PANICS.get() - 1);
}

pub(crate) fn counted() -> i32 {
    PANICS.get()
}
