//! How little the rows of CPU and memory may cost: counts of bytes understood and bytes allocated,
//! which are the same on every machine.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::Arc,
    time::Instant,
};

use bytes::BytesMut;
use raw_ws::{
    Config, Error,
    proto::{Connection, Role},
};

use crate::support::*;

const LIMIT: usize = 64 * 1024;

/// The Close is written into one of the thread's spare buffers.
const SPARE: usize = 32 * 1024;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The system's allocator, and what this thread has of it: each test has a thread of its own.
struct Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(change: isize) {
    // Not while a thread ends.
    let _ = LIVE.try_with(|live| {
        live.set(live.get() + change);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(live.get())));
    });
}

// SAFETY: all is passed on to the system's allocator as it came; counting allocates nothing.
#[expect(unsafe_code, reason = "an allocator cannot be written without")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller keeps the contract of `GlobalAlloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

/// The most memory that this thread held at once during `work`, beyond what it held before.
async fn peak_of(work: impl Future<Output = ()>) -> usize {
    let before = LIVE.get();
    PEAK.set(before);
    work.await;
    (PEAK.get() - before) as usize
}

/// Gives a server's machine all of `sent`; it must fail. The bytes it understood, and the most
/// memory it held.
async fn refuses(sent: &[u8], code: u16) -> (usize, usize) {
    let now = Instant::now();
    let mut proto = Connection::new(Role::Server, Arc::new(Config::new()), now);
    let mut input = BytesMut::from(sent);
    let mut understood = 0;
    let peak = peak_of(async {
        let error: Error = loop {
            match proto.handle_input(&mut input, now) {
                Ok(event) => assert!(event.is_some(), "taken without an error"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.close_code().map(|code| code.as_u16()), Some(code));
        understood = sent.len() - input.len();
    })
    .await;
    (understood, peak)
}

#[tokio::test]
async fn row_58_a_length_of_2_to_the_40_allocates_next_to_nothing() {
    let (_, peak) = refuses(&header(Op::BINARY, 1 << 40), 1009).await;
    assert!(peak <= SPARE + 4 * 1024, "{peak} bytes");
}

#[tokio::test]
async fn row_61_of_100_000_empty_fragments_129_are_looked_at() {
    let (first, next) = (frame(Op::TEXT_BEGINS, b""), frame(Op::GOES_ON, b""));
    let sent = [&first[..], &next.repeat(100_000)].concat();
    let (understood, peak) = refuses(&sent, 1008).await;
    assert!(understood <= 129 * next.len(), "{understood} bytes");
    assert!(peak <= SPARE + 4 * 1024, "{peak} bytes");
}

#[tokio::test]
async fn row_62_of_131_000_fragments_of_one_byte_129_are_looked_at() {
    let (first, next) = (frame(Op::TEXT_BEGINS, b"x"), frame(Op::GOES_ON, b"x"));
    let sent = [&first[..], &next.repeat(131_000)].concat();
    let (understood, peak) = refuses(&sent, 1008).await;
    assert!(understood <= 129 * next.len(), "{understood} bytes");
    assert!(peak <= LIMIT + 4 * 1024, "{peak} bytes");
}

#[tokio::test]
async fn row_65_of_many_pings_the_burst_is_answered_and_no_more() {
    let ping = frame(Op::PING, b"are you there?");
    let (understood, peak) = refuses(&ping.repeat(100_000), 1008).await;
    assert!(understood <= 201 * ping.len(), "{understood} bytes");
    assert!(peak <= 64 * 1024, "{peak} bytes");
}
