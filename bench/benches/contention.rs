//! What two threads cost each other: each has a runtime, a connection in memory and a group (a topic)
//! of its own, and all they share is the server's registry.
//!
//! `…/1` is one thread alone, `…/2` two at once. `…-apart/2` is the limit, two servers that share
//! nothing: what two threads lose there is the machine's. An iteration is 16 requests on each thread.

mod support {
    pub(crate) mod settings;
}

use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use axum::Router;
use bench::{
    exchange::{Exchange, IN_FLIGHT},
    in_memory::Lane,
    load::HubProtocol,
    peers::{Hub, RawWs},
};
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, measurement::WallTime};

fn main() {
    let mut criterion = support::settings::criterion(20, Duration::from_millis(1000));
    contention(&mut criterion);
    criterion.final_summary();
}

fn contention(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("contention");
    let protocol = HubProtocol::MessagePack;
    bench(&mut group, "topics", RawWs::app, Exchange::publish);
    bench(&mut group, "hub-send", Hub::app, |n| {
        Exchange::broadcast(protocol, n)
    });
    bench(&mut group, "hub-groups", Hub::app, |n| {
        Exchange::groups(protocol, n)
    });
}

/// `exchange` is that of the thread with this number.
fn bench(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    app: fn() -> Router,
    exchange: impl Fn(u32) -> Exchange + Sync,
) {
    let apart = format!("{name}-apart");
    let shared = app();
    for (name, apps) in [
        (name, vec![shared.clone()]),
        (name, vec![shared.clone(), shared]),
        (&apart, vec![app(), app()]),
    ] {
        let threads = apps.len();
        group.throughput(Throughput::Elements((threads * IN_FLIGHT) as u64));
        group.bench_function(BenchmarkId::new(name, threads), |b| {
            b.iter_custom(|iterations| at_once(&apps, &exchange, iterations));
        });
    }
}

/// How long the threads take, from when all have begun until the last is done.
fn at_once(
    apps: &[Router],
    exchange: &(impl Fn(u32) -> Exchange + Sync),
    iterations: u64,
) -> Duration {
    let barrier = Barrier::new(apps.len());
    let run = |number: usize, app: Router| {
        let mut lane = Lane::open(app, &exchange(number as u32)).expect("a server in memory");
        barrier.wait();
        let began = Instant::now();
        (0..iterations).for_each(|_| lane.exchange());
        let took = began.elapsed();
        lane.check();
        took
    };
    thread::scope(|scope| {
        let threads: Vec<_> = apps
            .iter()
            .enumerate()
            .map(|(number, app)| scope.spawn(move || run(number, app.clone())))
            .collect();
        let times = threads.into_iter().map(|thread| thread.join());
        times.map(|time| time.expect("replies")).max()
    })
    .expect("a thread")
}
