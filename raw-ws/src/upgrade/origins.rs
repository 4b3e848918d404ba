//! Which pages may connect: browsers send cookies and let any page open a WebSocket, so the
//! server must look at `Origin` (RFC 6455 section 10.2).

use std::{
    collections::BTreeSet,
    hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher},
};

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{HOST, ORIGIN},
    uri::Authority,
};

use crate::{events, sync::Mutex};

/// The origins whose pages may connect. By default only pages of this server's own host.
///
/// Programs that are not browsers send no `Origin` and are let in, unless
/// [`required`](Self::required) says otherwise.
///
/// An origin is `scheme://host` or `scheme://host:port`, compared in all its parts. Pages that apps
/// carry with them have schemes of their own: `capacitor://localhost`, `tauri://localhost`,
/// `chrome-extension://` with the extension's id. In front of a domain `*.` stands for all names
/// below it, of any depth, and not for the domain itself.
///
/// ```
/// use raw_ws::Origins;
/// let origins = Origins::list([
///     "https://example.com",
///     "https://*.example.com",
///     "capacitor://localhost",
/// ]);
/// assert!(Origins::try_list(["example.com"]).is_err()); // no scheme
/// # let _ = origins;
/// ```
#[derive(Debug, Clone, Default)]
pub struct Origins {
    allowed: Allowed,
    is_required: bool,
}

#[derive(Debug, Clone, Default)]
enum Allowed {
    #[default]
    SameHost,
    List(Vec<Pattern>),
    Any,
}

/// An origin, parsed: `https://example.com`, with the port of the scheme where none is given.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: String,
    /// `None` where the scheme has no port of its own.
    port: Option<u16>,
}

/// An origin, or all the names below its host.
#[derive(Debug, Clone)]
struct Pattern {
    origin: Origin,
    is_below: bool,
}

/// A text that is not an origin: `scheme://host` or `scheme://host:port`, and nothing behind it;
/// with `*.` at most in front of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidOrigin(String);

impl std::fmt::Display for InvalidOrigin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = &self.0;
        if text.contains('*') {
            return write!(
                f,
                "not an origin: {text:?}: `*` stands for whole names in front of a domain, as in \
                 https://*.example.com; for pages of any origin there is Origins::any()"
            );
        }
        write!(f, "not an origin (https://host[:port]): {text:?}")
    }
}

impl std::error::Error for InvalidOrigin {}

/// A request of a page that may not connect, or of nobody knows whose page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignOrigin {
    origin: Option<String>,
    host: Option<String>,
    is_first: bool,
}

impl ForeignOrigin {
    /// The origin that the request names; `None` if it names none, or something else: what is no
    /// origin may be a secret, and this is for logs.
    pub fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }

    /// The host that it asked for, if it is one.
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// Whether no request of this origin has been refused before, in this process: for a log that
    /// must not be filled by whoever likes to. It is so for the first thousand origins.
    pub fn is_first(&self) -> bool {
        self.is_first
    }
}

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

impl Origins {
    /// Pages whose host and port are those of the request's `Host`, which behind a trusted proxy is
    /// the one that the browser asked it for. The default.
    pub fn same_host() -> Self {
        Self::default()
    }

    /// Pages of any origin. For services without cookies or other ambient credentials.
    pub fn any() -> Self {
        Self {
            allowed: Allowed::Any,
            is_required: false,
        }
    }

    /// Pages of these origins and no others.
    ///
    /// # Panics
    /// On a text that is not an origin; [`try_list`](Self::try_list) gives it back instead.
    #[track_caller]
    pub fn list<O: AsRef<str>>(origins: impl IntoIterator<Item = O>) -> Self {
        match Self::try_list(origins) {
            Ok(origins) => origins,
            Err(error) => panic!("{error}"),
        }
    }

    /// Pages of these origins and no others.
    ///
    /// # Errors
    /// The first text that is not an origin.
    pub fn try_list<O: AsRef<str>>(
        origins: impl IntoIterator<Item = O>,
    ) -> Result<Self, InvalidOrigin> {
        let parse = |origin: O| {
            Pattern::parse(origin.as_ref()).ok_or_else(|| InvalidOrigin(origin.as_ref().to_owned()))
        };
        let list = origins.into_iter().map(parse).collect::<Result<_, _>>()?;
        Ok(Self {
            allowed: Allowed::List(list),
            is_required: false,
        })
    }

