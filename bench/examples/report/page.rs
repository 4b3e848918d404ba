//! The page with all pictures, and its short form for the README.

use std::fmt::{Display, Write as _};

use bench::results::{Results, Row};

use crate::{
    criterion::Run,
    figures::{Figure, cost, times_raw},
    picture::Series,
};

/// `README.md` of the folder with the results.
pub(crate) fn whole(compare: &Results, bench: Option<&Run>, figures: &[Figure]) -> String {
    let (when, command) = (
        measured(compare.date.as_str(), &compare.machine),
        &compare.command,
    );
    let mut page = format!("# What each layer costs\n\nMeasured {when}, by `{command}`");
    if let Some(run) = bench {
        let again = measured(run.date.as_str(), &run.machine);
        let again = if again == when {
            String::new()
        } else {
            format!("{again}, ")
        };
        let _ = write!(page, ", and {again}by `{}`", run.command);
    }
    page += ". Written by `cargo run --profile measured -p bench --example report -- --measure`, which measures \
             everything anew; without `--measure` it draws what is here. All tables: [compare.md](compare.md); \
             each round: [compare.json](compare.json)";
    if bench.is_some() {
        page += ", [criterion.json](criterion.json)";
    }
    page += ". What is measured how, and what is not: [bench](../README.md).\n\n\
             Everything ran on one machine, the load too: look at the ratios, not at the times. The thin lines are \
             the range over the rounds, and differences within them are none.\n";
    for figure in figures {
        let _ = write!(
            page,
            "\n## {}\n\n![{}]({}.svg)\n",
            figure.title, figure.title, figure.name
        );
    }
    page += &failures(compare);
    page
}

fn measured(date: &str, machine: &impl Display) -> String {
    format!("{date} on {machine}")
}

fn failures(compare: &Results) -> String {
    let failed = compare.rows.iter().filter_map(|row| {
        let why = row.failure.as_ref()?;
        Some(format!("- {} by {}: {why}\n", row.scenario, row.server))
    });
    let absent = compare
        .absent
        .iter()
        .map(|(server, why)| format!("- {server}: {why}\n"));
    let all: String = absent.chain(failed).collect();
    if all.is_empty() {
        return all;
    }
    format!("\n## Not measured\n\n{all}")
}

const LAYERS: [(Series, &str); 4] = [
    (Series::Raw, "raw"),
    (Series::Wire, "wire: the binary protocol"),
    (Series::HubMessagePack, "hub · MessagePack"),
    (Series::HubJson, "hub · JSON"),
];

/// What the repository's README says of it; `None` where the layers were not measured.
pub(crate) fn summary(compare: &Results) -> Option<String> {
    let mut text = format!(
        "![What a message costs in each layer](bench/results/layers.svg)\n\n\
         Processor time of the server, in parentheses the ratio to raw; {}, {}, median of {} rounds. Yours differ: \
         run it, and look at the ratios. All pictures, and how they were made: \
         [bench/results](bench/results/README.md).\n\n\
         | | 20 B, 1 in flight | 20 B, 16 in flight | 1 KiB, 16 in flight | bytes per call of 20 B | bytes per idle \
         connection |\n|---|--:|--:|--:|--:|--:|\n",
        compare.date, compare.machine, compare.rounds
    );
    for (series, name) in LAYERS {
        let cell = |size, depth| {
            let cost = cost(compare, size, depth, series)?.median;
            Some(format!(
                "{cost:.2} µs ({})",
                times_raw(compare, size, depth, series)
            ))
        };
        let _ = writeln!(
            text,
            "| {name} | {} | {} | {} | {} | {} |",
            or_dash(cell(20, 1)),
            or_dash(cell(20, 16)),
            or_dash(cell(1024, 16)),
            or_dash(bytes_per_call(compare, series)),
            or_dash(idle_bytes(compare, series)),
        );
    }
    let dearer = |series, depth| {
        let of = |series| cost(compare, 20, depth, series).map(|cost| cost.median);
        Some(of(series)? - of(Series::Raw)?)
    };
    let (at_once, one) = (dearer(Series::HubJson, 16)?, dearer(Series::HubJson, 1)?);
    let idle = (memory(compare, Series::HubJson)? - memory(compare, Series::Raw)?) / 1000.0;
    let _ = write!(
        text,
        "\n- **Choose `raw-ws`** when the format is yours or somebody else's, when {at_once:.1} to {one:.1} µs for each \
         message or {idle:.1} kB for each connection matter, or when the client is no SignalR client.\n\
         - **Choose its binary protocol** when calls by number, streams and topics are enough, and you write the client: \
         [one page](raw-ws/PROTOCOL.md) says all that it needs.\n\
         - **Choose `hub`** for everything else: a call costs {at_once:.1} µs more when many are under way and {one:.1} µs \
         when one is, a delivery to a group {} what raw costs, and named methods, groups, users, reconnect and clients in \
         four languages are there.\n",
        or_dash(ratio(compare, "broadcast-json", "hub", "raw-ws")),
    );
    text += &beside_others(compare);
    Some(text)
}

