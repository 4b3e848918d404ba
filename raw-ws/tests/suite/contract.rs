//! The rows that tests cite stand in `LIMITS.md`.

use std::path::Path;

use crate::contract_of::{bare, cited, held, is_bare, lost_steps, missing, relative_links};

#[test]
fn every_row_that_is_cited_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let missing = missing(&[root.to_owned()], &root.join("LIMITS.md"));
    let missing: Vec<_> = missing
        .into_iter()
        .filter(|(_, file)| !file.ends_with("contract.rs"))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn no_row_stands_where_a_sentence_should() {
    let found = bare(&[Path::new(env!("CARGO_MANIFEST_DIR")).join("src")]);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_walk_through_the_files_names_what_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = root.parent().unwrap().join("README.md");
    assert_eq!(lost_steps(&readme, &root.join("src")), [""; 0]);
}

#[test]
fn what_is_published_links_to_nothing_beside_it() {
    for file in ["README.md", "CHANGELOG.md", "LIMITS.md", "PROTOCOL.md"] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        assert_eq!(relative_links(&file), [""; 0], "{}", file.display());
    }
}

#[test]
fn what_is_cited_and_what_is_held_is_seen() {
    let names = |text| cited(text).into_iter().collect::<Vec<_>>();
    assert_eq!(names("as SR-08 and (C-10) say"), ["C-10", "SR-08"]);
    assert_eq!(names("UTF-8, F-1, 10-20, WS-010"), [""; 0]);
    assert_eq!(names("fn sr_08_what() {}"), ["SR-08"]);
    assert_eq!(names("fn h_02_h_05_what() {}"), ["H-02", "H-05"]);
    assert_eq!(names("rows 15, 16 and 63"), ["row 15", "row 16", "row 63"]);
    assert_eq!(names("fn row_24_64_a()"), ["row 24", "row 64"]);
    assert_eq!(names("fn row_1_b_row_2_c()"), ["row 1", "row 2"]);
    assert_eq!(names("fn l4_a(), L18; l4 is a variable"), ["L18", "L4"]);
    let contract = "- **SR-08** Then.\n- **bold** words\n| 58 | a | b |\n| L4 | a | b |\n|--:|---|\n| row | x |";
    let all: Vec<_> = held(contract).into_iter().collect();
    assert_eq!(all, ["L4", "SR-08", "bold", "row 58"]);
    for line in [
        "x(); // SR-08",
        "/// C-10, C-11 and row 5.",
        "// Section 4.",
    ] {
        assert!(is_bare(line), "{line}");
    }
    for line in [
        "x(); // as it was (SR-08)",
        "/// RFC 6455 5.5.1: so",
        "x();",
        "// so",
    ] {
        assert!(!is_bare(line), "{line}");
    }
}
