//! Messages there and back over loopback TCP: one connection with 16 messages in flight.
//!
//! The server has a thread of its own with a single-threaded runtime. The client sends a message for
//! each that has returned; it knows how long replies are and only counts bytes, so that it is not what
//! is measured. Neither thread ever sleeps: on a virtual machine, waking a core takes longer than all
//! the rest.

mod support {
    pub(crate) mod awake;
    pub(crate) mod exchange;
    pub(crate) mod server;
    pub(crate) mod settings;
}

use std::time::Duration;

use bench::{
    exchange::{Exchange, IN_FLIGHT},
    load::{Dialect, Work},
    peers,
};
use criterion::{Criterion, SamplingMode, Throughput};
use support::exchange::bench;

fn main() {
    let mut criterion = support::settings::criterion(30, Duration::from_millis(2000));
    echo(&mut criterion);
    criterion.final_summary();
}

fn echo(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("echo");
    group.sampling_mode(SamplingMode::Flat);
    group.throughput(Throughput::Elements(IN_FLIGHT as u64));
    for size in [20, 1024] {
        let (bytes, messages) = (
            Exchange::bytes(size),
            Exchange::echo(Dialect::Messages, size),
        );
        for peer in peers::ALL {
            let exchange = match peer.endpoint(Work::Echo, Dialect::Messages) {
                Some(peers::Endpoint::RawTcp) => &bytes,
                Some(peers::Endpoint::WebSocket(_)) => &messages,
                None => continue,
            };
            bench(&mut group, peer.name(), size, peer, exchange);
        }
    }
}
