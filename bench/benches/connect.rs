//! From nothing to the first message: a TCP connection, the upgrade of HTTP, and what a protocol says
//! before it may begin.
//!
//! `raw-tcp` is the limit: a connection on which as many bytes as the request of an upgrade go there
//! and back. `raw-ws-wire` is done when a first request has been answered, `hub` after the hub
//! handshake, `hub-negotiated` negotiates before, on a connection of its own as the official clients
//! may. Each connection is cut by a reset, so that no port is left waiting.

mod support {
    pub(crate) mod awake;
    pub(crate) mod server;
    pub(crate) mod settings;
}

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use bench::{
    exchange::{Exchange, SOCKET_IO, TEXT, UPGRADE},
    load::{Dialect, HubProtocol, Opening, Target, Work, masked_frame},
    peers::{self, Endpoint, Hub, Peer, RawTcp, RawWs, Socketioxide},
};
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, measurement::WallTime};
use support::{awake::Awake, server::Server};

fn main() {
    let mut criterion = support::settings::criterion(20, Duration::from_millis(1000));
    connect(&mut criterion);
    criterion.final_summary();
}

fn connect(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("connect");
    group.sampling_mode(SamplingMode::Flat);
    bench(&mut group, "raw-tcp", &RawTcp, bytes);
    for peer in peers::ALL {
        if let Some(Endpoint::WebSocket(path)) = peer.endpoint(Work::Echo, Dialect::Messages) {
            let upgrade = |address| to(address, path, &Opening::default());
            bench(&mut group, peer.name(), peer, upgrade);
        }
    }
    let wire = Exchange::echo(Dialect::Wire, 20).first_request();
    let upgrade = |address| to(address, "/wire", &wire);
    bench(&mut group, "raw-ws-wire", &RawWs, upgrade);
    let opening = Exchange::echo(Dialect::Hub(HubProtocol::Json), 20).opening;
    let upgrade = |address| to(address, "/bench", &opening);
    bench(&mut group, "hub", &Hub, upgrade);
    let negotiated = |address| {
        let token = negotiate(address)?;
        to(address, &format!("/bench?id={token}"), &opening)
    };
    bench(&mut group, "hub-negotiated", &Hub, negotiated);
    let opening = vec![Vec::new(), masked_frame(TEXT, b"40")];
    let opening = Opening::from(opening).amid_pings();
    let upgrade = |address| to(address, SOCKET_IO, &opening);
    bench(&mut group, "socketioxide", &Socketioxide, upgrade);
}

fn bench(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    peer: &'static dyn Peer,
    connect: impl Fn(SocketAddr) -> io::Result<()>,
) {
    let mut running = None;
    group.bench_function(BenchmarkId::new(name, "once"), |b| {
        let server =
            running.get_or_insert_with(|| Server::start(peer).expect("a server on loopback"));
        b.iter(|| connect(server.address()).expect("a connection"));
    });
}

/// Connects, upgrades, says what there is to say, and cuts the connection.
fn to(address: SocketAddr, path: &str, opening: &Opening) -> io::Result<()> {
    let mut stream = open(address)?;
    Target::web_socket(address, path).converse_over(&mut stream, opening)?;
    Ok(())
}

/// As many bytes as the head of an upgrade, there and back.
fn bytes(address: SocketAddr) -> io::Result<()> {
    let mut stream = open(address)?;
    let mut bytes = [0; UPGRADE];
    stream.write_all(&bytes)?;
    stream.read_exact(&mut bytes)
}

/// Negotiates, and returns the connection token.
fn negotiate(address: SocketAddr) -> io::Result<String> {
    let mut stream = open(address)?;
    let request = format!(
        "POST /bench/negotiate?negotiateVersion=1 HTTP/1.1\r\nHost: {address}\r\n\
         Content-Length: 0\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let (mut answer, mut buffer) = (String::new(), [0; 1024]);
    // The answer is one flat object, the last thing that comes.
    while !answer.ends_with("]}") {
        let read = stream.read(&mut buffer)?;
        let text = str::from_utf8(&buffer[..read]).map_err(io::Error::other)?;
        answer.push_str(text);
    }
    let token = answer.split_once("\"connectionToken\":\"");
    let token = token.and_then(|(_, rest)| rest.split_once('"'));
    let (token, _) = token.ok_or_else(|| io::Error::other(format!("no token: {answer}")))?;
    Ok(token.to_owned())
}

fn open(address: SocketAddr) -> io::Result<Awake> {
    let stream = TcpStream::connect(address)?;
    let socket = socket2::SockRef::from(&stream);
    socket.set_linger(Some(Duration::ZERO))?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    Ok(Awake(stream))
}
