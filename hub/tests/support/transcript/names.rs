//! What the placeholders of one conversation stand for: filling in what is sent, comparing what
//! comes.

use super::{
    hex::{Hex, Token},
    pattern::{Bindings, Kind, Piece, matched},
    show,
    values::by_value,
};

/// What a step sends or expects.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    Text(String),
    Binary(Hex),
}

impl Body {
    pub(crate) fn is_binary(&self) -> bool {
        matches!(self, Self::Binary(_))
    }

    /// As the file writes it.
    pub(crate) fn source(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Binary(hex) => &hex.source,
        }
    }
}

/// The names of one conversation, bound where they are first seen and the same from then on.
#[derive(Debug, Default)]
pub(crate) struct Names {
    values: Bindings,
}

impl Names {
    pub(crate) fn bind(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.values.insert(name.into(), value.into());
    }

    /// A text to send; unknown names stay as they are.
    pub(crate) fn fill(&self, template: &str) -> String {
        let plain = show::plain(template);
        let mut out = String::with_capacity(plain.len());
        for part in parts(&plain) {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Run(c, times) => out.extend(std::iter::repeat_n(c, times)),
                Part::Name(name) => match self.values.get(name) {
                    Some(value) => out.push_str(value),
                    None => out.push_str(&format!("{{{name}}}")),
                },
                Part::Anything => out.push_str("{*}"),
                Part::Digits => out.push_str("{#}"),
            }
        }
        out
    }

    /// The bytes of `body`, to send.
    pub(crate) fn bytes(&self, body: &Body) -> Result<Vec<u8>, String> {
        match body {
            Body::Text(text) => Ok(self.fill(text).into_bytes()),
            Body::Binary(hex) => self.fill_hex(hex),
        }
    }

    pub(crate) fn fill_hex(&self, hex: &Hex) -> Result<Vec<u8>, String> {
        let (mut out, mut prefix_at) = (Vec::new(), None);
        for token in &hex.tokens {
            match token {
                Token::Bytes(bytes) => out.extend_from_slice(bytes),
                Token::Text(text) => out.extend(self.fill(text).into_bytes()),
                Token::Name(name) => out.extend(self.value(name)?.as_bytes()),
                Token::Str(name) => out.extend(str_with_header(self.value(name)?)),
                Token::Length => prefix_at = Some(out.len()),
            }
        }
        if let Some(at) = prefix_at {
            out.splice(at..at, varint(out.len() - at));
        }
        Ok(out)
    }

    fn value(&self, name: &str) -> Result<&str, String> {
        let value = self
            .values
            .get(name)
            .ok_or_else(|| format!("nothing is called {name:?} yet"))?;
        Ok(value)
    }

    /// Is `actual` what `body` expects? Binds the names it shows for the first time.
    pub(crate) fn matches(&mut self, body: &Body, actual: &[u8]) -> bool {
        match body {
            Body::Text(template) => self.matches_text(template, &String::from_utf8_lossy(actual)),
            Body::Binary(hex) => {
                let pieces = self.hex_pieces(hex);
                self.matches_pieces(&pieces, actual)
            }
        }
    }

    /// As the file writes it, or with JSON strings and numbers that are equal as values.
    pub(crate) fn matches_text(&mut self, template: &str, actual: &str) -> bool {
        let plain = show::plain(template);
        let exactly = self.text_pieces(&plain);
        if self.matches_pieces(&exactly, actual.as_bytes()) {
            return true;
        }
        let in_value = self.text_pieces(&by_value(&plain));
        self.matches_pieces(&in_value, by_value(actual).as_bytes())
    }

    fn matches_pieces(&mut self, pieces: &[Piece], actual: &[u8]) -> bool {
        let Some(bound) = matched(pieces, actual) else {
            return false;
        };
        self.values.extend(bound);
        true
    }

    fn text_pieces(&self, plain: &str) -> Vec<Piece> {
        let piece = |part| match part {
            Part::Text(text) => Piece::Exactly(text.into()),
            Part::Run(c, times) => Piece::Exactly(String::from(c).repeat(times).into()),
            Part::Anything => Piece::Anything,
            Part::Digits => Piece::Digits,
            Part::Name(name) => match self.values.get(name) {
                Some(value) => Piece::Exactly(value.clone().into()),
                None if name.ends_with(".id") || name.ends_with(".token") => {
                    Piece::Name(name.into(), Kind::Token)
                }
                None => Piece::Name(name.into(), Kind::Text),
            },
        };
        parts(plain).into_iter().map(piece).collect()
    }

    fn hex_pieces(&self, hex: &Hex) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for token in &hex.tokens {
            match token {
                Token::Bytes(bytes) => pieces.push(Piece::Exactly(bytes.clone())),
                Token::Text(text) => pieces.push(Piece::Exactly(self.fill(text).into())),
                Token::Length => pieces.push(Piece::LengthPrefix),
                Token::Name(name) => pieces.push(match self.values.get(name) {
                    Some(value) => Piece::Exactly(value.clone().into()),
                    None => Piece::Name(name.clone(), Kind::Token),
                }),
                Token::Str(name) => match self.values.get(name) {
                    Some(value) => pieces.push(Piece::Exactly(str_with_header(value))),
                    None => {
                        pieces.push(Piece::StringHead);
                        pieces.push(Piece::Name(name.clone(), Kind::Printable));
                    }
                },
            }
        }
        pieces
    }

    /// What came, as a transcript would write it.
    pub(crate) fn shown(&self, actual: &[u8], binary: bool) -> String {
        if binary {
            show::hex_shown(actual)
        } else {
            show::text_shown(&self.values, actual)
        }
    }
}

