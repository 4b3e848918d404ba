//! Draws what was measured: a page with pictures, and its short form in the README.
//!
//! ```text
//! cargo run --profile measured -p bench --example report                 # draws what bench/results holds
//! cargo run --profile measured -p bench --example report -- --measure    # measures all of it before: about an hour
//! ```

mod axis;
mod bars;
mod bench_figures;
mod criterion;
mod figures;
mod line_figures;
mod lines;
mod page;
mod picture;
#[cfg(test)]
mod tests;

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Instant,
};

use bench::{profile, results::Results, say, tell};
use clap::Parser;

use self::criterion::Run;

/// Draws what `compare` and `cargo bench` found out.
#[derive(Parser)]
struct Options {
    /// Builds the servers and runs `compare` and `cargo bench` before
    #[arg(long)]
    measure: bool,
    /// With --measure: how often `compare` measures everything
    #[arg(long, default_value_t = 3, requires = "measure", value_parser = clap::value_parser!(u8).range(1..=20))]
    rounds: u8,
    /// With --measure: leaves `cargo bench` out, a quarter of an hour
    #[arg(long, requires = "measure")]
    no_bench: bool,
    /// Takes in what `cargo bench` left in this folder, which is target/criterion
    #[arg(long, value_name = "FOLDER", conflicts_with = "measure")]
    criterion: Option<PathBuf>,
    /// Where the results are, and the page goes [default: bench/results of the workspace]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// A Markdown file with the two marks between which the short form goes [default: README.md of the
    /// workspace, if the results are those of the workspace]
    #[arg(long, value_name = "FILE")]
    readme: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            tell!("error: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> io::Result<()> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let ours = workspace.join("bench/results");
    let folder = options.folder.as_ref().unwrap_or(&ours);
    if options.measure {
        measure(options, &workspace, folder)?;
    }
    if let Some(criterion) = &options.criterion {
        take_in(criterion, folder)?;
    }
    let compare: Results = kept(folder, "compare.json")?.ok_or_else(|| {
        let what = format!(
            "{} has no compare.json; --measure makes it, or `compare --save {0}`",
            folder.display()
        );
        io::Error::new(io::ErrorKind::NotFound, what)
    })?;
    let bench: Option<Run> = kept(folder, "criterion.json")?;

    let figures = figures::all(&compare, bench.as_ref())?;
    for figure in &figures {
        fs::write(folder.join(format!("{}.svg", figure.name)), &figure.svg)?;
        say!("{}.svg: {}", figure.name, figure.title);
    }
    let page = page::whole(&compare, bench.as_ref(), &figures);
    fs::write(folder.join("README.md"), page)?;

    let default = options
        .folder
        .is_none()
        .then(|| workspace.join("README.md"));
    let Some(readme) = options.readme.as_ref().or(default.as_ref()) else {
        return Ok(());
    };
    let Some(summary) = page::summary(&compare) else {
        tell!("the README stays as it is: not all layers were measured");
        return Ok(());
    };
    let text = fs::read_to_string(readme)?;
    let changed = page::between_marks(&text, &summary).ok_or_else(|| {
        let marks = (page::BEGIN.trim(), page::END);
        io::Error::other(format!(
            "{} has no lines {:?} and {:?}",
            readme.display(),
            marks.0,
            marks.1
        ))
    })?;
    fs::write(readme, changed)
}

/// What a file of the folder holds; `None` where there is none.
fn kept<T: serde::de::DeserializeOwned>(folder: &Path, name: &str) -> io::Result<Option<T>> {
    let file = folder.join(name);
    match fs::read(&file) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
        Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|e| {
            let what = format!("{} is of another version: {e}", file.display());
            io::Error::new(io::ErrorKind::InvalidData, what)
        }),
    }
}

fn measure(options: &Options, workspace: &Path, folder: &Path) -> io::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = format!("target/{}/examples", profile::MEASURED);
    let (profile, folder) = (
        profile::MEASURED,
        folder.canonicalize().or_else(|_| {
            fs::create_dir_all(folder)?;
            folder.canonicalize()
        })?,
    );
    let steps = 2 + u8::from(!options.no_bench) * 2;
    let mut step = 0;
    let mut next = |what: &str, command: &mut Command| {
        step += 1;
        tell!("{step} of {steps}: {what}");
        let began = Instant::now();
        let status = command.current_dir(workspace).status()?;
        tell!(
            "{step} of {steps}: took {} min",
            began.elapsed().as_secs().div_ceil(60)
        );
        Ok::<_, io::Error>(status.success())
    };
    let must = |what: &str, is_done: bool| {
        let error = || io::Error::other(format!("{what} failed; it said why"));
        is_done.then_some(()).ok_or_else(error)
    };

    let mut build = Command::new(&cargo);
    build.args(["build", "--profile", profile]);
    for example in ["compare", "peer", "raw_server", "hub_server"] {
        build.args(["--example", example]);
    }
    must(
        "the build",
        next(
            "builds the servers, about 7 min where nothing is built",
            &mut build,
        )?,
    )?;

    let compare = workspace.join(built).join("compare");
    let mut compare = Command::new(compare);
    compare
        .args(["--rounds", &options.rounds.to_string(), "--save"])
        .arg(&folder);
    compare.stdout(std::process::Stdio::null());
    // What could not be measured stands in the tables.
    if !next("compares the servers; it says how long", &mut compare)? {
        tell!("not everything could be measured: see compare.md");
    }
    if options.no_bench {
        return Ok(());
    }
    let mut build = Command::new(&cargo);
    build.args(["bench", "--no-run"]);
    must(
        "the build",
        next("builds the benches, about 5 min", &mut build)?,
    )?;
    let criterion = workspace.join("target/criterion");
    // What an earlier run left is of other code.
    match fs::remove_dir_all(&criterion) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut bench = Command::new(&cargo);
    bench.args(["bench", "--", "--noplot"]);
    must(
        "cargo bench",
        next("runs the benches, about 14 min", &mut bench)?,
    )?;
    take_in(&criterion, &folder)
}

/// Keeps what criterion found out with the other results.
fn take_in(criterion: &Path, folder: &Path) -> io::Result<()> {
    let run = Run::read(criterion, "cargo bench")?;
    let text = serde_json::to_string(&run).map_err(io::Error::other)?;
    // A line for each: a diff tells which changed.
    let text = text.replace("{\"group\"", "\n{\"group\"");
    fs::write(folder.join("criterion.json"), text + "\n")
}
