//! The rules that code, tests and documents cite stand in `SPEC.md`.

use std::path::Path;

use crate::contract_of::{bare, missing};

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
