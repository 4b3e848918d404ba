//! The heads of requests as their bytes come by, for what hyper lets through or hides: a bare LF
//! as a line end, which RFC 9112 section 2.2 allows, and `Content-Length` beside
//! `Transfer-Encoding`, of which it removes the former. Request smuggling lives on both.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use super::{
    progress::{Progress, Reading},
    refusal::Refusal,
};

const BARE_LINE_FEED: u8 = 1;
const UNSURE_LENGTH: u8 = 2;

/// What has been found on a connection so far.
#[derive(Clone, Default)]
pub(super) struct Findings(Arc<AtomicU8>);

impl Findings {
    /// What is wrong with a head that came by. What comes behind it is not to be trusted either.
    pub(super) fn fault(&self) -> Option<&'static str> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            found if found & BARE_LINE_FEED != 0 => Some("lines end with CR LF"),
            _ => Some("the body must have exactly one length"),
        }
    }

    fn add(&self, found: u8) {
        self.0.fetch_or(found, Ordering::Relaxed);
    }
}

/// Looks at each head of a connection. Bodies of a given length are skipped; behind a chunked one
/// nothing is looked at, so it must be the last.
#[derive(Default)]
pub(super) struct Heads {
    place: Place,
    last_was_cr: bool,
    /// The beginning of the line, in lower case; as much as the names that matter are long.
    line: [u8; LINE],
    line_len: usize,
    has_line: bool,
    has_ended: bool,
    length: Option<u64>,
    is_chunked: bool,
    findings: Findings,
    progress: Progress,
}

const LINE: usize = 32;

#[derive(Default)]
enum Place {
    #[default]
    Head,
    Body(u64),
    Unknown,
}

impl Heads {
    pub(super) fn new(progress: Progress) -> Self {
        Self {
            progress,
            ..Self::default()
        }
    }

    pub(super) fn findings(&self) -> Findings {
        self.findings.clone()
    }

    /// Why its client is let go, if it is.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.progress.refusal()
    }

    /// Whether anything of the head that is waited for has come.
    pub(super) fn has_begun(&self) -> bool {
        self.has_line || self.line_len > 0 || self.last_was_cr
    }

    /// Takes the next bytes of the connection.
    pub(super) fn look(&mut self, bytes: &[u8]) {
        self.read(bytes);
        self.progress.reads(match self.place {
            Place::Body(_) | Place::Unknown => Reading::Body,
            Place::Head if !self.has_ended => Reading::First,
            Place::Head if self.has_begun() => Reading::Head,
            Place::Head => Reading::Between,
        });
    }

    fn read(&mut self, mut bytes: &[u8]) {
        while let Some((&byte, rest)) = bytes.split_first() {
            match &mut self.place {
                Place::Unknown => return,
                Place::Body(left) => {
                    let skipped = bytes
                        .len()
                        .min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= skipped as u64;
                    bytes = &bytes[skipped..];
                    if *left == 0 {
                        self.place = Place::Head;
                    }
                }
                Place::Head => {
                    self.byte_of_head(byte);
                    bytes = rest;
                }
            }
        }
    }

    fn byte_of_head(&mut self, byte: u8) {
        if byte == b'\n' {
            if !self.last_was_cr {
                self.findings.add(BARE_LINE_FEED);
            }
            self.end_of_line();
        } else if byte != b'\r' {
            if let Some(place) = self.line.get_mut(self.line_len) {
                *place = byte.to_ascii_lowercase();
            }
            self.line_len += 1;
        }
        self.last_was_cr = byte == b'\r';
    }

    fn end_of_line(&mut self) {
        let len = std::mem::take(&mut self.line_len);
        if len == 0 {
            // Empty lines in front of a request are skipped, RFC 9112 section 2.2.
            if std::mem::take(&mut self.has_line) {
                self.end_of_head();
            }
            return;
        }
        self.has_line = true;
        let line = &self.line[..len.min(LINE)];
        if let Some(value) = line.strip_prefix(b"content-length:") {
            let value = std::str::from_utf8(value).unwrap_or_default();
            self.length = Some(value.trim().parse().unwrap_or(0)); // hyper refuses others
            if len > LINE {
                self.findings.add(UNSURE_LENGTH);
            }
        } else if line.starts_with(b"transfer-encoding:") {
            self.is_chunked = true;
        }
    }

    fn end_of_head(&mut self) {
        self.has_ended = true;
        self.place = match (self.length.take(), std::mem::take(&mut self.is_chunked)) {
            (Some(_), true) => {
                self.findings.add(UNSURE_LENGTH);
                Place::Unknown
            }
            (None, true) => Place::Unknown,
            (Some(length @ 1..), false) => Place::Body(length),
            (_, false) => Place::Head,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(heads: &str) -> Option<&'static str> {
        // Whole, and byte by byte.
        let (mut whole, mut split) = (Heads::default(), Heads::default());
        whole.look(heads.as_bytes());
        heads.as_bytes().chunks(1).for_each(|byte| split.look(byte));
        assert_eq!(whole.findings.fault(), split.findings.fault());
        whole.findings.fault()
    }

    #[test]
    fn bare_line_feeds_are_found_in_heads_and_not_in_bodies() {
        let body = "POST / HTTP/1.1\r\nContent-Length:  3 \r\n\r\n\n\n\n";
        let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\n\n";
        for (heads, found) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(2), false),
            (body.repeat(3), false),
            (chunked.to_owned(), false),
            (format!("{body}\r\n\r\n{body}"), false),
            (format!("{body}GET / HTTP/1.1\n"), true),
            (format!("\r\n\r\nGET / HTTP/1.1\r\n\n{body}"), true),
            ("GET / HTTP/1.1\n".to_owned(), true),
        ] {
            let fault = fault(&heads);
            assert_eq!(fault, found.then_some("lines end with CR LF"), "{heads:?}");
        }
    }

    #[test]
    fn a_length_that_others_may_read_otherwise_is_found() {
        let (length, chunked) = ("content-LENGTH: 1\r\n", "Transfer-Encoding:chunked\r\n");
        let get = "GET / HTTP/1.1\r\n";
        for (heads, found) in [
            (format!("{get}{length}{chunked}\r\n"), true),
            (format!("{get}{chunked}{length}\r\n"), true),
            (format!("{get}{length}\r\nx{get}{chunked}\r\n"), false),
            (
                format!("{get}{length}\r\nx{get}{chunked}{length}\r\n"),
                true,
            ),
        ] {
            assert_eq!(fault(&heads).is_some(), found, "{heads:?}");
        }
    }
}
