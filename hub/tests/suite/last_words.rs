//! A server that stops while it speaks to a group: what was sent before the stop reaches every member
//! before its Close, and in order, over every transport.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use hub::{Context, Hub, HubHandle};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinSet,
};

const HANDSHAKE: &[u8] = b"{\"protocol\":\"json\",\"version\":1}\x1e";
const MEMBERS: usize = 60;
const ROUNDS: usize = 5;

fn hub() -> Hub {
    Hub::new(()).on_connected(async |cx: Context| {
        cx.groups().join("all")?;
        Ok(())
    })
}

/// One connection, and all that came by it so far.
struct Line {
    stream: TcpStream,
    heard: Vec<u8>,
}

impl Line {
    async fn open(address: SocketAddr) -> Self {
        Self {
            stream: TcpStream::connect(address).await.unwrap(),
            heard: Vec::new(),
        }
    }

    async fn say(&mut self, head: &str, body: &[u8]) {
        let head = format!(
            "{head}\r\nHost: h\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let whole = [head.as_bytes(), body].concat();
        self.stream.write_all(&whole).await.unwrap();
    }

    /// Reads until so many bytes more have come, or the end; `false` at that.
    async fn hears(&mut self) -> bool {
        matches!(self.stream.read_buf(&mut self.heard).await, Ok(1..))
    }

    async fn until(&mut self, what: &[u8]) -> usize {
        loop {
            if let Some(at) = self.heard.windows(what.len()).position(|part| part == what) {
                return at + what.len();
            }
            assert!(self.hears().await, "{}", self.heard.escape_ascii());
        }
    }

    /// The next answer: its status, and its body.
    async fn answer(&mut self) -> (u16, Vec<u8>) {
        let end = self.until(b"\r\n\r\n").await;
        let head = String::from_utf8(self.heard.drain(..end).collect()).unwrap();
        let head = head.to_ascii_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length = length.map_or(0, |length| length.parse().unwrap());
        while self.heard.len() < length {
            assert!(self.hears().await);
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, self.heard.drain(..length).collect())
    }
}

async fn negotiated(address: SocketAddr) -> String {
    let mut line = Line::open(address).await;
    line.say("POST /hub/negotiate?negotiateVersion=1 HTTP/1.1", b"")
        .await;
    let (_, body) = line.answer().await;
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    format!("/hub?id={}", body["connectionToken"].as_str().unwrap())
}

async fn posts(address: SocketAddr, path: &str, body: &[u8]) {
    let mut line = Line::open(address).await;
    line.say(&format!("POST {path} HTTP/1.1"), body).await;
    assert_eq!(line.answer().await.0, 200);
}

/// Over each of these a member connects, says that it is in, and gives all that it hears to the end.
async fn by_web_socket(address: SocketAddr, is_in: oneshot::Sender<()>) -> Vec<u8> {
    let mut line = Line::open(address).await;
    let upgrade = "GET /hub HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    line.say(upgrade, b"").await;
    line.until(b"\r\n\r\n").await;
    let header = [0x81, 0x80 | HANDSHAKE.len() as u8, 0, 0, 0, 0];
    let frame = [&header[..], HANDSHAKE].concat();
    line.stream.write_all(&frame).await.unwrap();
    line.until(b"{}\x1e").await;
    is_in.send(()).unwrap();
    line.until(b"\"type\":7").await;
    line.heard
}

async fn by_events(address: SocketAddr, is_in: oneshot::Sender<()>) -> Vec<u8> {
    let path = negotiated(address).await;
    let mut line = Line::open(address).await;
    line.say(
        &format!("GET {path} HTTP/1.1\r\nAccept: text/event-stream"),
        b"",
    )
    .await;
    line.until(b"\r\n\r\n").await;
    posts(address, &path, HANDSHAKE).await;
    line.until(b"{}\x1e").await;
    is_in.send(()).unwrap();
    while line.hears().await {}
    line.heard
}

async fn by_polls(address: SocketAddr, is_in: oneshot::Sender<()>) -> Vec<u8> {
    let path = negotiated(address).await;
    let mut line = Line::open(address).await;
    let poll = format!("GET {path} HTTP/1.1");
    line.say(&poll, b"").await;
    line.answer().await;
    posts(address, &path, HANDSHAKE).await;
    let mut is_in = Some(is_in);
    let mut heard = Vec::new();
    loop {
        line.say(&poll, b"").await;
        let (status, body) = line.answer().await;
        heard.extend(body);
        if let Some(is_in) = is_in.take() {
            is_in.send(()).unwrap();
        }
        if status != 200 || heard.windows(8).any(|part| part == b"\"type\":7") {
            return heard;
        }
    }
}

/// The numbers that a member got, in order.
fn numbers(heard: &[u8]) -> Vec<u32> {
    let heard = String::from_utf8_lossy(heard);
    let calls = heard.split("\"arguments\":[").skip(1);
    calls
        .map(|call| call.split(']').next().unwrap().parse().unwrap())
        .collect()
}

/// Sends one number after the other. What was sent last, is kept.
async fn speaks(handle: HubHandle, said: Arc<AtomicU32>) {
    for number in 1.. {
        handle.group("all").send("Got", (number,)).unwrap();
        said.store(number, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn cl_15_what_a_group_was_sent_before_a_stop_reaches_every_member() {
    for _ in 0..ROUNDS {
        let hub = hub();
        let handle = hub.handle();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let server = raw_ws::serve(listener, hub.router("/hub"))
            .with_graceful_shutdown(async { stopped.await.unwrap() });
        let server = tokio::spawn(server.into_future());

        let mut members = JoinSet::new();
        let mut all_in = Vec::new();
        for nth in 0..MEMBERS {
            let (is_in, entered) = oneshot::channel();
            all_in.push(entered);
            match nth % 3 {
                0 => members.spawn(by_web_socket(address, is_in)),
                1 => members.spawn(by_events(address, is_in)),
                _ => members.spawn(by_polls(address, is_in)),
            };
        }
        for entered in all_in {
            entered.await.unwrap();
        }
        let said = Arc::new(AtomicU32::new(0));
        let speaker = tokio::spawn(speaks(handle, said.clone()));
        while said.load(Ordering::SeqCst) < 20 {
            tokio::task::yield_now().await;
        }
        let before = said.load(Ordering::SeqCst);
        stop.send(()).unwrap();
        for heard in members.join_all().await {
            let got = numbers(&heard);
            let to = got.last().copied().unwrap_or_default();
            assert_eq!(got, (1..=to).collect::<Vec<_>>());
            assert!(to >= before, "{to} of {before}: {}", heard.escape_ascii());
        }
        server.await.unwrap().unwrap();
        speaker.abort();
    }
}
