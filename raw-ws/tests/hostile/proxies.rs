//! Proxies that are trusted and strangers that say they were proxies: `Forwarded`,
//! `X-Forwarded-*`, and the PROXY protocol.

use std::{net::Ipv4Addr, time::Duration};

use raw_ws::{ForwardedHeaders, Origins, ServeConfig};
use tokio::time::Instant;

use crate::support::*;

/// Who connects to the server, in all tests here.
const PEER: Ipv4Addr = Ipv4Addr::new(127, 0, 3, 1);

/// The nearest proxy, and a network of further ones.
fn trusting() -> ServeConfig {
    ServeConfig::new().trusted_proxies(["127.0.3.1", "10.0.0.0/8", "2001:db8:ffff::/48"])
}

/// What the server takes a request with these header fields for, or why it refuses it. `fields` are
/// separated by `|`.
async fn who(serve: ServeConfig, fields: &str) -> Result<String, String> {
    let (asked, told) = tokio::sync::oneshot::channel();
    unharmed(Setup::serve(serve), async |server| {
        let mut peer = Peer::connect_from(PEER, server.address).await;
        let _ = asked.send(ask_who(&mut peer, fields).await);
    })
    .await;
    told.await.unwrap()
}

async fn ask_who(peer: &mut Peer, fields: &str) -> Result<String, String> {
    let fields: String = fields
        .split('|')
        .filter(|field| !field.is_empty())
        .map(|field| format!("{}\r\n", field.trim()))
        .collect();
    let request = format!("GET /who HTTP/1.1\r\nHost: inner:8080\r\n{fields}\r\n");
    peer.send(request.as_bytes()).await;
    let answer = peer.answer().await;
    match answer.status {
        200 => Ok(answer.body),
        400 => Err(answer.body),
        status => panic!("{status}"),
    }
}

/// A table whose rows are tests.
macro_rules! rows {
    ($($name:ident: $fields:literal => $expected:expr;)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                let found = who(trusting(), $fields).await;
                let expected: Result<&str, &str> = $expected;
                assert_eq!(found.as_deref().map_err(|reason| reason.as_str()), expected);
            }
        )*
    };
}

const MALFORMED: Result<&str, &str> = Err("Forwarded is malformed (RFC 7239)");
const NO_ADDRESS: Result<&str, &str> = Err("X-Forwarded-For names what is no address");
const NO_SCHEME: Result<&str, &str> = Err("X-Forwarded-Proto is neither http nor https");
const NO_HOST: Result<&str, &str> = Err("X-Forwarded-Host is no host");
/// Nothing is forwarded. The port of the connection is written as 1.
const PEER_ITSELF: Result<&str, &str> = Ok("127.0.3.1:1 http inner:8080");

