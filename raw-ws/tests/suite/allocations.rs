//! What is allocated for messages: nothing for each.

use bytes::BytesMut;
use raw_ws::{Config, MessageKind, WebSocket, proto::Role};

#[tokio::test]
async fn a_thousand_small_messages_fed_between_two_writes_allocate_a_few_times() {
    let (near, _far) = tokio::io::duplex(1 << 20);
    let mut ws = WebSocket::from_upgraded(near, BytesMut::new(), Role::Server, Config::new());
    let sender = ws.sender();
    let feed = |count| {
        let allocated = allocation_counter::measure(|| {
            for _ in 0..count {
                sender
                    .feed(MessageKind::Text, b"twenty bytes of text")
                    .unwrap();
            }
        });
        allocated.count_total
    };
    // The batch, and its buffer.
    assert_eq!(feed(10), 2);
    ws.flush().await.unwrap();
    // The buffer grows to 22,000 bytes by doubling.
    let allocated = feed(1_000);
    assert!(allocated <= 10, "{allocated}");
    ws.flush().await.unwrap();
    assert_eq!(sender.queued_bytes(), 0);
}
