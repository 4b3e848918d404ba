//! The load against every server that is compared, in all that it speaks and over every transport.

use std::{ops::ControlFlow, time::Duration};

use bench::{
    load::{self, Dialect, HubProtocol, Observer, Target, Traffic, Transport, Window, Work},
    peers::{self, Peer},
    process::Process,
};

use crate::{alone, beside_others, serve};

const SHORT: Window = Window {
    warm_up: Duration::from_millis(20),
    measured: Duration::from_millis(150),
};

const DIALECTS: [Dialect; 7] = [
    Dialect::Messages,
    Dialect::Wire,
    Dialect::Hub(HubProtocol::Json),
    Dialect::Hub(HubProtocol::MessagePack),
    Dialect::HubBytes(HubProtocol::Json),
    Dialect::HubBytes(HubProtocol::MessagePack),
    Dialect::SocketIo,
];

const WORKS: [Work; 5] = [
    Work::Echo,
    Work::FanOut,
    Work::Stream,
    Work::Items,
    Work::Upload,
];

/// How a client of this dialect may be connected.
fn transports(dialect: Dialect) -> &'static [Transport] {
    use Transport::{LongPolling, ServerSentEvents, WebSockets};
    match dialect {
        Dialect::Hub(HubProtocol::Json) => &[WebSockets, ServerSentEvents, LongPolling],
        Dialect::Hub(HubProtocol::MessagePack) => &[WebSockets, LongPolling],
        _ => &[WebSockets],
    }
}

#[test]
fn every_peer_does_its_work_over_every_way() {
    let _process = beside_others();
    let mut done = Vec::new();
    for peer in peers::ALL {
        let address = serve(peer);
        for dialect in DIALECTS {
            for work in WORKS {
                let Some(endpoint) = peer.endpoint(work, dialect) else {
                    continue;
                };
                for transport in transports(dialect) {
                    let target = endpoint.at(address).over(*transport);
                    run(peer, work, dialect, &target);
                    done.push(work);
                }
            }
        }
    }
    let times = |work| done.iter().filter(|one| **one == work).count();
    assert_eq!(WORKS.map(times), [29, 17, 7, 7, 6]);
}

fn run(peer: &dyn Peer, work: Work, dialect: Dialect, target: &Target) {
    let traffic = Traffic {
        connections: 3,
        depth: 4,
        size: 20,
        dialect,
    };
    let what = format!("{}, {target}, {dialect:?}, {work:?}", peer.name());
    let measured = work.run(target, traffic, SHORT, Observer::in_process());
    let measured = measured.unwrap_or_else(|e| panic!("{what}: {e}"));
    let what = format!("{what}: {measured}");
    assert!(measured.messages > 0, "{what}");
    // Each message holds its text or a number, and has been carried once at least.
    let least = match work {
        Work::Items | Work::Upload => 8.0,
        Work::Echo | Work::FanOut | Work::Stream => 20.0,
    };
    assert!(measured.bytes_per_message() > least, "{what}");
    let ends = match work {
        Work::Echo => measured.messages,
        Work::FanOut => measured.messages / 3,
        Work::Stream | Work::Items | Work::Upload => measured.messages / 4,
    };
    let answered = measured.latency.len();
    // What is in flight when the time is over has come in part.
    assert!(
        answered.abs_diff(ends) <= 24,
        "{answered} of {ends}: {what}"
    );
    assert!(measured.server.is_some() && measured.client.is_some());
}

#[test]
fn who_is_told_may_end_a_load() {
    let _process = beside_others();
    let target = Target::web_socket(serve(&peers::Hub), "/bench");
    let traffic = Traffic {
        connections: 1,
        depth: 1,
        size: 1,
        dialect: Dialect::Hub(HubProtocol::Json),
    };
    let window = Window {
        warm_up: Duration::ZERO,
        measured: Duration::from_secs(600),
    };
    let mut told = 0;
    let observer = Observer::in_process().telling(|so_far| {
        told += u64::from(so_far.is_some_and(|so_far| so_far.messages > 0));
        match told {
            0..3 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    });
    let error = Work::Echo.run(&target, traffic, window, observer);
    assert_eq!(error.unwrap_err().kind(), std::io::ErrorKind::Interrupted);
    assert_eq!(told, 3);
}

/// Event streams: they take more than what is free of this process's memory after the other tests.
#[test]
fn a_held_connection_takes_memory() {
    let _process = alone();
    let this = Process::current().unwrap();
    let target = Target::web_socket(serve(&peers::Hub), "/bench").over(Transport::ServerSentEvents);
    let bytes = load::held(&target, 300, Dialect::Hub(HubProtocol::Json), &this).unwrap();
    assert!((5_000..100_000).contains(&bytes), "{bytes}");
}
