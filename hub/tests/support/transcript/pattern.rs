//! What a recorded text or hex line becomes for comparing: pieces that match bytes in turn.

use std::collections::BTreeMap;

/// What names stand for.
pub(super) type Bindings = BTreeMap<String, String>;

#[derive(Debug)]
pub(super) enum Piece {
    Exactly(Vec<u8>),
    /// `{*}`: any bytes, as few as possible.
    Anything,
    /// `{#}`
    Digits,
    /// A name seen for the first time.
    Name(String, Kind),
    /// The first byte of a short MessagePack string.
    StringHead,
    /// `{len}`: the length prefix of a binary message.
    LengthPrefix,
}

/// What a name can stand for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// 22 characters of base64url: a connection's id or token.
    Token,
    /// At least one byte.
    Text,
    /// At least one byte of printable ASCII.
    Printable,
}

/// Do the pieces match all of `actual`? If so, what the new names stand for.
pub(super) fn matched(pieces: &[Piece], actual: &[u8]) -> Option<Bindings> {
    let mut bound = Bindings::new();
    from_here(pieces, actual, &mut bound).then_some(bound)
}

fn from_here(pieces: &[Piece], actual: &[u8], bound: &mut Bindings) -> bool {
    let Some((piece, rest)) = pieces.split_first() else {
        return actual.is_empty();
    };
    let run = |of: fn(&u8) -> bool| actual.iter().take_while(|b| of(b)).count();
    match piece {
        Piece::Exactly(bytes) => actual
            .strip_prefix(&bytes[..])
            .is_some_and(|left| from_here(rest, left, bound)),
        Piece::Anything => (0..=actual.len()).any(|n| from_here(rest, &actual[n..], bound)),
        Piece::Digits => {
            let most = run(u8::is_ascii_digit);
            (1..=most)
                .rev()
                .any(|n| from_here(rest, &actual[n..], bound))
        }
        Piece::StringHead => match actual {
            [0xa0..=0xbf, left @ ..] => from_here(rest, left, bound),
            _ => false,
        },
        Piece::LengthPrefix => {
            let more = run(|b| *b >= 0x80);
            actual.len() > more && from_here(rest, &actual[more + 1..], bound)
        }
        Piece::Name(name, _) if bound.contains_key(name) => {
            let value = bound[name].clone();
            actual
                .strip_prefix(value.as_bytes())
                .is_some_and(|left| from_here(rest, left, bound))
        }
        Piece::Name(name, kind) => {
            let lengths = match kind {
                Kind::Token if run(|b| b.is_ascii_alphanumeric() || b"-_".contains(b)) >= 22 => {
                    22..=22
                }
                Kind::Token => return false,
                Kind::Text => 1..=actual.len(),
                Kind::Printable => 1..=run(|b| (b' '..=b'~').contains(b)),
            };
            for n in lengths {
                let Ok(value) = str::from_utf8(&actual[..n]) else {
                    continue;
                };
                bound.insert(name.clone(), value.to_owned());
                if from_here(rest, &actual[n..], bound) {
                    return true;
                }
                bound.remove(name);
            }
            false
        }
    }
}
