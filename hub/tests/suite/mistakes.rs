//! A wrong registration is a compile error that names what is wrong.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// What only a library with every feature is made of.
const OF_FEATURES: [&str; 4] = [
    "src/backplanes/redis.rs",
    "src/client.rs",
    "src/jwt.rs",
    "src/testing.rs",
];

/// A library as this test was built with: the newest that has every feature. What Cargo has written
/// beside each names the files that it is made of.
fn library(deps: &Path) -> PathBuf {
    let files = fs::read_dir(deps)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let libraries = files.filter(|path| {
        let name = path.file_name().unwrap().to_str().unwrap_or_default();
        let Some(hash) = name
            .strip_prefix("libhub-")
            .and_then(|rest| rest.strip_suffix(".rlib"))
        else {
            return false;
        };
        let made_of = fs::read_to_string(deps.join(format!("hub-{hash}.d"))).unwrap_or_default();
        OF_FEATURES.iter().all(|file| made_of.contains(file))
    });
    let newest = libraries.max_by_key(|path| fs::metadata(path).unwrap().modified().unwrap());
    newest.expect("it was built")
}

/// Compiles a file as a user's crate; what the compiler says of it, in JSON.
pub(crate) fn compile(source: &Path) -> Vec<serde_json::Value> {
    let deps = env::current_exe().unwrap().parent().unwrap().to_owned();
    let name = source.file_name().unwrap();
    let compiled = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args([
            "--edition=2024",
            "--emit=metadata",
            "--error-format=json",
            "-o",
        ])
        .arg(
            Path::new(env!("CARGO_TARGET_TMPDIR"))
                .join(name)
                .with_extension("rmeta"),
        )
        .arg("--extern")
        .arg(format!("hub={}", library(&deps).display()))
        .arg("-L")
        .arg(format!("dependency={}", deps.display()))
        .arg(source)
        .output()
        .expect("a compiler");
    let messages = String::from_utf8(compiled.stderr).unwrap();
    let messages = messages
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    messages
        .filter(|message: &serde_json::Value| message["level"] == "error")
        .collect()
}

/// What the compiler says of a file: for each error its line and its text.
fn errors(name: &str) -> Vec<(usize, String)> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/suite/mistakes")
        .join(name);
    compile(&source)
        .into_iter()
        .filter_map(|message| {
            let spans = message["spans"].as_array()?;
            let in_main = |span: &&serde_json::Value| {
                span["text"][0]["text"]
                    .as_str()
                    .is_some_and(|text| text.contains("hub."))
            };
            let at = spans.iter().find(in_main)?["line_start"].as_u64()?;
            Some((at as usize, message["rendered"].as_str()?.to_owned()))
        })
        .collect()
}

#[test]
fn the_compiler_says_what_is_wrong_with_a_registration() {
    compare("wrong.rs", include_str!("mistakes/wrong.rs"), 10);
}

#[test]
fn the_compiler_says_what_to_write_for_a_parameter_that_borrows() {
    compare("borrowed.rs", include_str!("mistakes/borrowed.rs"), 3);
}

/// Every line that is marked so is refused with that text, and no other is.
fn compare(name: &str, source: &str, count: usize) {
    let errors = errors(name);
    let mut expected = Vec::new();
    for (number, line) in (1..).zip(source.lines()) {
        let Some((_, text)) = line.split_once("//~ ") else {
            continue;
        };
        expected.push(number);
        let said: Vec<_> = errors.iter().filter(|(at, _)| *at == number).collect();
        assert!(
            said.iter().any(|(_, said)| said.contains(text)),
            "line {number}: {text}\n{}",
            said.iter()
                .map(|(_, said)| said.as_str())
                .collect::<String>()
        );
        let parts = said.iter().all(|(_, said)| said.lines().count() < 40);
        assert!(parts, "line {number}: too many words");
    }
    assert_eq!(expected.len(), count);
    let other = errors.iter().find(|(at, _)| !expected.contains(at));
    assert_eq!(other, None, "what is right is refused");
}
