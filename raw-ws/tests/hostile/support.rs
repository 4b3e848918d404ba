//! A server in this process, peers that write exact bytes to it, and a neighbour that must not
//! notice any of it.

mod server;

use std::{
    future::Future,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
    time::{Instant, interval, timeout},
};

pub(crate) use self::server::{Counts, LARGE, LATER, Server, Setup};
use crate::panics;
pub(crate) use crate::{lateness::on_time, wire::*};

/// Ends a test that hangs. Nothing passes because of it.
const GUARD: Duration = Duration::from_secs(15);

/// The address of peers that mean no harm. Others come from elsewhere in 127.0.0.0/8, so that
/// limits per address do not touch these.
const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 99);

/// Awaits what must happen; `what` says what did not.
pub(crate) async fn soon<T>(what: &str, event: impl Future<Output = T>) -> T {
    match timeout(GUARD, event).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain for {what}"),
    }
}

/// Later than a busy machine is, and sooner than what a limit of its own puts off by default.
pub(crate) const LATE: Duration = Duration::from_secs(4);

/// Since `begun` the deadline has passed, and hardly more.
#[track_caller]
pub(crate) fn at_deadline(begun: Instant, deadline: Duration) {
    let took = begun.elapsed();
    assert!(took > deadline * 9 / 10, "{took:?}");
    assert!(took < deadline + LATE, "{took:?}");
}

// ---------------------------------------------------------------------------------------------
// The neighbour

/// Runs a row against a server of its own. All the while somebody else talks to that server and
/// must be answered; in the end every place must be free again, and nothing may have panicked.
pub(crate) async fn unharmed(mut setup: Setup, row: impl AsyncFnOnce(&Server)) {
    panics::count();
    // Longer than anybody here waits: a place that is not given back fails the test.
    setup.serve = setup.serve.shutdown_timeout(10 * GUARD);
    let neighbour_speaks_tcp = setup.tls.is_none();
    let mut server = Server::start(setup).await;
    let done = Arc::new(AtomicBool::new(false));
    // Ends with this, also where the row fails.
    let mut neighbours = JoinSet::new();
    if neighbour_speaks_tcp {
        let (address, done) = (server.address, done.clone());
        neighbours.spawn(async move { neighbour(address, &done).await });
    }
    row(&server).await;

    done.store(true, Ordering::Relaxed);
    while let Some(ended) = soon("the neighbour", neighbours.join_next()).await {
        ended.unwrap();
    }
    assert_eq!(panics::counted(), 0, "something panicked");
    // Comes to its end at once if every socket and every place has been given back.
    server.stop();
    server.stopped().await;
}

/// [`unharmed`] for a row that says when something happens, or whose peer must not be late.
#[track_caller]
pub(crate) fn timely(setup: Setup, row: impl AsyncFn(&Server)) -> impl Future<Output = ()> {
    on_time(async move || unharmed(setup.clone(), &row).await)
}

/// Talks to the server until `done`, and once more after that.
async fn neighbour(address: SocketAddr, done: &AtomicBool) {
    let mut peer = Peer::upgraded_from(NEIGHBOUR, address, "/neighbour").await;
    let mut pause = interval(Duration::from_millis(10));
    for round in 0_u32.. {
        let is_last = done.load(Ordering::Relaxed);
        let text = format!("neighbour {round}");
        peer.send(&text_frame(&text)).await;
        assert_eq!(peer.frame().await, (Op::TEXT, text.into_bytes()));
        if is_last {
            break;
        }
        pause.tick().await;
    }
    peer.send(&close_frame(1000, "")).await;
    peer.closes_with(1000).await;
}

// ---------------------------------------------------------------------------------------------
// The peer

/// One end of a connection to the server, byte by byte.
pub(crate) struct Peer<S = TcpStream> {
    pub(crate) stream: S,
    received: Vec<u8>,
}

/// How the server ended a connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    Fin,
    Reset,
}

/// The answer to an HTTP request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

impl Peer {
    pub(crate) async fn connect(server: &Server) -> Self {
        Self::connect_from(Ipv4Addr::LOCALHOST, server.address).await
    }

    pub(crate) async fn connect_from(from: Ipv4Addr, to: SocketAddr) -> Self {
        Self::on(TcpSocket::new_v4().unwrap(), from, to).await
    }

    /// On a socket that was made ready, for example with a small receive buffer.
    pub(crate) async fn on(socket: TcpSocket, from: Ipv4Addr, to: SocketAddr) -> Self {
        socket.bind((from, 0).into()).unwrap();
        let stream = soon("a connection", socket.connect(to)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream)
    }

    /// A connection that is a WebSocket.
    pub(crate) async fn upgraded(server: &Server, path: &str) -> Self {
        Self::upgraded_from(Ipv4Addr::LOCALHOST, server.address, path).await
    }

