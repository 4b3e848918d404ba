//! Topics: who gets what, in which order, and what is left behind.

use raw_ws::wire::Packet;

use super::support::{Peer, Server, event, soon, unharmed};

async fn subscribe(peer: &mut Peer, topic: u32) {
    peer.send(Packet::Subscribe { topic }).await;
    peer.synchronise().await;
}

async fn publish(peer: &mut Peer, topic: u32, payload: impl Into<bytes::Bytes>) {
    let payload = payload.into();
    peer.send(Packet::Publish { topic, payload }).await;
}

#[tokio::test]
async fn a_publication_reaches_exactly_the_subscribers() {
    unharmed(Server::start().await, async |server| {
        let (mut a, mut b, mut c) = (
            server.peer().await,
            server.peer().await,
            server.peer().await,
        );
        subscribe(&mut a, 7).await;
        subscribe(&mut b, 7).await;
        subscribe(&mut c, 8).await;
        publish(&mut a, 7, "news").await;
        assert_eq!(a.packet().await, event(7, "news"));
        assert_eq!(b.packet().await, event(7, "news"));
        c.synchronise().await;
        assert_eq!(server.wire.publish(7, "from the server"), 2);
        assert_eq!(server.wire.publish(8, "for c"), 1);
        assert_eq!(server.wire.publish(9, "for nobody"), 0);
        assert_eq!(a.packet().await, event(7, "from the server"));
        assert_eq!(c.packet().await, event(8, "for c"));
    })
    .await;
}

#[tokio::test]
async fn who_is_not_subscribed_may_publish_and_gets_nothing() {
    unharmed(Server::start().await, async |server| {
        let (mut publisher, mut reader) = (server.peer().await, server.peer().await);
        subscribe(&mut reader, 0).await;
        publish(&mut publisher, 0, "x").await;
        assert_eq!(reader.packet().await, event(0, "x"));
        publisher.synchronise().await;
    })
    .await;
}

#[tokio::test]
async fn the_order_of_a_publisher_is_kept() {
    unharmed(Server::start().await, async |server| {
        let (mut publisher, mut reader) = (server.peer().await, server.peer().await);
        subscribe(&mut reader, 7).await;
        for i in 0..500_u32 {
            publish(&mut publisher, 7, i.to_be_bytes().to_vec()).await;
        }
        for i in 0..500_u32 {
            assert_eq!(reader.packet().await, event(7, i.to_be_bytes().to_vec()));
        }
    })
    .await;
}

#[tokio::test]
async fn subscribing_twice_is_subscribing_once() {
    unharmed(Server::start().await, async |server| {
        let mut peer = server.peer().await;
        subscribe(&mut peer, 7).await;
        subscribe(&mut peer, 7).await;
        assert_eq!(server.wire.publish(7, "once"), 1);
        assert_eq!(peer.packet().await, event(7, "once"));
        peer.synchronise().await;
        for _ in 0..2 {
            peer.send(Packet::Unsubscribe { topic: 7 }).await;
            peer.synchronise().await;
            assert_eq!(server.wire.publish(7, "nobody"), 0);
        }
    })
    .await;
}

#[tokio::test]
async fn one_subscription_too_many() {
    unharmed(Server::start().await, async |server| {
        let mut peer = server.peer().await;
        for topic in 0..128 {
            peer.send(Packet::Subscribe { topic }).await;
        }
        subscribe(&mut peer, 127).await; // not a new one
        peer.send(Packet::Unsubscribe { topic: 0 }).await;
        subscribe(&mut peer, 128).await;
        peer.send(Packet::Subscribe { topic: 0 }).await;
        peer.closes_with(1008, "too many subscriptions").await;
    })
    .await;
}

#[tokio::test]
async fn a_closed_connection_leaves_nothing_behind() {
    unharmed(Server::start().await, async |server| {
        let (mut closed, mut lost) = (server.peer().await, server.peer().await);
        subscribe(&mut closed, 7).await;
        subscribe(&mut lost, 7).await;
        assert_eq!(server.wire.publish(7, "both"), 2);
        closed.ws.close(None).await.unwrap();
        drop(lost);
        soon("the end of the subscriptions", async {
            while server.wire.publish(7, "nobody") > 0 {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        })
        .await;
    })
    .await;
}
