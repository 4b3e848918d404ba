//! Row 93: a hostile server against the client, and what the client does with a good one.

use std::{future::Future, time::Duration};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, future::join_all};
use raw_ws::wire::{Client, ClientError, MalformedPacket, Packet};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_tungstenite::{
    WebSocketStream, accept_async,
    tungstenite::{
        Message,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use super::support::{COUNT, ECHO, ENDLESS, Server, error, event, item, response, soon, unharmed};

type Socket = WebSocketStream<TcpStream>;

/// A client, and a server that does with it whatever `script` says.
async fn against<F>(script: impl FnOnce(Socket) -> F + Send + 'static) -> (Client, JoinHandle<()>)
where
    F: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        script(accept_async(stream).await.unwrap()).await;
    });
    let client = soon("the upgrade", Client::connect(&url)).await.unwrap();
    (client, server)
}

async fn say(ws: &mut Socket, packet: Packet) {
    ws.send(Message::Binary(packet.encode())).await.unwrap();
}

/// Takes the request and gives its id.
async fn request(ws: &mut Socket) -> u32 {
    match ws.next().await {
        Some(Ok(Message::Binary(bytes))) => match Packet::parse(bytes) {
            Ok(Packet::Request { id, .. }) => id,
            other => panic!("{other:?} where a request was due"),
        },
        other => panic!("{other:?} where a request was due"),
    }
}

async fn closed_with(ws: &mut Socket) -> (u16, String) {
    match ws.next().await {
        Some(Ok(Message::Close(Some(close)))) => (close.code.into(), close.reason.to_string()),
        other => panic!("{other:?} where a Close was due"),
    }
}

#[tokio::test]
async fn row_93_malformed_packets_close_with_4400_and_fail_everything() {
    use MalformedPacket as M;
    let cases = [
        (vec![], M::Truncated),
        (vec![2, 0, 0, 0, 0, 0, 0], M::Truncated),
        (vec![0; 8], M::UnknownKind(0)),
        (vec![8, 0, 0, 0, 0, 0, 0, 1], M::UnknownKind(8)),
        (vec![2, 2, 0, 0, 0, 0, 0, 1], M::Flags),
        (vec![3, 1, 0, 0, 0, 0, 0, 1], M::Flags),
        (vec![2, 0, 0, 1, 0, 0, 0, 1], M::Code),
        (vec![5, 0, 0, 0, 0, 0, 0, 1, 0], M::TrailingBytes),
        (vec![3, 0, 0, 1, 0, 0, 0, 1, 0xFF], M::InvalidText),
        (vec![1, 0, 0, 1, 0, 0, 0, 1], M::Direction),
        (vec![5, 0, 0, 0, 0, 0, 0, 1], M::Direction),
        (vec![6, 0, 0, 0, 0, 0, 0, 1], M::Direction),
        (vec![7, 0, 0, 0, 0, 0, 0, 1], M::Direction),
    ];
    for (bytes, why) in cases {
        let (client, server) = against(async move |mut ws| {
            for _ in 0..3 {
                ws.next().await.unwrap().unwrap(); // a call, a stream, a subscription
            }
            ws.send(Message::Binary(bytes.into())).await.unwrap();
            assert_eq!(closed_with(&mut ws).await, (4400, why.to_string()));
        })
        .await;
        let mut items = client.stream(1, "").await.unwrap();
        let mut events = client.subscribe(1).await.unwrap();
        let answer = soon("the call", client.call(1, "")).await;
        assert!(matches!(answer, Err(ClientError::Malformed(w)) if w == why));
        for last in [items.next().await, events.next().await] {
            assert!(matches!(last, Some(Err(ClientError::Malformed(w))) if w == why));
        }
        assert!(items.next().await.is_none() && events.next().await.is_none());
        soon("the server", server).await.unwrap();
        assert!(client.call(1, "").await.is_err());
    }
}

