//! A connection that always has something to read lets others have their turn.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use bytes::BytesMut;
use raw_ws::{CloseCode, Config, Message, WebSocket, proto::Role};
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

/// What is there to read when the connection is polled first.
const MUCH: usize = 1 << 20;

/// As a client sends it, masked with nothing.
fn frame(payload: &[u8]) -> Vec<u8> {
    let long = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let head = match payload.len() {
        length @ ..126 => vec![0x82, 0x80 | length as u8],
        _ => [&[0x82, 0xfe][..], &long].concat(),
    };
    [&head[..], &[0; 4], payload].concat()
}

async fn flooded(payload: &[u8]) -> (WebSocket<DuplexStream>, DuplexStream, usize) {
    let (near, mut far) = duplex(MUCH);
    let frame = frame(payload);
    let count = MUCH / frame.len();
    far.write_all(&frame.repeat(count)).await.unwrap();
    let ws = WebSocket::from_upgraded(near, BytesMut::new(), Role::Server, Config::new());
    (ws, far, count)
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Polls until the connection waits for its peer. Gives how many messages came in each turn.
fn turns(ws: &mut WebSocket<DuplexStream>) -> Vec<usize> {
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let mut cx = Context::from_waker(&waker);
    let mut turns = vec![0];
    loop {
        match ws.poll_recv(&mut cx) {
            Poll::Ready(Ok(Some(Message::Binary(_)))) => *turns.last_mut().unwrap() += 1,
            Poll::Ready(other) => panic!("{other:?}"),
            // It goes on by itself.
            Poll::Pending if woken.0.swap(0, Ordering::SeqCst) > 0 => turns.push(0),
            Poll::Pending => return turns,
        }
    }
}

#[tokio::test]
async fn a_turn_is_bounded_in_messages() {
    let (mut ws, _far, count) = flooded(&[7; 20]).await;
    let turns = turns(&mut ws);
    assert_eq!(turns.iter().sum::<usize>(), count);
    assert!(turns.iter().all(|turn| *turn <= 128), "{turns:?}");
    // And not so short that the turns cost more than the messages.
    assert!(turns.len() < count / 50, "{} turns", turns.len());
}

#[tokio::test]
async fn a_turn_is_bounded_in_bytes() {
    let (mut ws, _far, count) = flooded(&[7; 30_000]).await;
    let turns = turns(&mut ws);
    assert_eq!(turns.iter().sum::<usize>(), count);
    assert!(turns.iter().all(|turn| *turn <= 4), "{turns:?}");
}

#[tokio::test]
async fn a_turn_is_bounded_where_messages_are_discarded() {
    let (mut ws, _far, _) = flooded(&[]).await;
    ws.start_close(CloseCode::NORMAL, "").unwrap();
    let turns = turns(&mut ws);
    assert!(turns.len() >= MUCH / (128 * 1024), "{} turns", turns.len());
}
