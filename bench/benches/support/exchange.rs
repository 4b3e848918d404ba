//! Messages there and back: one blocking client with [`IN_FLIGHT`] of them on their way.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use bench::load::{HubProtocol, Target, hub_text};
use criterion::{BenchmarkGroup, BenchmarkId, measurement::WallTime};
use raw_ws::wire::Packet;
use tokio::net::TcpListener;

use super::{
    frames::{BINARY, TEXT, masked_frame, payload, server_frame},
    raw_ws_server,
    server::Server,
};

pub(crate) fn bench<Serve>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    size: usize,
    serve: impl Fn(TcpListener) -> Serve + Copy + Send + 'static,
    exchange: &Exchange,
) where
    Serve: Future<Output = io::Result<()>>,
{
    // Started by the first call, so not at all when the command line leaves this one out. The
    // client goes first at the end.
    let mut running = None;
    group.bench_function(BenchmarkId::new(name, size), |b| {
        let (client, _) = running.get_or_insert_with(|| {
            let server = Server::start(serve).expect("a server on loopback");
            let client = Client::connect(server.address(), exchange);
            (client.expect("an echo over loopback"), server)
        });
        b.iter_custom(|batches| {
            let start = Instant::now();
            client
                .exchange(batches as usize * IN_FLIGHT)
                .expect("echoes");
            start.elapsed()
        });
    });
}

/// What goes there and what comes back, [`IN_FLIGHT`] of each.
pub(crate) struct Exchange {
    /// `None` for bytes without HTTP and frames.
    path: Option<&'static str>,
    /// What is said first, each answered by one message.
    opening: Vec<Vec<u8>>,
    requests: Vec<u8>,
    replies: Vec<u8>,
}

impl Exchange {
    /// Binary messages.
    pub(crate) fn message(size: usize) -> Self {
        Self {
            path: Some("/echo"),
            opening: Vec::new(),
            requests: masked_frame(BINARY, &payload(size)).repeat(IN_FLIGHT),
            replies: server_frame(BINARY, &payload(size)).repeat(IN_FLIGHT),
        }
    }

    /// The bytes of those messages, frames included, returned unread.
    pub(crate) fn bytes(size: usize) -> Self {
        let requests = Self::message(size).requests;
        Self {
            path: None,
            opening: Vec::new(),
            replies: requests.clone(),
            requests,
        }
    }

    /// Calls of the binary protocol with that much payload.
    pub(crate) fn call(size: usize) -> Self {
        let ids = 0..IN_FLIGHT as u32;
        let request = |id| Packet::Request {
            operation: raw_ws_server::ECHO,
            id,
            payload: payload(size).into(),
        };
        let response = |id| Packet::Response {
            id,
            more: false,
            payload: payload(size).into(),
        };
        Self {
            path: Some("/wire"),
            opening: Vec::new(),
            requests: ids
                .clone()
                .flat_map(|id| masked_frame(BINARY, &request(id).encode()))
                .collect(),
            replies: ids
                .flat_map(|id| server_frame(BINARY, &response(id).encode()))
                .collect(),
        }
    }

    /// Calls of a hub with a text of that size.
    pub(crate) fn hub_call(protocol: HubProtocol, size: usize) -> Self {
        let text = hub_text(size);
        let call = protocol.call(Some("1"), "Echo", &[&text]);
        let completion = protocol.completion("1", &text);
        Self {
            path: Some("/bench"),
            opening: vec![masked_frame(TEXT, &protocol.handshake())],
            requests: masked_frame(protocol.opcode(), &call).repeat(IN_FLIGHT),
            replies: server_frame(protocol.opcode(), &completion).repeat(IN_FLIGHT),
        }
    }
}

struct Client {
    stream: TcpStream,
    /// Twice, so that one write takes those that go round the end.
    requests: Vec<u8>,
    request: usize,
    reply: usize,
    buffer: Vec<u8>,
}

impl Client {
    /// Connects, and looks at the first replies to the byte: later ones are only counted.
    fn connect(address: SocketAddr, exchange: &Exchange) -> io::Result<Self> {
        let target = match exchange.path {
            Some(path) => Target::web_socket(address, path),
            None => Target::raw_tcp(address),
        };
        let (mut stream, early) = target.converse(&exchange.opening)?;
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        assert!(early.is_empty(), "the server speaks first: {early:?}");

        stream.write_all(&exchange.requests)?;
        let mut replies = vec![0; exchange.replies.len()];
        stream.read_exact(&mut replies)?;
        assert!(replies == exchange.replies, "the replies are not an echo");
        Ok(Self {
            stream,
            requests: exchange.requests.repeat(2),
            request: exchange.requests.len() / IN_FLIGHT,
            reply: exchange.replies.len() / IN_FLIGHT,
            buffer: vec![0; 64 * 1024],
        })
    }

    /// Sends `count` messages, never more than [`IN_FLIGHT`] ahead of the replies, and waits for
    /// the last of these.
    fn exchange(&mut self, count: usize) -> io::Result<()> {
        let (mut sent, mut answered, mut bytes) = (0, 0, 0);
        loop {
            let now = count.min(answered + IN_FLIGHT) - sent;
            if now > 0 {
                let first = sent % IN_FLIGHT;
                let requests = first * self.request..(first + now) * self.request;
                self.stream.write_all(&self.requests[requests])?;
                sent += now;
            }
            bytes += match self.stream.read(&mut self.buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => read,
            };
            answered = bytes / self.reply;
            if answered >= count {
                assert_eq!(
                    bytes,
                    count * self.reply,
                    "more came back than was asked for"
                );
                return Ok(());
            }
        }
    }
}

/// Messages on their way at any time, and the messages of one iteration.
pub(crate) const IN_FLIGHT: usize = 16;

const PATIENCE: Duration = Duration::from_secs(10);
