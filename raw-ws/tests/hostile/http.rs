//! Rows 23 to 49: HTTP, and the upgrade.

use std::{fmt::Write, net::Ipv4Addr, time::Duration};

use raw_ws::{Origins, ServeConfig};
use tokio::time::Instant;

use crate::support::*;

/// Sends a request and gives the answer; the connection must end behind it, if `closes`.
async fn ask(server: &Server, request: &[u8], closes: bool) -> Answer {
    let mut peer = Peer::connect(server).await;
    peer.send(request).await;
    let answer = peer.answer().await;
    if closes {
        assert_eq!(peer.ends().await.1, b"", "after {}", answer.head);
    }
    answer
}

/// Requests that get this status, and after which the connection is closed.
async fn all_get(server: &Server, status: u16, requests: &[&str]) {
    for request in requests {
        let answer = ask(server, request.as_bytes(), true).await;
        assert_eq!(answer.status, status, "{request:?}");
    }
}

/// Upgrades to `/echo` in which one thing is replaced by another.
async fn upgrades_get(server: &Server, status: u16, replaced: &[(&str, &str)]) {
    for (what, with) in replaced {
        let valid = upgrade_request("/echo");
        assert!(valid.contains(what), "{what:?}");
        let answer = ask(server, valid.replacen(what, with, 1).as_bytes(), false).await;
        assert_eq!(answer.status, status, "{what:?} -> {with:?}");
    }
    assert_eq!(server.seen.now().begun, 0);
}

#[tokio::test]
async fn row_23_a_head_of_20_kib_gets_431() {
    unharmed(Setup::default(), async |server| {
        let more = format!("X-A: {}\r\n", "a".repeat(1_000)).repeat(20);
        let answer = ask(
            server,
            upgrade_request_with("/echo", &more).as_bytes(),
            true,
        )
        .await;
        assert_eq!(answer.status, 431);
    })
    .await;
}

#[tokio::test]
async fn row_24_64_headers_are_taken_and_65_get_431() {
    unharmed(Setup::default(), async |server| {
        for (count, status) in [(59, 101), (60, 431)] {
            // Besides the five of an upgrade.
            let more = "X-A: a\r\n".repeat(count);
            let request = upgrade_request_with("/echo", &more);
            let answer = ask(server, request.as_bytes(), status == 431).await;
            assert_eq!(answer.status, status, "{count} more");
        }
    })
    .await;
}

#[tokio::test]
async fn row_25_a_target_of_8_kib_is_taken_and_one_more_byte_gets_414() {
    unharmed(Setup::default(), async |server| {
        for (len, status) in [(8 * 1024, 101), (8 * 1024 + 1, 414)] {
            let mut target = "/echo?".to_owned();
            target.push_str(&"q".repeat(len - target.len()));
            let answer = ask(server, upgrade_request(&target).as_bytes(), status == 414).await;
            assert_eq!(answer.status, status, "{len} bytes");
        }
    })
    .await;
}

/// CVE-2023-43669.
#[tokio::test]
async fn row_26_a_header_of_20_megabytes_gets_431_before_it_has_come() {
    unharmed(Setup::default(), async |server| {
        let mut peer = Peer::connect(server).await;
        peer.send(b"GET /echo HTTP/1.1\r\nHost: ok.example\r\nX-A: ")
            .await;
        peer.flood(&[b'a'; 64 * 1024]).await; // until the server hangs up
        assert_eq!(peer.answer().await.status, 431);
    })
    .await;
}

#[tokio::test]
async fn row_27_a_full_head_in_small_pieces_is_taken() {
    unharmed(Setup::default(), async |server| {
        let more = format!("X-A: {}\r\n", "a".repeat(500)).repeat(30);
        let request = upgrade_request_with("/echo", &more);
        assert!(request.len() > 15 * 1024);
        let mut peer = Peer::connect(server).await;
        for piece in request.as_bytes().chunks(16) {
            peer.send(piece).await;
            tokio::task::yield_now().await;
        }
        assert_eq!(peer.answer().await.status, 101);
    })
    .await;
}

#[tokio::test]
async fn row_28_exactly_one_sane_host_is_needed() {
    let host = "Host: ok.example\r\n";
    unharmed(Setup::default(), async |server| {
        let cases = [
            (host, ""),
            (host, "Host: ok.example\r\nHost: ok.example\r\n"),
            (host, "Host: ok.example\r\nHost: evil.example\r\n"),
            (host, "Host: ok .example\r\n"),
            (host, "Host: ok\0.example\r\n"),
            (host, "Host: user@ok.example\r\n"),
            (host, "Host: ok.example/path\r\n"),
            (host, "Host:\r\n"),
        ];
        upgrades_get(server, 400, &cases).await;
    })
    .await;
}

