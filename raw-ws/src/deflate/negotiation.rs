//! The extension's parameters, RFC 7692 section 7.1.

use http::{HeaderMap, HeaderValue, header::SEC_WEBSOCKET_EXTENSIONS};

/// What a server agrees to, RFC 7692: whether and how messages are compressed.
///
/// The defaults keep no compression state between messages, so an idle connection costs no more
/// than without the extension, and a message for many receivers is compressed once.
///
/// ```
/// use raw_ws::{Config, Deflate};
/// let config = Config::new().deflate(Deflate::new().min_size(1024));
/// assert!(config.deflate.is_some());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deflate {
    /// Begin each message anew (`server_no_context_takeover`), `true` by default. `false`
    /// compresses repetitive traffic better and keeps about 300 KiB per connection.
    pub server_no_context_takeover: bool,
    /// Ask the client to begin each message anew (`client_no_context_takeover`), `true` by
    /// default. `false` keeps about 50 KiB per connection.
    pub client_no_context_takeover: bool,
    /// The server's window as a power of two, 9 to 15; 15 by default. Less needs less memory and
    /// compresses less.
    pub server_max_window_bits: u8,
    /// The window asked of clients that let themselves be asked, 9 to 15; 15 by default.
    pub client_max_window_bits: u8,
    /// Messages of fewer bytes go uncompressed; 256 by default.
    pub min_size: usize,
    /// The effort from 1 (fast, the default) to 9 (small).
    pub level: u8,
}

impl Default for Deflate {
    fn default() -> Self {
        Self {
            server_no_context_takeover: true,
            client_no_context_takeover: true,
            server_max_window_bits: 15,
            client_max_window_bits: 15,
            min_size: 256,
            level: 1,
        }
    }
}

impl Deflate {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    crate::setters::setters! {
        min_size: usize,
    }

    /// Whether the server may refer back to earlier messages, and the client to its own.
    #[must_use]
    pub fn context_takeover(mut self, server: bool, client: bool) -> Self {
        self.server_no_context_takeover = !server;
        self.client_no_context_takeover = !client;
        self
    }

    /// Sets both windows, as powers of two.
    ///
    /// # Panics
    /// Outside 9 to 15.
    #[must_use]
    pub fn window_bits(mut self, server: u8, client: u8) -> Self {
        assert!(
            (9..=15).contains(&server) && (9..=15).contains(&client),
            "window bits are 9 to 15"
        );
        self.server_max_window_bits = server;
        self.client_max_window_bits = client;
        self
    }

    /// Sets [`level`](Self#structfield.level).
    ///
    /// # Panics
    /// Outside 1 to 9.
    #[must_use]
    pub fn level(mut self, level: u8) -> Self {
        assert!((1..=9).contains(&level), "levels are 1 to 9");
        self.level = level;
        self
    }

    /// Accepts the first offer of the client that can be met (RFC 7692 section 5), if any.
    pub(crate) fn negotiate(&self, headers: &HeaderMap) -> Option<Negotiated> {
        headers
            .get_all(SEC_WEBSOCKET_EXTENSIONS)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .find_map(|offer| self.accept(offer))
    }

    /// Accepts one offer: `permessage-deflate; parameter; parameter=value`.
    fn accept(&self, offer: &str) -> Option<Negotiated> {
        let mut parts = offer.split(';').map(str::trim);
        if parts.next()? != "permessage-deflate" {
            return None;
        }
        let mut agreed = Negotiated {
            server_no_context_takeover: self.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover,
            server_max_window_bits: self.server_max_window_bits,
            client_max_window_bits: None,
            answers_server_bits: self.server_max_window_bits < 15,
            min_size: self.min_size,
            level: self.level,
        };
        let mut seen = [false; 4];
        for part in parts {
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => {
                    (name.trim_end(), Some(value.trim_start().trim_matches('"')))
                }
                None => (part, None),
            };
            // RFC 7692 7.1: decline an offer with an unknown parameter, an invalid value, or a
            // parameter given twice.
            let index = match (name, value) {
                ("server_no_context_takeover", None) => {
                    agreed.server_no_context_takeover = true;
                    0
                }
                ("client_no_context_takeover", None) => {
                    agreed.client_no_context_takeover = true;
                    1
                }
                ("server_max_window_bits", Some(value)) => {
                    let bits = window_bits(value)?;
                    agreed.server_max_window_bits = bits.min(self.server_max_window_bits);
                    agreed.answers_server_bits = true;
                    2
                }
                ("client_max_window_bits", value) => {
                    let bits = value.map_or(Some(15), window_bits)?;
                    agreed.client_max_window_bits = Some(bits.min(self.client_max_window_bits));
                    3
                }
                _ => return None,
            };
            if std::mem::replace(&mut seen[index], true) {
                return None;
            }
        }
        // A window of 8 bits cannot be compressed into: zlib makes it 9.
        (agreed.server_max_window_bits >= 9).then_some(agreed)
    }
}

/// A window size in an offer: a decimal from 8 to 15 without leading zeros.
fn window_bits(value: &str) -> Option<u8> {
    let bits = value.parse().ok().filter(|bits| (8..=15).contains(bits))?;
    (!value.starts_with(['0', '+'])).then_some(bits)
}

