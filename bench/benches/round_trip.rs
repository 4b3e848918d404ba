//! What a call costs over bytes there and back: one connection with 16 messages in flight.
//!
//! The raw echo, a call of the binary protocol, and calls of a hub in both of its protocols, side by
//! side. Sizes are those of the payload, or of the text in a hub call.

#[allow(dead_code, reason = "each benchmark uses a part of it")]
mod support {
    pub(crate) mod exchange;
    pub(crate) mod frames;
    pub(crate) mod hub_server;
    pub(crate) mod raw_ws_server;
    pub(crate) mod server;
    pub(crate) mod settings;
}

use std::time::Duration;

use bench::load::HubProtocol;
use criterion::{Criterion, SamplingMode, Throughput};
use support::{
    exchange::{Exchange, IN_FLIGHT, bench},
    hub_server, raw_ws_server,
};

fn main() {
    let mut criterion = support::settings::criterion(30, Duration::from_millis(2500));
    round_trip(&mut criterion);
    criterion.final_summary();
}

fn round_trip(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("round_trip");
    group.sampling_mode(SamplingMode::Flat);
    group.throughput(Throughput::Elements(IN_FLIGHT as u64));
    for size in [20, 1024] {
        let message = Exchange::message(size);
        bench(&mut group, "raw-ws", size, raw_ws_server::serve, &message);
        let call = Exchange::call(size);
        bench(&mut group, "raw-ws-wire", size, raw_ws_server::serve, &call);
        for (name, protocol) in [
            ("hub-messagepack", HubProtocol::MessagePack),
            ("hub-json", HubProtocol::Json),
        ] {
            let call = Exchange::hub_call(protocol, size);
            bench(&mut group, name, size, hub_server::serve, &call);
        }
    }
}