enum Part<'a> {
    Text(&'a str),
    Run(char, usize),
    Name(&'a str),
    Anything,
    Digits,
}

fn parts(plain: &str) -> Vec<Part<'_>> {
    let (mut parts, mut text, mut at) = (Vec::new(), 0, 0);
    while let Some(next) = plain[at..].find('{') {
        let start = at + next;
        let Some((part, length)) = placeholder(&plain[start + 1..]) else {
            at = start + 1;
            continue;
        };
        if start > text {
            parts.push(Part::Text(&plain[text..start]));
        }
        parts.push(part);
        at = start + 1 + length;
        text = at;
    }
    if text < plain.len() {
        parts.push(Part::Text(&plain[text..]));
    }
    parts
}

/// The placeholder whose opening brace is before `text`, and its length.
fn placeholder(text: &str) -> Option<(Part<'_>, usize)> {
    let first = text.chars().next()?;
    let after = &text[first.len_utf8()..];
    if let Some(times) = after.strip_prefix('*')
        && let Some((times, _)) = times.split_once('}')
        && let Ok(count) = times.parse()
    {
        return Some((
            Part::Run(first, count),
            first.len_utf8() + 1 + times.len() + 1,
        ));
    }
    let (inner, _) = text.split_once('}')?;
    let part = match inner {
        "*" => Part::Anything,
        "#" => Part::Digits,
        name if is_name(name) => Part::Name(name),
        _ => return None,
    };
    Some((part, inner.len() + 1))
}

fn is_name(text: &str) -> bool {
    let (head, tail) = text.split_once('.').unwrap_or((text, "x"));
    head.starts_with(|c: char| c.is_ascii_lowercase())
        && head.chars().all(|c| c.is_ascii_alphanumeric())
        && !tail.is_empty()
        && tail.chars().all(|c| c.is_ascii_lowercase())
}

fn str_with_header(value: &str) -> Vec<u8> {
    let length = u8::try_from(value.len()).expect("a name stands for a short text");
    let mut out = if length < 32 {
        vec![0xa0 | length]
    } else {
        vec![0xd9, length]
    };
    out.extend(value.as_bytes());
    out
}

fn varint(mut n: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while n > 0x7f {
        out.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
    out
}

#[test]
fn a_name_is_bound_where_it_is_first_seen_and_the_same_from_then_on() {
    let mut names = Names::default();
    let id = "AAAAAAAAAAAAAAAAAAAAA_";
    assert!(!names.matches_text("id {a.id}", "id too-short"));
    assert!(names.matches_text("id {a.id}", &format!("id {id}")));
    assert!(names.matches_text("{a.id}", id));
    assert!(!names.matches_text("{a.id}", "BBBBBBBBBBBBBBBBBBBBBB"));
    assert_eq!(
        names.fill("<{a.id}{b.id}{x*3}>␞"),
        format!("<{id}{{b.id}}xxx>\x1e")
    );
    assert!(names.matches_text("{one}-{one}", "ab-ab"));
    assert!(!names.matches_text("{two}-{two}", "ab-ac"));
    assert!(names.matches_text("{*}x{#}", "anything x12"));
    assert!(!names.matches_text("x{#}", "x"));
}

#[test]
fn hex_counts_its_length_and_writes_strings_with_their_header() {
    let mut names = Names::default();
    let seen = Body::Binary(Hex::parse("{len} 93 {call:str} a1\"x\" {41*2}").unwrap());
    assert!(names.matches(&seen, b"\x08\x93\xa2hi\xa1xAA"));
    assert_eq!(names.bytes(&seen).unwrap(), b"\x08\x93\xa2hi\xa1xAA");
    assert!(!names.matches(&seen, b"\x08\x93\xa2ho\xa1xAA"));
    let unknown = Body::Binary(Hex::parse("{other:str}").unwrap());
    assert!(names.bytes(&unknown).is_err());
    assert!(Hex::parse("4").is_err() && Hex::parse("{Len}").is_err() && Hex::parse("+4").is_err());
}
