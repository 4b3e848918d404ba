//! `POST …/negotiate`: what a client may use, and the names of its connection (`SPEC.md`, section 3).

use std::{fmt::Write as _, time::Duration};

use crate::{
    identity::{query::query_value, request::Transport},
    options::HubOptions,
    session::Reconnect,
};

/// The highest negotiate version (N-07).
const VERSION: i32 = 1;

/// What to answer to a negotiate request, before a connection is made for it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Negotiation {
    /// Make a connection, for a client of this version.
    Version(i32),
    /// Tell the client why not (N-10 to N-12).
    Refused(String),
}

/// Reads the query of a negotiate request.
pub(crate) fn read(query: &str, options: &HubOptions) -> Negotiation {
    let version = match query_value(query, "negotiateVersion") {
        None => 0, // who names no version speaks the first (N-06)
        Some(text) => match parse_int(&text) {
            Some(version) => version,
            None => {
                let text = "The client requested a non-integer protocol version.";
                return Negotiation::Refused(text.to_owned()); // it is no number (N-10)
            }
        },
    };
    if version < options.endpoint.minimum_protocol_version {
        // Below the lowest, negative ones and none at all among them (N-09, N-11, N-12).
        return Negotiation::Refused(format!(
            "The client requested version '{version}', but the server does not support this version."
        ));
    }
    Negotiation::Version(version.min(VERSION))
}

/// N-10: as .NET reads an `int`, with spaces around and a sign.
fn parse_int(text: &str) -> Option<i32> {
    text.trim_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c'])
        .parse()
        .ok()
}

/// Stateful reconnect, where it is asked for and granted (N-13). Not in version 0, where everybody
/// knows the token: it is the connection's id (C-02).
pub(crate) fn reconnect(query: &str, version: i32, options: &HubOptions) -> Reconnect {
    let wanted = query_value(query, "useStatefulReconnect");
    let is_wanted = wanted.is_some_and(|wanted| wanted.trim().eq_ignore_ascii_case("true"));
    if is_wanted && version > 0 && options.endpoint.allow_stateful_reconnects {
        Reconnect::Stateful
    } else {
        Reconnect::Anew
    }
}

