//! Messages that leave when they are due.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use bench::{
    load::{Dialect, HubProtocol, Observer, Target, Traffic, Window, Work},
    peers,
    results::Figures,
};

use crate::{
    beside_others,
    load::{echo, serve as serve_connections},
    serve,
};

const RATE: f64 = 1000.0;

const WINDOW: Window = Window {
    warm_up: Duration::from_millis(50),
    measured: Duration::from_millis(400),
};

const STALL: Duration = Duration::from_millis(200);

const LOAD: Traffic = Traffic {
    connections: 4,
    depth: 1,
    size: 20,
    dialect: Dialect::Messages,
};

#[test]
fn what_is_due_is_sent_and_has_a_latency_each() {
    let _process = beside_others();
    let hub = Target::web_socket(serve(&peers::Hub), "/bench");
    for (work, answers) in [(Work::Echo, 1), (Work::FanOut, 4)] {
        let dialect = Dialect::Hub(HubProtocol::Json);
        let load = Traffic { dialect, ..LOAD };
        let measured = work
            .run_at(&hub, load, RATE, WINDOW, Observer::in_process())
            .unwrap();
        let open = measured.open_loop.as_ref().unwrap();
        // 400, but for how the first and the last fall.
        assert!(open.sent.abs_diff(400) <= 1, "{measured}");
        assert_eq!(
            (open.unanswered, measured.latency.len()),
            (0, open.sent),
            "{measured}"
        );
        assert!(measured.messages >= 200 * answers, "{measured}");
        assert!(measured.server.is_some() && measured.client.is_some());
        let kept = Figures::from(&measured);
        assert_eq!(kept.latency.count, open.sent);
        assert_eq!(kept.open_loop.unwrap().rate.to_bits(), RATE.to_bits());
    }
}

#[test]
fn a_server_that_stalls_once_is_slow_for_all_that_was_due_meanwhile() {
    let _process = beside_others();
    let target = Target::raw_tcp(serve_connections(echo_with_a_stall));
    let load = Traffic {
        connections: 1,
        ..LOAD
    };
    let measured = Work::Echo
        .run_at(&target, load, RATE, WINDOW, None)
        .unwrap();
    // Of the 200 which are due in it, half are at least 100 ms late; a closed loop would have met one.
    let late = measured.latency.len() - measured.latency.count_between(0, 100_000_000);
    assert!(late >= 95, "{late}: {measured}");
}

#[test]
fn a_load_that_is_late_counts_from_when_each_message_was_due() {
    let _process = beside_others();
    let target = Target::raw_tcp(serve_connections(echo));
    // More than any client sends.
    let (rate, window) = (
        10_000_000.0,
        Window {
            warm_up: Duration::ZERO,
            measured: Duration::from_millis(20),
        },
    );
    let measured = Work::Echo
        .run_at(&target, LOAD, rate, window, None)
        .unwrap();
    let open = measured.open_loop.as_ref().unwrap();
    assert_eq!(
        (measured.latency.len(), open.unanswered),
        (open.sent, 0),
        "{measured}"
    );
    assert!(open.late.mean() > 1e6, "it was not late: {measured}");
    // Each came back after it had left, but for what the histograms round.
    assert!(
        measured.latency.mean() > open.late.mean() * 0.99,
        "{measured}"
    );
}

#[test]
fn what_is_never_answered_is_told() {
    let _process = beside_others();
    let target = Target::raw_tcp(serve_connections(|mut stream| {
        let mut message = [0; 26];
        for _ in 0..100 {
            stream.read_exact(&mut message)?;
            stream.write_all(&message)?;
        }
        io::copy(&mut stream, &mut io::sink()).map(drop)
    }));
    let load = Traffic {
        connections: 1,
        ..LOAD
    };
    let measured = Work::Echo
        .run_at(&target, load, RATE, WINDOW, None)
        .unwrap();
    let open = measured.open_loop.as_ref().unwrap();
    assert_eq!(measured.latency.len() + open.unanswered, open.sent);
    assert!(open.unanswered >= 300, "{measured}");
    assert!(measured.to_string().contains("never answered"));
}

#[test]
fn streams_and_what_is_no_rate_are_refused() {
    let target = Target::raw_tcp(([127, 0, 0, 1], 9).into());
    for (work, rate) in [
        (Work::Stream, 1.0),
        (Work::Echo, 0.0),
        (Work::Echo, f64::NAN),
    ] {
        let refused = work.run_at(&target, LOAD, rate, WINDOW, None).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput, "{work:?}");
    }
}

/// Returns what comes, but for a while at which nothing does, a little after the beginning.
fn echo_with_a_stall(mut stream: TcpStream) -> io::Result<()> {
    let began = Instant::now();
    let mut is_to_stall = true;
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer)?;
        if is_to_stall && began.elapsed() > WINDOW.warm_up * 2 {
            thread::sleep(STALL);
            is_to_stall = false;
        }
        match read {
            0 => return Ok(()),
            read => stream.write_all(&buffer[..read])?,
        }
    }
}
