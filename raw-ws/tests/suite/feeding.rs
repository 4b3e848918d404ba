//! `Sender::feed` and `WebSocket::feed_copy`: what a connection's own task queues, in order, in one piece, waking nobody.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use bytes::BytesMut;
use raw_ws::{
    ByteStream, CloseCode, CloseFrame, Config, Message, MessageKind, SendError, Topics, WebSocket,
    proto::Role,
};
use tokio::io::{DuplexStream, duplex};

const CLIENT: Role = Role::Client {
    masking_key: || [1, 2, 3, 4],
};

fn connection(config: Config, capacity: usize) -> (WebSocket<DuplexStream>, DuplexStream) {
    let (near, far) = duplex(capacity);
    let ws = WebSocket::from_upgraded(near, BytesMut::new(), Role::Server, config);
    (ws, far)
}

fn peer<S: ByteStream>(stream: S, role: Role) -> WebSocket<S> {
    let config = Config::new().max_message_size(1 << 20);
    WebSocket::from_upgraded(stream, BytesMut::new(), role, config)
}

async fn next<S: ByteStream>(ws: &mut WebSocket<S>) -> Message {
    let message = tokio::time::timeout(Duration::from_secs(20), ws.recv()).await;
    message.unwrap().unwrap().unwrap()
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn feeding_wakes_nobody_and_leaves_with_the_next_turn() {
    let (mut ws, far) = connection(Config::new(), 1 << 20);
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let mut cx = Context::from_waker(&waker);
    assert!(ws.poll_recv(&mut cx).is_pending());
    let sender = ws.sender();
    for nth in 0..2_000_u32 {
        let sent = sender.feed(MessageKind::Binary, &nth.to_be_bytes());
        assert_eq!(sent, Ok(()), "more than max_queued_messages");
    }
    assert_eq!(sender.queued_bytes(), 2_000 * 6);
    assert_eq!(woken.0.load(Ordering::SeqCst), 0);
    assert!(ws.poll_recv(&mut cx).is_pending());
    assert_eq!(sender.queued_bytes(), 0);
    let mut peer = peer(far, CLIENT);
    for nth in 0..2_000_u32 {
        assert_eq!(next(&mut peer).await.as_bytes(), nth.to_be_bytes());
    }
}

#[tokio::test]
async fn fed_sent_and_published_messages_keep_their_order() {
    const COUNT: u32 = 3_000;
    // Masked frames too: the peer of a client's connection is a server.
    for (role, peer_role) in [(Role::Server, CLIENT), (CLIENT, Role::Server)] {
        let (near, far) = duplex(3_000);
        let config = Config::new().max_queued_messages(10_000);
        let config = config.max_queued_bytes(16 << 20);
        let mut ws = WebSocket::from_upgraded(near, BytesMut::new(), role, config);
        let topics = Topics::<u32>::new();
        topics.subscribe(1, &ws.sender());
        let reader = tokio::spawn(async move {
            let mut peer = peer(far, peer_role);
            for nth in 0..COUNT {
                let message = next(&mut peer).await;
                assert_eq!(message.as_bytes()[..5], *format!("{nth:05}").as_bytes());
                let expected = [MessageKind::Text, MessageKind::Binary][nth as usize % 2];
                assert_eq!(message.kind(), expected);
            }
        });
        let sender = ws.sender();
        for nth in 0..COUNT {
            // Longer than a batch, longer than a published one, and short.
            let len = match nth % 50 {
                0 => 70_000,
                1 => 5_000,
                _ => 5 + nth as usize % 300,
            };
            let text = format!("{nth:05}{}", ".".repeat(len - 5));
            let (kind, message) = match nth % 2 {
                0 => (MessageKind::Text, Message::text(text.clone())),
                _ => (MessageKind::Binary, Message::binary(text.clone())),
            };
            match nth % 5 {
                0 => sender.send(message).unwrap(),
                1 => assert_eq!(topics.publish(&1, &message.into()), 1),
                2 => ws.feed_copy(kind, text.as_bytes()).unwrap(),
                _ => sender.feed(kind, text.as_bytes()).unwrap(),
            }
            if nth % 64 == 0 {
                // What is half written stays where it is.
                let _ = poll_fn(|cx| Poll::Ready(ws.poll_flush(cx))).await;
            }
            if nth % 500 == 0 {
                ws.flush().await.unwrap();
            }
        }
        ws.flush().await.unwrap();
        assert_eq!(sender.queued_bytes(), 0);
        reader.await.unwrap();
    }
}

#[tokio::test]
async fn what_is_fed_neither_cuts_a_connection_nor_makes_others_cut_it() {
    let config = Config::new().max_queued_bytes(100).max_queued_messages(2);
    let (mut ws, far) = connection(config, 1 << 20);
    let sender = ws.sender();
    for _ in 0..100 {
        assert_eq!(sender.feed(MessageKind::Binary, &[0; 1_000]), Ok(()));
    }
    assert_eq!(sender.queued_bytes(), 100 * 1_004);
    assert_eq!(sender.send("one"), Ok(()));
    assert_eq!(sender.feed(MessageKind::Text, b"between"), Ok(()));
    assert_eq!(sender.send("two"), Ok(()));
    ws.flush().await.unwrap();
    let mut peer = peer(far, CLIENT);
    for _ in 0..100 {
        assert_eq!(next(&mut peer).await, vec![0; 1_000].into());
    }
    for text in ["one", "between", "two"] {
        assert_eq!(next(&mut peer).await, text.into());
    }

    sender.feed(MessageKind::Binary, &[0; 1_000]).unwrap();
    for _ in 0..2 {
        assert_eq!(sender.send("x"), Ok(()));
    }
    assert_eq!(sender.send("x"), Err(SendError::SlowConsumer));
    assert_eq!(
        sender.feed(MessageKind::Text, b"late"),
        Err(SendError::Closed)
    );
}

#[tokio::test]
async fn what_is_fed_before_a_close_leaves_before_it() {
    let (mut ws, far) = connection(Config::new(), 1 << 20);
    let sender = ws.sender();
    sender.feed(MessageKind::Text, b"last words").unwrap();
    sender.close(CloseFrame::new(CloseCode::NORMAL, "").unwrap());
    let late = sender.feed(MessageKind::Text, b"late");
    assert_eq!(late, Err(SendError::Closed));
    let mut peer = peer(far, CLIENT);
    let (ended, message) = tokio::join!(ws.recv(), async {
        let message = next(&mut peer).await;
        assert_eq!(peer.recv().await.unwrap(), None);
        message
    });
    assert_eq!(ended.unwrap(), None);
    assert_eq!(message, "last words".into());
}

/// What one task queues leaves in the order in which it was queued, whichever way: fed or sent by
/// the connection, fed or sent by a `Sender`, published; written in parts, and left to the end.
#[tokio::test]
async fn what_one_task_queues_in_any_way_leaves_in_its_order() {
    const COUNT: u32 = 3_000;
    for seed in 1..=8_u32 {
        for (role, peer_role) in [(Role::Server, CLIENT), (CLIENT, Role::Server)] {
            let (near, far) = duplex(3_000);
            let config = Config::new()
                .max_queued_messages(10_000)
                .max_queued_bytes(64 << 20);
            let mut ws = WebSocket::from_upgraded(near, BytesMut::new(), role, config);
            let topics = Topics::<u32>::new();
            topics.subscribe(0, &ws.sender());
            let peer = tokio::spawn(async move {
                let mut peer = peer(far, peer_role);
                for nth in 0..COUNT {
                    let message = next(&mut peer).await;
                    assert_eq!(message.as_bytes()[..4], nth.to_be_bytes(), "seed {seed}");
                }
                peer.recv().await
            });
            let mut random = seed;
            let mut up_to = |below: u32| {
                random ^= random << 13;
                random ^= random >> 17;
                random ^= random << 5;
                random % below
            };
            let sender = ws.sender();
            for nth in 0..COUNT {
                let len = [4, 4, 40, 400, 5_000][up_to(5) as usize];
                let mut payload = nth.to_be_bytes().to_vec();
                payload.resize(len, b'x');
                match up_to(16) {
                    0..3 => ws.feed(payload).unwrap(),
                    3..6 => ws.feed_copy(MessageKind::Binary, &payload).unwrap(),
                    6..9 => sender.send(payload).unwrap(),
                    9..12 => sender.feed(MessageKind::Binary, &payload).unwrap(),
                    12..14 => assert_eq!(topics.publish(&0, &payload.into()), 1),
                    14 => ws.send(payload).await.unwrap(),
                    _ => {
                        ws.feed(payload).unwrap();
                        // Some of it is written, whatever that is.
                        let flush = poll_fn(|cx| Poll::Ready(ws.poll_flush(cx).is_ready()));
                        flush.await;
                        tokio::task::yield_now().await;
                    }
                }
            }
            drop(ws);
            let end = tokio::time::timeout(Duration::from_secs(20), peer).await;
            assert_eq!(end.unwrap().unwrap().unwrap(), None, "a Close comes last");
        }
    }
}

/// A fragmented message is one: what is sent meanwhile leaves behind it, and Pings between.
#[tokio::test]
async fn what_is_sent_inside_a_fragmented_message_leaves_behind_it() {
    use raw_ws::Frame;
    let (mut ws, far) = connection(Config::new(), 1 << 20);
    let mut peer = peer(far, CLIENT);
    let sender = ws.sender();
    ws.feed("before").unwrap();
    sender.send("too").unwrap();
    ws.send_frame(Frame::text("in ", false)).await.unwrap();
    sender.send("behind").unwrap();
    ws.send_frame(Frame::continuation("parts", true))
        .await
        .unwrap();
    ws.feed("last").unwrap();
    ws.flush().await.unwrap();
    for text in ["before", "too", "in parts", "behind", "last"] {
        assert_eq!(next(&mut peer).await, Message::text(text));
    }
}
