//! What trusted proxies say of a request: `Forwarded` (RFC 7239), or `X-Forwarded-For`, `-Proto`
//! and `-Host`.
//!
//! Each proxy adds at the right. So the fields are read from there: the last word is the nearest
//! proxy's, who is trusted; the one before it holds if the address that the last word names is a
//! trusted proxy as well. Whatever is further left is a stranger's, and not even looked at.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderValue, header::FORWARDED, uri::Authority};

use super::{ServeConfig, proxies::ForwardedHeaders};

const FOR: &str = "x-forwarded-for";
const PROTO: &str = "x-forwarded-proto";
const HOST: &str = "x-forwarded-host";

/// What is known of a client from its proxies.
#[derive(Debug, Default, Clone)]
pub(super) struct Forwarded {
    /// Without a port that is known, the port is 0.
    pub(super) client: Option<SocketAddr>,
    pub(super) is_https: Option<bool>,
    pub(super) host: Option<HeaderValue>,
}

/// What a trusted proxy ought not to send, as a sentence.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

/// Reads what trusted proxies say, on a connection from one of them.
pub(super) fn read(headers: &HeaderMap, config: &ServeConfig) -> Result<Forwarded, Malformed> {
    let has_x = [FOR, PROTO, HOST]
        .iter()
        .any(|name| headers.contains_key(*name));
    let standard = || {
        headers
            .contains_key(FORWARDED)
            .then(|| standard(headers, config))
    };
    let x = || has_x.then(|| x_forwarded(headers, config));
    let (standard, x) = match config.forwarded_headers {
        ForwardedHeaders::Either => (standard(), x()),
        ForwardedHeaders::Forwarded => (standard(), None),
        ForwardedHeaders::XForwarded => (None, x()),
    };
    match (standard.transpose()?, x.transpose()?) {
        (Some(one), Some(other)) if !one.says_the_same(&other) => Err(Malformed(
            "Forwarded and X-Forwarded-* contradict each other: the proxy must remove those that \
             it does not set, or ServeConfig::forwarded_headers must name those that count",
        )),
        (Some(said), _) | (None, Some(said)) => Ok(said),
        (None, None) => Ok(Forwarded::default()),
    }
}

impl Forwarded {
    fn says_the_same(&self, other: &Self) -> bool {
        let ip = |said: &Self| said.client.map(|client| client.ip());
        ip(self) == ip(other) && self.is_https == other.is_https && self.host == other.host
    }
}

/// Who is named as the one before.
enum Node {
    Address(SocketAddr),
    /// The proxy does not say.
    Unknown,
}

impl Node {
    /// The address, where the walk goes on to the left of it.
    fn goes_on(&self, config: &ServeConfig) -> bool {
        matches!(self, Self::Address(address) if config.trusts(address.ip()))
    }
}

// ---------------------------------------------------------------------------------------------
// X-Forwarded-*

fn x_forwarded(headers: &HeaderMap, config: &ServeConfig) -> Result<Forwarded, Malformed> {
    let mut said = Forwarded::default();
    let mut steps = 0_usize;
    for word in words(headers, FOR) {
        steps += 1;
        let malformed = Malformed("X-Forwarded-For names what is no address");
        let node = x_node(text(word).ok_or(malformed)?)?;
        if let Node::Address(address) = node {
            said.client = Some(address);
        }
        if !node.goes_on(config) {
            break;
        }
    }
    // As many steps from the right as the client's address is; proxies that overwrite these fields
    // leave only one word.
    let at_client = |name: &str| {
        let words = words(headers, name).take(steps.max(1));
        words.last()
    };
    if let Some(word) = at_client(PROTO) {
        let malformed = Malformed("X-Forwarded-Proto is neither http nor https");
        said.is_https = Some(text(word).and_then(is_https).ok_or(malformed)?);
    }
    if let Some(word) = at_client(HOST) {
        let malformed = Malformed("X-Forwarded-Host is no host");
        said.host = Some(text(word).and_then(host).ok_or(malformed)?);
    }
    Ok(said)
}

/// The words of all fields of a name, the last first.
fn words<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    let fields: Vec<_> = headers.get_all(name).iter().collect();
    let words = fields.into_iter().rev().flat_map(|field| {
        let words = field.as_bytes().rsplit(|byte| *byte == b',');
        words.map(<[u8]>::trim_ascii)
    });
    words.filter(|word| !word.is_empty())
}

