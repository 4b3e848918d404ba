//! Bytes as a transcript writes them: pairs of digits, `"text"`, `{name}`, `{name:str}`, `{len}`,
//! `{41*300}`; spaces are for the reader.

/// Bytes to send or to expect.
#[derive(Debug, Clone)]
pub(crate) struct Hex {
    pub(crate) source: String,
    pub(super) tokens: Vec<Token>,
}

#[derive(Debug, Clone)]
pub(super) enum Token {
    Bytes(Vec<u8>),
    Text(String),
    Name(String),
    /// A MessagePack string with its header.
    Str(String),
    Length,
}

impl Hex {
    pub(crate) fn parse(source: &str) -> Result<Self, String> {
        let mut tokens = Vec::new();
        let mut rest = source.trim_start();
        while !rest.is_empty() {
            let (token, length) = token(rest).ok_or_else(|| format!("bad hex at {rest:?}"))?;
            tokens.push(token);
            rest = rest[length..].trim_start();
        }
        Ok(Self {
            source: source.to_owned(),
            tokens,
        })
    }
}

/// The token at the start of `text`, and its length.
fn token(text: &str) -> Option<(Token, usize)> {
    if let Some(quoted) = text.strip_prefix('"') {
        let end = quoted.find('"')?;
        return Some((Token::Text(quoted[..end].to_owned()), end + 2));
    }
    if let Some(braced) = text.strip_prefix('{') {
        let end = braced.find('}')?;
        return Some((placeholder(&braced[..end])?, end + 2));
    }
    Some((Token::Bytes(vec![pair(text.get(..2)?)?]), 2))
}

fn placeholder(inner: &str) -> Option<Token> {
    if inner == "len" {
        return Some(Token::Length);
    }
    if let Some((digits, times)) = inner.split_once('*') {
        return Some(Token::Bytes(vec![pair(digits)?; times.parse().ok()?]));
    }
    let (name, is_str) = match inner.strip_suffix(":str") {
        Some(name) => (name, true),
        None => (inner, false),
    };
    let well_named = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '.');
    well_named.then(|| {
        if is_str {
            Token::Str(name.into())
        } else {
            Token::Name(name.into())
        }
    })
}

fn pair(digits: &str) -> Option<u8> {
    let all_digits = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    all_digits
        .then(|| u8::from_str_radix(digits, 16).ok())
        .flatten()
}
