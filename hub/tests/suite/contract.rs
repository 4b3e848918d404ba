//! The rules that code, tests and documents cite stand in `SPEC.md`.

use std::path::Path;

use crate::contract_of::{bare, lost_steps, missing, relative_links};

#[test]
fn every_rule_that_is_cited_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace = root.parent().unwrap();
    let places = [
        root.to_owned(),
        workspace.join("examples"),
        workspace.join("bench"),
        workspace.join("README.md"),
    ];
    let missing = missing(&places, &root.join("SPEC.md"));
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn no_rule_stands_where_its_sentence_should() {
    let found = bare(&[Path::new(env!("CARGO_MANIFEST_DIR")).join("src")]);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_walk_through_the_files_names_what_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let lost = lost_steps(&root.join("README.md"), &root.join("src"));
    assert_eq!(lost, [""; 0]);
}

#[test]
fn what_is_published_links_to_nothing_beside_it() {
    for file in ["README.md", "CHANGELOG.md", "SPEC.md"] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        assert_eq!(relative_links(&file), [""; 0], "{}", file.display());
    }
}
