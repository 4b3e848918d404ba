//! Counts what the hot paths do, where a clock would tell more of the machine: instructions and
//! allocations for one message, and fails where either has grown by more than 5 %.
//!
//! ```text
//! cargo run --profile measured -p bench --example guards
//! ```
//!
//! What is counted is the whole server without a kernel (`bench::in_memory`), its client's copying
//! included, 16 messages or one stream of 64 items at a time. Instructions are those of valgrind's
//! callgrind, the difference between a long run and a short one. What they are compared with stands in
//! `bench/guards.txt`; `--save` writes it anew.

use std::{
    collections::BTreeMap,
    env, fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use axum::Router;
use bench::{
    exchange::{Exchange, IN_FLIGHT, ITEMS},
    in_memory::Lane,
    load::{Dialect, HubProtocol, Work},
    peers::{Hub, RawWs},
    profile, say, tell,
};
use clap::Parser;

/// Counts instructions and allocations of the hot paths, and compares them with those on record.
#[derive(Parser)]
struct Options {
    /// Counts only what has this text in its name.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Puts what is counted on record.
    #[arg(long, conflicts_with = "only")]
    save: bool,
    /// Where the record is.
    #[arg(long, value_name = "FILE", default_value_os_t = record())]
    record: PathBuf,
    /// Runs one path so many times, for valgrind, and prints its allocations.
    #[arg(long, hide = true, num_args = 2, value_names = ["PATH", "TIMES"])]
    run: Option<Vec<String>>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let done = match options.run.as_deref() {
        Some([name, times]) => run(name, times).map(|()| true),
        _ => guard(&options),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            tell!("error: {e}");
            ExitCode::FAILURE
        }
    }
}

/// A way that messages take.
struct HotPath {
    name: String,
    app: fn() -> Router,
    exchange: Exchange,
    /// Of one exchange.
    messages: usize,
}

fn hot_paths() -> Vec<HotPath> {
    let mut paths = Vec::new();
    let mut add = |name: String, app, exchange, messages| {
        paths.push(HotPath {
            name,
            app,
            exchange,
            messages,
        });
    };
    for size in [20, 1024] {
        let echo = |dialect| Exchange::echo(dialect, size);
        let raw = echo(Dialect::Messages);
        add(format!("raw-echo-{size}"), RawWs::app, raw, IN_FLIGHT);
        let wire = echo(Dialect::Wire);
        add(format!("wire-call-{size}"), RawWs::app, wire, IN_FLIGHT);
        for protocol in [HubProtocol::MessagePack, HubProtocol::Json] {
            let call = echo(Dialect::Hub(protocol));
            let name = format!("hub-{protocol}-call-{size}");
            add(name, Hub::app, call, IN_FLIGHT);
        }
    }
    let publish = Exchange::publish(1);
    add("wire-publish-20".into(), RawWs::app, publish, IN_FLIGHT);
    for protocol in [HubProtocol::MessagePack, HubProtocol::Json] {
        let broadcast = Exchange::broadcast(protocol, 1);
        let name = format!("hub-{protocol}-broadcast-20");
        add(name, Hub::app, broadcast, IN_FLIGHT);
        for (name, work) in [("stream", Work::Stream), ("upload", Work::Upload)] {
            let stream = Exchange::stream(work, Dialect::Hub(protocol), 20);
            let name = format!("hub-{protocol}-{name}-20");
            add(name, Hub::app, stream, ITEMS);
        }
    }
    paths
}

/// What one message costs.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Counts {
    instructions: f64,
    allocations: f64,
}

