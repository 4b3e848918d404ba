//! The pictures with lines: latencies, and what more connections cost.

use bench::results::{Figures, Results, Spread};

use crate::{
    figures::below,
    lines::{Line, Lines},
    picture::Series,
};

/// A percentile of a latency, in ms.
type Percentile = fn(&Figures) -> f64;

pub(crate) fn latency(compare: &Results) -> Lines {
    let shares: [(&str, Percentile); 4] = [
        ("p50", |figures| figures.latency.p50),
        ("p90", |figures| figures.latency.p90),
        ("p99", |figures| figures.latency.p99),
        ("p99.9", |figures| figures.latency.p999),
    ];
    let line = |series, name: &str, scenario, server| {
        let row = compare.row(scenario, server)?;
        let values = shares.map(|(_, of)| row.spread(|figures| Some(of(figures))));
        Some(Line {
            series,
            name: name.into(),
            values: values.into(),
        })
    };
    let json = "hub-rate-json";
    let lines = [
        line(Series::Limit, "limit: raw TCP", "rate", "raw-tcp"),
        line(Series::Raw, "raw", "rate", "raw-ws"),
        line(
            Series::HubMessagePack,
            "hub · MessagePack",
            "hub-rate-messagepack",
            "hub",
        ),
        line(Series::HubJson, "hub · JSON", json, "hub"),
        line(Series::Peer, "ASP.NET Core, JSON", json, "aspnetcore"),
    ];
    let lines: Vec<Line> = lines.into_iter().flatten().collect();
    let half = |series| {
        let line = lines.iter().find(|line| line.series == series);
        let value = line.and_then(|line| line.values[0]);
        value.map_or_else(
            || "–".into(),
            |value| format!("{:.0} µs", value.median * 1000.0),
        )
    };
    let title = format!(
        "Half of 10,000 calls a second are answered within {} in the hub, {} raw",
        half(Series::HubJson),
        half(Series::Raw)
    );
    Lines {
        title,
        below: format!(
            "20 B on 64 connections, an open loop: counted from when each was due; {}",
            compare.date
        ),
        steps: shares.map(|(name, _)| name.to_owned()).into(),
        steps_are: "so many of the messages were answered sooner",
        values_are: "ms; lower is better",
        lines,
    }
}

const COUNTS: [(usize, &str); 5] = [
    (1, "1"),
    (64, "64"),
    (1000, "1,000"),
    (5000, "5,000"),
    (10_000, "10,000"),
];

pub(crate) fn growth(compare: &Results) -> Lines {
    let cost = |scenario: &str, server: &str, count: usize| {
        compare.row(&format!("{scenario}-{count}"), server)?.cost()
    };
    let limit = cost("growth", "raw-tcp", 64).map_or(1.0, |cost| cost.median);
    let line = |series, name: &str, scenario: &str, server: &str| {
        let values = COUNTS.map(|(count, _)| {
            let cost = cost(scenario, server, count)?;
            Some(Spread {
                median: cost.median / limit,
                low: cost.low / limit,
                high: cost.high / limit,
            })
        });
        Line {
            series,
            name: name.into(),
            values: values.into(),
        }
    };
    let hub = "hub-growth-messagepack";
    let lines = vec![
        line(Series::Limit, "limit: raw TCP", "growth", "raw-tcp"),
        line(Series::Raw, "raw", "growth", "raw-ws"),
        line(Series::HubMessagePack, "hub · MessagePack", hub, "hub"),
        line(Series::Peer, "ASP.NET Core, hub", hub, "aspnetcore"),
    ];
    // From 64 to 5,000: with one connection both sides sleep between its messages.
    let grows = |line: &Line| {
        let (few, many) = line.values[1].zip(line.values[3])?;
        let is_noise = few.low <= many.high && many.low <= few.high;
        let percent = (many.median / few.median - 1.0) * 100.0;
        Some(if is_noise {
            "no more".into()
        } else {
            format!("{percent:.0} % more")
        })
    };
    let [raw, hub] = [&lines[1], &lines[2]].map(|line| grows(line).unwrap_or_else(|| "–".into()));
    Lines {
        title: format!("From 64 to 5,000 connections a message costs {raw} raw, {hub} in the hub"),
        below: format!(
            "Processor time per message, 20 B, 1 in flight on each connection; {}",
            below(compare)
        ),
        steps: COUNTS.map(|(_, name)| name.to_owned()).into(),
        steps_are: "connections",
        values_are: "× raw TCP at 64 connections; lower is better",
        lines,
    }
}
