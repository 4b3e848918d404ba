//! Which pictures there are, and what each of them says.

use std::io;

use bench::results::{Results, Row, Spread};

use crate::{
    bars::{Bar, Bars, Panel, two},
    bench_figures::{round_trip, transports},
    criterion::Run,
    line_figures::{growth, latency},
    picture::Series,
};

/// A picture of the page.
pub(crate) struct Figure {
    /// Of its file, without `.svg`.
    pub(crate) name: &'static str,
    /// What it says.
    pub(crate) title: String,
    pub(crate) svg: String,
}

/// A cell of the four layers: whose it is, in which scenario of `compare`, of which server.
struct Layer {
    series: Series,
    name: &'static str,
    scenario: String,
    server: &'static str,
}

/// The ways of one message of this size: the limit, raw, and what stands on it.
fn layers(size: usize, depth: u64) -> [Layer; 5] {
    let layer = |series, name, scenario: &str, server| Layer {
        series,
        name,
        scenario: format!("{scenario}-{size}B-{depth}"),
        server,
    };
    [
        layer(Series::Limit, "limit: raw TCP", "echo", "raw-tcp"),
        layer(Series::Raw, "raw", "echo", "raw-ws"),
        layer(Series::Wire, "wire", "wire", "raw-ws"),
        layer(
            Series::HubMessagePack,
            "hub · MessagePack",
            "call-messagepack",
            "hub",
        ),
        layer(Series::HubJson, "hub · JSON", "call-json", "hub"),
    ]
}

const SHAPES: [(usize, u64, &str); 4] = [
    (20, 1, "20 B, 1 in flight on each connection"),
    (20, 16, "20 B, 16 in flight"),
    (1024, 1, "1 KiB, 1 in flight"),
    (1024, 16, "1 KiB, 16 in flight"),
];

/// All that can be drawn of what was measured.
pub(crate) fn all(compare: &Results, bench: Option<&Run>) -> io::Result<Vec<Figure>> {
    let mut all = Vec::new();
    let mut add = |name, title: String, svg: Option<String>| {
        if let Some(svg) = svg {
            all.push(Figure { name, title, svg });
        }
    };
    let bars = [
        ("layers", layers_figure(compare)),
        ("bytes", bytes(compare)),
        ("fan_out", fan_out(compare)),
        ("streams", streams(compare)),
        ("memory", memory(compare)),
        ("connect", connect(compare)),
        ("echo_peers", echo_peers(compare)),
        ("call_peers", call_peers(compare)),
    ];
    for (name, figure) in bars {
        add(name, figure.title.clone(), figure.draw()?);
    }
    for (name, figure) in [("latency", latency(compare)), ("growth", growth(compare))] {
        add(name, figure.title.clone(), figure.draw()?);
    }
    if let Some(run) = bench {
        for (name, figure) in [
            ("round_trip", round_trip(run)),
            ("transports", transports(run)),
        ] {
            add(name, figure.title.clone(), figure.draw()?);
        }
    }
    Ok(all)
}

/// The server's time for a message in a layer.
pub(crate) fn cost(compare: &Results, size: usize, depth: u64, series: Series) -> Option<Spread> {
    let layer = layers(size, depth)
        .into_iter()
        .find(|layer| layer.series == series)?;
    compare.row(&layer.scenario, layer.server)?.cost()
}

/// How much more a layer costs than raw, in words; a dash where it was not measured.
pub(crate) fn times_raw(compare: &Results, size: usize, depth: u64, series: Series) -> String {
    let of = |series| cost(compare, size, depth, series).map(|cost| cost.median);
    of(series)
        .zip(of(Series::Raw))
        .map_or_else(|| "–".into(), |(cost, raw)| format!("{:.1} ×", cost / raw))
}

/// How much one thing costs beside another, in words; where their ranges meet there is no difference.
fn beside(one: Option<Spread>, other: Option<Spread>) -> String {
    let Some((one, other)) = one.zip(other) else {
        return "–".into();
    };
    if one.low <= other.high && other.low <= one.high {
        return "as much as".into();
    }
    format!("{:.2} ×", one.median / other.median)
}

