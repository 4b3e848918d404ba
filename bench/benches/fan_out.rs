//! One message for everybody: 100 connections, and a publisher among them that sends 16 messages
//! at once. An iteration is over when all have received all of them.
//!
//! The server has a thread of its own with a single-threaded runtime; the clients are blocking
//! sockets that are read in turn. The peers are those of `examples/peer`: a bounded queue and a
//! writing task per connection.

mod support {
    pub(crate) mod frames;
    pub(crate) mod hub_server;
    pub(crate) mod raw_ws_server;
    pub(crate) mod server;
    pub(crate) mod settings;
}
#[path = "../examples/peer/tungstenite.rs"]
mod tungstenite;

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use bench::load::{HubProtocol, Target, hub_text};
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, Throughput, measurement::WallTime,
};
use support::{
    frames::{BINARY, TEXT, masked_frame, payload, server_frame},
    hub_server, raw_ws_server,
    server::{Server, accept},
};
use tokio::net::TcpListener;

fn main() {
    let mut criterion = support::settings::criterion(30, Duration::from_secs(3));
    fan_out(&mut criterion);
    criterion.final_summary();
}

fn fan_out(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fan_out");
    group.sampling_mode(SamplingMode::Flat);
    group.throughput(Throughput::Elements((AT_ONCE * CONNECTIONS) as u64));
    let message = Broadcast::message();
    bench(&mut group, "raw-ws", raw_ws_server::serve, &message);
    for (name, protocol) in [
        ("hub-messagepack", HubProtocol::MessagePack),
        ("hub-json", HubProtocol::Json),
    ] {
        let broadcast = Broadcast::of_hub(protocol);
        bench(&mut group, name, hub_server::serve, &broadcast);
    }
    let default = |listener| tungstenite::serve(listener, tungstenite::Style::Default);
    bench(&mut group, "tungstenite", default, &message);
    let tuned = |listener| tungstenite::serve(listener, tungstenite::Style::Tuned);
    bench(&mut group, "tungstenite-tuned", tuned, &message);
}

fn bench<Serve>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    serve: impl Fn(TcpListener) -> Serve + Copy + Send + 'static,
    broadcast: &Broadcast,
) where
    Serve: Future<Output = io::Result<()>>,
{
    // Started by the first call, so not at all when the command line leaves this one out. The
    // clients go first at the end.
    let mut running = None;
    group.bench_function(BenchmarkId::new(name, SIZE), |b| {
        let (audience, _) = running.get_or_insert_with(|| {
            let server = Server::start(serve).expect("a server on loopback");
            let audience = Audience::connect(server.address(), broadcast);
            (audience.expect("a fan-out over loopback"), server)
        });
        b.iter(|| audience.publish(AT_ONCE).expect("deliveries"));
    });
}

/// What is published, and what everybody gets.
struct Broadcast {
    path: &'static str,
    /// What each connection says first, each answered by one message.
    opening: Vec<Vec<u8>>,
    message: Vec<u8>,
    delivery: Vec<u8>,
}

impl Broadcast {
    fn message() -> Self {
        Self {
            path: "/fanout",
            opening: Vec::new(),
            message: masked_frame(BINARY, &payload(SIZE)),
            delivery: server_frame(BINARY, &payload(SIZE)),
        }
    }

    fn of_hub(protocol: HubProtocol) -> Self {
        let (opcode, text) = (protocol.opcode(), hub_text(SIZE));
        let call = |id, target: &str, arguments: &[&str]| {
            masked_frame(opcode, &protocol.call(id, target, arguments))
        };
        Self {
            path: "/bench",
            opening: vec![
                masked_frame(TEXT, &protocol.handshake()),
                call(Some("1"), "Join", &["everybody"]),
            ],
            message: call(None, "Broadcast", &["everybody", &text]),
            delivery: server_frame(opcode, &protocol.call(None, "Received", &[&text])),
        }
    }
}

/// Everybody who is connected. The first one publishes.
struct Audience {
    streams: Vec<TcpStream>,
    messages: Vec<u8>,
    deliveries: Vec<u8>,
    buffer: Vec<u8>,
}

impl Audience {
    fn connect(address: SocketAddr, broadcast: &Broadcast) -> io::Result<Self> {
        let mut audience = Self {
            streams: Vec::new(),
            messages: broadcast.message.repeat(AT_ONCE),
            deliveries: broadcast.delivery.repeat(AT_ONCE),
            buffer: vec![0; AT_ONCE * broadcast.delivery.len()],
        };
        for _ in 0..CONNECTIONS {
            let (stream, early) =
                Target::web_socket(address, broadcast.path).converse(&broadcast.opening)?;
            stream.set_nonblocking(false)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            assert!(early.is_empty(), "the server speaks first: {early:?}");
            audience.streams.push(stream);
            // Who publishes is subscribed, so once this has been delivered everybody is.
            audience.streams.rotate_right(1);
            audience.publish(1)?;
        }
        audience.publish(AT_ONCE)?;
        assert!(
            audience.buffer == audience.deliveries,
            "the messages came back changed"
        );
        Ok(audience)
    }

    /// Publishes `count` messages, and reads them on every connection.
    fn publish(&mut self, count: usize) -> io::Result<()> {
        let messages = self.messages.len() / AT_ONCE * count;
        self.streams[0].write_all(&self.messages[..messages])?;
        let deliveries = self.buffer.len() / AT_ONCE * count;
        for stream in &mut self.streams {
            stream.read_exact(&mut self.buffer[..deliveries])?;
        }
        Ok(())
    }
}

/// The bytes of a message.
const SIZE: usize = 125;
const CONNECTIONS: usize = 100;
/// Messages published at once, and the publications of one iteration.
const AT_ONCE: usize = 16;
const PATIENCE: Duration = Duration::from_secs(10);