#[tokio::test]
async fn row_93_answers_to_nobody_are_ignored() {
    let (client, _server) = against(async |mut ws| {
        let id = request(&mut ws).await;
        for other in [id.wrapping_add(1), id.wrapping_sub(1), u32::MAX] {
            say(&mut ws, response(other, "forged")).await;
            say(&mut ws, item(other, "forged")).await;
            say(&mut ws, error(other, 4, "forged")).await;
            say(&mut ws, event(other, "forged")).await;
        }
        say(&mut ws, response(id, "true")).await;
        say(&mut ws, response(id, "twice")).await;
        let second = request(&mut ws).await;
        say(&mut ws, response(second, "second")).await;
        ws.next().await;
    })
    .await;
    assert_eq!(client.call(1, "").await.unwrap(), "true");
    assert_eq!(client.call(1, "").await.unwrap(), "second");
}

#[tokio::test]
async fn row_93_a_message_over_the_limit_ends_the_connection() {
    let (client, _server) = against(async |mut ws| {
        let id = request(&mut ws).await;
        let _ = ws
            .send(Message::Binary(response(id, vec![0; 1 << 20]).encode()))
            .await;
        while let Some(Ok(_)) = ws.next().await {}
    })
    .await;
    let answer = soon("the call", client.call(1, "")).await;
    assert!(matches!(answer, Err(ClientError::Closed)));
}

#[tokio::test]
async fn row_93_a_text_message_is_refused_with_1003() {
    let (client, server) = against(async |mut ws| {
        request(&mut ws).await;
        ws.send(Message::text("{}")).await.unwrap();
        assert_eq!(closed_with(&mut ws).await.0, 1003);
    })
    .await;
    let answer = soon("the call", client.call(1, "")).await;
    assert!(matches!(answer, Err(ClientError::Closed)));
    soon("the server", server).await.unwrap();
}

#[tokio::test]
async fn row_93_a_sudden_end_is_not_the_end_of_a_stream() {
    let (client, _server) = against(async |mut ws| {
        let id = request(&mut ws).await;
        say(&mut ws, item(id, "one")).await;
    })
    .await;
    let mut items = client.stream(1, "").await.unwrap();
    assert_eq!(items.next().await.unwrap().unwrap(), "one");
    let last = soon("the last item", items.next()).await;
    assert!(matches!(last, Some(Err(ClientError::Closed))));
    assert!(items.next().await.is_none());
}