pub(crate) fn below(compare: &Results) -> String {
    format!(
        "{}, median and range of {} rounds; server on one core, load on the other",
        compare.date, compare.rounds
    )
}

pub(crate) fn microseconds(value: f64) -> String {
    format!("{} µs", two(value))
}

fn layers_figure(compare: &Results) -> Bars {
    let times = |series| times_raw(compare, 20, 16, series);
    Bars {
        title: format!(
            "A hub call costs {} the raw echo in MessagePack, {} in JSON",
            times(Series::HubMessagePack),
            times(Series::HubJson)
        ),
        below: format!(
            "Processor time of the server per message; {}",
            below(compare)
        ),
        base_name: "raw",
        label: microseconds,
        panels: layer_panels(compare, Row::cost),
    }
}

fn layer_panels(compare: &Results, of: impl Fn(&Row) -> Option<Spread>) -> Vec<Panel> {
    let panel = |(size, depth, name): (usize, u64, &str)| {
        let bars = layers(size, depth).into_iter().filter_map(|layer| {
            let value = of(compare.row(&layer.scenario, layer.server)?)?;
            Some(Bar {
                series: layer.series,
                name: layer.name.into(),
                value,
            })
        });
        with_base(name, Series::Raw, bars.collect())
    };
    SHAPES.into_iter().map(panel).collect()
}

/// Ratios to the first bar of this series, or to the first at all.
pub(crate) fn with_base(name: &str, series: Series, bars: Vec<Bar>) -> Panel {
    let found = bars
        .iter()
        .find(|bar| bar.series == series)
        .or_else(|| bars.first());
    Panel {
        name: name.into(),
        base: found.map_or(1.0, |bar| bar.value.median),
        bars,
    }
}

fn bytes(compare: &Results) -> Bars {
    let per_message = |row: &Row| row.spread(|figures| Some(figures.bytes_per_message));
    let of = |series| {
        let layer = layers(20, 16)
            .into_iter()
            .find(|layer| layer.series == series)?;
        per_message(compare.row(&layer.scenario, layer.server)?)
    };
    let number =
        |series| of(series).map_or_else(|| "–".into(), |n: Spread| format!("{:.0}", n.median));
    let mut panels: Vec<_> = layer_panels(compare, per_message)
        .into_iter()
        .skip(1)
        .step_by(2)
        .collect();
    for (panel, size) in panels.iter_mut().zip([20.0, 1024.0]) {
        panel.name = format!("{size} B");
        // Raw TCP carries frames here: the limit of bytes is the payload, there and back.
        for bar in panel
            .bars
            .iter_mut()
            .filter(|bar| bar.series == Series::Limit)
        {
            let median = size * 2.0;
            bar.name = "limit: the payload".into();
            bar.value = Spread {
                median,
                low: median,
                high: median,
            };
        }
    }
    Bars {
        title: format!(
            "An echo of 20 B takes {} bytes raw, {} as a hub call in MessagePack, {} in JSON",
            number(Series::Raw),
            number(Series::HubMessagePack),
            number(Series::HubJson)
        ),
        below: "Bytes there and back, frames and the protocol in them; without those of TCP and IP"
            .into(),
        base_name: "raw",
        label: |value| format!("{value:.0} B"),
        panels,
    }
}

/// The bars of a scenario: ours in their order, then the peers by what they cost.
fn of_scenario(
    compare: &Results,
    scenario: &str,
    hub: Series,
    of: impl Fn(&Row) -> Option<Spread>,
) -> Vec<Bar> {
    let mut bars: Vec<Bar> = compare
        .of(scenario)
        .filter_map(|row| {
            let (series, name) = match &*row.server {
                "raw-tcp" => (Series::Limit, "limit: raw TCP"),
                "epoll-fan-out" => (Series::Limit, "limit: epoll"),
                "raw-ws" => (Series::Raw, "raw"),
                "hub" if hub == Series::HubJson => (hub, "hub · JSON"),
                "hub" => (hub, "hub · MessagePack"),
                "aspnetcore" => (Series::Peer, "ASP.NET Core"),
                "node-ws" => (Series::Peer, "ws on Node.js"),
                "node-socket.io" => (Series::Peer, "Socket.IO on Node.js"),
                other => (Series::Peer, other),
            };
            Some(Bar {
                series,
                name: name.into(),
                value: of(row)?,
            })
        })
        .collect();
    bars.sort_by(|a, b| {
        let peers_by_value = match a.series {
            Series::Peer => a.value.median.total_cmp(&b.value.median),
            _ => std::cmp::Ordering::Equal,
        };
        a.series.cmp(&b.series).then(peers_by_value)
    });
    bars
}

