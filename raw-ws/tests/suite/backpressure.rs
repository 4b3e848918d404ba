//! What others send to a connection: bounded, in order, whole, and nobody else's trouble.

use std::{sync::Arc, time::Duration};

use axum::{Router, response::Response, routing::any};
use bytes::BytesMut;
use raw_ws::{
    CapacityError, CloseCode, CloseFrame, Config, Error, Frame, Message, PreparedMessage,
    SendError, Sender, Topics, Upgrade, WebSocket, proto::Role,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    net::{TcpListener, TcpStream},
    sync::{Barrier, mpsc, watch},
    task::yield_now,
    time::{Instant, timeout},
};

const SOON: Duration = Duration::from_secs(20);

const CLIENT: Role = Role::Client {
    masking_key: || [1, 2, 3, 4],
};

/// A server's connection in memory, whose peer is a bare stream of `capacity` bytes.
fn in_memory(config: &Config, capacity: usize) -> (WebSocket<DuplexStream>, DuplexStream) {
    let (near, far) = duplex(capacity);
    let ws = WebSocket::from_upgraded(near, BytesMut::new(), Role::Server, config.clone());
    (ws, far)
}

fn client<S: raw_ws::ByteStream>(stream: S) -> WebSocket<S> {
    WebSocket::from_upgraded(stream, BytesMut::new(), CLIENT, Config::new())
}

/// A server over TCP that hands its connections to the test: there, publishers write to the
/// sockets themselves.
struct Server {
    address: std::net::SocketAddr,
    accepted: mpsc::UnboundedReceiver<WebSocket>,
}

impl Server {
    async fn start(config: Config) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (accept, accepted) = mpsc::unbounded_channel();
        let config = Arc::new(config);
        let app = Router::new().route(
            "/",
            any(move |upgrade: Upgrade| {
                let hand_over = async move |ws| accept.send(ws).unwrap_or(());
                let answer: Response = upgrade.config(config).on_upgrade(hand_over);
                std::future::ready(answer)
            }),
        );
        tokio::spawn(raw_ws::serve(listener, app).into_future());
        Self { address, accepted }
    }

    /// A connection, and its peer behind the opening handshake.
    async fn connect(&mut self, extensions: &str) -> (WebSocket, TcpStream) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             {extensions}\r\n",
            self.address
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await.unwrap());
        }
        assert!(answer.starts_with(b"HTTP/1.1 101"));
        let ws = timeout(SOON, self.accepted.recv()).await.unwrap().unwrap();
        (ws, stream)
    }
}

async fn next<S: raw_ws::ByteStream>(ws: &mut WebSocket<S>) -> Message {
    let message = timeout(SOON, ws.recv()).await.expect("a message");
    message.unwrap().expect("an open connection")
}

fn is_slow_consumer<T>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::Capacity(CapacityError::SlowConsumer)))
}

/// A server's task that does nothing but its duty.
fn attend<S: raw_ws::ByteStream>(
    mut ws: WebSocket<S>,
) -> tokio::task::JoinHandle<Result<(), Error>> {
    tokio::spawn(async move {
        while ws.recv().await?.is_some() {}
        Ok(())
    })
}

// ---------------------------------------------------------------------------------------------
// Bounds

#[tokio::test]
async fn a_queue_holds_max_queued_messages_and_the_next_one_cuts() {
    let config = Config::new().max_queued_messages(10);
    let (mut slow, _far) = in_memory(&config, 1024);
    let (other, other_far) = in_memory(&config, 1024);
    let topics = Topics::<String>::new();
    for ws in [&slow, &other] {
        assert!(topics.subscribe("all".into(), &ws.sender()));
    }
    let sender = slow.sender();
    for _ in 0..10 {
        assert_eq!(sender.send("x"), Ok(()));
    }
    assert!(!sender.is_closed());
    assert_eq!(topics.publish("all", &"one too many".into()), 1);
    assert_eq!(sender.send("x"), Err(SendError::Closed));
    assert!(sender.is_closed());
    assert!(is_slow_consumer(&slow.recv().await));
    assert_eq!(topics.subscribers("all"), 1, "the other one is left");

    attend(other);
    assert_eq!(next(&mut client(other_far)).await, "one too many".into());
}