fn bytes_per_call(compare: &Results, series: Series) -> Option<String> {
    let (scenario, server) = match series {
        Series::Raw => ("echo-20B-16", "raw-ws"),
        Series::Wire => ("wire-20B-16", "raw-ws"),
        Series::HubMessagePack => ("call-messagepack-20B-16", "hub"),
        _ => ("call-json-20B-16", "hub"),
    };
    let row = compare.row(scenario, server)?;
    let bytes = row.spread(|figures| Some(figures.bytes_per_message))?;
    Some(format!("{:.0}", bytes.median))
}

fn memory(compare: &Results, series: Series) -> Option<f64> {
    let (scenario, server) = match series {
        Series::Raw => ("idle", "raw-ws"),
        Series::HubMessagePack => ("hub-idle-messagepack", "hub"),
        Series::HubJson => ("hub-idle-json", "hub"),
        _ => return None,
    };
    Some(compare.row(scenario, server)?.memory()?.silent as f64)
}

fn idle_bytes(compare: &Results, series: Series) -> Option<String> {
    let bytes = memory(compare, series)?;
    let raw = memory(compare, Series::Raw)?;
    Some(format!("{:.1} kB ({:.1} ×)", bytes / 1000.0, bytes / raw))
}

fn beside_others(compare: &Results) -> String {
    let raw = table(
        compare,
        "raw-ws",
        &[
            ("raw-ws", "raw-ws"),
            ("tungstenite-tuned", "tokio-tungstenite, tuned"),
            ("tungstenite", "with defaults"),
            ("axum", "axum `ws`"),
            ("node-ws", "ws on Node.js"),
            ("aspnetcore", "ASP.NET Core"),
        ],
        &[
            ("echo-20B-1", "echo of 20 B, 1 in flight"),
            ("echo-20B-16", "echo of 20 B, 16 in flight"),
            ("echo-1024B-16", "echo of 1 KiB, 16 in flight"),
            ("fan-out", "125 B to 1,000 connections"),
            ("connect", "a connection"),
            ("idle", "idle connection"),
        ],
    );
    let hub = table(
        compare,
        "hub",
        &[
            ("hub", "hub"),
            ("aspnetcore", "ASP.NET Core"),
            ("socketioxide", "socketioxide"),
            ("node-socket.io", "Socket.IO on Node.js"),
            ("aiosignalr", "aiosignalr"),
        ],
        &[
            ("call-json-20B-1", "call, JSON, 20 B, 1 in flight"),
            ("call-json-20B-16", "call, JSON, 20 B, 16 in flight"),
            ("call-json-1024B-16", "call, JSON, 1 KiB, 16 in flight"),
            (
                "call-messagepack-20B-1",
                "call, MessagePack, 20 B, 1 in flight",
            ),
            (
                "call-messagepack-20B-16",
                "call, MessagePack, 20 B, 16 in flight",
            ),
            ("broadcast-json", "125 B to a group of 1,000, JSON"),
            ("stream-json", "an item of a stream, JSON"),
            ("hub-idle-json", "idle connection"),
        ],
    );
    format!(
        "\n### Beside others\n\n\
         Processor time of the server per message, delivery, connection or item, and resident memory per idle \
         connection, in parentheses the ratio to ours; the same run.\n\n{raw}\n{hub}"
    )
}

/// Servers across, scenarios down.
fn table(
    compare: &Results,
    ours: &str,
    servers: &[(&str, &str)],
    scenarios: &[(&str, &str)],
) -> String {
    let names: Vec<_> = servers.iter().map(|(_, name)| *name).collect();
    let mut table = format!(
        "| | {} |\n|---|{}\n",
        names.join(" | "),
        "--:|".repeat(servers.len())
    );
    for (scenario, what) in scenarios {
        let of = |server: &str| compare.row(scenario, server).and_then(value);
        let ours = of(ours);
        let cells = servers.iter().map(|(server, _)| match (of(server), ours) {
            (Some(value), Some(ours)) if value.number.to_bits() != ours.number.to_bits() => {
                format!("{} ({:.1} ×)", value.text(), value.number / ours.number)
            }
            (Some(value), _) => value.text(),
            (None, _) if compare.row(scenario, server).is_some() => "failed".into(),
            (None, _) => "–".into(),
        });
        let _ = writeln!(
            table,
            "| {what} | {} |",
            cells.collect::<Vec<_>>().join(" | ")
        );
    }
    table
}

#[derive(Clone, Copy)]
struct Value {
    number: f64,
    is_memory: bool,
}

impl Value {
    fn text(&self) -> String {
        if self.is_memory {
            format!("{:.1} kB", self.number / 1000.0)
        } else {
            format!("{:.2} µs", self.number)
        }
    }
}

fn value(row: &Row) -> Option<Value> {
    let memory = row.memory().map(|memory| memory.silent as f64);
    let is_memory = memory.is_some();
    let number = memory.or_else(|| Some(row.cost()?.median))?;
    Some(Value { number, is_memory })
}

fn ratio(compare: &Results, scenario: &str, server: &str, to: &str) -> Option<String> {
    let of = |server| Some(compare.row(scenario, server)?.cost()?.median);
    Some(format!("{:.2} ×", of(server)? / of(to)?))
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "–".into())
}

/// The text with what stands between the two marks replaced; `None` where they are missing.
pub(crate) fn between_marks(text: &str, summary: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{summary}{END}{after}"))
}

pub(crate) const BEGIN: &str = "<!-- results: written by the example report -->\n";
pub(crate) const END: &str = "<!-- end of results -->";