const PROTOCOLS: [(&str, &str, Series); 2] = [
    ("messagepack", "MessagePack", Series::HubMessagePack),
    ("json", "JSON", Series::HubJson),
];

fn fan_out(compare: &Results) -> Bars {
    let mut panels = vec![with_base(
        "125 B to 1,000 connections, raw",
        Series::Limit,
        of_scenario(compare, "fan-out", Series::HubJson, Row::cost),
    )];
    for (protocol, name, series) in PROTOCOLS {
        let bars = of_scenario(compare, &format!("broadcast-{protocol}"), series, Row::cost);
        let name = format!("to a group of 1,000, {name}; raw sends the same bytes");
        panels.push(with_base(&name, Series::Raw, bars));
    }
    let ratio = |scenario: &str, server: &str, to: &str| {
        let of = |server| compare.row(scenario, server)?.cost();
        beside(of(server), of(to))
    };
    Bars {
        title: format!(
            "A delivery to one of many costs the hub {} raw, and raw {} a bare epoll loop",
            ratio("broadcast-messagepack", "hub", "raw-ws"),
            ratio("fan-out", "raw-ws", "epoll-fan-out")
        ),
        below: format!(
            "Processor time of the server per delivery; {}",
            below(compare)
        ),
        base_name: "a bare epoll loop; in the lower two, raw",
        label: microseconds,
        panels,
    }
}

fn streams(compare: &Results) -> Bars {
    let panels = PROTOCOLS.map(|(protocol, name, series)| {
        let bars = of_scenario(compare, &format!("stream-{protocol}"), series, Row::cost);
        with_base(
            &format!("{name}; raw sends as many bytes"),
            Series::Raw,
            bars,
        )
    });
    let per_item = |panel: &Panel, series| {
        let bar = panel.bars.iter().find(|bar| bar.series == series);
        bar.map_or_else(|| "–".into(), |bar| microseconds(bar.value.median))
    };
    Bars {
        title: format!(
            "An item of a hub's stream costs {} in MessagePack, {} in JSON",
            per_item(&panels[0], Series::HubMessagePack),
            per_item(&panels[1], Series::HubJson)
        ),
        below: format!(
            "Processor time of the server per item, 64 at a time; {}",
            below(compare)
        ),
        base_name: "raw",
        label: microseconds,
        panels: panels.into(),
    }
}

fn memory(compare: &Results) -> Bars {
    let of = |scenario: &str, hub, after: bool| {
        of_scenario(compare, scenario, hub, |row| {
            let memory = row.memory()?;
            let bytes = if after {
                memory.after_message
            } else {
                memory.silent
            } as f64;
            Spread::of([bytes.max(1.0)])
        })
    };
    let panel = |name: &str, after| {
        let mut bars = of("idle", Series::HubJson, after);
        let at = bars
            .iter()
            .position(|bar| bar.series == Series::Peer)
            .unwrap_or(bars.len());
        let hubs = PROTOCOLS.into_iter().flat_map(|(protocol, _, series)| {
            let hubs = of(&format!("hub-idle-{protocol}"), series, after);
            hubs.into_iter().filter(|bar| bar.series != Series::Peer)
        });
        bars.splice(at..at, hubs.collect::<Vec<_>>());
        with_base(name, Series::Raw, bars)
    };
    let panels = vec![
        panel("never said anything", false),
        panel("silent again after 16 KiB each way", true),
    ];
    let bytes = |series| {
        let bar = panels[0].bars.iter().find(|bar| bar.series == series);
        bar.map_or_else(|| "–".into(), |bar| kilobytes(bar.value.median))
    };
    let title = format!(
        "An idle connection costs {} raw, {} as a hub's",
        bytes(Series::Raw),
        bytes(Series::HubMessagePack)
    );
    Bars {
        title,
        below: format!(
            "Resident bytes of the server for each of 5,000 connections; {}, one round",
            compare.date
        ),
        base_name: "raw",
        label: kilobytes,
        panels,
    }
}

