//! One message for everybody: 100 connections, and a publisher among them that sends 16 messages
//! at once. An iteration is over when all have received all of them.
//!
//! The server has a thread of its own with a single-threaded runtime; the clients are read in turn.
//! Neither thread ever sleeps. The limit is one `write` per connection for all that one `read`
//! brought; tungstenite gets a bounded queue and a writing task per connection.

mod support {
    pub(crate) mod awake;
    pub(crate) mod server;
    pub(crate) mod settings;
}

use std::{
    io::{self, Read, Write},
    net::SocketAddr,
    time::Duration,
};

use bench::{
    exchange::{BINARY, SOCKET_IO, TEXT, payload, server_frame, socketioxide_opening},
    load::{HubProtocol, Opening, Target, hub_text, masked_frame},
    peers::{EpollFanOut, Hub, Peer, RawWs, Socketioxide, TunedTungstenite, Tungstenite},
};
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, Throughput, measurement::WallTime,
};
use support::{awake::Awake, server::Server};

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
    bench(&mut group, "epoll-fan-out", &EpollFanOut, &message);
    bench(&mut group, "raw-ws", &RawWs, &message);
    for (name, protocol) in [
        ("hub-messagepack", HubProtocol::MessagePack),
        ("hub-json", HubProtocol::Json),
    ] {
        let broadcast = Broadcast::of_hub(protocol);
        bench(&mut group, name, &Hub, &broadcast);
    }
    let tuned = &TunedTungstenite;
    bench(&mut group, tuned.name(), tuned, &message);
    bench(&mut group, "tungstenite", &Tungstenite, &message);
    let event = Broadcast::of_socket_io();
    bench(&mut group, "socketioxide", &Socketioxide, &event);
}

fn bench(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    peer: &'static dyn Peer,
    broadcast: &Broadcast,
) {
    // Started by the first call, so not at all when the command line leaves this one out. The
    // clients go first at the end.
    let mut running = None;
    group.bench_function(BenchmarkId::new(name, SIZE), |b| {
        let (audience, _) = running.get_or_insert_with(|| {
            let server = Server::start(peer).expect("a server on loopback");
            let audience = Audience::connect(server.address(), broadcast);
            (audience.expect("a fan-out over loopback"), server)
        });
        b.iter(|| audience.publish(AT_ONCE).expect("deliveries"));
    });
}

/// What is published, and what everybody gets.
struct Broadcast {
    path: &'static str,
    /// What each connection says first.
    opening: Opening,
    message: Vec<u8>,
    delivery: Vec<u8>,
}

impl Broadcast {
    fn message() -> Self {
        Self {
            path: "/fanout",
            opening: Opening::default(),
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
            ]
            .into(),
            message: call(None, "Broadcast", &["everybody", &text]),
            delivery: server_frame(opcode, &protocol.call(None, "Received", &[&text])),
        }
    }

    fn of_socket_io() -> Self {
        let text = hub_text(SIZE);
        let packet = |packet: &str| masked_frame(TEXT, packet.as_bytes());
        Self {
            path: SOCKET_IO,
            opening: socketioxide_opening(),
            message: packet(&format!(r#"42["Broadcast","everybody","{text}"]"#)),
            delivery: server_frame(TEXT, format!(r#"42["Received","{text}"]"#).as_bytes()),
        }
    }
}

/// Everybody who is connected. The first one publishes.
struct Audience {
    streams: Vec<Awake>,
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
            assert!(early.is_empty(), "the server speaks first: {early:?}");
            audience.streams.push(Awake(stream));
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
