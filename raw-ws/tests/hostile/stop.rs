//! The graceful stop, and TLS.

use std::{sync::Arc, time::Duration};

use raw_ws::{Config, ServeConfig};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::{net::TcpStream, time::Instant};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::support::*;

#[tokio::test]
async fn a_graceful_stop_closes_every_connection_with_1001() {
    let mut server = Server::start(Setup::default()).await;
    let mut peers = Vec::new();
    for path in ["/echo", "/frames", "/topic", "/deflate", "/text"] {
        for _ in 0..4 {
            peers.push(Peer::upgraded(&server, path).await);
        }
    }
    let mut idle = Peer::connect(&server).await;
    idle.send(b"GET /get HTTP/1.1\r\nHost: ok.example\r\n\r\n")
        .await;
    assert_eq!(idle.answer().await.status, 200);

    server.stop();
    for peer in &mut peers {
        let close = loop {
            let (op, payload) = peer.frame().await;
            if op == Op::CLOSE {
                break payload;
            }
        };
        assert_eq!(close, b"\x03\xE9the server stops");
        peer.send(&close_frame(1001, "")).await;
        assert_eq!(peer.ends().await, (End::Fin, vec![]));
    }
    assert_eq!(idle.ends().await, (End::Fin, vec![]));
    let address = server.address;
    drop((peers, idle));
    server.stopped().await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_graceful_stop_lets_requests_finish() {
    let mut server = Server::start(Setup::default()).await;
    let mut peer = Peer::connect(&server).await;
    peer.send(
        b"POST /post HTTP/1.1\r\nHost: ok.example\r\n\
          Content-Length: 5\r\nExpect: 100-continue\r\n\r\n",
    )
    .await;
    assert_eq!(peer.answer().await.status, 100, "the request is at work");
    server.stop();
    soon("the end of the listener", async {
        while TcpStream::connect(server.address).await.is_ok() {}
    })
    .await;
    peer.send(b"hello").await;
    let answer = peer.answer().await;
    assert_eq!((answer.status, &answer.body[..]), (200, "5"));
    assert_eq!(peer.ends().await, (End::Fin, vec![]));
    server.stopped().await;
}

#[tokio::test]
async fn a_graceful_stop_cuts_who_does_not_answer_at_its_deadline() {
    let deadline = Duration::from_millis(400);
    let setup = Setup {
        serve: ServeConfig::new().shutdown_timeout(deadline),
        ws: Config::new().close_timeout(Duration::from_secs(60)),
        ..Setup::default()
    };
    on_time(async || {
        let mut server = Server::start(setup.clone()).await;
        let mut mute = Peer::upgraded(&server, "/echo").await;
        let mut unfinished = Peer::connect(&server).await;
        unfinished.send(b"GET /get HTTP/1.1\r\n").await;
        let seen = server.seen.clone();

        let begun = Instant::now();
        server.stop();
        assert_eq!(mute.frame().await.0, Op::CLOSE);
        server.stopped().await;
        at_deadline(begun, deadline);
        mute.ends().await;
        unfinished.ends().await;
        seen.until("the end of the handler", |seen| seen.ended == 1)
            .await;
    })
    .await;
}

#[tokio::test]
async fn a_graceful_stop_waits_for_nobody_who_has_not_asked_for_anything() {
    let tls = tls();
    let spoken = ServeConfig::new()
        .trusted_proxies(["127.0.0.1"])
        .proxy_protocol(true);
    let get = "GET /get HTTP/1.1\r\nHost: ok.example\r\n\r\n";
    let proxied = format!("PROXY UNKNOWN\r\n{get}");
    for (what, setup, sent, whole) in [
        ("silence", Setup::default(), &b""[..], get),
        ("half a head", Setup::default(), &get.as_bytes()[..20], get),
        (
            "half a TLS handshake",
            over(&tls, ServeConfig::new()),
            b"\x16\x03\x01\x02\0\x01\0",
            "",
        ),
        (
            "half a PROXY header",
            Setup::serve(spoken),
            b"PROXY TCP4 203",
            &proxied,
        ),
    ] {
        on_time(async || {
            let mut server = Server::start(setup.clone()).await;
            let mut peer = Peer::connect(&server).await;
            peer.send(sent).await;
            // Once somebody who came later is served, the server has met this one.
            if whole.is_empty() {
                drop(tls_peer(&server, &tls, "/echo").await);
            } else {
                let mut later = Peer::connect(&server).await;
                later.send(whole.as_bytes()).await;
                assert_eq!(later.answer().await.status, 200);
            }
            let begun = Instant::now();
            server.stop();
            server.stopped().await;
            assert!(begun.elapsed() < LATE, "{what}");
            assert_eq!(peer.ends().await.1, vec![], "{what}");
        })
        .await;
    }
}

#[tokio::test]
async fn a_graceful_stop_does_not_wait_for_half_a_later_head() {
    on_time(async || {
        let mut server = Server::start(Setup::default()).await;
        let mut peer = Peer::connect(&server).await;
        peer.send(b"GET /get HTTP/1.1\r\nHost: ok.example\r\n\r\nGET /get HT")
            .await;
        assert_eq!(peer.answer().await.status, 200);
        let begun = Instant::now();
        server.stop();
        server.stopped().await;
        assert!(begun.elapsed() < LATE);
    })
    .await;
}

#[tokio::test]
async fn a_graceful_stop_closes_the_listener_at_once_and_its_address_is_free() {
    let setup = Setup {
        ws: Config::new().close_timeout(Duration::from_secs(60)),
        ..Setup::default()
    };
    let mut server = Server::start(setup).await;
    let mut mute = Peer::upgraded(&server, "/echo").await;
    server.stop();
    assert_eq!(mute.frame().await.0, Op::CLOSE);
    // It still waits for an answer to its Close, and is there no more for others.
    assert!(TcpStream::connect(server.address).await.is_err());
    let next = tokio::net::TcpListener::bind(server.address).await;
    assert!(next.is_ok(), "{next:?}");
    mute.send(&close_frame(1001, "")).await;
    drop(mute);
    server.stopped().await;
}

#[tokio::test]
async fn a_server_that_will_stop_says_so_first_and_goes_on_for_its_delay() {
    let delay = Duration::from_millis(500);
    let setup = Setup::serve(ServeConfig::new().shutdown_delay(delay));
    let readyz = b"GET /readyz HTTP/1.1\r\nHost: ok.example\r\n\r\n";
    on_time(async || {
        let mut server = Server::start(setup.clone()).await;
        let mut kept = Peer::connect(&server).await;
        kept.send(readyz).await;
        assert_eq!(kept.answer().await.body, "ready");
        let begun = Instant::now();
        server.stop();
        soon("a red light", async {
            loop {
                kept.send(readyz).await;
                if kept.answer().await.body == "stopping" {
                    break;
                }
            }
        })
        .await;
        // Who comes now is served as ever.
        let mut late = Peer::upgraded(&server, "/echo").await;
        late.send(&text_frame("still here")).await;
        assert_eq!(late.frame().await.1, b"still here");
        assert_eq!(late.frame().await.0, Op::CLOSE);
        at_deadline(begun, delay);
        late.send(&close_frame(1001, "")).await;
        drop(late);
        server.stopped().await;
    })
    .await;
}

// ---------------------------------------------------------------------------------------------
// wss

struct Tls {
    server: Arc<rustls::ServerConfig>,
    client: TlsConnector,
}

/// A certificate for "localhost", and a client that trusts it.
fn tls() -> Tls {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate: CertificateDer<'static> = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let server = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Tls {
        server: Arc::new(server),
        client: Arc::new(client).into(),
    }
}