fn kilobytes(bytes: f64) -> String {
    format!("{} kB", two(bytes / 1000.0))
}

fn connect(compare: &Results) -> Bars {
    let mut panels = vec![with_base(
        "TCP and the upgrade; the limit is TCP alone",
        Series::Raw,
        of_scenario(compare, "connect", Series::HubJson, Row::cost),
    )];
    for (protocol, name, series) in PROTOCOLS {
        let bars = of_scenario(
            compare,
            &format!("hub-connect-{protocol}"),
            series,
            Row::cost,
        );
        let mut panel = with_base(&format!("and the handshake of a hub, {name}"), series, bars);
        panel.base = panels[0].base;
        panels.push(panel);
    }
    let of = |scenario: &str, server: &str| {
        let cost = compare.row(scenario, server).and_then(Row::cost);
        cost.map_or_else(|| "–".into(), |cost| microseconds(cost.median))
    };
    Bars {
        title: format!(
            "To let a client in costs {} raw, {} as a hub",
            of("connect", "raw-ws"),
            of("hub-connect-messagepack", "hub")
        ),
        below: format!(
            "Processor time of the server per connection; {}",
            below(compare)
        ),
        base_name: "raw",
        label: microseconds,
        panels,
    }
}

fn echo_peers(compare: &Results) -> Bars {
    let shapes = SHAPES.map(|(size, depth, name)| {
        let bars = of_scenario(
            compare,
            &format!("echo-{size}B-{depth}"),
            Series::HubJson,
            Row::cost,
        );
        with_base(name, Series::Limit, bars)
    });
    let raw = ratio_in(&shapes[1], Series::Raw);
    Bars {
        title: format!("A raw echo of 20 B costs {raw} the same bytes over bare TCP"),
        below: format!(
            "Processor time of the server per message; {}",
            below(compare)
        ),
        base_name: "bare TCP",
        label: microseconds,
        panels: shapes.into(),
    }
}

fn call_peers(compare: &Results) -> Bars {
    let mut panels = Vec::new();
    let shown = SHAPES
        .into_iter()
        .filter(|(size, depth, _)| *size == 20 || *depth == 16);
    for (size, depth, shape) in shown {
        for (protocol, name, series) in PROTOCOLS {
            let scenario = format!("call-{protocol}-{size}B-{depth}");
            let bars = of_scenario(compare, &scenario, series, Row::cost);
            panels.push(with_base(&format!("{name}, {shape}"), Series::Raw, bars));
        }
    }
    let against = |size, depth| {
        let of = |server| {
            Some(
                compare
                    .row(&format!("call-json-{size}B-{depth}"), server)?
                    .cost()?
                    .median,
            )
        };
        let ratio = of("aspnetcore")
            .zip(of("hub"))
            .map(|(theirs, ours)| theirs / ours);
        ratio.map_or_else(|| "–".into(), |ratio| format!("{ratio:.1} ×"))
    };
    Bars {
        title: format!(
            "A hub call in JSON costs ASP.NET Core {} as much at 1 in flight, {} at 16",
            against(20, 1),
            against(20, 16)
        ),
        below: format!("Processor time of the server per call; {}", below(compare)),
        base_name: "raw, which returns the same bytes",
        label: microseconds,
        panels,
    }
}

pub(crate) fn ratio_in(panel: &Panel, series: Series) -> String {
    let bar = panel.bars.iter().find(|bar| bar.series == series);
    bar.map_or_else(
        || "–".into(),
        |bar| format!("{:.2} ×", bar.value.median / panel.base),
    )
}