fn text(word: &[u8]) -> Option<&str> {
    std::str::from_utf8(word).ok()
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`, `unknown`.
fn x_node(text: &str) -> Result<Node, Malformed> {
    if text.eq_ignore_ascii_case("unknown") {
        return Ok(Node::Unknown);
    }
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let address = match bare {
        Some(v6) => v6.parse().ok().map(IpAddr::V6),
        None => text.parse().ok(),
    };
    let address = address
        .map(|address| SocketAddr::new(address, 0))
        .or_else(|| text.parse().ok())
        .ok_or(Malformed("X-Forwarded-For names what is no address"))?;
    Ok(Node::Address(canonical(address)))
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Some proxies name the scheme of the WebSocket.
fn is_https(scheme: &str) -> Option<bool> {
    let is = |name: &str| scheme.eq_ignore_ascii_case(name);
    if is("https") || is("wss") {
        Some(true)
    } else if is("http") || is("ws") {
        Some(false)
    } else {
        None
    }
}

fn host(text: &str) -> Option<HeaderValue> {
    let authority: Authority = text.parse().ok()?;
    let is_host = !authority.as_str().contains('@') && !authority.host().is_empty();
    is_host.then(|| HeaderValue::from_str(text).ok()).flatten()
}

// ---------------------------------------------------------------------------------------------
// Forwarded

fn standard(headers: &HeaderMap, config: &ServeConfig) -> Result<Forwarded, Malformed> {
    let mut said = Forwarded::default();
    let fields: Vec<_> = headers.get_all(FORWARDED).iter().collect();
    for field in fields.into_iter().rev() {
        // A field is read whole: behind a quotation mark that is never closed, nobody can say whose
        // words are whose.
        for element in elements(field)?.into_iter().rev() {
            said.is_https = element.is_https.or(said.is_https);
            said.host = element.host.or(said.host);
            let node = element.node.unwrap_or(Node::Unknown);
            if let Node::Address(address) = node {
                said.client = Some(address);
            }
            if !node.goes_on(config) {
                return Ok(said);
            }
        }
    }
    Ok(said)
}

/// RFC 7239 section 4: what one proxy says.
#[derive(Default)]
struct Element {
    node: Option<Node>,
    is_https: Option<bool>,
    host: Option<HeaderValue>,
    has_by: bool,
}

const MALFORMED: Malformed = Malformed("Forwarded is malformed (RFC 7239)");

fn elements(field: &HeaderValue) -> Result<Vec<Element>, Malformed> {
    let mut rest = field.to_str().map_err(|_| MALFORMED)?;
    let mut elements = Vec::new();
    let mut element = Element::default();
    let mut is_empty = true;
    loop {
        rest = rest.trim_start_matches([' ', '\t']);
        let Some(next) = rest.chars().next() else {
            break;
        };
        match next {
            ';' => rest = &rest[1..],
            ',' => {
                rest = &rest[1..];
                if !std::mem::replace(&mut is_empty, true) {
                    elements.push(std::mem::take(&mut element));
                }
            }
            _ => {
                rest = pair(rest, &mut element)?;
                is_empty = false;
            }
        }
    }
    if !is_empty {
        elements.push(element);
    }
    Ok(elements)
}

/// `token "=" ( token / quoted-string )`, and behind it nothing, `;` or `,`.
fn pair<'a>(text: &'a str, element: &mut Element) -> Result<&'a str, Malformed> {
    let (name, rest) = text.split_once('=').ok_or(MALFORMED)?;
    let (value, rest) = match rest.strip_prefix('"') {
        Some(quoted) => unquoted(quoted)?,
        None => {
            let end = rest.find(|c: char| !is_token(c)).unwrap_or(rest.len());
            (rest[..end].to_owned(), &rest[end..])
        }
    };
    if name.is_empty() || !name.chars().all(is_token) || value.is_empty() {
        return Err(MALFORMED);
    }
    let rest = rest.trim_start_matches([' ', '\t']);
    if !(rest.is_empty() || rest.starts_with([';', ','])) {
        return Err(MALFORMED);
    }
    // "Each parameter MUST NOT occur more than once per forwarded-element."
    let is_again = match name.to_ascii_lowercase().as_str() {
        "for" => element.node.replace(node(&value)?).is_some(),
        "by" => std::mem::replace(&mut element.has_by, true),
        "proto" => {
            let proto = is_https(&value).ok_or(MALFORMED)?;
            element.is_https.replace(proto).is_some()
        }
        "host" => {
            let host = host(&value).ok_or(MALFORMED)?;
            element.host.replace(host).is_some()
        }
        _ => false, // an extension
    };
    if is_again {
        return Err(MALFORMED);
    }
    Ok(rest)
}

fn unquoted(text: &str) -> Result<(String, &str), Malformed> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => value.push(chars.next().ok_or(MALFORMED)?.1),
            c => value.push(c),
        }
    }
    Err(MALFORMED)
}

/// RFC 9110 section 5.6.2.
fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

/// RFC 7239 section 6: an address, `unknown` or a made-up name, and maybe a port, which may be
/// made up as well.
fn node(text: &str) -> Result<Node, Malformed> {
    let (name, port) = match text.strip_prefix('[') {
        Some(v6) => {
            let (v6, rest) = v6.split_once(']').ok_or(MALFORMED)?;
            let port = rest.strip_prefix(':');
            if port.is_none() && !rest.is_empty() {
                return Err(MALFORMED);
            }
            let v6 = v6.parse().map_err(|_| MALFORMED)?;
            (Some(IpAddr::V6(v6)), port)
        }
        None => {
            let (name, port) = match text.split_once(':') {
                Some((name, port)) => (name, Some(port)),
                None => (text, None),
            };
            if name.eq_ignore_ascii_case("unknown") || is_made_up(name) {
                (None, port)
            } else {
                let v4 = name.parse().map_err(|_| MALFORMED)?;
                (Some(IpAddr::V4(v4)), port)
            }
        }
    };
    let port = match port {
        None => 0,
        Some(port) if is_made_up(port) => 0,
        Some(port) if port.chars().all(|c| c.is_ascii_digit()) => {
            port.parse().map_err(|_| MALFORMED)?
        }
        Some(_) => return Err(MALFORMED),
    };
    Ok(match name {
        Some(address) => Node::Address(canonical(SocketAddr::new(address, port))),
        None => Node::Unknown,
    })
}

/// "obfnode", "obfport".
fn is_made_up(text: &str) -> bool {
    text.strip_prefix('_').is_some_and(|name| {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        !name.is_empty() && name.chars().all(is_allowed)
    })
}
