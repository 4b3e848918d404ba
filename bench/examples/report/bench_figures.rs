//! The pictures of what `cargo bench` measured.

use crate::{
    bars::{Bar, Bars, Panel},
    criterion::Run,
    figures::{microseconds, ratio_in, with_base},
    picture::Series,
};

pub(crate) fn round_trip(run: &Run) -> Bars {
    let functions = [
        (Series::Limit, "limit: raw TCP", "raw-tcp"),
        (Series::Raw, "raw", "raw-ws"),
        (Series::Wire, "wire", "raw-ws-wire"),
        (
            Series::HubMessagePack,
            "hub · MessagePack",
            "hub-messagepack",
        ),
        (Series::HubJson, "hub · JSON", "hub-json"),
        (Series::Peer, "socketioxide", "socketioxide"),
    ];
    let panels: Vec<Panel> = [("20", "20 B"), ("1024", "1 KiB"), ("16384", "16 KiB")]
        .into_iter()
        .map(|(value, name)| {
            with_base(
                name,
                Series::Raw,
                of_bench(run, "round_trip", value, &functions),
            )
        })
        .collect();
    Bars {
        title: format!(
            "On one connection that never waits a hub call costs {} raw in MessagePack, {} in JSON",
            ratio_in(&panels[0], Series::HubMessagePack),
            ratio_in(&panels[0], Series::HubJson)
        ),
        below: format!(
            "cargo bench round_trip: time of 16 messages there and back; {}, interval of 95 %",
            run.date
        ),
        base_name: "raw",
        label: microseconds,
        panels,
    }
}

pub(crate) fn transports(run: &Run) -> Bars {
    let functions = [
        (Series::Limit, "limit: raw TCP", "raw-tcp"),
        (Series::Raw, "raw", "raw-ws"),
        (
            Series::HubMessagePack,
            "hub · MessagePack",
            "hub-messagepack",
        ),
        (Series::HubJson, "hub · JSON", "hub-json"),
        (Series::HubSse, "hub · SSE", "hub-json-sse"),
        (Series::HubPolling, "hub · long polling", "hub-json-polling"),
    ];
    let panels: Vec<Panel> = [("1", "1 call at a time"), ("16", "16 at a time: one POST")]
        .into_iter()
        .map(|(value, name)| {
            with_base(
                name,
                Series::Raw,
                of_bench(run, "transports", value, &functions),
            )
        })
        .collect();
    Bars {
        title: format!(
            "Without WebSockets a call in JSON costs {} raw by server-sent events, {} by long polling",
            ratio_in(&panels[0], Series::HubSse),
            ratio_in(&panels[0], Series::HubPolling)
        ),
        below: format!(
            "cargo bench transports: time of the calls there and back; {}, interval of 95 %",
            run.date
        ),
        base_name: "raw",
        label: microseconds,
        panels,
    }
}

fn of_bench(run: &Run, group: &str, value: &str, functions: &[(Series, &str, &str)]) -> Vec<Bar> {
    let bars = functions.iter().filter_map(|(series, name, function)| {
        Some(Bar {
            series: *series,
            name: (*name).into(),
            value: run.microseconds(group, function, value)?,
        })
    });
    bars.collect()
}