rows! {
    absent: "" => PEER_ITSELF;
    empty: "X-Forwarded-For: | X-Forwarded-Proto: | X-Forwarded-Host: | Forwarded:" => PEER_ITSELF;

    x_address: "X-Forwarded-For: 203.0.113.7" => Ok("203.0.113.7:0 http inner:8080");
    x_all: "X-Forwarded-For: 203.0.113.7 | X-Forwarded-Proto: https | X-Forwarded-Host: chat.example"
        => Ok("203.0.113.7:0 https chat.example");
    x_scheme_alone: "X-Forwarded-Proto: https" => Ok("127.0.3.1:1 https inner:8080");
    x_host_alone: "X-Forwarded-Host: chat.example:8443" => Ok("127.0.3.1:1 http chat.example:8443");
    x_scheme_of_the_websocket: "X-Forwarded-Proto: WSS" => Ok("127.0.3.1:1 https inner:8080");
    x_port: "X-Forwarded-For: 203.0.113.7:4711" => Ok("203.0.113.7:4711 http inner:8080");
    x_ipv6: "X-Forwarded-For: 2001:db8::7" => Ok("[2001:db8::7]:0 http inner:8080");
    x_ipv6_in_brackets: "X-Forwarded-For: [2001:db8::7]" => Ok("[2001:db8::7]:0 http inner:8080");
    x_ipv6_with_port: "X-Forwarded-For: [2001:db8::7]:4711"
        => Ok("[2001:db8::7]:4711 http inner:8080");
    x_ipv4_written_as_ipv6: "X-Forwarded-For: ::ffff:203.0.113.7"
        => Ok("203.0.113.7:0 http inner:8080");
    x_unknown: "X-Forwarded-For: unknown" => PEER_ITSELF;
    x_unknown_behind_a_proxy: "X-Forwarded-For: 203.0.113.7, unknown, 10.0.0.2"
        => Ok("10.0.0.2:0 http inner:8080");
    x_chain: "X-Forwarded-For: 203.0.113.7, 10.0.0.2 , 10.0.0.1" => Ok("203.0.113.7:0 http inner:8080");
    x_chain_in_several_fields: "X-Forwarded-For: 203.0.113.7 | X-Forwarded-For: 10.0.0.2,10.0.0.1"
        => Ok("203.0.113.7:0 http inner:8080");
    x_chain_over_ipv6: "X-Forwarded-For: 2001:db8::7, 2001:db8:ffff::1"
        => Ok("[2001:db8::7]:0 http inner:8080");
    x_chain_of_proxies_alone: "X-Forwarded-For: 10.0.0.3, 10.0.0.2" => Ok("10.0.0.3:0 http inner:8080");
    x_chain_with_schemes_and_hosts:
        "X-Forwarded-For: 203.0.113.7, 10.0.0.1 | X-Forwarded-Proto: https, http \
         | X-Forwarded-Host: chat.example, middle.example"
        => Ok("203.0.113.7:0 https chat.example");
    x_chain_whose_last_overwrites_scheme_and_host:
        "X-Forwarded-For: 203.0.113.7, 10.0.0.1 | X-Forwarded-Proto: https | X-Forwarded-Host: chat.example"
        => Ok("203.0.113.7:0 https chat.example");
    x_empty_words_are_none: "X-Forwarded-For: 203.0.113.7,, 10.0.0.1 ," => Ok("203.0.113.7:0 http inner:8080");
    x_spoofed_by_the_client: "X-Forwarded-For: 1.1.1.1, 203.0.113.7" => Ok("203.0.113.7:0 http inner:8080");
    x_spoofed_with_the_name_of_a_proxy: "X-Forwarded-For: 1.1.1.1, 10.0.0.1, 203.0.113.7"
        => Ok("203.0.113.7:0 http inner:8080");
    x_spoofed_scheme_and_host:
        "X-Forwarded-For: 203.0.113.7 | X-Forwarded-Proto: https, http \
         | X-Forwarded-Host: evil.example, chat.example"
        => Ok("203.0.113.7:0 http chat.example");
    x_nonsense_of_the_client: "X-Forwarded-For: \u{fc}, <script>, 203.0.113.7"
        => Ok("203.0.113.7:0 http inner:8080");
    x_malformed_address: "X-Forwarded-For: chat.example" => NO_ADDRESS;
    x_malformed_address_of_the_second: "X-Forwarded-For: 300.0.0.1, 10.0.0.1" => NO_ADDRESS;
    x_malformed_port: "X-Forwarded-For: 203.0.113.7:65536" => NO_ADDRESS;
    x_malformed_ipv6: "X-Forwarded-For: [2001:db8::7" => NO_ADDRESS;
    x_malformed_scheme: "X-Forwarded-Proto: gopher" => NO_SCHEME;
    x_malformed_host: "X-Forwarded-Host: chat.example/path" => NO_HOST;
    x_host_with_a_user: "X-Forwarded-Host: user@chat.example" => NO_HOST;

    address: "Forwarded: for=203.0.113.7" => Ok("203.0.113.7:0 http inner:8080");
    all: "Forwarded: for=203.0.113.7;proto=https;host=chat.example;by=10.0.0.1"
        => Ok("203.0.113.7:0 https chat.example");
    names_in_any_case: "forwarded: FOR=203.0.113.7; Proto=HTTPS; Host=\"chat.example:8443\""
        => Ok("203.0.113.7:0 https chat.example:8443");
    port: "Forwarded: for=\"203.0.113.7:4711\"" => Ok("203.0.113.7:4711 http inner:8080");
    made_up_port: "Forwarded: for=\"203.0.113.7:_http\"" => Ok("203.0.113.7:0 http inner:8080");
    ipv6: "Forwarded: for=\"[2001:db8::7]\"" => Ok("[2001:db8::7]:0 http inner:8080");
    ipv6_with_port: "Forwarded: for=\"[2001:db8::7]:4711\"" => Ok("[2001:db8::7]:4711 http inner:8080");
    quoted_with_escapes: "Forwarded: for=\"203.0.\\113.7\"" => Ok("203.0.113.7:0 http inner:8080");
    unknown: "Forwarded: for=unknown;proto=https" => Ok("127.0.3.1:1 https inner:8080");
    made_up: "Forwarded: for=_hidden;proto=https" => Ok("127.0.3.1:1 https inner:8080");
    by_alone: "Forwarded: by=10.0.0.1" => PEER_ITSELF;
    an_extension: "Forwarded: for=203.0.113.7;secret=\"a, b; c\"" => Ok("203.0.113.7:0 http inner:8080");
    chain: "Forwarded: for=203.0.113.7;proto=https;host=chat.example, for=10.0.0.2, for=10.0.0.1"
        => Ok("203.0.113.7:0 https chat.example");
    chain_in_several_fields: "Forwarded: for=203.0.113.7 | Forwarded: for=10.0.0.1;proto=https"
        => Ok("203.0.113.7:0 https inner:8080");
    chain_of_proxies_alone: "Forwarded: for=10.0.0.3, for=10.0.0.2" => Ok("10.0.0.3:0 http inner:8080");
    chain_broken_by_who_does_not_say: "Forwarded: for=203.0.113.7, proto=https, for=10.0.0.1"
        => Ok("10.0.0.1:0 https inner:8080");
    spoofed_by_the_client: "Forwarded: for=1.1.1.1;host=evil.example;proto=https, for=203.0.113.7;proto=http"
        => Ok("203.0.113.7:0 http inner:8080");
    spoofed_in_a_field_of_its_own: "Forwarded: for=\" | Forwarded: for=203.0.113.7"
        => Ok("203.0.113.7:0 http inner:8080");
    spoofed_with_a_quotation_that_swallows_the_proxy: "Forwarded: for=\", for=203.0.113.7" => MALFORMED;
    ipv6_without_quotation: "Forwarded: for=[2001:db8::7]" => MALFORMED;
    ipv6_without_brackets: "Forwarded: for=\"2001:db8::7\"" => MALFORMED;
    malformed_address: "Forwarded: for=chat.example" => MALFORMED;
    malformed_port: "Forwarded: for=\"203.0.113.7:65536\"" => MALFORMED;
    malformed_pair: "Forwarded: 203.0.113.7" => MALFORMED;
    malformed_name: "Forwarded: f or=203.0.113.7" => MALFORMED;
    nothing_behind_the_name: "Forwarded: for=" => MALFORMED;
    something_behind_the_value: "Forwarded: for=203.0.113.7 proto=https" => MALFORMED;
    twice_the_same_name: "Forwarded: for=203.0.113.7;for=203.0.113.8" => MALFORMED;
    malformed_scheme: "Forwarded: proto=gopher" => MALFORMED;
    malformed_host: "Forwarded: host=\"chat.example/path\"" => MALFORMED;

    both_that_agree: "Forwarded: for=203.0.113.7;proto=https | X-Forwarded-For: 203.0.113.7 | X-Forwarded-Proto: https"
        => Ok("203.0.113.7:0 https inner:8080");
    both_where_one_is_the_clients_own: "Forwarded: for=1.1.1.1 | X-Forwarded-For: 203.0.113.7" => CONTRADICTION;
    both_where_one_says_more: "Forwarded: host=evil.example;for=203.0.113.7 | X-Forwarded-For: 203.0.113.7"
        => CONTRADICTION;
}