#[tokio::test]
async fn a_queue_holds_max_queued_bytes_and_one_more_cuts() {
    let config = Config::new().max_queued_bytes(100);
    for (last, outcome) in [(2, Ok(())), (3, Err(SendError::SlowConsumer))] {
        let (mut ws, _far) = in_memory(&config, 1024);
        let sender = ws.sender();
        for _ in 0..8 {
            assert_eq!(sender.send(vec![0; 10]), Ok(())); // 12 with the header
        }
        assert_eq!(sender.queued_bytes(), 96);
        assert_eq!(sender.send(vec![0; last]), outcome);
        if outcome.is_err() {
            assert!(is_slow_consumer(&ws.recv().await));
        }
    }
}

#[tokio::test]
async fn a_message_larger_than_the_whole_queue_is_refused_and_harms_nobody() {
    let (ws, far) = in_memory(&Config::new().max_queued_bytes(100), 1024);
    let sender = ws.sender();
    assert_eq!(sender.send(vec![0; 99]), Err(SendError::TooBig));
    let topics = Topics::<u32>::new();
    topics.subscribe(1, &sender);
    assert_eq!(topics.publish(&1, &vec![0; 99].into()), 0);
    assert_eq!(sender.send(vec![7; 98]), Ok(()), "100 with the header");
    attend(ws);
    assert_eq!(next(&mut client(far)).await, vec![7; 98].into());
}

#[tokio::test]
async fn nothing_is_queued_for_a_connection_that_closes_or_has_ended() {
    let config = Config::new();
    let (ws, far) = in_memory(&config, 1024);
    let sender = ws.sender();
    assert_eq!(sender.send("first"), Ok(()));
    let going = CloseFrame::new(CloseCode::new(4001), "going").unwrap();
    sender.close(going.clone());
    assert_eq!(sender.send("late"), Err(SendError::Closed));
    attend(ws);
    let mut peer = client(far);
    assert_eq!(
        next(&mut peer).await,
        "first".into(),
        "what was queued still goes"
    );
    assert_eq!(timeout(SOON, peer.recv()).await.unwrap().unwrap(), None);
    assert_eq!(peer.peer_close(), Some(&going));

    let (ws, _far) = in_memory(&config, 1024);
    let sender = ws.sender();
    drop(ws);
    assert_eq!(sender.send("late"), Err(SendError::Closed));
    assert!(!Topics::new().subscribe("news".to_owned(), &sender));
}

