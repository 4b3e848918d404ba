//! The proxies that a server believes, and the client they speak for.

use std::{fmt, net::IpAddr, str::FromStr};

use ipnet::IpNet;

use super::ServeConfig;

/// An address, or a network of addresses: `10.0.0.7`, `10.0.0.0/8`, `::1`, `fd00::/8`.
///
/// ```
/// use raw_ws::Network;
/// let network: Network = "10.0.0.0/8".parse().unwrap();
/// assert!(network.contains("10.1.2.3".parse().unwrap()));
/// assert!(network.contains("::ffff:10.1.2.3".parse().unwrap())); // the same, on an IPv6 socket
/// assert!("10.0.0.0/33".parse::<Network>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(IpNet);

impl Network {
    /// Whether an address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        Self(address.to_canonical().into())
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(address.into());
        }
        let network = text.parse().map_err(|_| InvalidNetwork(text.to_owned()))?;
        Ok(Self(network))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text that is neither an address nor a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidNetwork(String);

impl fmt::Display for InvalidNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = &self.0;
        write!(f, "not an address or network (10.0.0.0/8, ::1): {text:?}")
    }
}

impl std::error::Error for InvalidNetwork {}

/// The header fields in which proxies tell of their clients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForwardedHeaders {
    /// `Forwarded` or `X-Forwarded-*`, whichever comes. A request with both that say different
    /// things is answered with 400: one of them may be the client's own, which its proxy passes on.
    #[default]
    Either,
    /// `Forwarded` alone (RFC 7239).
    Forwarded,
    /// `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host` alone.
    XForwarded,
}

impl ServeConfig {
    pub(super) fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies
            .iter()
            .any(|network| network.contains(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_network_of_its_own() {
        let network: Network = "127.0.0.1".parse().unwrap();
        assert!(network.contains("127.0.0.1".parse().unwrap()));
        assert!(!network.contains("127.0.0.2".parse().unwrap()));
        assert_eq!(network, "::ffff:127.0.0.1".parse().unwrap());
        assert_eq!(network.to_string(), "127.0.0.1/32");
    }

    #[test]
    fn what_is_no_network_is_given_back() {
        for text in [
            "",
            "localhost",
            "10.0.0.0/33",
            "10.0.0",
            "10.0.0.0/",
            "::1/129",
        ] {
            let error = text.parse::<Network>().unwrap_err();
            assert!(error.to_string().contains(&format!("{text:?}")), "{error}");
        }
    }

    #[test]
    #[should_panic = "not an address or network (10.0.0.0/8, ::1): \"localhost\""]
    fn a_list_of_proxies_panics_on_it() {
        let _ = ServeConfig::new().trusted_proxies(["localhost"]);
    }
}