#[tokio::test]
async fn row_29_a_host_that_is_not_on_the_list_gets_421() {
    let serve = ServeConfig::new().allowed_hosts(["127.0.0.1", "OK.example", "ok.example:9001"]);
    unharmed(Setup::serve(serve), async |server| {
        for (host, status) in [
            ("ok.example", 101),
            ("ok.example:9001", 101),
            ("evil.example", 421),
            ("ok.example.evil.example", 421),
            ("ok.example:80", 421),
        ] {
            let request = upgrade_request("/echo").replace("ok.example", host);
            let answer = ask(server, request.as_bytes(), false).await;
            assert_eq!(answer.status, status, "{host}");
        }
        all_get(
            server,
            421,
            &["GET /get HTTP/1.1\r\nHost: rebound.example\r\n\r\n"],
        )
        .await;
        all_get(server, 421, &["GET /get HTTP/1.1\r\n\r\n"]).await;
    })
    .await;
}

#[tokio::test]
async fn row_30_exactly_one_key_of_16_bytes_is_needed() {
    let line = &format!("Sec-WebSocket-Key: {KEY}\r\n");
    unharmed(Setup::default(), async |server| {
        let cases = [
            (&line[..], ""),
            (line, &line.repeat(2)),
            (KEY, ""),
            (KEY, "AAAA"),
            (KEY, "dGhlIHNhbXBsZSBub25jZQ"),
            (KEY, "dGhlIHNhbXBsZSBub25jZSE="),
            (KEY, "dGhlIHNhbXBsZSBub25jZ$=="),
            (KEY, "!!!!!!!!!!!!!!!!!!!!!!=="),
        ];
        upgrades_get(server, 400, &cases).await;
    })
    .await;
}

#[tokio::test]
async fn row_31_other_versions_get_426_and_are_told_of_13() {
    unharmed(Setup::default(), async |server| {
        let version = "Sec-WebSocket-Version: 13\r\n";
        for with in [
            "8",
            "",
            "13, 8",
            "13\r\nSec-WebSocket-Version: 13",
            "013",
            "-13",
        ] {
            let with = format!("Sec-WebSocket-Version: {with}\r\n");
            let request = upgrade_request("/echo").replace(version, &with);
            let answer = ask(server, request.as_bytes(), false).await;
            assert_eq!(answer.status, 426, "{with}");
            assert_eq!(answer.header("sec-websocket-version"), Some("13"));
            assert_eq!(answer.header("upgrade"), Some("websocket"));
        }
        upgrades_get(server, 426, &[(version, "")]).await;
    })
    .await;
}

#[tokio::test]
async fn row_32_a_request_that_asks_for_no_websocket_gets_400() {
    unharmed(Setup::default(), async |server| {
        let cases = [
            ("Upgrade: websocket\r\n", ""),
            ("Upgrade: websocket", "Upgrade: h2c"),
            ("Upgrade: websocket", "Upgrade: websockets"),
            ("Connection: Upgrade\r\n", ""),
            ("Connection: Upgrade", "Connection: keep-alive"),
        ];
        upgrades_get(server, 400, &cases).await;
        // As browsers and proxies write it.
        for with in ["Connection: keep-alive, upgrade", "connection: UPGRADE"] {
            let request = upgrade_request("/echo").replace("Connection: Upgrade", with);
            assert_eq!(ask(server, request.as_bytes(), false).await.status, 101);
        }
    })
    .await;
}

#[tokio::test]
async fn row_33_post_gets_405_and_http_1_0_gets_426() {
    unharmed(Setup::default(), async |server| {
        for method in ["POST", "PUT", "OPTIONS"] {
            let request = upgrade_request("/echo").replace("GET", method);
            let answer = ask(server, request.as_bytes(), false).await;
            assert_eq!(answer.status, 405, "{method}");
            assert_eq!(answer.header("allow"), Some("GET"));
        }
        upgrades_get(server, 426, &[("HTTP/1.1", "HTTP/1.0")]).await;
    })
    .await;
}

