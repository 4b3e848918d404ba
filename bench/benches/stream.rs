//! Items of a stream, 64 for one request (`stream-down`) and 64 for one answer (`stream-up`): one
//! connection, one stream after the other.
//!
//! The limit, `raw-tcp`, moves as many bytes as the raw layer does, frames included.

mod support {
    pub(crate) mod awake;
    pub(crate) mod exchange;
    pub(crate) mod server;
    pub(crate) mod settings;
}

use std::time::Duration;

use bench::{
    exchange::{Exchange, ITEMS},
    load::{Dialect, HubProtocol, Work},
    peers::{Hub, RawTcpAsked, RawWs},
};
use criterion::{Criterion, SamplingMode, Throughput};
use support::exchange::bench;

fn main() {
    let mut criterion = support::settings::criterion(30, Duration::from_millis(1500));
    stream(&mut criterion, "stream-down", Work::Stream);
    stream(&mut criterion, "stream-up", Work::Upload);
    criterion.final_summary();
}

fn stream(criterion: &mut Criterion, name: &str, work: Work) {
    let mut group = criterion.benchmark_group(name);
    group.sampling_mode(SamplingMode::Flat);
    group.throughput(Throughput::Elements(ITEMS as u64));
    for size in [20, 1024] {
        let stream = |dialect| Exchange::stream(work, dialect, size);
        let raw = stream(Dialect::Messages);
        let limit = raw.asked();
        bench(&mut group, "raw-tcp", size, &RawTcpAsked, &limit);
        bench(&mut group, "raw-ws", size, &RawWs, &raw);
        // The binary protocol has no streams of the client.
        if work == Work::Stream {
            let wire = stream(Dialect::Wire);
            bench(&mut group, "raw-ws-wire", size, &RawWs, &wire);
        }
        for (name, protocol) in [
            ("hub-messagepack", HubProtocol::MessagePack),
            ("hub-json", HubProtocol::Json),
        ] {
            bench(
                &mut group,
                name,
                size,
                &Hub,
                &stream(Dialect::Hub(protocol)),
            );
        }
    }
}
