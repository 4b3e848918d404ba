//! Connections that wait for their next request, and requests that take their time.

use std::time::Duration;

use raw_ws::ServeConfig;
use tokio::time::{Instant, sleep};

use crate::support::*;

const HEAD: Duration = Duration::from_millis(300);
const KEPT: Duration = Duration::from_millis(1200);
const GET: &[u8] = b"GET /get HTTP/1.1\r\nHost: ok.example\r\n\r\n";

fn serve() -> ServeConfig {
    ServeConfig::new()
        .head_timeout(HEAD)
        .keep_alive_timeout(KEPT)
}

#[test]
fn a_connection_is_kept_longer_than_common_proxies_keep_theirs() {
    // nginx, HAProxy and the load balancers of clouds close theirs after 60 s, or after less.
    assert_eq!(ServeConfig::new().keep_alive_timeout.as_secs(), 120);
}

#[tokio::test]
async fn a_connection_that_waits_for_its_next_request_outlives_the_deadline_of_a_head() {
    timely(Setup::serve(serve()), async |server| {
        let mut peer = Peer::connect(server).await;
        for _ in 0..3 {
            peer.send(GET).await;
            assert_eq!(peer.answer().await.status, 200);
            sleep(2 * HEAD).await;
        }
        peer.send(GET).await;
        assert_eq!(peer.answer().await.status, 200);
        let begun = Instant::now();
        assert_eq!(peer.ends().await, (End::Fin, vec![]));
        at_deadline(begun, KEPT);
    })
    .await;
}

#[tokio::test]
async fn a_later_head_has_its_time_from_its_first_byte() {
    timely(Setup::serve(serve()), async |server| {
        let mut peer = Peer::connect(server).await;
        peer.send(GET).await;
        assert_eq!(peer.answer().await.status, 200);
        sleep(2 * HEAD).await;
        peer.send(&GET[..10]).await;
        sleep(HEAD / 2).await;
        peer.send(&GET[10..]).await;
        assert_eq!(peer.answer().await.status, 200);
        // Half of one, dripping.
        let begun = Instant::now();
        for byte in GET.chunks(1) {
            peer.send(byte).await;
            if let Ok((end, rest)) = tokio::time::timeout(HEAD / 10, peer.ends()).await {
                assert_eq!(end, End::Fin);
                assert_eq!(&rest[..12], b"HTTP/1.1 408", "{}", rest.escape_ascii());
                break;
            }
        }
        at_deadline(begun, HEAD);
    })
    .await;
}

#[tokio::test]
async fn empty_lines_are_no_request_and_keep_nothing_alive() {
    timely(Setup::serve(serve()), async |server| {
        let mut peer = Peer::connect(server).await;
        peer.send(GET).await;
        assert_eq!(peer.answer().await.status, 200);
        let begun = Instant::now();
        loop {
            peer.send(b"\r\n").await;
            if tokio::time::timeout(KEPT / 10, peer.ends()).await.is_ok() {
                break;
            }
        }
        at_deadline(begun, KEPT);
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_takes_longer_than_both_deadlines_comes() {
    let serve = ServeConfig::new()
        .head_timeout(LATER / 10)
        .keep_alive_timeout(LATER / 5);
    timely(Setup::serve(serve), async |server| {
        let mut peer = Peer::connect(server).await;
        peer.send(b"GET /later HTTP/1.1\r\nHost: ok.example\r\n\r\n")
            .await;
        // The head of the next one comes meanwhile, in part.
        peer.send(&GET[..10]).await;
        assert_eq!(peer.answer().await.body, "later");
        peer.send(&GET[10..]).await;
        assert_eq!(peer.answer().await.body, "here");
    })
    .await;
}

#[tokio::test]
async fn a_handler_may_take_larger_bodies_than_its_server() {
    let serve = ServeConfig::new().max_body_size(100_000);
    unharmed(Setup::serve(serve), async |server| {
        for (path, size, status) in [
            ("/post", 100_001, 413),
            ("/large", LARGE, 200),
            ("/large", LARGE + 1, 413),
        ] {
            let mut peer = Peer::connect(server).await;
            let head = format!(
                "POST {path} HTTP/1.1\r\nHost: ok.example\r\nContent-Length: {size}\r\n\r\n"
            );
            peer.send(head.as_bytes()).await;
            peer.send(&vec![b'x'; size]).await;
            let answer = peer.answer().await;
            assert_eq!(answer.status, status, "{path}, {size}");
            if status == 200 {
                assert_eq!(answer.body, size.to_string());
            }
        }
    })
    .await;
}
