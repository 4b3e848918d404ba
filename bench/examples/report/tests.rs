//! What is committed under `bench/results` is what its figures say, and the README says the same.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use bench::results::{Results, Spread};

use crate::{
    axis::{Axis, WIDEST_BARS},
    bars::{Bar, Bars, Panel},
    criterion::Run,
    figures, kept, page,
    picture::Series,
};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn results() -> (PathBuf, Results, Option<Run>) {
    let folder = workspace().join("bench/results");
    let compare = kept(&folder, "compare.json").unwrap().unwrap();
    let bench = kept(&folder, "criterion.json").unwrap();
    (folder, compare, bench)
}

#[test]
fn pictures_and_page_are_those_of_the_results() {
    let (folder, compare, bench) = results();
    let figures = figures::all(&compare, bench.as_ref()).unwrap();
    assert!(figures.len() >= 12, "only {}", figures.len());
    for figure in &figures {
        let file = folder.join(format!("{}.svg", figure.name));
        assert!(
            fs::read_to_string(&file).unwrap() == figure.svg,
            "{} is not what the results say: run the example report",
            file.display()
        );
        for nothing in ["NaN", "inf", "–", "-0.00"] {
            assert!(!figure.title.contains(nothing), "{}", figure.title);
        }
    }
    let page = page::whole(&compare, bench.as_ref(), &figures);
    assert_eq!(fs::read_to_string(folder.join("README.md")).unwrap(), page);
}

#[test]
fn the_readme_says_what_the_results_say() {
    let (_, compare, _) = results();
    let readme = fs::read_to_string(workspace().join("README.md")).unwrap();
    let summary = page::summary(&compare).unwrap();
    assert_eq!(page::between_marks(&readme, &summary).unwrap(), readme);
    assert_eq!(page::between_marks("no marks", &summary), None);
}

#[test]
fn an_axis_begins_at_zero_unless_values_are_far_apart() {
    let near = Axis::of([1.0, 3.0], WIDEST_BARS, (0, 102));
    assert!(!near.is_logarithmic());
    assert_eq!((near.place(0.0), near.place(3.0)), (0, 100));
    assert_eq!(near.marks(), [0.0, 1.0, 2.0, 3.0]);

    let far = Axis::of([1.0, 30.0], WIDEST_BARS, (0, 100));
    assert!(far.is_logarithmic());
    assert_eq!(far.marks(), [1.0, 3.0, 10.0, 30.0]);
    let (one, ten, hundred) = (far.place(1.0), far.place(5.0), far.place(25.0));
    assert!((hundred - ten).abs_diff(ten - one) <= 1);
}

#[test]
fn a_bar_is_as_long_as_its_ratio_and_has_a_colour_for_the_dark() {
    let bar = |series, median: f64| Bar {
        series,
        name: "one".into(),
        value: Spread {
            median,
            low: median * 0.9,
            high: median * 1.1,
        },
    };
    let bars = Bars {
        title: "Two & <three>".into(),
        below: "below".into(),
        base_name: "raw",
        label: |value| format!("{value} µs"),
        panels: vec![Panel {
            name: "panel".into(),
            base: 2.0,
            bars: vec![bar(Series::Raw, 2.0), bar(Series::HubJson, 4.0)],
        }],
    };
    let svg = bars.draw().unwrap().unwrap();
    let width = |colour: &str| -> f64 {
        let bar = svg
            .lines()
            .find(|line| line.starts_with("<rect") && line.contains(colour));
        let (_, width) = bar.unwrap().split_once("width=\"").unwrap();
        width.split('"').next().unwrap().parse().unwrap()
    };
    let ratio = width("fill=\"#CC79A7\"") / width("fill=\"#0072B2\"");
    assert!((1.98..2.02).contains(&ratio), "{ratio}");
    assert!(svg.contains("<title>Two &amp; &lt;three></title>"));
    assert!(svg.contains("[fill=\"#CC79A7\"]{fill:#e6a1c8}"));
    assert!(svg.contains("4 µs · 2.00 ×"));
}

#[test]
fn criterions_folder_is_read_with_its_names() {
    let folder = env::temp_dir().join(format!("report-{}", std::process::id()));
    let new = folder.join("group/function/20/new");
    fs::create_dir_all(&new).unwrap();
    let benchmark = r#"{"group_id":"group","function_id":"function","value_str":"20"}"#;
    fs::write(new.join("benchmark.json"), benchmark).unwrap();
    let estimate = |point: f64| {
        format!(
            r#"{{"point_estimate":{point},"confidence_interval":{{"lower_bound":{},"upper_bound":{}}}}}"#,
            point - 100.0,
            point + 100.0
        )
    };
    let estimates = format!(r#"{{"mean":{},"slope":null}}"#, estimate(2000.0));
    fs::write(new.join("estimates.json"), estimates).unwrap();
    let run = Run::read(&folder, "cargo bench").unwrap();
    fs::remove_dir_all(&folder).unwrap();
    let spread = run.microseconds("group", "function", "20").unwrap();
    assert_eq!((spread.low, spread.median, spread.high), (1.9, 2.0, 2.1));
    assert_eq!(run.microseconds("group", "function", "21"), None);
}
