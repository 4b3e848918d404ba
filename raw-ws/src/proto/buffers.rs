//! Spare buffers, one small stock per thread: an idle connection owns none.

use std::{
    cell::RefCell,
    sync::atomic::{AtomicUsize, Ordering},
};

use bytes::BytesMut;

/// The size of a buffer in stock: sixteen frames of 1 KiB and their headers in one read.
pub(crate) const BUFFER_SIZE: usize = 32 * 1024;

/// How many a thread keeps: one to read into and one to write from, for a few nested tasks.
const KEPT: usize = 8;

thread_local! {
    static STOCK: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer with room for [`BUFFER_SIZE`] bytes.
pub(crate) fn take() -> BytesMut {
    let stocked = STOCK.with_borrow_mut(|stock| {
        while let Some(mut buffer) = stock.pop() {
            // Somebody may still hold a message that was sliced out of it; or it has grown.
            if buffer.try_reclaim(BUFFER_SIZE) && buffer.capacity() <= 2 * BUFFER_SIZE {
                return Some(buffer);
            }
        }
        None
    });
    stocked.unwrap_or_else(|| BytesMut::with_capacity(BUFFER_SIZE))
}

/// Gives a buffer back, whatever it holds.
pub(crate) fn give_back(mut buffer: BytesMut) {
    buffer.clear();
    STOCK.with_borrow_mut(|stock| {
        if stock.len() < KEPT {
            stock.push(buffer);
        }
    });
}

/// Bytes of unfinished messages that all connections of the process hold together.
static HELD: AtomicUsize = AtomicUsize::new(0);

/// One connection's part of what all hold; given back when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Holding(u32);

/// All connections together hold as much as they may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exhausted;

impl Holding {
    /// Says how much the connection holds now; refused when that makes `max_in_all` too little.
    pub(crate) fn set(&mut self, bytes: usize, max_in_all: usize) -> Result<(), Exhausted> {
        let before = self.0 as usize;
        if bytes <= before {
            HELD.fetch_sub(before - bytes, Ordering::Relaxed);
        } else {
            let more = bytes - before;
            let in_all = HELD.fetch_add(more, Ordering::Relaxed);
            if in_all + more > max_in_all || u32::try_from(bytes).is_err() {
                HELD.fetch_sub(more, Ordering::Relaxed);
                return Err(Exhausted);
            }
        }
        self.0 = bytes as u32;
        Ok(())
    }

    pub(crate) fn is_nothing(&self) -> bool {
        self.0 == 0
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        HELD.fetch_sub(self.0 as usize, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holding_is_taken_up_to_the_limit_and_given_back() {
        // Other tests of this process hold far less than this.
        const MUCH: usize = 1 << 31;
        let (mut one, mut other) = (Holding::default(), Holding::default());
        assert_eq!(one.set(MUCH, MUCH + (1 << 30)), Ok(()));
        assert_eq!(other.set(MUCH, MUCH + (1 << 30)), Err(Exhausted));
        assert!(other.is_nothing());
        drop(one);
        assert_eq!(other.set(MUCH, MUCH + (1 << 30)), Ok(()));
    }
}
