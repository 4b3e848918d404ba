//! Who has the connection when several come (SR-13; rows 187 to 192).

use super::support::{Peer, QUERY, Step::*, hears_until_gone, millis, negotiate, options, start};
use crate::live::{Client, Server};

const ECHO_1: &str = r#"{"type":1,"invocationId":"1","target":"Echo","arguments":[1]}"#;
const GOT_1: &str = r#"{"type":3,"invocationId":"1","result":1}"#;
const FIRST: &str = r#"{"type":9,"sequenceId":1}"#;

#[tokio::test(start_paused = true)]
async fn sr_13_row_189_a_new_socket_takes_over_while_the_old_one_looks_alive() {
    let (server, shared) = start(options());
    let mut peer = Peer::counting(&server).await;
    peer.says(ECHO_1).await;
    peer.hears(GOT_1).await;
    let mut old = peer.client.take().unwrap();
    peer.does(Returns).await;
    // What is sent from here on is for the new one alone.
    server.handle.all().send("News", ()).unwrap();
    peer.hears(FIRST).await;
    peer.hears(GOT_1).await;
    peer.hears(r#"{"type":1,"target":"News","arguments":[]}"#)
        .await;
    assert_eq!(hears_until_gone(&mut old).await, (Vec::new(), 1000));
    // Nor does the old one say anything any more.
    assert!(old.try_text("x").await.is_err() || peer.client.is_some());
    peer.says(r#"{"type":1,"invocationId":"2","target":"Echo","arguments":[2]}"#)
        .await;
    peer.hears(r#"{"type":3,"invocationId":"2","result":2}"#)
        .await;
    assert_eq!(shared.disconnected.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn row_188_of_two_that_come_at_once_one_has_the_connection() {
    for _ in 0..50 {
        let (server, shared) = start(options());
        let mut peer = Peer::counting(&server).await;
        peer.says(ECHO_1).await;
        peer.hears(GOT_1).await;
        peer.does(Drops).await;
        let come = |token: String| {
            let server = server.clone();
            tokio::spawn(async move {
                let mut peer = Peer {
                    server: &server,
                    token,
                    client: None,
                };
                peer.returns().await.map(|()| peer.client.take().unwrap())
            })
        };
        let (one, other) = (come(peer.token.clone()), come(peer.token.clone()));
        let mut come = vec![one.await.unwrap(), other.await.unwrap()];
        // The loser is refused, or closed by the one that came after it.
        server.handle.all().send("News", ()).unwrap();
        let mut winners = 0;
        for client in &mut come {
            match client {
                Err(status) => assert_eq!(*status, 409),
                Ok(client) => {
                    let echo = r#"{"type":1,"invocationId":"2","target":"Echo","arguments":[2]}"#;
                    let _ = client.try_text(&format!("{echo}\u{1e}")).await;
                    match client.heard().await {
                        crate::live::Heard::Text(text) => {
                            assert!(text.starts_with(FIRST), "{text}");
                            winners += 1;
                        }
                        ended => assert_eq!(ended, crate::live::Heard::Close(1000)),
                    }
                }
            }
        }
        assert_eq!(winners, 1);
        assert_eq!(shared.disconnected.get(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn row_190_a_connection_that_is_resumed_without_a_pause() {
    let (server, shared) = start(options());
    let mut peer = Peer::counting(&server).await;
    let mut refused = 0;
    for _ in 0..150 {
        match peer.returns().await {
            Ok(()) => peer.hears(FIRST).await,
            Err(status) => {
                assert_eq!(status, 429);
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 50);
    peer.does(Waits(millis(10_000))).await;
    peer.does(Returns).await;
    peer.hears(FIRST).await;
    assert_eq!(shared.disconnected.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn rows_187_191_192_a_token_that_leads_nowhere() {
    let (server, _) = start(options());
    let (elsewhere, _) = start(options());
    let mut peer = Peer::counting(&server).await;
    peer.does(Drops).await;
    let mut lost = Peer {
        server: &elsewhere,
        token: peer.token.clone(),
        client: None,
    };
    lost.does(IsRefused(404)).await;
    peer.does(Waits(millis(15_100))).await;
    peer.does(IsRefused(404)).await;
}

#[tokio::test(start_paused = true)]
async fn nobody_resumes_the_connection_of_another_user() {
    let options = options();
    let hub = hub::Hub::with_options((), options)
        .method("Echo", async |_: hub::Context, value: i64| Ok(value))
        .user_identifier(|parts| {
            let query = parts.uri.query()?;
            let (_, user) = query.split_once("user=")?;
            Some(user.to_owned())
        });
    let server = Server::start(hub);
    let token = negotiate(&server, &format!("{QUERY}&user=ann")).await;
    let as_user = |user: &str| format!("/hub?id={token}&user={user}");
    let mut ann = Client::connect(server.socket(), &as_user("ann")).await;
    ann.send(r#"{"protocol":"json","version":2}"#).await;
    ann.expect(&["{}"]).await;
    for _ in 0..2 {
        let bob = Client::try_connect(server.socket(), &as_user("bob")).await;
        assert_eq!(bob.err(), Some(403));
        let nobody = Client::try_connect(server.socket(), &format!("/hub?id={token}")).await;
        assert_eq!(nobody.err(), Some(403));
    }
    // She did not notice.
    assert_eq!(ann.ask("Echo", "[1]").await, "1");
    drop(ann);
    tokio::time::sleep(millis(10)).await;
    let bob = Client::try_connect(server.socket(), &as_user("bob")).await;
    assert_eq!(bob.err(), Some(403));
    let mut ann = Client::connect(server.socket(), &as_user("ann")).await;
    ann.expect(&[FIRST]).await;
}

#[tokio::test(start_paused = true)]
async fn sr_14_who_comes_while_the_connection_ends_is_too_late() {
    let hub = hub::Hub::with_options((), options())
        .method("Abort", async |cx: hub::Context| {
            cx.abort();
            Ok(())
        })
        .on_disconnected(async |_, _| {
            tokio::time::sleep(millis(5000)).await;
            Ok(())
        });
    let server = Server::start(hub);
    let mut peer = Peer::counting(&server).await;
    peer.says(r#"{"type":1,"target":"Abort","arguments":[]}"#)
        .await;
    peer.hears(r#"{"type":7}"#).await;
    peer.does(IsRefused(409)).await;
    // And its closing handshake.
    peer.does(Waits(millis(11_000))).await;
    peer.does(IsRefused(404)).await;
}

#[tokio::test(start_paused = true)]
async fn the_connection_id_resumes_nothing() {
    let (server, _) = start(options());
    let answer = server.request("POST", QUERY).await;
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    let id = body["connectionId"].as_str().unwrap().to_owned();
    let mut peer = Peer {
        server: &server,
        token: id,
        client: None,
    };
    peer.does(IsRefused(404)).await;
    // Nor does it where id and token are the same (C-02).
    let version_0 = "/hub/negotiate?useStatefulReconnect=true";
    let answer = server.request("POST", version_0).await;
    assert!(!answer.body.contains("useStatefulReconnect"), "{answer:?}");
    let _ = negotiate(&server, QUERY).await;
}
