//! A group of a thousand of whom ten never read: nobody waits for them, they are cut, and what
//! they cost is bounded.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::live::{Client, Count, Server};
use hub::{Context, Hub, HubOptions};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use tokio::time::Instant;

const MEMBERS: usize = 1_000;
const SLOW: usize = 10;
const BROADCASTS: usize = 400;
const MAX_QUEUED: usize = 64 * 1024;
const SOCKET: usize = 4 * 1024;

/// Counts what the libraries count.
#[derive(Default)]
struct Counters(Mutex<HashMap<String, Arc<AtomicU64>>>);

impl Counters {
    fn cell(&self, key: &Key) -> Arc<AtomicU64> {
        let mut cells = self.0.lock().unwrap();
        cells.entry(key.name().to_owned()).or_default().clone()
    }

    fn get(&self, name: &str) -> u64 {
        let cells = self.0.lock().unwrap();
        cells
            .get(name)
            .map_or(0, |cell| cell.load(Ordering::SeqCst))
    }

    fn gauge(&self, name: &str) -> f64 {
        f64::from_bits(self.get(name))
    }
}

impl Recorder for &'static Counters {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell(key))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.cell(key))
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

/// A runtime of one thread, and the counters of what runs in it.
fn run<R>(test: impl AsyncFnOnce(&'static Counters) -> R) -> R {
    let counters: &'static Counters = Box::leak(Box::default());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    metrics::with_local_recorder(&counters, || runtime.block_on(test(counters)))
}

fn hub(left: &Count) -> Hub {
    let left = left.clone();
    let options = HubOptions::new()
        .max_queued_bytes(MAX_QUEUED)
        .transport_send_timeout(Duration::from_secs(10));
    Hub::with_options((), options)
        .on_connected(async |cx: Context| cx.groups().join("g"))
        .on_disconnected(move |_: Context, _| {
            left.add();
            std::future::ready(Ok(()))
        })
}

async fn member(server: &Server) -> Client {
    let mut client = Client::connect(server.socket_of(SOCKET), "/hub").await;
    client.shake_hands().await;
    client
}

/// Reads until the connection ends; every broadcast must come, in order.
fn read(mut client: Client, received: Count) {
    tokio::spawn(async move {
        for number in 0.. {
            let record = client.next().await;
            let start = format!(r#"{{"type":1,"target":"News","arguments":[{number},"#);
            assert!(record.starts_with(&start), "{record}");
            received.add();
        }
    });
}

#[test]
fn broadcasts_go_on_and_the_ten_who_do_not_read_are_cut() {
    run(async |counters| {
        let left = Count::default();
        let server = Server::start(hub(&left));
        let received = Count::default();
        let mut slow = Vec::new();
        for number in 0..MEMBERS {
            let client = member(&server).await;
            if number % (MEMBERS / SLOW) == 0 {
                slow.push(client);
            } else {
                read(client, received.clone());
            }
        }
        server.connections(MEMBERS).await;
        assert_eq!(server.handle.groups().members("g").len(), MEMBERS);
        assert_eq!(counters.gauge("signalr.server.active_connections"), 1_000.0);

        let begun = Instant::now();
        let text = "x".repeat(500);
        let mut cut_after = None;
        for number in 0..BROADCASTS {
            server
                .handle
                .group("g")
                .send("News", (number, &text))
                .unwrap();
            // Everybody who reads has it before the next is sent.
            received.reaches((number + 1) * (MEMBERS - SLOW)).await;
            if counters.get("raw_ws_slow_consumers_total") > 0 {
                cut_after.get_or_insert(number + 1);
            }
        }
        assert_eq!(begun.elapsed(), Duration::ZERO, "nobody waited");
        assert_eq!(received.get(), BROADCASTS * (MEMBERS - SLOW));

        // The queue, the socket, and what is between them.
        let cut_after = cut_after.expect("they were cut");
        let most = (MAX_QUEUED + SOCKET + 32 * 1024) / text.len();
        assert!((100..most).contains(&cut_after), "{cut_after}");
        assert_eq!(counters.get("raw_ws_slow_consumers_total"), SLOW as u64);
        server.connections(MEMBERS - SLOW).await;
        left.reaches(SLOW).await;
        assert_eq!(server.handle.groups().members("g").len(), MEMBERS - SLOW);
        assert_eq!(counters.gauge("signalr.server.active_connections"), 990.0);
    });
}

#[test]
fn one_who_takes_nothing_for_ten_seconds_is_let_go_with_little_in_its_queue() {
    run(async |counters| {
        let left = Count::default();
        let server = Server::start(hub(&left));
        let received = Count::default();
        let slow = member(&server).await;
        read(member(&server).await, received.clone());
        server.connections(2).await;
        let begun = Instant::now();
        let text = "x".repeat(500);
        for number in 0..20 {
            server
                .handle
                .group("g")
                .send("News", (number, &text))
                .unwrap();
        }
        received.reaches(20).await;
        while left.get() == 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert!(begun.elapsed().as_secs() < 60, "it stays");
        }
        let seconds = begun.elapsed().as_secs();
        assert!((10..=15).contains(&seconds), "{seconds}");
        assert_eq!(server.handle.connections(), 1);
        assert_eq!(counters.gauge("signalr.server.active_connections"), 1.0);
        drop(slow);
    });
}

#[test]
fn what_the_slow_ones_cost_is_bounded() {
    run(async |_| {
        let left = Count::default();
        let server = Server::start(hub(&left));
        let mut slow = Vec::new();
        for _ in 0..SLOW {
            slow.push(member(&server).await);
        }
        server.connections(SLOW).await;
        let text = "x".repeat(500);
        // Measured where it is sent: the messages are shared, the queues hold references.
        let sent = allocation_counter::measure(|| {
            for number in 0..100 {
                server
                    .handle
                    .group("g")
                    .send("News", (number, &text))
                    .unwrap();
            }
        });
        let bound = 100 * 600 + SLOW * 16 * 1024;
        assert!(sent.bytes_max < bound as u64, "{}", sent.bytes_max);
        server.connections(SLOW).await;
        let sent = allocation_counter::measure(|| {
            for number in 0..10_000 {
                server
                    .handle
                    .group("g")
                    .send("News", (number, &text))
                    .unwrap();
            }
        });
        let bound = SLOW * MAX_QUEUED;
        assert!(sent.bytes_max < bound as u64, "{}", sent.bytes_max);
        server.connections(0).await;
        left.reaches(SLOW).await;
    });
}
