//! The load over every transport of a hub, in both protocols, and over the binary protocol.

use std::{net::SocketAddr, ops::ControlFlow, time::Duration};

use axum::{Router, response::Response, routing::any};
use bench::{
    load::{self, Dialect, HubProtocol, Observer, Target, Traffic, Transport, Window, Work},
    process::Process,
};
use futures_util::stream;
use hub::{Context, Hub};
use raw_ws::{Upgrade, wire};

use crate::{alone, beside_others, serve};

const SHORT: Window = Window {
    warm_up: Duration::from_millis(20),
    measured: Duration::from_millis(150),
};

/// What every server that is compared offers, as far as it is needed here.
fn app() -> Router {
    let hub = Hub::new(())
        .method("Echo", async |_: Context, text: String| Ok(text))
        .method("Join", async |cx: Context, group: String| {
            cx.groups().join(&group)
        })
        .method(
            "Broadcast",
            async |cx: Context, group: String, text: String| {
                cx.group(&group).send("Received", (text,))
            },
        )
        .stream("Texts", |_: Context, count: usize, size: usize| {
            let text: String = ('a'..='z').cycle().take(size).collect();
            stream::iter(vec![text; count].into_iter().map(hub::Result::Ok))
        });
    let wire = wire::Server::new()
        .operation(1, async |_, payload| Ok(payload))
        .stream(5, |_, payload: bytes::Bytes| {
            let number = |at| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap()) as usize;
            let item = bytes::Bytes::from(vec![0; number(4)]);
            stream::iter(vec![Ok(item); number(0)])
        })
        .topics();
    let wire = any(async move |upgrade: Upgrade| -> Response { wire.serve(upgrade) });
    hub.router("/hub").route("/wire", wire)
}

fn ways(address: SocketAddr) -> Vec<(Target, Dialect)> {
    let hub = |transport, protocol| {
        let target = Target::web_socket(address, "/hub").over(transport);
        (target, Dialect::Hub(protocol))
    };
    vec![
        (Target::web_socket(address, "/wire"), Dialect::Wire),
        hub(Transport::WebSockets, HubProtocol::Json),
        hub(Transport::WebSockets, HubProtocol::MessagePack),
        hub(Transport::ServerSentEvents, HubProtocol::Json),
        hub(Transport::LongPolling, HubProtocol::Json),
        hub(Transport::LongPolling, HubProtocol::MessagePack),
    ]
}

#[test]
fn every_work_is_done_over_every_way() {
    let _process = beside_others();
    let address = serve(app);
    for (target, dialect) in ways(address) {
        for work in [Work::Echo, Work::FanOut, Work::Stream] {
            let traffic = Traffic {
                connections: 3,
                depth: 4,
                size: 20,
                dialect,
            };
            let measured = work.run(&target, traffic, SHORT, Observer::in_process());
            let measured =
                measured.unwrap_or_else(|e| panic!("{target} {dialect:?} {work:?}: {e}"));
            let what = format!("{target} {dialect:?} {work:?}: {measured}");
            assert!(measured.messages > 0, "{what}");
            // Each message holds its text, and has been carried once at least.
            assert!(measured.bytes_per_message() > 20.0, "{what}");
            let ends = match work {
                Work::Echo => measured.messages,
                Work::FanOut => measured.messages / 3,
                Work::Stream => measured.messages / 4,
            };
            let answered = measured.latency.len();
            // What is in flight when the time is over has come in part.
            assert!(
                answered.abs_diff(ends) <= 24,
                "{answered} of {ends}: {what}"
            );
            assert!(measured.server.is_some() && measured.client.is_some());
        }
    }
}

#[test]
fn who_is_told_may_end_a_load() {
    let _process = beside_others();
    let target = Target::web_socket(serve(app), "/hub");
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
    let target = Target::web_socket(serve(app), "/hub").over(Transport::ServerSentEvents);
    let bytes = load::held(&target, 300, Dialect::Hub(HubProtocol::Json), &this).unwrap();
    assert!((5_000..100_000).contains(&bytes), "{bytes}");
}
