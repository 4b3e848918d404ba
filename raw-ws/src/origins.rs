//! Which pages may connect: browsers send cookies and let any page open a WebSocket, so the
//! server must look at `Origin` (RFC 6455 section 10.2).

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{HOST, ORIGIN},
    uri::{Authority, Uri},
};

/// The origins whose pages may connect. By default only pages of this server's own host.
///
/// Programs that are not browsers send no `Origin` and are let in, unless
/// [`required`](Self::required) says otherwise.
///
/// ```
/// use raw_ws::Origins;
/// let origins = Origins::list(["https://example.com"]);
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
    List(Vec<Origin>),
    Any,
}

/// An origin, parsed: `https://example.com`, with the port of the scheme where none is given.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

/// A text that is not an origin: `scheme://host` or `scheme://host:port`, and nothing behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidOrigin(String);

impl std::fmt::Display for InvalidOrigin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "not an origin (https://host[:port]): {:?}", self.0)
    }
}

impl std::error::Error for InvalidOrigin {}

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

impl Origins {
    /// Pages whose host and port are those of the request's `Host`. The default.
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
            Origin::parse(origin.as_ref()).ok_or_else(|| InvalidOrigin(origin.as_ref().to_owned()))
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
    pub fn allow(&self, headers: &HeaderMap) -> bool {
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
            Allowed::List(list) => list.contains(&origin),
            // The scheme is not compared: a proxy may have taken the TLS off.
            Allowed::SameHost => host
                .and_then(|host| host.to_str().ok()?.parse::<Authority>().ok())
                .is_some_and(|host| {
                    let port = host.port_u16().or_else(|| default_port(&origin.scheme));
                    host.host().eq_ignore_ascii_case(&origin.host) && port == Some(origin.port)
                }),
        }
    }
}

impl Origin {
    fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        if authority.contains(['/', '?', '#', '@']) {
            return None;
        }
        let uri: Uri = text.parse().ok()?;
        let host = uri.host()?;
        let port = match uri.port() {
            Some(port) => port.as_u16(),
            // "host:" or a port out of range.
            None if authority.len() > host.len() => return None,
            None => default_port(&scheme.to_ascii_lowercase())?,
        };
        Some(Self {
            scheme: scheme.to_ascii_lowercase(),
            host: host.to_ascii_lowercase(),
            port,
        })
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
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
            ("ok.example", "https://ok.example:", false),
            ("ok.example", "https://ok.example:99999", false),
            (
                "xn--bcher-kva.example",
                "https://xn--bucher-kva.example",
                false,
            ),
        ];
        for (host, origin, allowed) in cases {
            assert_eq!(
                Origins::same_host().allow(&headers(host, origin)),
                allowed,
                "{origin} at {host}"
            );
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
            assert_eq!(
                origins.allow(&headers("ok.example", origin)),
                allowed,
                "{origin}"
            );
        }
    }

    /// Row 40: no `Origin`, but the browser says that the request crosses sites.
    #[test]
    fn a_request_without_an_origin_is_a_program_unless_it_says_cross_site() {
        let mut headers = HeaderMap::new();
        assert!(Origins::same_host().allow(&headers));
        assert!(!Origins::same_host().required().allow(&headers));
        headers.insert(SEC_FETCH_SITE, "cross-site".parse().unwrap());
        assert!(!Origins::same_host().allow(&headers));
        assert!(Origins::any().allow(&headers));
        assert!(!Origins::any().required().allow(&headers));
    }

    /// A page that GETs something of its own names no origin, but its browser tells.
    #[test]
    fn a_page_that_asks_its_own_host_has_said_so() {
        let mut headers = HeaderMap::new();
        headers.insert(SEC_FETCH_SITE, "same-origin".parse().unwrap());
        assert!(Origins::same_host().required().allow(&headers));
        headers.insert(SEC_FETCH_SITE, "none".parse().unwrap());
        assert!(!Origins::same_host().required().allow(&headers));
        assert!(Origins::same_host().allow(&headers));
    }

    #[test]
    fn two_origins_are_refused() {
        let mut headers = headers("ok.example", "https://ok.example");
        headers.append(ORIGIN, "https://ok.example".parse().unwrap());
        assert!(!Origins::same_host().allow(&headers));
    }
}