    pub(crate) async fn upgraded_from(from: Ipv4Addr, to: SocketAddr, path: &str) -> Self {
        let mut peer = Self::connect_from(from, to).await;
        peer.upgrade(path).await;
        peer
    }

    /// Ends the connection with a reset.
    pub(crate) fn reset(self) {
        let _ = socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self {
            stream,
            received: Vec::new(),
        }
    }

    pub(crate) async fn upgrade(&mut self, path: &str) {
        self.send(upgrade_request(path).as_bytes()).await;
        assert_eq!(self.answer().await.status, 101);
    }

    /// Writes these bytes. That the server has hung up is for the reading side to find out.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let _ = soon("room to write", self.stream.write_all(bytes)).await;
        let _ = self.stream.flush().await;
    }

    /// Writes these bytes one by one, far enough apart for the server to see each alone.
    pub(crate) async fn dribble(&mut self, bytes: &[u8]) {
        for byte in bytes.chunks(1) {
            self.send(byte).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Writes while the answers are read, however much that is.
    pub(crate) async fn flood(&mut self, bytes: &[u8]) {
        let (mut read, mut write) = tokio::io::split(&mut self.stream);
        let received = &mut self.received;
        let reading = async { while let Ok(1..) = read.read_buf(received).await {} };
        let writing = async { while write.write_all(bytes).await.is_ok() {} };
        soon("the end of the flood", async {
            tokio::select! { () = reading => {}, () = writing => {} }
        })
        .await;
    }

    /// Writes for as long as the server lets it, and reads nothing.
    pub(crate) async fn shout(&mut self, bytes: &[u8]) {
        soon("the end of the shouting", async {
            while self.stream.write_all(bytes).await.is_ok() {}
        })
        .await;
    }

    async fn fill(&mut self) -> io::Result<usize> {
        soon("bytes", self.stream.read_buf(&mut self.received)).await
    }

    async fn need(&mut self, len: usize) {
        while self.received.len() < len {
            let read = self.fill().await.expect("a reset where bytes were due");
            let so_far = self.received.escape_ascii();
            assert_ne!(read, 0, "the end where bytes were due; so far: {so_far}");
        }
    }

    /// The next answer, with its body.
    pub(crate) async fn answer(&mut self) -> Answer {
        let end = loop {
            let end = self.received.windows(4).position(|end| end == b"\r\n\r\n");
            match end {
                Some(end) => break end + 4,
                None => self.need(self.received.len() + 1).await,
            }
        };
        let head = String::from_utf8(self.received.drain(..end).collect()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer {
            status,
            head,
            body: String::new(),
        };
        let len = answer
            .header("content-length")
            .map_or(0, |len| len.parse().unwrap());
        self.need(len).await;
        answer.body = String::from_utf8(self.received.drain(..len).collect()).unwrap();
        answer
    }

    /// The next frame, which must be whole, unmasked and uncompressed.
    pub(crate) async fn frame(&mut self) -> (Op, Vec<u8>) {
        self.need(2).await;
        let (first, second) = (self.received[0], self.received[1]);
        assert_eq!(second & 0x80, 0, "a server's frame is not masked");
        let (header, len) = match second {
            126 => {
                self.need(4).await;
                (
                    4,
                    usize::from(u16::from_be_bytes([self.received[2], self.received[3]])),
                )
            }
            127 => {
                self.need(10).await;
                let len = self.received[2..10].try_into().unwrap();
                (10, u64::from_be_bytes(len) as usize)
            }
            len => (2, usize::from(len)),
        };
        self.need(header + len).await;
        let frame: Vec<u8> = self.received.drain(..header + len).collect();
        (Op(first), frame[header..].to_vec())
    }

    /// The rest of what comes: nothing but one Close with this code and then, in order, the end.
    /// Gives the reason.
    pub(crate) async fn closes_with(&mut self, code: u16) -> String {
        let (op, payload) = self.frame().await;
        assert_eq!(op, Op::CLOSE, "{}", payload.escape_ascii());
        let said = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
        assert_eq!(said, Some(code), "{}", payload.escape_ascii());
        assert_eq!(
            self.ends().await,
            (End::Fin, vec![]),
            "after the Close {code}"
        );
        String::from_utf8(payload[2..].to_vec()).unwrap()
    }

    /// Reads to the end: how it came, and what came before it.
    pub(crate) async fn ends(&mut self) -> (End, Vec<u8>) {
        let end = loop {
            match self.fill().await {
                Ok(0) => break End::Fin,
                Ok(_) => {}
                Err(_) => break End::Reset,
            }
        };
        (end, std::mem::take(&mut self.received))
    }
}