    /// Refuses requests that do not say which page they come from: where cookies decide who
    /// somebody is. Browsers name no origin when a page GETs something of its own, but say so
    /// (`Sec-Fetch-Site`), unless it is plain `http` on another machine.
    pub fn required(mut self) -> Self {
        self.is_required = true;
        self
    }

    /// Whether a request with these headers may be served. An [`Upgrade`](crate::Upgrade) asks by
    /// itself; this is for what is no upgrade, and does the same for the same pages.
    ///
    /// # Errors
    /// What is foreign about it: counted here, for whoever asks to answer with 403 and to log.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), ForeignOrigin> {
        if self.allows_request(headers) {
            return Ok(());
        }
        events::refused("origin");
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let origin =
            text(ORIGIN).filter(|origin| *origin == "null" || Origin::parse(origin).is_some());
        let host = text(HOST).filter(|host| {
            let authority = host.parse::<Authority>();
            authority.is_ok_and(|authority| !authority.as_str().contains('@'))
        });
        Err(ForeignOrigin {
            origin: origin.map(str::to_owned),
            host: host.map(str::to_owned),
            is_first: is_first(origin),
        })
    }

    fn allows_request(&self, headers: &HeaderMap) -> bool {
        let mut origins = headers.get_all(ORIGIN).iter();
        match (origins.next(), origins.next()) {
            (Some(_), Some(_)) => false,
            (Some(origin), None) => self.allows(origin, headers.get(HOST)),
            (None, _) => {
                let site = headers.get(SEC_FETCH_SITE);
                if self.is_required {
                    return site.is_some_and(|site| site == "same-origin");
                }
                // A browser that hides the origin still says when a request crosses sites.
                matches!(self.allowed, Allowed::Any)
                    || site.is_none_or(|site| site == "same-origin" || site == "none")
            }
        }
    }

    fn allows(&self, origin: &HeaderValue, host: Option<&HeaderValue>) -> bool {
        if matches!(self.allowed, Allowed::Any) {
            return true;
        }
        let Some(origin) = origin.to_str().ok().and_then(Origin::parse) else {
            return false;
        };
        match &self.allowed {
            Allowed::Any => true,
            Allowed::List(list) => list.iter().any(|pattern| pattern.matches(&origin)),
            // The scheme is not compared: a proxy may have taken the TLS off. But it is one of the
            // web's: the page of an app is not of this host, whatever it calls its own.
            Allowed::SameHost => {
                let default = default_port(&origin.scheme);
                default.is_some()
                    && host
                        .and_then(|host| host.to_str().ok()?.parse::<Authority>().ok())
                        .is_some_and(|host| {
                            host.host().eq_ignore_ascii_case(&origin.host)
                                && host.port_u16().or(default) == origin.port
                        })
            }
        }
    }
}

impl Origin {
    /// As browsers send it, which write no `*`.
    fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
        if !is_scheme || authority.contains(['/', '?', '#', '@', '*']) {
            return None;
        }
        let scheme = scheme.to_ascii_lowercase();
        let parsed: Authority = authority.parse().ok()?;
        let host = parsed.host();
        let port = match parsed.port() {
            Some(port) => Some(port.as_u16()),
            // "host:" or a port out of range.
            None if authority.len() > host.len() => return None,
            None => default_port(&scheme),
        };
        (!host.is_empty()).then(|| Self {
            scheme,
            host: host.to_ascii_lowercase(),
            port,
        })
    }
}

impl Pattern {
    fn parse(text: &str) -> Option<Self> {
        let below = text
            .split_once("://*.")
            .map(|(scheme, domain)| format!("{scheme}://{domain}"));
        let origin = Origin::parse(below.as_deref().unwrap_or(text))?;
        let is_below = below.is_some();
        let is_domain = origin.host.parse::<std::net::IpAddr>().is_err()
            && origin.host.split('.').all(|name| !name.is_empty())
            && !origin.host.starts_with('[');
        (is_domain || !is_below).then_some(Self { origin, is_below })
    }