#[tokio::test]
async fn row_34_an_upgrade_with_a_body_gets_400_and_the_body_is_no_frame() {
    unharmed(Setup::default(), async |server| {
        let body = text_frame("");
        for header in ["Content-Length: 6", "Transfer-Encoding: chunked"] {
            let head = upgrade_request_with("/echo", &format!("{header}\r\n"));
            let request = [head.as_bytes(), &body].concat();
            let answer = ask(server, &request, false).await;
            assert_eq!(answer.status, 400, "{header}");
        }
        assert_eq!(server.seen.now(), Counts::default());
    })
    .await;
}

/// Bodies whose end two parties could see in two places.
#[tokio::test]
async fn row_35_ambiguous_lengths_get_400_and_the_connection_is_closed() {
    let lengths = [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Transfer-Encoding: chunked\r\nContent-Length: 0",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 6",
        "Content-Length: +5",
        "Content-Length: -5",
        "Content-Length: 0x5",
        "Content-Length: 5 5",
        "Content-Length: 5;",
        "Content-Length: five",
        "Content-Length:",
        "Content-Length: 18446744073709551616",
        "Content-Length: 99999999999999999999999",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding:",
    ];
    unharmed(Setup::default(), async |server| {
        for lines in lengths {
            let request = format!(
                "POST /post HTTP/1.1\r\nHost: ok.example\r\n{lines}\r\n\r\n5\r\nhello\r\n0\r\n\r\n\
                 GET /smuggled HTTP/1.1\r\nHost: ok.example\r\n\r\n"
            );
            all_get(server, 400, &[&request]).await;
        }
        assert_eq!(server.seen.now().bodies, 0);
    })
    .await;
}

/// CVE-2025-55315.
#[tokio::test]
async fn row_36_chunks_out_of_order_get_400_and_the_connection_is_closed() {
    let long = format!("5;{}\r\nhello\r\n0\r\n\r\n", "e".repeat(20 * 1024));
    let bodies = [
        "5;e\nhello\r\n0\r\n\r\n",
        "5;e=\"\n\"\r\nhello\r\n0\r\n\r\n",
        "5;\rx\r\nhello\r\n0\r\n\r\n",
        &long,
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "FFFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloXX0\r\n\r\n",
        "5 5\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
    ];
    unharmed(Setup::default(), async |server| {
        for body in bodies {
            let request = format!(
                "POST /post HTTP/1.1\r\nHost: ok.example\r\nTransfer-Encoding: chunked\r\n\r\n{body}"
            );
            all_get(server, 400, &[&request]).await;
        }
        assert_eq!(server.seen.now().bodies, 0);
    })
    .await;
}

#[tokio::test]
async fn row_37_lines_out_of_shape_get_400_and_the_connection_is_closed() {
    let requests = [
        "GET /get HTTP/1.1\nHost: ok.example\n\n",
        "GET /get HTTP/1.1\nHost: ok.example\r\n\r\n",
        "GET /get HTTP/1.1\r\nHost: ok.example\n\r\n",
        "GET /get HTTP/1.1\r\nHost: ok.example\r\n\n",
        "GET /get HTTP/1.1\r\nHost: ok.example\r\nX-A: a\r\n b\r\n\r\n",
        "GET /get HTTP/1.1\r\nHost: ok.example\r\nX-A : a\r\n\r\n",
        "GET /get HTTP/1.1\r\nHost: ok.example\r\nX-A: a\0b\r\n\r\n",
        "GET /get HTTP/1.1\r\nHost: ok.example\r\nX-A: a\rb\r\n\r\n",
        "GET /get HTTP/1.1\r\nHost: ok.example\r\n: a\r\n\r\n",
        "GET /get HTTP/1.1\r\nHost: ok.example\r\nX-A\r\n\r\n",
        // Empty lines before a request are to be skipped (RFC 9112 2.2), not its line ends.
        "\r\nGET /get HTTP/1.1\nHost: ok.example\n\n",
        "\r\n\r\nGET /get HTTP/1.1\nHost: ok.example\n\n",
        "\r\n\r\n\r\nGET /get HTTP/1.1\r\nHost: ok.example\n\n",
    ];
    unharmed(Setup::default(), async |server| {
        all_get(server, 400, &requests).await;
        let upgrade = upgrade_request("/echo").replace("\r\n", "\n");
        all_get(server, 400, &[&upgrade]).await;
    })
    .await;
}