/// What client and server agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiated {
    pub(crate) server_no_context_takeover: bool,
    pub(crate) client_no_context_takeover: bool,
    pub(crate) server_max_window_bits: u8,
    pub(crate) client_max_window_bits: Option<u8>,
    answers_server_bits: bool,
    pub(crate) min_size: usize,
    pub(crate) level: u8,
}

impl Negotiated {
    /// The same agreement from the client's side, where the server's parameters bind the peer.
    pub(crate) fn mirrored(&self) -> Self {
        let window_bits = self.client_max_window_bits.unwrap_or(15);
        Self {
            server_no_context_takeover: self.client_no_context_takeover,
            client_no_context_takeover: self.server_no_context_takeover,
            server_max_window_bits: window_bits.max(9),
            client_max_window_bits: Some(self.server_max_window_bits),
            // A window of 8 bits cannot be compressed into: nothing is compressed then.
            min_size: if window_bits < 9 {
                usize::MAX
            } else {
                self.min_size
            },
            ..*self
        }
    }

    /// The answer in `Sec-WebSocket-Extensions`.
    pub(crate) fn header_value(&self) -> HeaderValue {
        let mut value = String::from("permessage-deflate");
        if self.server_no_context_takeover {
            value.push_str("; server_no_context_takeover");
        }
        if self.client_no_context_takeover {
            value.push_str("; client_no_context_takeover");
        }
        if self.answers_server_bits {
            value.push_str(&format!(
                "; server_max_window_bits={}",
                self.server_max_window_bits
            ));
        }
        // RFC 7692 7.1.2.2: only to a client that offered it.
        if let Some(bits) = self.client_max_window_bits.filter(|&bits| bits < 15) {
            value.push_str(&format!("; client_max_window_bits={bits}"));
        }
        HeaderValue::from_str(&value).unwrap_or(HeaderValue::from_static("permessage-deflate"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(deflate: &Deflate, offers: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for offer in offers {
            headers.append(SEC_WEBSOCKET_EXTENSIONS, offer.parse().unwrap());
        }
        let agreed = deflate.negotiate(&headers)?;
        Some(
            agreed
                .header_value()
                .to_str()
                .unwrap()
                .strip_prefix("permessage-deflate")
                .unwrap()
                .into(),
        )
    }

    #[test]
    fn offers_are_answered_as_rfc_7692_section_7_1_says() {
        let both = Deflate::new().context_takeover(true, true);
        let cases: &[(&str, Option<&str>)] = &[
            ("permessage-deflate", Some("")),
            ("permessage-deflate; client_max_window_bits", Some("")),
            (
                "permessage-deflate;server_no_context_takeover",
                Some("; server_no_context_takeover"),
            ),
            (
                "permessage-deflate; client_no_context_takeover",
                Some("; client_no_context_takeover"),
            ),
            (
                "permessage-deflate; server_max_window_bits=10",
                Some("; server_max_window_bits=10"),
            ),
            (
                "permessage-deflate; server_max_window_bits=\"10\"",
                Some("; server_max_window_bits=10"),
            ),
            (
                "permessage-deflate; client_max_window_bits=10",
                Some("; client_max_window_bits=10"),
            ),
            ("permessage-deflate; server_max_window_bits=8", None),
            ("permessage-deflate; server_max_window_bits=16", None),
            ("permessage-deflate; server_max_window_bits=010", None),
            ("permessage-deflate; server_max_window_bits", None),
            ("permessage-deflate; server_no_context_takeover=1", None),
            (
                "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
                None,
            ),
            ("permessage-deflate; unknown", None),
            ("x-webkit-deflate-frame", None),
            (
                "x-other, permessage-deflate; unknown, permessage-deflate; server_max_window_bits=12",
                Some("; server_max_window_bits=12"),
            ),
        ];
        for (offer, expected) in cases {
            assert_eq!(answer(&both, &[offer]).as_deref(), *expected, "{offer}");
        }
    }

    #[test]
    fn by_default_no_side_keeps_a_window_between_messages() {
        assert_eq!(
            answer(
                &Deflate::new(),
                &["permessage-deflate; client_max_window_bits"]
            )
            .as_deref(),
            Some("; server_no_context_takeover; client_no_context_takeover")
        );
    }

    #[test]
    fn a_smaller_window_is_asked_only_of_clients_that_offer_it() {
        let small = Deflate::new()
            .context_takeover(true, true)
            .window_bits(11, 10);
        assert_eq!(
            answer(&small, &["permessage-deflate"]).as_deref(),
            Some("; server_max_window_bits=11")
        );
        assert_eq!(
            answer(&small, &["permessage-deflate; client_max_window_bits"]).as_deref(),
            Some("; server_max_window_bits=11; client_max_window_bits=10")
        );
    }

    #[test]
    fn a_thousand_offers_take_the_first_that_can_be_met() {
        let offers = vec!["permessage-deflate; unknown=1"; 1000].join(",");
        assert_eq!(answer(&Deflate::new(), &[&offers]), None);
    }
}