    fn matches(&self, origin: &Origin) -> bool {
        if !self.is_below {
            return self.origin == *origin;
        }
        let names = origin
            .host
            .strip_suffix(&self.origin.host)
            .and_then(|names| names.strip_suffix('.'));
        self.origin.scheme == origin.scheme
            && self.origin.port == origin.port
            && names.is_some_and(|names| names.split('.').all(|name| !name.is_empty()))
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

/// Whether an origin is refused for the first time, as far as that is kept in mind.
fn is_first(origin: Option<&str>) -> bool {
    const KEPT: usize = 1000;
    static SEEN: Mutex<BTreeSet<u64>> = Mutex::new(BTreeSet::new());
    // Its hash: an origin may be as long as a head. With fixed keys, who likes to may keep a line
    // out of the log, and nothing else.
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(origin);
    let mut seen = SEEN.lock();
    !seen.contains(&hash) && seen.len() < KEPT && seen.insert(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(host: &str, origin: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        headers.insert(ORIGIN, origin.parse().unwrap());
        headers
    }

    /// Row 39 of the hostile inputs: look-alikes.
    #[test]
    fn only_the_very_host_and_port_is_the_same_host() {
        let cases = [
            ("ok.example", "https://ok.example", true),
            ("ok.example", "http://ok.example", true),
            ("ok.example", "https://OK.Example", true),
            ("ok.example:443", "https://ok.example", true),
            ("ok.example:8080", "http://ok.example:8080", true),
            ("127.0.0.1:9001", "http://127.0.0.1:9001", true),
            ("[::1]:9001", "http://[::1]:9001", true),
            ("ok.example", "https://ok.example.evil", false),
            ("ok.example", "https://evil.ok.example", false),
            ("ok.example", "https://ok.example.", false),
            ("ok.example", "https://ok.example:444", false),
            ("ok.example", "https://ok.example@evil", false),
            ("ok.example", "https://ok.example/", false),
            ("ok.example", "null", false),
            ("ok.example", "file://", false),
            ("localhost", "http://localhost", true),
            ("localhost", "capacitor://localhost", false),
            ("ok.example", "https://ok.example:", false),
            ("ok.example", "https://ok.example:99999", false),
            (
                "xn--bcher-kva.example",
                "https://xn--bucher-kva.example",
                false,
            ),
        ];
        for (host, origin, allowed) in cases {
            let checked = Origins::same_host().check(&headers(host, origin));
            assert_eq!(checked.is_ok(), allowed, "{origin} at {host}");
        }
    }

    #[test]
    fn a_list_compares_scheme_host_and_port() {
        let origins = Origins::list(["https://ok.example", "http://localhost:3000"]);
        let cases = [
            ("https://ok.example", true),
            ("https://ok.example:443", true),
            ("http://localhost:3000", true),
            ("http://ok.example", false),
            ("https://ok.example:8443", false),
            ("http://localhost", false),
            ("null", false),
        ];
        for (origin, allowed) in cases {
            let checked = origins.check(&headers("ok.example", origin));
            assert_eq!(checked.is_ok(), allowed, "{origin}");
        }
    }

    #[test]
    fn pages_of_apps_have_schemes_of_their_own() {
        let listed = [
            "capacitor://localhost",
            "tauri://localhost",
            "ionic://localhost",
            "chrome-extension://gighmmpiobklfepjocnamgkkbiglidom",
            "moz-extension://6b3a8f1e-6f1c-4f0e-9b6e-0a1b2c3d4e5f",
            "vscode-webview://0a1b2c3d4e5f",
            "app://obsidian.md",
            "app://local:3000",
        ];
        let origins = Origins::list(listed);
        for origin in listed {
            assert_eq!(
                origins.check(&headers("ok.example", origin)),
                Ok(()),
                "{origin}"
            );
        }
        for origin in [
            "capacitor://other",
            "http://localhost",
            "tauri2://localhost",
            "capacitor://localhost:80",
            "app://local",
            "app://local:3001",
            "chrome-extension://gighmmpiobklfepjocnamgkkbiglidon",
        ] {
            assert!(
                origins.check(&headers("ok.example", origin)).is_err(),
                "{origin}"
            );
        }
    }

    #[test]
    fn a_star_stands_for_whole_names_below_a_domain() {
        let origins = Origins::list(["https://*.example.com", "http://*.localhost:3000"]);
        for (origin, allowed) in [
            ("https://a.example.com", true),
            ("https://A.B.Example.com", true),
            ("https://a.example.com:443", true),
            ("http://a.localhost:3000", true),
            ("https://example.com", false),
            ("https://.example.com", false),
            ("https://a..example.com", false),
            ("https://*.example.com", false),
            ("https://evilexample.com", false),
            ("https://a.example.com.evil", false),
            ("http://a.example.com", false),
            ("https://a.example.com:8443", false),
            ("http://a.localhost", false),
        ] {
            let checked = origins.check(&headers("ok.example", origin));
            assert_eq!(checked.is_ok(), allowed, "{origin}");
        }
    }

    #[test]
    fn what_is_no_origin_is_refused_with_a_sentence() {
        for text in [
            "",
            "null",
            "example.com",
            "https://",
            "https:/example.com",
            "https://example.com/",
            "https://user@example.com",
            "https://example.com:",
            "https://example.com:65536",
            "file://",
            "1a://b",
            "a b://c",
            "https://a b",
        ] {
            let error = Origins::try_list([text]).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("not an origin (https://host[:port]): {text:?}")
            );
        }
        for text in [
            "*",
            "https://*",
            "https://*.",
            "*://example.com",
            "https://*example.com",
            "https://a.*.com",
            "https://*.*.com",
            "https://*.10.0.0.1",
            "https://*.[::1]",
            "https://example.com:*",
            "https://*..com",
        ] {
            let error = Origins::try_list([text]).unwrap_err().to_string();
            assert!(error.contains("as in https://*.example.com"), "{error}");
        }
    }

    #[test]
    fn what_is_foreign_is_told_and_an_origin_is_new_once() {
        let mut headers = headers("new.example:8080", "https://app.new.example");
        let foreign = Origins::same_host().check(&headers).unwrap_err();
        assert_eq!(foreign.origin(), Some("https://app.new.example"));
        assert_eq!(foreign.host(), Some("new.example:8080"));
        assert!(foreign.is_first());
        let again = Origins::same_host().check(&headers).unwrap_err();
        assert!(!again.is_first());
        // What is neither may be a secret, and is not told.
        headers.insert(ORIGIN, "https://a.example/?token=secret".parse().unwrap());
        headers.insert(HOST, "user:secret@new.example".parse().unwrap());
        let other = Origins::same_host().check(&headers).unwrap_err();
        assert_eq!((other.origin(), other.host()), (None, None));
    }

    /// Row 40: no `Origin`, but the browser says that the request crosses sites.
    #[test]
    fn a_request_without_an_origin_is_a_program_unless_it_says_cross_site() {
        let mut headers = HeaderMap::new();
        assert!(Origins::same_host().check(&headers).is_ok());
        assert!(Origins::same_host().required().check(&headers).is_err());
        headers.insert(SEC_FETCH_SITE, "cross-site".parse().unwrap());
        assert!(Origins::same_host().check(&headers).is_err());
        assert!(Origins::any().check(&headers).is_ok());
        assert!(Origins::any().required().check(&headers).is_err());
    }

    /// A page that GETs something of its own names no origin, but its browser tells.
    #[test]
    fn a_page_that_asks_its_own_host_has_said_so() {
        let mut headers = HeaderMap::new();
        headers.insert(SEC_FETCH_SITE, "same-origin".parse().unwrap());
        assert!(Origins::same_host().required().check(&headers).is_ok());
        headers.insert(SEC_FETCH_SITE, "none".parse().unwrap());
        assert!(Origins::same_host().required().check(&headers).is_err());
        assert!(Origins::same_host().check(&headers).is_ok());
    }

    #[test]
    fn two_origins_are_refused() {
        let mut headers = headers("ok.example", "https://ok.example");
        headers.append(ORIGIN, "https://ok.example".parse().unwrap());
        assert!(Origins::same_host().check(&headers).is_err());
    }
}
