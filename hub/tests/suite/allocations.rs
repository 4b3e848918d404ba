//! What is allocated for a call and for a broadcast, and how often a broadcast is encoded.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use futures_util::{SinkExt as _, StreamExt as _};
use hub::{Context, Hub, HubHandle};
use serde::{Serialize, Serializer};
use tokio::{
    net::{TcpListener, TcpStream as AsyncTcpStream},
    runtime,
    sync::oneshot,
};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

type Client = WebSocketStream<MaybeTlsStream<AsyncTcpStream>>;

const HANDSHAKES: [&str; 2] = [
    "{\"protocol\":\"json\",\"version\":1}\u{1e}",
    "{\"protocol\":\"messagepack\",\"version\":1}\u{1e}",
];

fn hub() -> Hub {
    Hub::new(())
        .method("Echo", async |_: Context, text: String| Ok(text))
        .on_connected(async |cx: Context| cx.groups().join("everybody"))
}

async fn serve(hub: Hub) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { raw_ws::serve(listener, hub.router("/hub")).await });
    address
}

/// Counts how often it is written.
struct Counted;

static WRITTEN: AtomicUsize = AtomicUsize::new(0);

impl Serialize for Counted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        WRITTEN.fetch_add(1, Ordering::Relaxed);
        serializer.serialize_str("news")
    }
}

/// Members of the group, half of them in each protocol.
async fn join(handle: &HubHandle, address: SocketAddr, members: &mut Vec<Client>, count: usize) {
    while members.len() < count {
        let url = format!("ws://{address}/hub");
        let (mut client, _) = connect_async(url).await.unwrap();
        let handshake = HANDSHAKES[members.len() % 2];
        client.send(Message::text(handshake)).await.unwrap();
        client.next().await.unwrap().unwrap();
        members.push(client);
    }
    while handle.groups().members("everybody").len() < count {
        tokio::task::yield_now().await;
    }
}

/// Allocations of one broadcast, received by all.
async fn broadcast(handle: &HubHandle, members: &mut [Client]) -> u64 {
    let everybody = handle.group("everybody");
    let before = WRITTEN.load(Ordering::Relaxed);
    let allocated = allocation_counter::measure(|| {
        everybody.send("Received", (Counted,)).unwrap();
    });
    assert_eq!(WRITTEN.load(Ordering::Relaxed) - before, 2, "once each");
    for member in members {
        let message = member.next().await.unwrap().unwrap().into_data();
        assert!(message.windows(4).any(|part| part == b"news"));
    }
    allocated.count_total
}

#[tokio::test]
async fn a_broadcast_is_encoded_once_per_protocol_and_allocates_the_same_for_any_number() {
    let hub = hub();
    let handle = hub.handle();
    let address = serve(hub).await;
    let mut members = Vec::new();
    join(&handle, address, &mut members, 2).await;
    broadcast(&handle, &mut members).await; // what is only made once
    let to_two = broadcast(&handle, &mut members).await;
    join(&handle, address, &mut members, 200).await;
    let to_many = broadcast(&handle, &mut members).await;
    assert_eq!(to_two, to_many);
    assert!(to_two <= MAX_BROADCAST, "{to_two}");
}

/// Allocations of a server for each call, 16 of them at a time.
fn per_call(handshake: &str, opcode: u8, call: &[u8], reply_len: usize) -> f64 {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let address = runtime.block_on(serve(hub()));
    let (ready, is_ready) = oneshot::channel();
    let (go, may_go) = std::sync::mpsc::channel();
    let (done, is_done) = oneshot::channel();
    let (handshake, call) = (
        masked(1, handshake.as_bytes()),
        masked(opcode, call).repeat(16),
    );
    let client = thread::spawn(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        let request = format!(
            "GET /hub HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut response = Vec::new();
        while !response.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            response.extend(byte);
        }
        stream.write_all(&handshake).unwrap();
        stream.read_exact(&mut [0; 5]).unwrap(); // a header and `{}␞`
        let mut replies = vec![0; 16 * reply_len];
        let mut round = || {
            stream.write_all(&call).unwrap();
            stream.read_exact(&mut replies).unwrap();
        };
        round();
        ready.send(()).unwrap();
        may_go.recv().unwrap();
        (0..ROUNDS).for_each(|_| round());
        done.send(()).unwrap();
    });
    runtime.block_on(is_ready).unwrap();
    let allocated = allocation_counter::measure(|| {
        go.send(()).unwrap();
        runtime.block_on(is_done).unwrap();
    });
    client.join().unwrap();
    allocated.count_total as f64 / (16 * ROUNDS) as f64
}

fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    // Masked with zeros: as it is.
    let mut frame = vec![0x80 | opcode, 0x80 | length, 0, 0, 0, 0];
    frame.extend_from_slice(payload);
    frame
}

#[test]
fn a_json_call_allocates_no_more_than_it_did() {
    let call =
        b"{\"type\":1,\"invocationId\":\"1\",\"target\":\"Echo\",\"arguments\":[\"hello\"]}\x1e";
    let reply = b"{\"type\":3,\"invocationId\":\"1\",\"result\":\"hello\"}\x1e";
    let allocated = per_call(HANDSHAKES[0], 1, call, 2 + reply.len());
    assert!(allocated <= MAX_CALL, "{allocated}");
}

#[test]
fn a_messagepack_call_allocates_no_more_than_it_did() {
    let call = b"\x12\x96\x01\x80\xa11\xa4Echo\x91\xa5hello\x90";
    let reply = b"\x0c\x95\x03\x80\xa11\x03\xa5hello";
    let allocated = per_call(HANDSHAKES[1], 2, call, 2 + reply.len());
    assert!(allocated <= MAX_CALL, "{allocated}");
}

const ROUNDS: usize = 50;
const MAX_BROADCAST: u64 = 24;
const MAX_CALL: f64 = 2.6;
