//! Answers that are given before the request's body has come: the client reads them, whatever it is
//! still sending, and goes on.

use std::{net::Ipv4Addr, time::Duration};

use raw_ws::ServeConfig;
use tokio::{io::AsyncWriteExt as _, time::Instant};

use crate::support::*;

/// More than the sockets of both ends take while nobody reads.
const LARGE_BODY: usize = 16 * 1024 * 1024;

fn head(method: &str, target: &str, more: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: ok.example\r\n{more}\r\n")
}

/// Asks with a body of which nothing is sent before the answer has come.
async fn asked_early(
    peer: &mut Peer,
    method: &str,
    target: &str,
    more: &str,
    size: usize,
) -> Answer {
    let more = format!("{more}Content-Length: {size}\r\n");
    peer.send(head(method, target, &more).as_bytes()).await;
    peer.answer().await
}

/// The server takes all of it.
async fn sent_whole(peer: &mut Peer, bytes: &[u8]) {
    let sent = peer.stream.write_all(bytes);
    soon("room to write", sent).await.unwrap();
}

async fn goes_on(peer: &mut Peer, what: &str) {
    peer.send(head("GET", "/get", "").as_bytes()).await;
    let answer = peer.answer().await;
    assert_eq!((answer.status, &answer.body[..]), (200, "here"), "{what}");
}

#[tokio::test]
async fn a_connection_goes_on_behind_an_answer_that_came_before_its_body() {
    unharmed(Setup::default(), async |server| {
        let mut peer = Peer::connect(server).await;
        for (method, target, status) in [
            ("POST", "/nowhere", 404),
            ("POST", "/get", 405),
            ("PUT", "/echo", 400),
            ("GET", "/get", 200),
            ("POST", "/early", 401),
            ("POST", "/later", 405),
        ] {
            for size in [1, 100, 30_000, 1_000_000] {
                let what = format!("{method} {target}, {size} bytes");
                let answer = asked_early(&mut peer, method, target, "", size).await;
                assert_eq!(answer.status, status, "{what}");
                assert_eq!(answer.header("connection"), None, "{what}");
                peer.send(&vec![b'x'; size]).await;
                goes_on(&mut peer, &what).await;
            }
        }
    })
    .await;
}

/// The body and the next request may come in any pieces.
#[tokio::test]
async fn a_body_behind_its_answer_is_no_request() {
    unharmed(Setup::default(), async |server| {
        let mut peer = Peer::connect(server).await;
        let next = head("GET", "/get", "");
        for _ in 0..3 {
            let answer = asked_early(&mut peer, "POST", "/nowhere", "", next.len()).await;
            assert_eq!(answer.status, 404);
            peer.dribble(next.as_bytes()).await;
            peer.send(head("POST", "/post", "Content-Length: 3\r\n").as_bytes())
                .await;
            peer.send(b"abc").await;
            let answer = peer.answer().await;
            assert_eq!((answer.status, &answer.body[..]), (200, "3"));
        }
    })
    .await;
}

#[tokio::test]
async fn behind_a_body_that_is_too_large_to_be_read_the_close_is_said_and_lingers() {
    unharmed(Setup::default(), async |server| {
        let one_too_many = 1024 * 1024 + 1;
        let chunked = "Transfer-Encoding: chunked\r\n";
        for (target, status, size) in [
            ("/nowhere", 404, one_too_many),
            ("/early", 401, LARGE_BODY),
            ("/post", 413, LARGE_BODY),
        ] {
            let mut peer = Peer::connect(server).await;
            let length = format!("Content-Length: {size}\r\n");
            peer.send(head("POST", target, &length).as_bytes()).await;
            // Sent to its end before the answer is read, as many clients do.
            sent_whole(&mut peer, &vec![b'x'; size]).await;
            let answer = peer.answer().await;
            assert_eq!(answer.status, status, "{target}");
            assert_eq!(answer.header("connection"), Some("close"), "{target}");
            assert_eq!(peer.ends().await, (End::Fin, vec![]), "{target}");
        }
        let mut peer = Peer::connect(server).await;
        peer.send(head("POST", "/nowhere", chunked).as_bytes())
            .await;
        for _ in 0..LARGE_BODY / 0x10000 {
            let chunk = [b"10000\r\n", &vec![b'x'; 0x10000][..], b"\r\n"].concat();
            sent_whole(&mut peer, &chunk).await;
        }
        peer.send(b"0\r\n\r\n").await;
        let answer = peer.answer().await;
        assert_eq!(
            (answer.status, answer.header("connection")),
            (404, Some("close"))
        );
        assert_eq!(peer.ends().await, (End::Fin, vec![]));
    })
    .await;
}