async fn tls_peer(server: &Server, tls: &Tls, path: &str) -> Peer<TlsStream<TcpStream>> {
    let stream = Peer::connect(server).await.stream;
    let name = ServerName::try_from("localhost").unwrap();
    let stream = soon("TLS", tls.client.connect(name, stream)).await.unwrap();
    let mut peer = Peer::over(stream);
    peer.upgrade(path).await;
    peer
}

fn over(tls: &Tls, serve: ServeConfig) -> Setup {
    Setup {
        serve,
        tls: Some(tls.server.clone()),
        ..Setup::default()
    }
}

#[tokio::test]
async fn wss_echoes_and_closes_as_ws_does() {
    let tls = tls();
    unharmed(over(&tls, ServeConfig::new()), async |server| {
        let mut peer = tls_peer(server, &tls, "/echo").await;
        for size in [0, 5, 126, 20_000, 65_536] {
            let payload = vec![b'x'; size];
            peer.send(&frame(Op::BINARY, &payload)).await;
            assert_eq!(peer.frame().await, (Op::BINARY, payload));
        }
        peer.send(&close_frame(4000, "")).await;
        peer.closes_with(4000).await;

        let mut peer = tls_peer(server, &tls, "/echo").await;
        peer.send(&[header(Op::BINARY, 1 << 40), vec![0; 100_000]].concat())
            .await;
        peer.closes_with(1009).await;
    })
    .await;
}

