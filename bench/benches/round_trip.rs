//! What a call costs over bytes there and back: one connection with 16 messages in flight.
//!
//! Bytes over bare TCP, the raw echo, a call of the binary protocol, and calls of a hub in both of
//! its protocols, side by side; beside the hub a Socket.IO server. Sizes are those of the payload,
//! or of the text in a call.

mod support {
    pub(crate) mod awake;
    pub(crate) mod exchange;
    pub(crate) mod server;
    pub(crate) mod settings;
}

use std::time::Duration;

use bench::{
    exchange::{Exchange, IN_FLIGHT},
    load::{Dialect, HubProtocol},
    peers::{Hub, RawTcp, RawWs, Socketioxide},
};
use criterion::{Criterion, SamplingMode, Throughput};
use support::exchange::bench;

fn main() {
    let mut criterion = support::settings::criterion(30, Duration::from_millis(2500));
    round_trip(&mut criterion);
    criterion.final_summary();
}

fn round_trip(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("round_trip");
    group.sampling_mode(SamplingMode::Flat);
    group.throughput(Throughput::Elements(IN_FLIGHT as u64));
    for size in [20, 1024, 16 * 1024] {
        let call = |dialect| Exchange::echo(dialect, size);
        let (messagepack, json) = (HubProtocol::MessagePack, HubProtocol::Json);
        bench(&mut group, "raw-tcp", size, &RawTcp, &Exchange::bytes(size));
        bench(&mut group, "raw-ws", size, &RawWs, &call(Dialect::Messages));
        bench(
            &mut group,
            "raw-ws-wire",
            size,
            &RawWs,
            &call(Dialect::Wire),
        );
        let calls = call(Dialect::Hub(messagepack));
        bench(&mut group, "hub-messagepack", size, &Hub, &calls);
        bench(
            &mut group,
            "hub-json",
            size,
            &Hub,
            &call(Dialect::Hub(json)),
        );
        let events = call(Dialect::SocketIo);
        bench(&mut group, "socketioxide", size, &Socketioxide, &events);
    }
}