/// A body of which a part has been read and refused: the rest is short enough.
#[tokio::test]
async fn the_connection_goes_on_behind_a_body_that_is_too_large_for_its_route() {
    let serve = ServeConfig::new().max_body_size(100_000);
    unharmed(Setup::serve(serve), async |server| {
        let mut peer = Peer::connect(server).await;
        let answer = asked_early(&mut peer, "POST", "/small", "", 90_000).await;
        assert_eq!((answer.status, answer.header("connection")), (413, None));
        peer.send(&vec![b'x'; 90_000]).await;
        goes_on(&mut peer, "413").await;
        let answer = asked_early(&mut peer, "POST", "/post", "", 100_001).await;
        assert_eq!(
            (answer.status, answer.header("connection")),
            (413, Some("close"))
        );
        assert_eq!(peer.ends().await.0, End::Fin);
    })
    .await;
}

/// It need not send its body any more, and its next request could be taken for it.
#[tokio::test]
async fn a_client_that_waits_to_be_asked_for_its_body_is_told_to_close() {
    unharmed(Setup::default(), async |server| {
        let expect = "Expect: 100-continue\r\n";
        let mut peer = Peer::connect(server).await;
        let answer = asked_early(&mut peer, "POST", "/nowhere", expect, 100).await;
        assert_eq!(
            (answer.status, answer.header("connection")),
            (404, Some("close"))
        );
        assert_eq!(peer.ends().await, (End::Fin, vec![]));

        // Where the body is wanted it is asked for.
        let mut peer = Peer::connect(server).await;
        let asked = asked_early(&mut peer, "POST", "/post", expect, 100).await;
        assert_eq!(asked.status, 100);
        peer.send(&[b'x'; 100]).await;
        assert_eq!(peer.answer().await.body, "100");
        goes_on(&mut peer, "100 Continue").await;
    })
    .await;
}

/// A rest that does not come is not waited for longer than a body is.
#[tokio::test]
async fn a_rest_that_does_not_come_ends_the_connection() {
    let grace = Duration::from_millis(500);
    let setup = Setup::serve(ServeConfig::new().min_body_rate(1_000, grace));
    timely(setup, async |server| {
        let mut peer = Peer::connect(server).await;
        let begun = Instant::now();
        let answer = asked_early(&mut peer, "POST", "/nowhere", "", 100).await;
        assert_eq!(answer.status, 404);
        assert_eq!(peer.ends().await, (End::Fin, vec![]));
        at_deadline(begun, grace);
    })
    .await;
}

/// Who neither sends nor closes is not waited for either.
#[tokio::test]
async fn a_lingering_close_comes_to_its_end() {
    on_time(async || {
        let mut server = Server::start(Setup::default()).await;
        let mut peer = Peer::connect(&server).await;
        let answer = asked_early(&mut peer, "POST", "/nowhere", "", LARGE_BODY).await;
        assert_eq!(answer.status, 404);
        assert_eq!(peer.ends().await, (End::Fin, vec![]));
        let begun = Instant::now();
        server.stop();
        server.stopped().await;
        at_deadline(begun, Duration::from_secs(2));
    })
    .await;
}

/// A proxy's next request is another client's.
#[tokio::test]
async fn a_proxys_connection_goes_on_behind_a_client_that_is_refused() {
    let serve = ServeConfig::new()
        .trusted_proxies(["127.0.0.5"])
        .max_connections_per_address(1);
    unharmed(Setup::serve(serve), async |server| {
        let proxy = Ipv4Addr::new(127, 0, 0, 5);
        let client = "X-Forwarded-For: 203.0.113.1\r\n";
        let mut peer = Peer::connect_from(proxy, server.address).await;
        peer.send(head("GET", "/later", client).as_bytes()).await;
        let mut other = Peer::connect_from(proxy, server.address).await;
        loop {
            let answer = asked_early(&mut other, "POST", "/post", client, 30_000).await;
            other.send(&vec![b'x'; 30_000]).await;
            if answer.status == 429 {
                assert_eq!(answer.header("connection"), None);
                break; // the first has come
            }
        }
        goes_on(&mut other, "429").await;
        assert_eq!(peer.answer().await.body, "later");
    })
    .await;
}
