//! Messages there and back: one client that keeps requests on their way.

use std::{
    io::{self, Read, Write},
    time::Instant,
};

use bench::{exchange::Exchange, peers::Peer};
use criterion::{BenchmarkGroup, BenchmarkId, measurement::WallTime};

use super::{awake::Awake, server::Server};

/// Measures how long a server takes for one iteration of an exchange, one after the other.
pub(crate) fn bench(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    parameter: usize,
    peer: &'static dyn Peer,
    exchange: &Exchange,
) {
    // Started by the first call, so not at all when the command line leaves this one out. The
    // client goes first at the end.
    let mut running = None;
    group.bench_function(BenchmarkId::new(name, parameter), |b| {
        let (client, _) = running.get_or_insert_with(|| {
            let server = Server::start(peer).expect("a server on loopback");
            let client = Client::connect(&server, exchange);
            (client.expect("an exchange over loopback"), server)
        });
        b.iter_custom(|iterations| {
            let start = Instant::now();
            client
                .exchange(iterations as usize * exchange.in_flight)
                .expect("replies");
            start.elapsed()
        });
    });
}

struct Client {
    stream: Awake,
    /// Twice, so that one write takes those that go round the end.
    requests: Vec<u8>,
    request: usize,
    reply: usize,
    in_flight: usize,
    buffer: Vec<u8>,
}

impl Client {
    /// Connects, and looks at the first replies to the byte: later ones are only counted.
    fn connect(server: &Server, exchange: &Exchange) -> io::Result<Self> {
        let target = exchange.endpoint.at(server.address());
        let (stream, early) = target.converse(&exchange.opening)?;
        assert!(early.is_empty(), "the server speaks first: {early:?}");

        let mut stream = Awake(stream);
        stream.write_all(&exchange.requests)?;
        let mut replies = vec![0; exchange.replies.len()];
        stream.read_exact(&mut replies)?;
        assert!(
            replies == exchange.replies,
            "not the replies expected: {:?}",
            String::from_utf8_lossy(&replies[..replies.len().min(200)])
        );
        Ok(Self {
            stream,
            requests: exchange.requests.repeat(2),
            request: exchange.requests.len() / exchange.in_flight,
            reply: exchange.replies.len() / exchange.in_flight,
            in_flight: exchange.in_flight,
            buffer: vec![0; 64 * 1024],
        })
    }

    /// Sends `count` requests, never more than `in_flight` ahead of the replies, and waits for the
    /// last of these.
    fn exchange(&mut self, count: usize) -> io::Result<()> {
        let (mut sent, mut answered, mut bytes) = (0, 0, 0);
        loop {
            let now = count.min(answered + self.in_flight) - sent;
            if now > 0 {
                let first = sent % self.in_flight;
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
