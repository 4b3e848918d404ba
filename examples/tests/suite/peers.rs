//! Connections byte by byte, from an address of one's own.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

/// Ends a test that hangs. Nothing passes because of it.
const GUARD: Duration = Duration::from_secs(30);

/// An address that nobody has, for a server that is started more than once. Below the ports that
/// the system gives to whoever connects: one of those may be taken while the server is away.
pub(crate) fn free_address() -> SocketAddr {
    static TRIED: AtomicU16 = AtomicU16::new(0);
    loop {
        let tried = u32::from(TRIED.fetch_add(1, Ordering::Relaxed));
        let port = 10_000 + (std::process::id() + tried) % 20_000;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port as u16));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

pub(crate) struct Peer {
    stream: TcpStream,
}

/// An answer, with its head.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
}

/// A head, and as much of a body as it says.
fn is_whole(text: &str) -> bool {
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let head = head.to_ascii_lowercase();
    let length = head.split_once("content-length: ");
    let length = length.and_then(|(_, rest)| rest.lines().next()?.parse().ok());
    body.len() >= length.unwrap_or(0)
}

impl Peer {
    pub(crate) async fn connect(from: Ipv4Addr, to: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        // Many addresses of this machine, and each with all its ports.
        if from != Ipv4Addr::LOCALHOST {
            socket.bind((from, 0).into()).unwrap();
        }
        let connecting = timeout(GUARD, socket.connect(to)).await;
        let stream = connecting.expect("a connection").unwrap();
        Self { stream }
    }

    /// Asks for a WebSocket; `more` are whole lines of header fields.
    pub(crate) async fn upgrade(
        from: Ipv4Addr,
        to: SocketAddr,
        path: &str,
        more: &str,
    ) -> (Self, Answer) {
        let mut peer = Self::connect(from, to).await;
        peer.send(
            format!(
                "GET {path} HTTP/1.1\r\nHost: {to}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
            )
            .as_bytes(),
        )
        .await;
        let answer = peer.answer().await;
        (peer, answer)
    }

    /// The whole answer to a GET; empty if nobody gives one.
    pub(crate) async fn ask(to: SocketAddr, path: &str) -> String {
        Self::try_ask(to, path).await.unwrap_or_default()
    }

    /// Its status.
    pub(crate) async fn get(to: SocketAddr, path: &str) -> Option<u16> {
        Self::try_ask(to, path).await?.get(9..12)?.parse().ok()
    }

    async fn try_ask(to: SocketAddr, path: &str) -> Option<String> {
        let mut peer = Self {
            stream: TcpStream::connect(to).await.ok()?,
        };
        let request = format!("GET {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n\r\n");
        peer.stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        let read = timeout(GUARD, peer.stream.read_to_end(&mut answer)).await;
        read.expect("an answer").ok()?;
        String::from_utf8(answer).ok()
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let sent = timeout(GUARD, self.stream.write_all(bytes)).await;
        sent.expect("room to write").unwrap();
    }

    pub(crate) async fn answer(&mut self) -> Answer {
        let mut text = String::new();
        while !is_whole(&text) {
            let mut more = [0; 1024];
            let read = timeout(GUARD, self.stream.read(&mut more)).await;
            let read = read.expect("an answer").unwrap();
            assert_ne!(read, 0, "the end, and no answer");
            text.push_str(std::str::from_utf8(&more[..read]).unwrap());
        }
        Answer {
            status: text[9..12].parse().unwrap(),
            text,
        }
    }

    /// Sends a short text over a WebSocket and expects it back.
    pub(crate) async fn echoes(&mut self) {
        // Masked with zeros.
        self.send(b"\x81\x82\0\0\0\0hi").await;
        let mut echo = [0; 4];
        let read = timeout(GUARD, self.stream.read_exact(&mut echo)).await;
        read.expect("an echo").unwrap();
        assert_eq!(&echo, b"\x81\x02hi");
    }

    /// Reads to the end.
    pub(crate) async fn ends(&mut self) {
        let mut rest = Vec::new();
        let _ = timeout(GUARD, self.stream.read_to_end(&mut rest))
            .await
            .expect("the end");
    }
}