#[tokio::test]
async fn row_37_a_second_request_is_looked_at_like_the_first() {
    unharmed(Setup::default(), async |server| {
        let first = "GET /get HTTP/1.1\r\nHost: ok.example\r\n\r\n";
        let first_with_body =
            "POST /post HTTP/1.1\r\nHost: ok.example\r\nContent-Length: 5\r\n\r\nhe\nlo";
        let seconds = [
            "GET /get HTTP/1.1\nHost: ok.example\n\n",
            "POST /post HTTP/1.1\r\nHost: ok.example\r\ncontent-length: 5\r\n\
             transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        ];
        for first in [
            first,
            first_with_body,
            &[first, first_with_body].concat().repeat(3),
        ] {
            for second in seconds {
                let mut peer = Peer::connect(server).await;
                peer.send(first.as_bytes()).await;
                for _ in 0..first.matches("Host").count() {
                    assert_eq!(peer.answer().await.status, 200);
                }
                peer.send(second.as_bytes()).await;
                assert_eq!(
                    peer.answer().await.status,
                    400,
                    "{second:?} after {first:?}"
                );
                peer.ends().await;
            }
        }
        // Where the end of a body is a matter of opinion, there is no second request.
        let mut peer = Peer::connect(server).await;
        let head = "POST /post HTTP/1.1\r\nHost: ok.example\r\nTransfer-Encoding: chunked\r\n\r\n";
        peer.send(format!("{head}5\r\nhello\r\n0\r\n\r\n{first}").as_bytes())
            .await;
        let answer = peer.answer().await;
        assert_eq!((answer.status, &answer.body[..]), (200, "5"));
        assert_eq!(peer.ends().await.1, b"");
    })
    .await;
}

fn of_origin(origin: &str) -> String {
    upgrade_request_with("/echo", &format!("Origin: {origin}\r\n"))
}

#[tokio::test]
async fn row_38_a_foreign_origin_gets_403_and_no_handler_runs() {
    unharmed(Setup::default(), async |server| {
        for origin in ["https://evil.example", "null", "https://ok.example.evil"] {
            let answer = ask(server, of_origin(origin).as_bytes(), false).await;
            assert_eq!(answer.status, 403, "{origin}");
        }
        assert_eq!(server.seen.now().begun, 0);
        let answer = ask(server, of_origin("https://ok.example").as_bytes(), false).await;
        assert_eq!(answer.status, 101);
    })
    .await;
}

#[tokio::test]
async fn row_39_look_alikes_of_a_listed_origin_get_403() {
    let cases = [
        ("https://ok.example", 101),
        ("HTTPS://OK.EXAMPLE", 101),
        ("https://ok.example:443", 101),
        ("https://ok.example.evil", 403),
        ("https://notok.example", 403),
        ("http://ok.example", 403),
        ("https://ok.example:444", 403),
        ("https://ok.example.", 403),
        ("https://ok.example@evil.example", 403),
        ("https://\u{43e}k.example", 403),
        ("https://ok.example https://evil.example", 403),
        ("null", 403),
        ("", 403),
    ];
    let setup = Setup {
        origins: Origins::list(["https://ok.example"]),
        ..Setup::default()
    };
    unharmed(setup, async |server| {
        for (origin, status) in cases {
            let answer = ask(server, of_origin(origin).as_bytes(), false).await;
            assert_eq!(answer.status, status, "{origin}");
        }
    })
    .await;
}

#[tokio::test]
async fn row_40_a_request_that_hides_its_origin_but_crosses_sites_gets_403() {
    unharmed(Setup::default(), async |server| {
        for (site, status) in [
            ("cross-site", 403),
            ("same-site", 403),
            ("same-origin", 101),
        ] {
            let request = upgrade_request_with("/echo", &format!("Sec-Fetch-Site: {site}\r\n"));
            let answer = ask(server, request.as_bytes(), false).await;
            assert_eq!(answer.status, status, "{site}");
        }
    })
    .await;
    let setup = Setup {
        origins: Origins::same_host().required(),
        ..Setup::default()
    };
    unharmed(setup, async |server| {
        let answer = ask(server, upgrade_request("/echo").as_bytes(), false).await;
        assert_eq!(answer.status, 403);
    })
    .await;
}

/// CVE-2021-32640.
#[tokio::test]
async fn row_42_fifteen_kib_of_separators_agree_on_no_subprotocol_and_cost_nothing() {
    timely(Setup::default(), async |server| {
        for padding in [" ", ",", ", ", "\t,"] {
            let offers = padding.repeat(15_000 / padding.len());
            let line = format!("Sec-WebSocket-Protocol: a{offers}b\r\n");
            let begun = Instant::now();
            let request = upgrade_request_with("/echo", &line);
            let answer = ask(server, request.as_bytes(), false).await;
            assert_eq!(answer.status, 101, "{padding:?}");
            assert_eq!(answer.header("sec-websocket-protocol"), None);
            assert!(begun.elapsed() < LATE, "{padding:?}");
        }
        let line = "Sec-WebSocket-Protocol: zero.example,, two.example\r\n";
        let answer = ask(
            server,
            upgrade_request_with("/echo", line).as_bytes(),
            false,
        )
        .await;
        assert_eq!(answer.header("sec-websocket-protocol"), Some("two.example"));
    })
    .await;
}

#[tokio::test]
async fn row_43_compression_is_not_agreed_where_it_is_off_or_misspelt() {
    let mut thousand = "Sec-WebSocket-Extensions: permessage-deflate".to_owned();
    for _ in 0..700 {
        write!(thousand, ", permessage-deflate").unwrap();
    }
    unharmed(Setup::default(), async |server| {
        for (path, line, agreed) in [
            ("/echo", &thousand[..], false),
            ("/deflate", &thousand, true),
            (
                "/deflate",
                "Sec-WebSocket-Extensions: permessage-deflate; unknown=1",
                false,
            ),
            (
                "/deflate",
                "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=7",
                false,
            ),
            (
                "/deflate",
                "Sec-WebSocket-Extensions: x-webkit-deflate-frame",
                false,
            ),
            ("/deflate", "Sec-WebSocket-Extensions: ;;;,,,==\"", false),
        ] {
            let request = upgrade_request_with(path, &format!("{line}\r\n"));
            let answer = ask(server, request.as_bytes(), false).await;
            assert_eq!(answer.status, 101, "{line:.80}");
            let extensions = answer.header("sec-websocket-extensions");
            assert_eq!(extensions.is_some(), agreed, "{line:.80}: {extensions:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn row_45_the_preface_of_http_2_ends_the_connection() {
    unharmed(Setup::default(), async |server| {
        let mut peer = Peer::connect(server).await;
        peer.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
            .await;
        let (_, said) = peer.ends().await;
        assert!(
            said.is_empty() || said.starts_with(b"HTTP/1.1 400 "),
            "{}",
            said.escape_ascii()
        );
    })
    .await;
}

#[tokio::test]
async fn row_46_a_body_that_drips_gets_408() {
    let grace = Duration::from_millis(300);
    let serve = ServeConfig::new().min_body_rate(1_000, grace);
    timely(Setup::serve(serve), async |server| {
        for framing in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
            let begun = Instant::now();
            let mut peer = Peer::connect(server).await;
            let head = format!("POST /post HTTP/1.1\r\nHost: ok.example\r\n{framing}\r\n\r\n");
            peer.send(head.as_bytes()).await;
            peer.send(b"1\r\nx\r\n").await;
            let answer = peer.answer().await;
            assert_eq!(answer.status, 408, "{framing}");
            assert!(begun.elapsed() > grace * 9 / 10);
            peer.ends().await;
        }
        assert_eq!(server.seen.now().bodies, 0);
    })
    .await;
}

#[tokio::test]
async fn row_49_resets_before_the_101_leave_nothing() {
    unharmed(Setup::default(), async |server| {
        for _ in 0..200 {
            let stranger = Ipv4Addr::new(127, 0, 0, 2);
            let mut peer = Peer::connect_from(stranger, server.address).await;
            peer.send(upgrade_request("/echo").as_bytes()).await;
            peer.reset();
        }
        // One more, to have something to wait for.
        drop(Peer::upgraded(server, "/echo").await);
        server.until_alone().await;
    })
    .await;
}

#[tokio::test]
async fn a_handler_that_panics_is_answered_with_500_and_the_connection_goes_on() {
    unharmed(Setup::default(), async |server| {
        let mut peer = Peer::connect(server).await;
        for _ in 0..2 {
            peer.send(b"GET /panics HTTP/1.1\r\nHost: ok.example\r\n\r\n")
                .await;
            assert_eq!(peer.answer().await.status, 500);
        }
        peer.send(b"GET /get HTTP/1.1\r\nHost: ok.example\r\n\r\n")
            .await;
        assert_eq!(peer.answer().await.body, "here");
    })
    .await;
}
