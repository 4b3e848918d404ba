//! The tables: one in Markdown for each scenario, medians over the rounds.

use std::fmt::Write as _;

use bench::results::{Figures, Results, Row, Spread};

use crate::scenarios::{self, Scenario};

/// All tables of a run, as Markdown.
pub(crate) fn page(results: &Results) -> String {
    let Results {
        date,
        machine,
        rounds,
        seconds,
        command,
        ..
    } = results;
    let mut page = format!(
        "Measured {date} on {machine}, by `{command}`. Servers pinned to one core, the load to another; \
         median of {rounds} × {seconds} s.\n"
    );
    for scenario in scenarios::all().filter(|scenario| !scenario.is_growth()) {
        let rows: Vec<_> = results.of(&scenario.to_string()).collect();
        if rows.is_empty() {
            continue;
        }
        page += &format!("\n### {}\n\n", scenario.title());
        page += &match scenario {
            Scenario::Idle { .. } => memory_table(&rows),
            Scenario::Call { .. } => hub_table(&rows, "call"),
            Scenario::Broadcast { .. } => hub_table(&rows, "delivery"),
            Scenario::Items { .. } => hub_table(&rows, "item"),
            Scenario::FanOut => traffic_table(&rows, "epoll-fan-out", "delivery", "deliveries"),
            Scenario::Connect { .. } => {
                traffic_table(&rows, "raw-tcp", "connection", "connections")
            }
            Scenario::Echo { .. }
            | Scenario::Wire { .. }
            | Scenario::Rate { .. }
            | Scenario::Growth { .. } => traffic_table(&rows, "raw-tcp", "message", "messages"),
        };
    }
    page += &growth_tables(results);
    page += "\n### What was measured\n\n| server | version |\n|---|---|\n";
    for (server, version) in &results.versions {
        let _ = writeln!(page, "| {server} | {version} |");
    }
    for (server, why) in &results.absent {
        let _ = writeln!(page, "| {server} | absent: {why} |");
    }
    page
}

/// A row of so many cells: what was measured, or in its place why it was not.
fn row(row: &Row, cells: usize, measured: impl FnOnce() -> Option<String>) -> String {
    let server = &row.server;
    let why = row
        .failure
        .as_ref()
        .map(|why| why.replace('|', "/").replace('\n', " "));
    match (measured(), why) {
        (Some(measured), None) => format!("| {server} | {measured} |\n"),
        (Some(measured), Some(why)) => {
            format!("| {server} (failed in a round: {why}) | {measured} |\n")
        }
        (None, why) => {
            let why = why.map_or_else(|| "–".into(), |why| format!("failed: {why}"));
            format!("| {server} | {why} |{}\n", " – |".repeat(cells - 1))
        }
    }
}

fn traffic_table(rows: &[&Row], limit: &str, unit: &str, units: &str) -> String {
    let limit_cost = cost_of(rows, limit);
    let mut table = format!(
        "| server | CPU-µs per {unit} | lowest–highest | × {limit} | in kernel | {units}/s \
         | p50 ms | p99 ms | p99.9 ms | server busy | load busy |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"
    );
    for one in rows {
        table += &row(one, 10, || {
            let Spread { median, low, high } = one.cost()?;
            Some(format!(
                "{median:.2} | {low:.2}–{high:.2} | {} | {} | {} | {} | {} | {} | {} | {}",
                ratio(median, limit_cost),
                percent(one, |f| Some(f.server?.kernel_share)),
                thousands(one.spread(|f| Some(f.messages_per_second))?.median),
                milliseconds(one, |f| f.latency.p50),
                milliseconds(one, |f| f.latency.p99),
                milliseconds(one, |f| f.latency.p999),
                percent(one, |f| Some(f.server?.busy)),
                percent(one, |f| f.load_busy),
            ))
        });
    }
    table
}