/// Returns whether nothing has grown.
fn guard(options: &Options) -> io::Result<bool> {
    let program = env::current_exe()?;
    let profile = profile::of(&program).unwrap_or("an unknown profile");
    if profile != profile::MEASURED {
        let text = format!(
            "this was built with `{profile}`; what is on record was with `{}`: \
             cargo run --profile measured -p bench --example guards",
            profile::MEASURED
        );
        return Err(io::Error::other(text));
    }
    let paths = hot_paths();
    let wanted = |path: &&HotPath| {
        let text = options.only.as_deref().unwrap_or_default();
        path.name.contains(text)
    };
    let chosen: Vec<_> = paths.iter().filter(wanted).collect();
    if chosen.is_empty() {
        let names: Vec<_> = paths.iter().map(|path| path.name.as_str()).collect();
        let text = format!("no such path; there are: {}", names.join(", "));
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let on_record = if options.save {
        BTreeMap::new()
    } else {
        read(&options.record)?
    };

    say!(
        "{:28} {:>12} {:>10} {:>8}   {:>11} {:>10}",
        "for one message",
        "instructions",
        "on record",
        "change",
        "allocations",
        "on record"
    );
    let (mut counted, mut grown) = (BTreeMap::new(), Vec::new());
    for path in chosen {
        let now = count(&program, path)?;
        let before = on_record.get(&path.name).copied();
        let shown = |part: fn(Counts) -> f64, digits: usize| {
            before.map_or_else(|| "-".into(), |before| format!("{:.digits$}", part(before)))
        };
        let change = before.map_or_else(
            || "-".into(),
            |before| {
                let change = now.instructions / before.instructions - 1.0;
                format!("{:+.1} %", change * 100.0)
            },
        );
        say!(
            "{:28} {:12.0} {:>10} {:>8}   {:11.2} {:>10}",
            path.name,
            now.instructions,
            shown(|counts| counts.instructions, 0),
            change,
            now.allocations,
            shown(|counts| counts.allocations, 2),
        );
        let has_grown = |before: Counts| {
            now.instructions > before.instructions * TOLERATED
                || on_record_as(now.allocations) > before.allocations * TOLERATED
        };
        if before.is_none_or(has_grown) && !options.save {
            grown.push(path.name.as_str());
        }
        counted.insert(path.name.clone(), now);
    }
    if options.save {
        write(&options.record, &counted)?;
        say!("\nwritten to {}", options.record.display());
    }
    if !grown.is_empty() {
        tell!(
            "error: more than 5 % above what is on record, or not on record: {}\n\
             If that is meant, `--save` puts it there.",
            grown.join(", ")
        );
    }
    Ok(grown.is_empty())
}

/// Allocations for a message as the record has them, in thousandths: what comes now and then in a run,
/// as a timer that is set because valgrind took its time, is no message's.
fn on_record_as(allocations: f64) -> f64 {
    (allocations * 1000.0).round() / 1000.0
}

/// Counts one path, each time in a process of its own.
fn count(program: &Path, path: &HotPath) -> io::Result<Counts> {
    let (short, _) = under_valgrind(program, path, SHORT)?;
    let (long, allocations) = under_valgrind(program, path, LONG)?;
    let messages = (path.messages * (LONG - SHORT)) as f64;
    Ok(Counts {
        instructions: (long - short) as f64 / messages,
        allocations,
    })
}

/// Instructions of a whole run, and allocations for each of its messages.
fn under_valgrind(program: &Path, path: &HotPath, times: usize) -> io::Result<(u64, f64)> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(["--run", &path.name, &times.to_string()])
        // Where the processor has it, glibc would copy by an instruction that callgrind counts once for
        // each byte: copying would drown the rest, and count otherwise on another machine.
        .env("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-ERMS,-FSRM")
        .output()
        .map_err(|e| io::Error::new(e.kind(), format!("cannot start valgrind: {e}")))?;
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    let collected = stderr.lines().find_map(|line| {
        let (_, number) = line.split_once("Collected : ")?;
        number.trim().parse().ok()
    });
    let allocations = stdout.trim().parse().ok();
    match collected.zip(allocations) {
        Some(counts) if output.status.success() => Ok(counts),
        _ => Err(io::Error::other(format!("{}: {stderr}", path.name))),
    }
}

/// Runs one path, and prints its allocations for one message.
fn run(name: &str, times: &str) -> io::Result<()> {
    let times: usize = times.parse().map_err(io::Error::other)?;
    let path = hot_paths().into_iter().find(|path| path.name == name);
    let path = path.ok_or_else(|| io::Error::other("no such path"))?;
    let mut lane = Lane::open((path.app)(), &path.exchange)?;
    // What is only made once.
    (0..WARM_UP).for_each(|_| lane.exchange());
    let allocated = allocation_counter::measure(|| {
        (0..times).for_each(|_| lane.exchange());
    });
    lane.check();
    say!(
        "{}",
        allocated.count_total as f64 / (times * path.messages) as f64
    );
    Ok(())
}

/// Lines of a name, instructions and allocations; what follows a # says nothing.
fn read(file: &Path) -> io::Result<BTreeMap<String, Counts>> {
    let text = fs::read_to_string(file)
        .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", file.display())))?;
    let mut counts = BTreeMap::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let words: Vec<_> = line.split_whitespace().collect();
        let parsed = match words[..] {
            [] => continue,
            [name, instructions, allocations] => instructions
                .parse()
                .ok()
                .zip(allocations.parse().ok())
                .map(|(instructions, allocations)| (name, instructions, allocations)),
            _ => None,
        };
        let (name, instructions, allocations) =
            parsed.ok_or_else(|| io::Error::other(format!("{}: {line}", file.display())))?;
        let one = Counts {
            instructions,
            allocations,
        };
        counts.insert(name.to_owned(), one);
    }
    Ok(counts)
}

fn write(file: &Path, counts: &BTreeMap<String, Counts>) -> io::Result<()> {
    let mut text = String::from(
        "# Instructions and allocations for one message; written by the example `guards`, which says\n\
         # how they are counted.\n",
    );
    for (name, counts) in counts {
        text += &format!(
            "{name:28} {:7.0} {:6.3}\n",
            counts.instructions, counts.allocations
        );
    }
    fs::write(file, text)
}

fn record() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("guards.txt")
}

/// What may be counted above what is on record.
const TOLERATED: f64 = 1.05;

/// Exchanges of a run.
const WARM_UP: usize = 20;
const SHORT: usize = 100;
const LONG: usize = 400;
