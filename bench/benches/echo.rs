//! Messages there and back over loopback TCP: one connection with 16 messages in flight.
//!
//! The server has a thread of its own with a single-threaded runtime. The client is a blocking
//! socket that sends a message for each that has returned; it knows how long replies are and only
//! counts bytes, so that it is not what is measured. The peers are those of `examples/peer`.

#[path = "../examples/peer/axum_echo.rs"]
mod axum_echo;
#[path = "../examples/peer/fastwebsockets_echo.rs"]
mod fastwebsockets_echo;
#[path = "../examples/peer/raw_tcp.rs"]
mod raw_tcp;
#[allow(dead_code, reason = "each benchmark uses a part of it")]
mod support {
    pub(crate) mod exchange;
    pub(crate) mod frames;
    pub(crate) mod raw_ws_server;
    pub(crate) mod server;
    pub(crate) mod settings;
}
#[path = "../examples/peer/tungstenite.rs"]
mod tungstenite;

use std::time::Duration;

use criterion::{Criterion, SamplingMode, Throughput};
use support::{
    exchange::{Exchange, IN_FLIGHT, bench},
    raw_ws_server,
    server::accept,
};

fn main() {
    let mut criterion = support::settings::criterion(30, Duration::from_millis(2500));
    echo(&mut criterion);
    criterion.final_summary();
}

fn echo(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("echo");
    group.sampling_mode(SamplingMode::Flat);
    group.throughput(Throughput::Elements(IN_FLIGHT as u64));
    for size in [20, 1024] {
        let message = Exchange::message(size);
        let bytes = Exchange::bytes(size);
        bench(&mut group, "raw-tcp", size, raw_tcp::serve, &bytes);
        bench(&mut group, "raw-ws", size, raw_ws_server::serve, &message);
        let default = |listener| tungstenite::serve(listener, tungstenite::Style::Default);
        bench(&mut group, "tungstenite", size, default, &message);
        let tuned = |listener| tungstenite::serve(listener, tungstenite::Style::Tuned);
        bench(&mut group, "tungstenite-tuned", size, tuned, &message);
        bench(
            &mut group,
            "fastwebsockets",
            size,
            fastwebsockets_echo::serve,
            &message,
        );
        bench(&mut group, "axum", size, axum_echo::serve, &message);
    }
}
