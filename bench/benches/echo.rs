//! Messages there and back over loopback TCP: one connection with 16 messages in flight.
//!
//! The server has a thread of its own with a single-threaded runtime. The client is a blocking
//! socket that sends a message for each that has returned; it knows how long replies are and only
//! counts bytes, so that it is not what is measured. The peers are those of `examples/peer`.

#[path = "../examples/peer/axum_echo.rs"]
mod axum_echo;
#[path = "../examples/peer/fastwebsockets_echo.rs"]
mod fastwebsockets_echo;
#[path = "../examples/peer/raw_tcp.rs"]
mod raw_tcp;
mod support {
    pub(crate) mod frames;
    pub(crate) mod raw_ws_server;
    pub(crate) mod server;
    pub(crate) mod settings;
}
#[path = "../examples/peer/tungstenite.rs"]
mod tungstenite;

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use bench::load::Target;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, Throughput, measurement::WallTime,
};
use raw_ws::wire::Packet;
use support::{
    frames::{BINARY, masked_frame, payload, server_frame},
    raw_ws_server,
    server::{Server, accept},
};
use tokio::net::TcpListener;

fn main() {
    let mut criterion = support::settings::criterion(30, Duration::from_millis(2500));
    echo(&mut criterion);
    criterion.final_summary();
}

fn echo(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("echo");
    group.sampling_mode(SamplingMode::Flat);
    group.throughput(Throughput::Elements(IN_FLIGHT as u64));
    for size in [20, 1024] {
        let message = Exchange::message(size);
        let bytes = Exchange::bytes(size);
        let call = Exchange::call(size);
        bench(&mut group, "raw-tcp", size, raw_tcp::serve, &bytes);
        bench(&mut group, "raw-ws", size, raw_ws_server::serve, &message);
        bench(&mut group, "raw-ws-wire", size, raw_ws_server::serve, &call);
        let default = |listener| tungstenite::serve(listener, tungstenite::Style::Default);
        bench(&mut group, "tungstenite", size, default, &message);
        let tuned = |listener| tungstenite::serve(listener, tungstenite::Style::Tuned);
        bench(&mut group, "tungstenite-tuned", size, tuned, &message);
        bench(
            &mut group,
            "fastwebsockets",
            size,
            fastwebsockets_echo::serve,
            &message,
        );
        bench(&mut group, "axum", size, axum_echo::serve, &message);
    }
}

fn bench<Serve>(
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
struct Exchange {
    /// `None` for bytes without HTTP and frames.
    path: Option<&'static str>,
    requests: Vec<u8>,
    replies: Vec<u8>,
}

impl Exchange {
    /// Binary messages.
    fn message(size: usize) -> Self {
        Self {
            path: Some("/echo"),
            requests: masked_frame(BINARY, &payload(size)).repeat(IN_FLIGHT),
            replies: server_frame(BINARY, &payload(size)).repeat(IN_FLIGHT),
        }
    }

    /// The bytes of those messages, frames included, returned unread.
    fn bytes(size: usize) -> Self {
        let requests = Self::message(size).requests;
        Self {
            path: None,
            replies: requests.clone(),
            requests,
        }
    }

    /// Calls of the binary protocol with that much payload.
    fn call(size: usize) -> Self {
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
            requests: ids
                .clone()
                .flat_map(|id| masked_frame(BINARY, &request(id).encode()))
                .collect(),
            replies: ids
                .flat_map(|id| server_frame(BINARY, &response(id).encode()))
                .collect(),
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
        let (mut stream, early) = target.connect()?;
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
const IN_FLIGHT: usize = 16;

const PATIENCE: Duration = Duration::from_secs(10);
