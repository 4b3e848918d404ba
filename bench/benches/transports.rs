//! The same calls of a hub over each transport: one client, one or 16 calls of 20 letters at once.
//!
//! Over server-sent events and long polling a call is a POST of HTTP, and 16 at once are one, as the
//! official clients do it. Bare TCP is the limit. The client is that of `load`.

mod support {
    pub(crate) mod server;
    pub(crate) mod settings;
}

use std::time::Duration;

use bench::{
    load::{Dialect, HubProtocol, Rounds, Traffic, Transport, Work},
    peers::{Hub, Peer, RawTcp, RawWs},
};
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, Throughput, measurement::WallTime,
};
use support::server::Server;

fn main() {
    let mut criterion = support::settings::criterion(20, Duration::from_millis(1000));
    transports(&mut criterion);
    criterion.final_summary();
}

fn transports(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("transports");
    group.sampling_mode(SamplingMode::Flat);
    let (messagepack, json) = (
        Dialect::Hub(HubProtocol::MessagePack),
        Dialect::Hub(HubProtocol::Json),
    );
    use Transport::{LongPolling, ServerSentEvents, WebSockets};
    let lanes: [(&str, &'static dyn Peer, Dialect, Transport); 7] = [
        ("raw-tcp", &RawTcp, Dialect::Messages, WebSockets),
        ("raw-ws", &RawWs, Dialect::Messages, WebSockets),
        ("hub-messagepack", &Hub, messagepack, WebSockets),
        ("hub-json", &Hub, json, WebSockets),
        ("hub-json-sse", &Hub, json, ServerSentEvents),
        ("hub-messagepack-polling", &Hub, messagepack, LongPolling),
        ("hub-json-polling", &Hub, json, LongPolling),
    ];
    for depth in [1, 16] {
        group.throughput(Throughput::Elements(depth));
        for (name, peer, dialect, transport) in lanes {
            let traffic = Traffic {
                connections: 1,
                depth,
                size: 20,
                dialect,
            };
            bench(&mut group, name, peer, transport, traffic);
        }
    }
}

fn bench(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    peer: &'static dyn Peer,
    transport: Transport,
    traffic: Traffic,
) {
    // The client goes first at the end.
    let mut running = None;
    group.bench_function(BenchmarkId::new(name, traffic.depth), |b| {
        let (rounds, _) = running.get_or_insert_with(|| {
            let server = Server::start(peer).expect("a server on loopback");
            let endpoint = peer.endpoint(Work::Echo, traffic.dialect);
            let target = endpoint.expect("an echo").at(server.address());
            let rounds = Rounds::open(&target.over(transport), traffic);
            (rounds.expect("calls over loopback"), server)
        });
        b.iter(|| rounds.run().expect("answers"));
    });
}
