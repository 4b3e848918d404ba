//! Characters that a transcript draws, and what came as a transcript would write it.

use super::pattern::Bindings;

const PICTURES: [(char, char); 5] = [
    ('␞', '\x1e'),
    ('␍', '\r'),
    ('␊', '\n'),
    ('␀', '\0'),
    ('␉', '\t'),
];

/// From so many equal characters on, a run is shown as `{x*300}`.
const LONG_RUN: usize = 100;

/// A text of a file -> what it stands for.
pub(super) fn plain(text: &str) -> String {
    let char_of = |c| {
        PICTURES
            .iter()
            .find(|(picture, _)| *picture == c)
            .map_or(c, |(_, is)| *is)
    };
    text.chars().map(char_of).collect()
}

fn picture_of(c: char) -> char {
    PICTURES
        .iter()
        .find(|(_, is)| *is == c)
        .map_or(c, |(picture, _)| *picture)
}

pub(super) fn text_shown(names: &Bindings, actual: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(actual).into_owned();
    for (name, value) in names.iter().filter(|(_, value)| value.len() >= 16) {
        text = text.replace(value, &format!("{{{name}}}"));
    }
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::new();
    for run in chars.chunk_by(|a, b| a == b) {
        if run.len() >= LONG_RUN {
            out.push_str(&format!("{{{}*{}}}", picture_of(run[0]), run.len()));
        } else {
            out.extend(run.iter().copied().map(picture_of));
        }
    }
    out
}

/// Bytes in hex, with what is text legible.
pub(crate) fn hex_shown(actual: &[u8]) -> String {
    let (mut out, mut short) = (Vec::new(), Vec::new());
    for run in actual.chunk_by(|a, b| a == b) {
        if run.len() < LONG_RUN {
            short.extend_from_slice(run);
            continue;
        }
        out.extend(short_shown(&std::mem::take(&mut short)));
        out.push(format!("{{{:02x}*{}}}", run[0], run.len()));
    }
    out.extend(short_shown(&short));
    out.join(" ")
}

fn short_shown(bytes: &[u8]) -> Vec<String> {
    let legible = |b: &u8| (b' '..=b'~').contains(b) && *b != b'"';
    let mut out = Vec::new();
    for group in bytes.chunk_by(|a, b| legible(a) == legible(b)) {
        if legible(&group[0]) && group.len() > 2 {
            out.push(format!("\"{}\"", String::from_utf8_lossy(group)));
        } else {
            out.push(group.iter().map(|b| format!("{b:02x}")).collect());
        }
    }
    out
}
