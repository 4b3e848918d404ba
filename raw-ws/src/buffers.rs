//! Spare buffers, one small stock per thread: an idle connection owns none.

use std::cell::RefCell;

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
