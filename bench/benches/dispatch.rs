//! A call through the whole server, without a kernel: 16 calls are written into a pipe in memory,
//! and their answers read from it.
//!
//! Everything runs on one thread: the client's copying, tokio's scheduling, WebSocket frames, and in
//! a hub its protocol and its dispatch. The limit, `memcpy`, is a task that returns the bytes as they
//! came. What is left of a hub call above `raw-ws` is the hub's.

mod support {
    pub(crate) mod settings;
}

use std::time::Duration;

use axum::Router;
use bench::{
    exchange::{Exchange, IN_FLIGHT},
    in_memory::Lane,
    load::{Dialect, HubProtocol},
    peers::{Hub, RawWs},
};
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, measurement::WallTime};

fn main() {
    let mut criterion = support::settings::criterion(50, Duration::from_secs(1));
    dispatch(&mut criterion);
    criterion.final_summary();
}

fn dispatch(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("dispatch");
    group.throughput(Throughput::Elements(IN_FLIGHT as u64));
    for size in [20, 1024] {
        let call = |dialect| Exchange::echo(dialect, size);
        let (messagepack, json) = (HubProtocol::MessagePack, HubProtocol::Json);
        let bytes = Exchange::bytes(size);
        bench(&mut group, "memcpy", size, Router::new, &bytes);
        let messages = call(Dialect::Messages);
        bench(&mut group, "raw-ws", size, RawWs::app, &messages);
        let wire = call(Dialect::Wire);
        bench(&mut group, "raw-ws-wire", size, RawWs::app, &wire);
        let calls = call(Dialect::Hub(messagepack));
        bench(&mut group, "hub-messagepack", size, Hub::app, &calls);
        let calls = call(Dialect::Hub(json));
        bench(&mut group, "hub-json", size, Hub::app, &calls);
    }
}

fn bench(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    size: usize,
    app: fn() -> Router,
    exchange: &Exchange,
) {
    group.bench_function(BenchmarkId::new(name, size), |b| {
        let mut lane = Lane::open(app(), exchange).expect("a server in memory");
        b.iter(|| lane.exchange());
        lane.check();
    });
}