/// The answer to a client that gets a connection (N-03).
pub(crate) fn accepted(
    version: i32,
    id: &str,
    token: Option<&str>,
    lifetime: Option<Duration>,
    reconnect: Reconnect,
    offered: &[Transport],
) -> String {
    // N-14: never unasked.
    let stateful = match reconnect {
        Reconnect::Stateful => r#""useStatefulReconnect":true,"#,
        Reconnect::Anew => "",
    };
    let mut body = format!(r#"{{{stateful}"negotiateVersion":{version},"connectionId":"{id}""#);
    if let Some(token) = token {
        let _ = write!(body, r#","connectionToken":"{token}""#);
    }
    // What is left of the user's token, in whole seconds (N-20).
    if let Some(seconds @ 1..) = lifetime.map(|lifetime| lifetime.as_secs()) {
        let _ = write!(body, r#","tokenLifetimeSeconds":{seconds}"#);
    }
    body.push_str(r#","availableTransports":["#);
    // N-04: in their order, whatever that of the options is.
    let offered = Transport::ALL
        .into_iter()
        .filter(|transport| offered.contains(transport));
    for (count, transport) in offered.enumerate() {
        let comma = if count > 0 { "," } else { "" };
        let formats = if transport.is_text_only() {
            r#""Text""#
        } else {
            r#""Text","Binary""#
        };
        let name = transport.name();
        let _ = write!(
            body,
            r#"{comma}{{"transport":"{name}","transferFormats":[{formats}]}}"#
        );
    }
    body.push_str("]}");
    body
}

/// The answer to one that does not.
pub(crate) fn refused(error: &str) -> String {
    serde_json::json!({ "error": error }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n_06_to_n_12_versions() {
        let options = HubOptions::default();
        for (query, version) in [
            ("", Some(0)),
            ("negotiateVersion=0", Some(0)),
            ("negotiateversion=1", Some(1)),
            ("negotiateVersion=%201%20", Some(1)),
            ("negotiateVersion=%2B1", Some(1)),
            ("negotiateVersion=01", Some(1)),
            ("negotiateVersion=2147483647", Some(1)),
            ("negotiateVersion=2147483648", None),
            ("negotiateVersion=1&negotiateVersion=1", None),
            ("negotiateVersion=", None),
            ("negotiateVersion", None),
            ("negotiateVersion=1.0", None),
            ("negotiateVersion=one", None),
        ] {
            let expected = match version {
                Some(version) => Negotiation::Version(version),
                None => Negotiation::Refused(
                    "The client requested a non-integer protocol version.".into(),
                ),
            };
            assert_eq!(read(query, &options), expected, "{query}");
        }
        let refused = |version: i32| {
            Negotiation::Refused(format!(
                "The client requested version '{version}', but the server does not support this version."
            ))
        };
        assert_eq!(read("negotiateVersion=-1", &options), refused(-1));
        let at_least_1 = HubOptions::default().minimum_protocol_version(1);
        assert_eq!(read("", &at_least_1), refused(0));
    }

    #[test]
    fn n_03_n_08_members_in_their_order() {
        let one = [Transport::WebSockets];
        assert_eq!(
            accepted(1, "i", Some("t"), None, Reconnect::Anew, &one),
            r#"{"negotiateVersion":1,"connectionId":"i","connectionToken":"t","availableTransports":[{"transport":"WebSockets","transferFormats":["Text","Binary"]}]}"#
        );
        assert_eq!(
            accepted(0, "i", None, None, Reconnect::Anew, &[]),
            r#"{"negotiateVersion":0,"connectionId":"i","availableTransports":[]}"#
        );
        assert_eq!(
            accepted(1, "i", Some("t"), None, Reconnect::Stateful, &[]),
            r#"{"useStatefulReconnect":true,"negotiateVersion":1,"connectionId":"i","connectionToken":"t","availableTransports":[]}"#
        );
    }

    #[test]
    fn n_13_stateful_reconnect_only_where_allowed_and_asked_for() {
        let allowed = HubOptions::default().allow_stateful_reconnects(true);
        for (query, version, is_granted) in [
            ("useStatefulReconnect=true", 1, true),
            ("usestatefulreconnect=%20TRUE%20", 1, true),
            ("useStatefulReconnect=1", 1, false),
            ("useStatefulReconnect=false", 1, false),
            ("useStatefulReconnect", 1, false),
            ("", 1, false),
            ("useStatefulReconnect=true", 0, false),
        ] {
            let granted = reconnect(query, version, &allowed) == Reconnect::Stateful;
            assert_eq!(granted, is_granted, "{query}");
            let not_allowed = reconnect(query, version, &HubOptions::default());
            assert_eq!(not_allowed, Reconnect::Anew);
        }
    }

    #[test]
    fn n_20_what_is_left_of_the_users_token() {
        let answer = |millis| {
            let lifetime = Some(Duration::from_millis(millis));
            accepted(1, "i", Some("t"), lifetime, Reconnect::Anew, &[])
        };
        assert_eq!(
            answer(59_999),
            r#"{"negotiateVersion":1,"connectionId":"i","connectionToken":"t","tokenLifetimeSeconds":59,"availableTransports":[]}"#
        );
        assert!(!answer(999).contains("tokenLifetimeSeconds"));
    }

    #[test]
    fn n_04_what_is_offered_in_its_order() {
        let offered = [Transport::LongPolling, Transport::ServerSentEvents];
        assert_eq!(
            accepted(0, "i", None, None, Reconnect::Anew, &offered),
            r#"{"negotiateVersion":0,"connectionId":"i","availableTransports":[{"transport":"ServerSentEvents","transferFormats":["Text"]},{"transport":"LongPolling","transferFormats":["Text","Binary"]}]}"#
        );
    }
}