const CONTRADICTION: Result<&str, &str> = Err(
    "Forwarded and X-Forwarded-* contradict each other: the proxy must remove those that it does \
     not set, or ServeConfig::forwarded_headers must name those that count",
);

#[tokio::test]
async fn strangers_say_what_they_like_and_are_not_believed() {
    let other = || ServeConfig::new().trusted_proxies(["127.0.3.2"]);
    for fields in [
        "X-Forwarded-For: 1.1.1.1 | X-Forwarded-Proto: https | X-Forwarded-Host: evil.example",
        "Forwarded: for=1.1.1.1;proto=https;host=evil.example",
        "X-Forwarded-For: nonsense | X-Forwarded-Proto: nonsense | X-Forwarded-Host: a/b",
        "Forwarded: for=\"",
        "Forwarded: for=1.1.1.1 | X-Forwarded-For: 2.2.2.2",
    ] {
        for serve in [ServeConfig::new(), other()] {
            let found = who(serve, fields).await;
            assert_eq!(
                found.as_deref(),
                Ok("127.0.3.1:1 http inner:8080"),
                "{fields}"
            );
        }
    }
}

#[tokio::test]
async fn one_kind_of_header_fields_may_be_all_that_counts() {
    let both = "Forwarded: for=203.0.113.7 | X-Forwarded-For: 198.51.100.8";
    for (which, expected) in [
        (ForwardedHeaders::Forwarded, "203.0.113.7:0 http inner:8080"),
        (
            ForwardedHeaders::XForwarded,
            "198.51.100.8:0 http inner:8080",
        ),
    ] {
        let found = who(trusting().forwarded_headers(which), both).await;
        assert_eq!(found.as_deref(), Ok(expected));
    }
}