/// What the hub adds to the layer below it, and where ASP.NET Core stands.
fn hub_table(rows: &[&Row], unit: &str) -> String {
    let user = |row: &Row| row.spread(|f| Some(f.server?.user_microseconds));
    let raw = rows.iter().find(|row| row.server == "raw-ws");
    let raw_user = raw.and_then(|raw| user(raw)).map(|user| user.median);
    let (raw, aspnetcore) = (cost_of(rows, "raw-ws"), cost_of(rows, "aspnetcore"));
    let mut table = format!(
        "| server | CPU-µs per {unit} | lowest–highest | × raw-ws | × aspnetcore \
         | user CPU-µs | above raw-ws | per second | p50 ms | p99 ms | server busy | load busy |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"
    );
    for one in rows {
        table += &row(one, 11, || {
            let Spread { median, low, high } = one.cost()?;
            let user = user(one)?.median;
            let above = raw_user.map_or_else(|| "–".into(), |raw| format!("{:.2}", user - raw));
            Some(format!(
                "{median:.2} | {low:.2}–{high:.2} | {} | {} | {user:.2} | {above} | {} | {} | {} | {} | {}",
                ratio(median, raw),
                ratio(median, aspnetcore),
                thousands(one.spread(|f| Some(f.messages_per_second))?.median),
                milliseconds(one, |f| f.latency.p50),
                milliseconds(one, |f| f.latency.p99),
                percent(one, |f| Some(f.server?.busy)),
                percent(one, |f| f.load_busy),
            ))
        });
    }
    table
}

fn memory_table(rows: &[&Row]) -> String {
    let mut table = String::from(
        "| server | bytes per silent connection | bytes per connection after 16 KiB each way \
         | server before, MB |\n|---|--:|--:|--:|\n",
    );
    for one in rows {
        table += &row(one, 3, || {
            let memory = one.memory()?;
            let bytes = |bytes: u64| thousands(bytes as f64);
            Some(format!(
                "{} | {} | {:.1}",
                bytes(memory.silent),
                bytes(memory.after_message),
                memory.before as f64 / 1e6
            ))
        });
    }
    table
}

/// One table for each kind of growth: servers down, connections across.
fn growth_tables(results: &Results) -> String {
    let mut tables = String::new();
    let growth: Vec<_> = scenarios::all().filter(|s| s.is_growth()).collect();
    for scenarios in growth.chunk_by(|a, b| a.hub() == b.hub()) {
        let mut servers = Vec::<&str>::new();
        for scenario in scenarios {
            for row in results.of(&scenario.to_string()) {
                if !servers.contains(&&*row.server) {
                    servers.push(&row.server);
                }
            }
        }
        let Some(first) = scenarios.first().filter(|_| !servers.is_empty()) else {
            continue;
        };
        let _ = write!(
            tables,
            "\n### {}\n\nCPU-µs per message, in parentheses lowest–highest; below it the resident bytes of \
             each connection under that load.\n\n| server |",
            first.growth_title()
        );
        for scenario in scenarios {
            let _ = write!(tables, " {} |", thousands(scenario.connections() as f64));
        }
        tables += &format!("\n|---|{}\n", "--:|".repeat(scenarios.len()));
        for server in servers {
            let mut costs = format!("| {server} |");
            let mut bytes = format!("| {server}, bytes |");
            for scenario in scenarios {
                let row = results.row(&scenario.to_string(), server);
                let cost = row.and_then(Row::cost).map_or_else(
                    || row.map_or("–", |_| "failed").to_owned(),
                    |Spread { median, low, high }| format!("{median:.2} ({low:.2}–{high:.2})"),
                );
                let held = row
                    .and_then(|row| row.spread(|f| f.server?.resident_per_connection))
                    .map_or_else(|| "–".into(), |held| thousands(held.median));
                let _ = write!(costs, " {cost} |");
                let _ = write!(bytes, " {held} |");
            }
            tables += &format!("{costs}\n{bytes}\n");
        }
    }
    tables
}

fn cost_of(rows: &[&Row], server: &str) -> Option<f64> {
    let row = rows.iter().find(|row| row.server == server)?;
    Some(row.cost()?.median)
}

fn ratio(cost: f64, to: Option<f64>) -> String {
    to.map_or_else(|| "–".into(), |to| format!("{:.2}", cost / to))
}

fn percent(row: &Row, of: impl Fn(&Figures) -> Option<f64>) -> String {
    let spread = row.spread(of);
    spread.map_or_else(
        || "–".into(),
        |share| format!("{:.0} %", share.median * 100.0),
    )
}

fn milliseconds(row: &Row, of: impl Fn(&Figures) -> f64) -> String {
    let spread = row.spread(|figures| Some(of(figures)));
    spread.map_or_else(|| "–".into(), |time| format!("{:.2}", time.median))
}

/// A whole number with a comma after every three digits.
fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