// ---------------------------------------------------------------------------------------------
// Progress

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_is_cut_after_the_progress_timeout() {
    let config = Config::new().keep_alive_interval(None);
    let begun = Instant::now();
    let (ws, _far) = in_memory(&config, 64);
    ws.sender().send(vec![0; 1000]).unwrap();
    assert!(is_slow_consumer(&attend(ws).await.unwrap()));
    assert_eq!(begun.elapsed().as_secs(), 10);

    let begun = Instant::now();
    let (mut ws, _far) = in_memory(&config, 64);
    ws.feed(vec![0; 1000]).unwrap();
    assert!(is_slow_consumer(&ws.flush().await));
    assert_eq!(begun.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_a_byte_now_and_then_is_slow_but_not_stuck() {
    let config = Config::new().keep_alive_interval(None);
    let (ws, mut far) = in_memory(&config, 64);
    let sender = ws.sender();
    sender.send(vec![0; 200]).unwrap();
    let task = attend(ws);
    for _ in 0..50 {
        tokio::time::sleep(Duration::from_secs(9)).await;
        far.read_u8().await.unwrap();
    }
    assert!(!sender.is_closed());
    let begun = Instant::now();
    assert!(is_slow_consumer(&task.await.unwrap()));
    assert_eq!(begun.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn a_peer_over_tcp_that_does_not_read_is_cut_and_its_neighbour_is_served() {
    let mut server = Server::start(Config::new()).await;
    let (slow, _unread) = server.connect("").await;
    let (good, good_peer) = server.connect("").await;
    let topics = Topics::<String>::new();
    topics.subscribe("all".into(), &slow.sender());
    topics.subscribe("all".into(), &good.sender());
    let (slow, good) = (attend(slow), attend(good));
    let (count, mut received) = watch::channel(0_u32);
    let reader = tokio::spawn(async move {
        let mut peer = client(good_peer);
        while next(&mut peer).await != "end".into() {
            count.send_modify(|count| *count += 1);
        }
    });
    let message = PreparedMessage::new(vec![0; 60_000]);
    let mut published = 0;
    while topics.subscribers("all") == 2 {
        topics.publish("all", &message);
        published += 1;
        assert!(published < 2_000, "the slow one was never cut");
        let has_all = received.wait_for(|received| *received == published);
        timeout(SOON, has_all).await.unwrap().unwrap();
    }
    assert!(is_slow_consumer(
        &timeout(SOON, slow).await.unwrap().unwrap()
    ));
    topics.publish("all", &"end".into());
    timeout(SOON, reader).await.unwrap().unwrap();
    good.abort();
}

// ---------------------------------------------------------------------------------------------
// Membership

#[tokio::test]
async fn a_publication_reaches_who_is_subscribed_and_not_the_exception() {
    let config = Config::new();
    let mut ends: Vec<_> = (0..3).map(|_| in_memory(&config, 1024)).collect();
    let senders: Vec<Sender> = ends.iter().map(|(ws, _)| ws.sender()).collect();
    let topics = Topics::<String>::new();
    for sender in &senders {
        assert!(topics.subscribe("news".into(), sender));
        assert!(!topics.subscribe("news".into(), sender), "once is enough");
    }
    assert_eq!(topics.publish("news", &"1".into()), 3);
    assert_eq!(topics.publish_except("news", &"2".into(), &senders[0]), 2);
    assert!(topics.unsubscribe("news", &senders[1]));
    assert!(!topics.unsubscribe("news", &senders[1]));
    assert!(!topics.unsubscribe("elsewhere", &senders[0]));
    assert_eq!(topics.publish("news", &"3".into()), 2);
    assert_eq!(topics.publish("elsewhere", &"4".into()), 0);
    for (expected, (ws, far)) in [vec!["1", "3"], vec!["1", "2"], vec!["1", "2", "3"]]
        .into_iter()
        .zip(ends.drain(..))
    {
        ws.sender().send("end").unwrap();
        attend(ws);
        let mut peer = client(far);
        for text in expected.into_iter().chain(["end"]) {
            assert_eq!(next(&mut peer).await, text.into());
        }
    }
}

#[tokio::test]
async fn a_connection_that_ends_in_any_way_leaves_nothing_behind() {
    let topics = Topics::<u32>::new();
    let config = Config::new().max_queued_messages(5);
    let subscribed = || {
        let (ws, far) = in_memory(&config, 1024);
        for topic in 0..100 {
            topics.subscribe(topic, &ws.sender());
        }
        assert_eq!(topics.len(), 100);
        (ws, far)
    };

    let (ws, _far) = subscribed();
    drop(ws);
    assert!(topics.is_empty(), "dropped");

    let (mut ws, far) = subscribed();
    let sender = ws.sender();
    drop(far);
    assert!(ws.recv().await.is_err());
    assert!(topics.is_empty(), "the peer is gone");
    drop((ws, sender));

    let (mut ws, _far) = subscribed();
    while ws.sender().send("x").is_ok() {}
    assert!(ws.recv().await.is_err());
    assert!(topics.is_empty(), "cut");

    let (mut ws, far) = subscribed();
    let mut peer = client(far);
    let (closed, seen) = tokio::join!(ws.close(CloseCode::NORMAL, ""), peer.recv());
    assert!(closed.is_ok() && seen.unwrap().is_none());
    assert!(topics.is_empty(), "closed");

    let (mut ws, mut far) = subscribed();
    far.write_all(&[0xff]).await.unwrap();
    assert!(ws.recv().await.is_err());
    assert!(topics.is_empty(), "failed");

    let (ws, _far) = subscribed();
    for topic in 0..100 {
        assert!(topics.unsubscribe(&topic, &ws.sender()));
    }
    assert!(topics.is_empty(), "unsubscribed");
}

// ---------------------------------------------------------------------------------------------
// Order

/// Publishes in turn to two topics and straight to the connection, and pauses now and then, until
/// all is `read`.
async fn publish_in_turn(topics: &Topics<String>, sender: &Sender, count: u32, read: &Barrier) {
    for nth in 0..count {
        // Beyond 4 KiB a frame is shared as it is; below it is copied into the batch.
        let len = if nth % 7 == 0 { 5_000 } else { 4 };
        let mut message = vec![0; len];
        message[..4].copy_from_slice(&nth.to_be_bytes());
        match nth % 3 {
            0 => sender.send(message).unwrap(),
            1 => assert_eq!(topics.publish("a", &message.into()), 1),
            _ => assert_eq!(topics.publish("b", &message.into()), 1),
        }
        if nth % 10 == 0 {
            yield_now().await;
        }
        if nth % 100 == 0 {
            read.wait().await;
        }
    }
}

async fn receive_in_turn<S: raw_ws::ByteStream>(stream: S, count: u32, read: &Barrier) {
    let mut peer = client(stream);
    for nth in 0..count {
        let message = next(&mut peer).await;
        assert_eq!(message.as_bytes()[..4], nth.to_be_bytes());
        if nth % 100 == 0 {
            read.wait().await;
        }
    }
}

#[tokio::test]
async fn one_publishers_messages_keep_their_order_across_topics_and_direct_sends() {
    let (topics, read) = (Topics::<String>::new(), Barrier::new(2));
    let (ws, far) = in_memory(&Config::new(), 3_000);
    let sender = ws.sender();
    topics.subscribe("a".into(), &sender);
    topics.subscribe("b".into(), &sender);
    attend(ws);
    tokio::join!(
        publish_in_turn(&topics, &sender, 1_000, &read),
        receive_in_turn(far, 1_000, &read)
    );

    let mut server = Server::start(Config::new()).await;
    let (ws, stream) = server.connect("").await;
    let sender = ws.sender();
    topics.subscribe("a".into(), &sender);
    topics.subscribe("b".into(), &sender);
    attend(ws);
    tokio::join!(
        publish_in_turn(&topics, &sender, 1_000, &read),
        receive_in_turn(stream, 1_000, &read)
    );
}

#[tokio::test]
async fn a_publication_never_lands_between_two_fragments() {
    let mut server = Server::start(Config::new()).await;
    let (mut ws, stream) = server.connect("").await;
    let (mut memory, far) = in_memory(&Config::new(), 100_000);
    let topics = Topics::<u32>::new();
    topics.subscribe(1, &ws.sender());
    topics.subscribe(1, &memory.sender());
    for nth in 0..50_u32 {
        for is_last in [false, true] {
            let frame = || match is_last {
                false => Frame::text("frag", false),
                true => Frame::continuation("ment", true),
            };
            ws.send_frame(frame()).await.unwrap();
            memory.send_frame(frame()).await.unwrap();
            // With the batch written in between, and straight to the queue.
            assert_eq!(topics.publish(&1, &nth.to_string().into()), 2);
            yield_now().await;
            ws.sender().send("direct").unwrap();
            memory.sender().send("direct").unwrap();
            yield_now().await;
        }
    }
    attend(ws);
    attend(memory);

    async fn check<S: raw_ws::ByteStream>(stream: S) {
        let mut peer = client(stream);
        let mut texts = Vec::new();
        while texts.len() < 250 {
            // A frame out of place is an error of the protocol here.
            match next(&mut peer).await {
                Message::Text(text) => texts.push(text.to_string()),
                Message::Binary(_) => unreachable!(),
            }
        }
        let whole = texts.iter().filter(|text| *text == "fragment").count();
        assert_eq!(whole, 50);
        let published = texts.iter().filter_map(|text| text.parse::<u32>().ok());
        assert!(published.eq((0..50).flat_map(|nth| [nth, nth])));
    }
    check(stream).await;
    check(far).await;
}

#[tokio::test]
async fn a_dropped_connection_sends_its_queue_behind_a_frame_that_is_half_written() {
    for (first, texts) in [
        (Frame::text("own ".repeat(50), true), 2),
        // No message may stand between two fragments.
        (Frame::text("own ".repeat(50), false), 0),
    ] {
        let (mut ws, far) = in_memory(&Config::new(), 64);
        let half = timeout(Duration::ZERO, ws.send_frame(first)).await;
        assert!(half.is_err() && ws.unwritten() > 0);
        ws.sender().send("queued").unwrap();
        drop(ws);
        let mut peer = client(far);
        for text in ["own ".repeat(50), "queued".to_owned()].iter().take(texts) {
            assert_eq!(next(&mut peer).await, Message::text(text.as_str()));
        }
        assert_eq!(timeout(SOON, peer.recv()).await.unwrap().unwrap(), None);
        assert_eq!(peer.peer_close().unwrap().code(), CloseCode::GOING_AWAY);
    }
}

#[tokio::test]
async fn a_publication_never_lands_inside_a_frame_that_is_half_written() {
    let config = Config::new().max_message_size(64 << 20);
    let mut server = Server::start(config.max_queued_bytes(64 << 20)).await;
    let (mut ws, stream) = server.connect("").await;
    let topics = Topics::<u32>::new();
    topics.subscribe(1, &ws.sender());
    // More than the socket's buffers take.
    ws.feed(vec![7; 16 << 20]).unwrap();
    let stuck = timeout(Duration::ZERO, ws.flush()).await;
    assert!(stuck.is_err() && ws.unwritten() > 0);
    for _ in 0..10 {
        topics.publish(&1, &"published".into());
        yield_now().await;
    }
    attend(ws);
    let config = Config::new().max_message_size(64 << 20);
    let mut peer = WebSocket::from_upgraded(stream, BytesMut::new(), CLIENT, config);
    assert!(next(&mut peer).await == vec![7; 16 << 20].into());
    for _ in 0..10 {
        assert_eq!(next(&mut peer).await, "published".into());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_publisher_that_never_pauses_loses_no_reader_that_reads() {
    const COUNT: u32 = 100_000;
    let mut server = Server::start(Config::new()).await;
    let topics = Topics::<String>::new();
    let mut readers = Vec::new();
    for _ in 0..3 {
        let (ws, stream) = server.connect("").await;
        topics.subscribe("ticks".into(), &ws.sender());
        attend(ws);
        let stream = stream.into_std().unwrap();
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        // A thread of its own: it reads whatever the runtime does.
        readers.push(std::thread::spawn(move || {
            let mut stream = std::io::BufReader::with_capacity(1 << 16, stream);
            for nth in 0..COUNT {
                let mut frame = [0; 6];
                std::io::Read::read_exact(&mut stream, &mut frame)
                    .unwrap_or_else(|error| panic!("{error} at {nth}"));
                assert_eq!(frame[..2], [0x82, 4]);
                assert_eq!(frame[2..], nth.to_be_bytes());
            }
        }));
    }
    let publisher = tokio::spawn(async move {
        for nth in 0..COUNT {
            let message = PreparedMessage::new(nth.to_be_bytes().to_vec());
            assert_eq!(topics.publish("ticks", &message), 3, "after {nth} messages");
        }
    });
    let published = publisher.await;
    for reader in readers {
        tokio::task::spawn_blocking(move || reader.join().unwrap())
            .await
            .unwrap();
    }
    published.unwrap();
}

// ---------------------------------------------------------------------------------------------
// Compression

#[cfg(feature = "deflate")]
mod deflate {
    use flate2::{Decompress, FlushDecompress};
    use raw_ws::Deflate;

    use super::*;

    const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";

    /// The first byte and the payload of the next frame.
    async fn frame(stream: &mut TcpStream) -> (u8, Vec<u8>) {
        let first = stream.read_u8().await.unwrap();
        let len = match stream.read_u8().await.unwrap() {
            126 => stream.read_u16().await.unwrap().into(),
            len => usize::from(len),
        };
        let mut payload = vec![0; len];
        stream.read_exact(&mut payload).await.unwrap();
        (first, payload)
    }

    fn inflated(payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(10_000);
        let whole = [payload, &[0, 0, 0xff, 0xff]].concat();
        Decompress::new(false)
            .decompress_vec(&whole, &mut out, FlushDecompress::Sync)
            .unwrap();
        out
    }

    #[tokio::test]
    async fn a_prepared_message_is_compressed_for_those_without_context_takeover_alone() {
        let text = "the same for everybody, ".repeat(50);
        let news = PreparedMessage::new(text.clone());
        let topics = Topics::<u32>::new();

        let mut without = Server::start(Config::new().deflate(Deflate::new())).await;
        let takeover = Deflate::new().context_takeover(true, true);
        let mut with = Server::start(Config::new().deflate(takeover)).await;
        let (mut tasks, mut streams) = (Vec::new(), Vec::new());
        for (keeps_context, offer) in [(false, OFFER), (false, OFFER), (false, ""), (true, OFFER)] {
            let server = if keeps_context {
                &mut with
            } else {
                &mut without
            };
            let (ws, stream) = server.connect(offer).await;
            topics.subscribe(1, &ws.sender());
            tasks.push(attend(ws));
            streams.push(stream);
        }
        assert_eq!(topics.publish(&1, &news), 4);
        assert_eq!(topics.publish(&1, &"small".into()), 4);
        let mut frames = Vec::new();
        for stream in &mut streams {
            frames.push(timeout(SOON, frame(stream)).await.unwrap());
            let small = timeout(SOON, frame(stream)).await.unwrap();
            assert_eq!(small, (0x81, b"small".to_vec()), "below min_size");
        }
        assert_eq!(frames[0], frames[1]);
        let (first, payload) = &frames[0];
        assert_eq!(*first, 0xc1);
        assert!(payload.len() * 5 < text.len());
        assert_eq!(inflated(payload), text.as_bytes());
        for plain in &frames[2..] {
            assert_eq!(*plain, (0x81, text.clone().into_bytes()));
        }
    }
}