#[tokio::test]
async fn wss_gets_what_is_published() {
    let tls = tls();
    unharmed(over(&tls, ServeConfig::new()), async |server| {
        let mut peers = Vec::new();
        for _ in 0..3 {
            let mut peer = tls_peer(server, &tls, "/topic").await;
            assert_eq!(peer.frame().await.1, b"subscribed");
            peers.push(peer);
        }
        for round in 0..50_u32 {
            let news = round.to_be_bytes().repeat(1 + round as usize * 20);
            let news = raw_ws::PreparedMessage::new(news);
            assert_eq!(server.topics.publish("all", &news), 3);
        }
        for peer in &mut peers {
            for round in 0..50_u32 {
                let news = round.to_be_bytes().repeat(1 + round as usize * 20);
                assert_eq!(peer.frame().await, (Op::BINARY, news));
            }
        }
    })
    .await;
}

#[tokio::test]
async fn wss_says_goodbye_at_a_graceful_stop() {
    let tls = tls();
    let mut server = Server::start(over(&tls, ServeConfig::new())).await;
    let mut peer = tls_peer(&server, &tls, "/echo").await;
    server.stop();
    assert_eq!(
        peer.frame().await,
        (Op::CLOSE, b"\x03\xE9the server stops".to_vec())
    );
    peer.send(&close_frame(1001, "")).await;
    assert_eq!(peer.ends().await, (End::Fin, vec![]));
    drop(peer);
    server.stopped().await;
}

#[tokio::test]
async fn wss_a_peer_that_does_not_read_is_cut() {
    let tls = tls();
    let setup = Setup {
        ws: Config::new().progress_timeout(Duration::from_millis(300)),
        ..over(&tls, ServeConfig::new())
    };
    unharmed(setup, async |server| {
        let mut deaf = tls_peer(server, &tls, "/topic").await;
        assert_eq!(deaf.frame().await.1, b"subscribed");
        let news = raw_ws::PreparedMessage::new(vec![7; 16 * 1024]);
        soon("the cut", async {
            while server.topics.publish("all", &news) == 1 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        server
            .seen
            .until("the end of the handler", |seen| seen.ended == 1)
            .await;
    })
    .await;
}

#[tokio::test]
async fn row_01_a_silent_socket_on_the_tls_port_is_closed_at_the_head_deadline() {
    let tls = tls();
    let deadline = Duration::from_millis(300);
    timely(
        over(&tls, ServeConfig::new().head_timeout(deadline)),
        async |server| {
            let begun = Instant::now();
            let mut silent = Peer::connect(server).await;
            let mut stuck = Peer::connect(server).await;
            stuck.send(b"\x16\x03\x01\x02\0\x01\0").await;
            for peer in [&mut silent, &mut stuck] {
                assert_eq!(peer.ends().await, (End::Fin, vec![]));
            }
            assert!(begun.elapsed() > deadline * 9 / 10);
            let mut plain = Peer::connect(server).await;
            plain.send(upgrade_request("/echo").as_bytes()).await;
            plain.ends().await;
        },
    )
    .await;
}