#[tokio::test]
async fn a_connection_of_a_proxy_carries_one_client_after_the_other() {
    unharmed(Setup::serve(trusting()), async |server| {
        let mut peer = Peer::connect_from(PEER, server.address).await;
        for n in 1..100 {
            let found = ask_who(&mut peer, &format!("X-Forwarded-For: 203.0.113.{n}")).await;
            assert_eq!(found, Ok(format!("203.0.113.{n}:0 http inner:8080")));
        }
    })
    .await;
}

async fn upgrades(server: &Server, path: &str, fields: &str) -> (Peer, Answer) {
    let mut peer = Peer::connect_from(PEER, server.address).await;
    peer.send(upgrade_request_with(path, fields).as_bytes())
        .await;
    let answer = peer.answer().await;
    (peer, answer)
}

#[tokio::test]
async fn limits_per_address_count_clients_and_not_their_proxy() {
    let serve = trusting()
        .max_connections_per_address(3)
        .max_unfinished_heads_per_address(1);
    unharmed(Setup::serve(serve), async |server| {
        let mut held = Vec::new();
        for client in 1..=20 {
            for _ in 0..3 {
                let fields = format!("X-Forwarded-For: 203.0.113.{client}\r\n");
                let (peer, answer) = upgrades(server, "/echo", &fields).await;
                assert_eq!(answer.status, 101, "{client}");
                held.push(peer);
            }
        }
        // The fourth of an address, for an upgrade and for a plain request.
        let fields = "X-Forwarded-For: 203.0.113.1\r\n";
        let (mut peer, answer) = upgrades(server, "/echo", fields).await;
        assert_eq!(answer.status, 429);
        assert_eq!(answer.header("retry-after"), Some("5"));
        assert_eq!(answer.body, "too many connections from this address");
        // The connection is the proxy's, and goes on for its other clients.
        let other = "X-Forwarded-For: 203.0.113.200";
        assert_eq!(
            ask_who(&mut peer, other).await.as_deref(),
            Ok("203.0.113.200:0 http inner:8080")
        );
        // A place that is given back is taken again.
        held.remove(0);
        soon("a free place", async {
            while upgrades(server, "/echo", fields).await.1.status != 101 {}
        })
        .await;
        // The proxy's own connections have no limit but the server's.
        for _ in 0..10 {
            held.push(Peer::connect_from(PEER, server.address).await);
        }
    })
    .await;
}