#[tokio::test]
async fn row_93_a_server_that_closes_says_why() {
    let (client, _server) = against(async |mut ws| {
        request(&mut ws).await;
        let close = CloseFrame {
            code: CloseCode::Policy,
            reason: "enough".into(),
        };
        ws.close(Some(close)).await.unwrap();
        while let Some(Ok(_)) = ws.next().await {}
    })
    .await;
    match soon("the call", client.call(1, "")).await {
        Err(ClientError::ClosedByServer(close)) => {
            assert_eq!((close.code().as_u16(), close.reason()), (1008, "enough"));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn row_93_a_flood_nobody_reads_is_bounded_and_harms_no_other_call() {
    let (client, _server) = against(async |mut ws| {
        let id = request(&mut ws).await;
        for _ in 0..2000 {
            say(&mut ws, item(id, vec![7; 1024])).await;
        }
        let second = request(&mut ws).await;
        say(&mut ws, response(second, "here")).await;
        ws.next().await;
    })
    .await;
    let items = client.stream(1, "").await.unwrap();
    assert_eq!(soon("the call", client.call(1, "")).await.unwrap(), "here");
    let items: Vec<_> = soon("the items", items.collect::<Vec<_>>()).await;
    let (last, read) = items.split_last().unwrap();
    assert!(matches!(last, Err(ClientError::TooSlow)));
    assert!(
        read.iter().all(Result::is_ok) && read.len() <= 256,
        "{}",
        read.len()
    );
}

#[tokio::test]
async fn row_93_a_server_that_never_answers_a_close_is_left_after_a_while() {
    let (client, server) = against(async |ws| {
        let _held = ws;
        std::future::pending::<()>().await;
    })
    .await;
    soon("the close", client.close()).await;
    server.abort();
}

#[tokio::test(start_paused = true)]
async fn row_93_a_server_that_never_answers_the_upgrade_is_left_after_a_while() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let refused = Client::connect(&url).await;
    assert!(matches!(refused, Err(ClientError::Connect(_))));
}

#[tokio::test]
async fn row_93_random_packets_never_panic_or_hang() {
    let (client, _server) = against(async |mut ws| {
        request(&mut ws).await;
        let mut seed = 1_u64;
        for _ in 0..5000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let [a, b, c, d, ..] = seed.to_be_bytes();
            let kind = 2 + a % 3;
            let flags = if kind == 2 { b & 1 } else { 0 };
            let bytes = vec![kind, flags, 0, 0, 0, 0, c & 1, d, a];
            if kind == 3 && a > 127 {
                continue; // not UTF-8
            }
            if ws.send(Message::Binary(bytes.into())).await.is_err() {
                break;
            }
        }
    })
    .await;
    let mut items = client.stream(1, "").await.unwrap();
    soon("the end", async { while items.next().await.is_some() {} }).await;
    let _ = soon("the call", client.call(1, "")).await;
}

#[tokio::test]
async fn ten_thousand_items_reach_a_reader_that_reads() {
    unharmed(Server::start().await, async |server| {
        let client = server.client().await;
        let mut items = client
            .stream(COUNT, 10_000_u32.to_be_bytes().to_vec())
            .await
            .unwrap();
        for i in 0..10_000_u32 {
            assert_eq!(items.next().await.unwrap().unwrap(), i.to_be_bytes()[..]);
        }
        assert!(items.next().await.is_none());
        client.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_slow_reader_slows_the_server_and_loses_nothing() {
    unharmed(Server::start().await, async |server| {
        let client = server.client().await;
        let mut items = client.stream(ENDLESS, "").await.unwrap();
        for _ in 0..100 {
            for _ in 0..50 {
                let item = soon("an item", items.next()).await;
                assert_eq!(item.unwrap().unwrap().len(), 1024);
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// Both ends write much at once: neither waits for the other to read first.
#[tokio::test]
async fn large_calls_at_once_do_not_block_each_other() {
    unharmed(Server::start().await, async |server| {
        let client = server.client().await;
        let payload = Bytes::from(vec![7; 60_000]);
        for _ in 0..20 {
            let calls = (0..60).map(|_| client.call(ECHO, payload.clone()));
            for answer in soon("the answers", join_all(calls)).await {
                assert_eq!(answer.unwrap(), payload);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn dropped_events_are_unsubscribed() {
    unharmed(Server::start().await, async |server| {
        let client = server.client().await;
        // More than a connection may have: those dropped do not count.
        for topic in 0..300 {
            drop(client.subscribe(topic).await.unwrap());
        }
        let mut events = client.subscribe(1000).await.unwrap();
        client.call(ECHO, "").await.unwrap();
        server.wire.publish(1000, "news");
        assert_eq!(events.next().await.unwrap().unwrap(), "news");
        drop(events);
        soon("the unsubscription", async {
            while server.wire.publish(1000, "nobody") > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn what_was_sent_before_a_close_arrives() {
    unharmed(Server::start().await, async |server| {
        let reader = server.client().await;
        let mut events = reader.subscribe(7).await.unwrap();
        reader.call(ECHO, "").await.unwrap();
        let client = server.client().await;
        for _ in 0..50 {
            client.publish(7, "last words").await.unwrap();
        }
        soon("the close", client.close()).await;
        for _ in 0..50 {
            let event = soon("an event", events.next()).await;
            assert_eq!(event.unwrap().unwrap(), "last words");
        }
    })
    .await;
}

/// A call whose future was dropped is forgotten; its answer is nobody else's.
#[tokio::test]
async fn a_dropped_call_is_forgotten() {
    let (client, _server) = against(async |mut ws| {
        let first = request(&mut ws).await;
        let second = request(&mut ws).await;
        assert_ne!(first, second);
        say(&mut ws, response(first, "first")).await;
        say(&mut ws, response(second, "second")).await;
        ws.next().await;
    })
    .await;
    let mut first = Box::pin(client.call(1, ""));
    assert!(
        futures_util::future::poll_immediate(&mut first)
            .await
            .is_none()
    );
    drop(first);
    assert_eq!(client.call(1, "").await.unwrap(), "second");
}