#[tokio::test]
async fn pages_are_compared_with_the_host_that_the_browser_asked_for() {
    unharmed(Setup::serve(trusting()), async |server| {
        let page = "Origin: https://chat.example\r\n";
        for (forwarded, status) in [
            ("", 403),
            ("X-Forwarded-Host: chat.example\r\n", 101),
            ("Forwarded: host=chat.example\r\n", 101),
            ("X-Forwarded-Host: evil.example\r\n", 403),
        ] {
            let (_, answer) = upgrades(server, "/echo", &format!("{page}{forwarded}")).await;
            assert_eq!(answer.status, status, "{forwarded}");
        }
        // A stranger's word does not count.
        let mut peer = Peer::connect(server).await;
        let fields = format!("{page}X-Forwarded-Host: chat.example\r\n");
        peer.send(upgrade_request_with("/echo", &fields).as_bytes())
            .await;
        assert_eq!(peer.answer().await.status, 403);
    })
    .await;
}

#[tokio::test]
async fn two_hosts_stay_two_and_are_refused() {
    unharmed(Setup::serve(trusting()), async |server| {
        let fields = "Host: other.example\r\nX-Forwarded-Host: chat.example\r\n";
        let (_, answer) = upgrades(server, "/echo", fields).await;
        assert_eq!(answer.status, 400);
    })
    .await;
}

#[tokio::test]
async fn pages_of_apps_connect_where_they_are_listed() {
    let setup = Setup {
        origins: Origins::list(["capacitor://localhost", "https://*.example.com"]),
        ..Setup::default()
    };
    unharmed(setup, async |server| {
        for (origin, status) in [
            ("capacitor://localhost", 101),
            ("https://app.example.com", 101),
            ("ionic://localhost", 403),
            ("https://example.com", 403),
        ] {
            let fields = format!("Origin: {origin}\r\n");
            let (_, answer) = upgrades(server, "/echo", &fields).await;
            assert_eq!(answer.status, status, "{origin}");
        }
    })
    .await;
}

#[tokio::test]
async fn allowed_hosts_are_those_that_the_client_asked_for() {
    // The first is the neighbour's.
    let serve = trusting().allowed_hosts(["ok.example", "chat.example"]);
    unharmed(Setup::serve(serve), async |server| {
        for (host, status) in [("chat.example", 101), ("evil.example", 421)] {
            let fields = format!("X-Forwarded-Host: {host}\r\n");
            let (_, answer) = upgrades(server, "/echo", &fields).await;
            assert_eq!(answer.status, status, "{host}");
        }
    })
    .await;
}

// ---------------------------------------------------------------------------------------------
// The PROXY protocol

fn speaking() -> ServeConfig {
    trusting().proxy_protocol(true)
}

/// What the server takes the client of a connection for that begins so.
async fn proxied(server: &Server, header: &[u8]) -> Result<String, String> {
    let mut peer = Peer::connect_from(PEER, server.address).await;
    peer.send(header).await;
    ask_who(&mut peer, "").await
}

fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([0x20 | command, family]);
    header.extend(u16::try_from(rest.len()).unwrap().to_be_bytes());
    header.extend(rest);
    header
}

fn v4_addresses() -> Vec<u8> {
    [
        &[203, 0, 113, 7][..],
        &[10, 0, 0, 1],
        &4711_u16.to_be_bytes(),
        &443_u16.to_be_bytes(),
    ]
    .concat()
}

fn v6_addresses() -> Vec<u8> {
    let address = |last| {
        let mut address = [0; 16];
        address[..4].copy_from_slice(b"\x20\x01\x0d\xb8");
        address[15] = last;
        address
    };
    let ports = [4711_u16.to_be_bytes(), 443_u16.to_be_bytes()].concat();
    [&address(7)[..], &address(1), &ports].concat()
}

/// "PP2_TYPE_SSL", with "PP2_CLIENT_SSL" or without.
fn tls_field(is_tls: u8) -> Vec<u8> {
    [&[0x20, 0, 5, is_tls][..], &[0; 4]].concat()
}

#[tokio::test]
async fn the_proxy_protocol_tells_the_client_in_both_versions() {
    let v4 = v4_addresses();
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        (
            "1, IPv4",
            b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\n".into(),
            "203.0.113.7:4711 http",
        ),
        (
            "1, IPv6",
            b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n".into(),
            "[2001:db8::7]:4711 http",
        ),
        (
            "1, unknown",
            b"PROXY UNKNOWN\r\n".into(),
            "127.0.3.1:1 http",
        ),
        (
            "1, unknown with more",
            b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".into(),
            "127.0.3.1:1 http",
        ),
        ("2, IPv4", v2(1, 0x11, &v4), "203.0.113.7:4711 http"),
        (
            "2, IPv6",
            v2(1, 0x21, &v6_addresses()),
            "[2001:db8::7]:4711 http",
        ),
        ("2, the proxy's own", v2(0, 0x11, &v4), "127.0.3.1:1 http"),
        ("2, unspecified", v2(1, 0, &[]), "127.0.3.1:1 http"),
        (
            "2, TLS",
            v2(1, 0x11, &[&v4[..], &tls_field(1)].concat()),
            "203.0.113.7:4711 https",
        ),
        (
            "2, no TLS",
            v2(1, 0x11, &[&v4[..], &tls_field(0)].concat()),
            "203.0.113.7:4711 http",
        ),
        (
            "2, other fields",
            v2(1, 0x11, &[&v4[..], &[4, 0, 2, 0, 0]].concat()),
            "203.0.113.7:4711 http",
        ),
    ];
    unharmed(Setup::serve(speaking()), async |server| {
        for (what, header, expected) in &cases {
            let found = proxied(server, header).await;
            assert_eq!(found, Ok(format!("{expected} inner:8080")), "{what}");
            // Byte by byte, and with the request close behind.
            let mut slow = Peer::connect_from(PEER, server.address).await;
            slow.dribble(header).await;
            let found = ask_who(&mut slow, "").await;
            assert_eq!(
                found,
                Ok(format!("{expected} inner:8080")),
                "{what}, slowly"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_behind_the_proxy_protocol_is_no_proxy_itself() {
    unharmed(Setup::serve(speaking()), async |server| {
        let fields = "X-Forwarded-For: 1.1.1.1 | X-Forwarded-Proto: https";
        for (header, expected) in [
            (
                "PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\n",
                "203.0.113.7:4711 http inner:8080",
            ),
            // Unless it is one that is trusted, further on.
            (
                "PROXY TCP4 10.0.0.9 10.0.0.1 4711 443\r\n",
                "1.1.1.1:0 https inner:8080",
            ),
        ] {
            let mut peer = Peer::connect_from(PEER, server.address).await;
            peer.send(header.as_bytes()).await;
            assert_eq!(ask_who(&mut peer, fields).await.as_deref(), Ok(expected));
        }
    })
    .await;
}

#[tokio::test]
async fn a_trusted_proxy_that_does_not_speak_the_proxy_protocol_gets_400() {
    let v4 = v4_addresses();
    let mut too_new = v2(1, 0x11, &v4);
    too_new[12] = 0x31;
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("none", b"GET /who HTTP/1.1\r\nHost: inner\r\n\r\n".into()),
        (
            "TLS",
            b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\x9e\x0b".into(),
        ),
        (
            "no address",
            b"PROXY TCP4 chat.example 10.0.0.1 1 2\r\n".into(),
        ),
        (
            "the wrong family",
            b"PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n".into(),
        ),
        ("no port", b"PROXY TCP4 203.0.113.7 10.0.0.1\r\n".into()),
        (
            "a bare line feed",
            b"PROXY TCP4 203.0.113.7 10.0.0.1 1 2\n\r\n".into(),
        ),
        (
            "too long a line",
            [b"PROXY UNKNOWN ", &[b'x'; 100][..]].concat(),
        ),
        (
            "a protocol nobody knows",
            b"PROXY SCTP 203.0.113.7 10.0.0.1 1 2\r\n".into(),
        ),
        ("datagrams", v2(1, 0x12, &v4)),
        ("another version", too_new),
        ("another command", v2(2, 0x11, &v4)),
        ("half an address", v2(1, 0x11, &v4[..10])),
        (
            "half a field",
            v2(1, 0x11, &[&v4[..], &[4, 0, 9, 0]].concat()),
        ),
        ("too much", v2(1, 0x11, &[0; 5000])),
    ];
    unharmed(Setup::serve(speaking()), async |server| {
        for (what, header) in &cases {
            let mut peer = Peer::connect_from(PEER, server.address).await;
            peer.send(header).await;
            let answer = peer.answer().await;
            assert_eq!(answer.status, 400, "{what}");
            assert_eq!(answer.body, "the PROXY protocol is missing or malformed");
            assert_eq!(peer.ends().await, (End::Fin, vec![]), "{what}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_stranger_that_speaks_the_proxy_protocol_gets_400_and_is_not_believed() {
    unharmed(Setup::serve(speaking()), async |server| {
        for header in [
            b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\n".to_vec(),
            v2(1, 0x11, &v4_addresses()),
        ] {
            let mut stranger = Peer::connect(server).await;
            stranger.send(&header).await;
            assert_eq!(stranger.answer().await.status, 400);
        }
        // And one who does not is served.
        let mut stranger = Peer::connect(server).await;
        let found = ask_who(&mut stranger, "").await;
        assert_eq!(found.as_deref(), Ok("127.0.0.1:1 http inner:8080"));
    })
    .await;
}

#[tokio::test]
async fn clients_behind_the_proxy_protocol_have_limits_of_their_own() {
    let serve = speaking().max_connections_per_address(1);
    unharmed(Setup::serve(serve), async |server| {
        let connect = async |last: u8| {
            let mut peer = Peer::connect_from(PEER, server.address).await;
            let header = format!("PROXY TCP4 203.0.113.{last} 10.0.0.1 4711 443\r\n");
            peer.send(header.as_bytes()).await;
            peer.send(upgrade_request("/echo").as_bytes()).await;
            let status = peer.answer().await.status;
            (peer, status)
        };
        let (_one, status) = connect(1).await;
        assert_eq!(status, 101);
        assert_eq!(connect(1).await.1, 429);
        assert_eq!(connect(2).await.1, 101);
    })
    .await;
}

#[tokio::test]
async fn half_a_proxy_header_is_closed_at_the_head_deadline() {
    let deadline = Duration::from_millis(300);
    timely(
        Setup::serve(speaking().head_timeout(deadline)),
        async |server| {
            for header in [
                &b"PROXY TCP4 203"[..],
                b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\0",
                b"P",
            ] {
                let begun = Instant::now();
                let mut peer = Peer::connect_from(PEER, server.address).await;
                peer.send(header).await;
                assert_eq!(peer.ends().await, (End::Fin, vec![]));
                at_deadline(begun, deadline);
            }
        },
    )
    .await;
}

#[tokio::test]
async fn the_proxy_protocol_of_nobody_is_a_mistake_that_is_told() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let served = raw_ws::serve(listener, axum::Router::new())
        .config(ServeConfig::new().proxy_protocol(true))
        .await;
    let error = served.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("trusted_proxies"), "{error}");
}
