//! A hub that serves in memory, and clients that speak its protocol through tokio-tungstenite: no
//! port, no real time. A test runs under tokio's paused clock, which moves on only when nothing
//! else can happen.

mod client;
mod http;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::Router;
use hub::{Hub, HubHandle, testing::TestServer};
use tokio::io::DuplexStream;

pub(crate) use client::{Client, Framed, Heard, RS, call};
pub(crate) use http::Answer;

/// What a socket holds in each direction.
const SOCKET_BUFFER: usize = 16 * 1024;

/// Longer than anything a server does by itself.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// A hub at `/hub`.
#[derive(Clone)]
pub(crate) struct Server {
    server: Arc<TestServer>,
    pub(crate) handle: HubHandle,
}

impl Server {
    pub(crate) fn start<S: Send + Sync + 'static>(hub: Hub<S>) -> Self {
        let handle = hub.handle();
        Self::serve(hub.router("/hub"), handle)
    }

    /// An app with layers around a hub, or with more than one.
    pub(crate) fn serve(app: Router, handle: HubHandle) -> Self {
        let server = Arc::new(TestServer::new(app));
        Self { server, handle }
    }

    /// The client's end of a new socket.
    pub(crate) fn socket(&self) -> DuplexStream {
        self.socket_of(SOCKET_BUFFER)
    }

    pub(crate) fn socket_of(&self, buffer: usize) -> DuplexStream {
        self.server.socket_of(buffer)
    }

    /// A client that speaks JSON, after the hub handshake.
    pub(crate) async fn client(&self) -> Client {
        self.client_at("/hub").await
    }

    pub(crate) async fn client_at(&self, target: &str) -> Client {
        let mut client = self.open_at(target).await;
        client.shake_hands().await;
        client
    }

    /// A client that speaks MessagePack.
    pub(crate) async fn binary_client(&self) -> Client {
        let mut client = self.open().await;
        client
            .text("{\"protocol\":\"messagepack\",\"version\":1}\u{1e}")
            .await;
        assert_eq!(client.heard().await, Heard::Binary(b"{}\x1e".to_vec()));
        client
    }

    /// A WebSocket before the hub handshake.
    pub(crate) async fn open(&self) -> Client {
        self.open_at("/hub").await
    }

    pub(crate) async fn open_at(&self, target: &str) -> Client {
        Client::connect(self.socket(), target).await
    }

    /// Waits until the hub has this many connections.
    pub(crate) async fn connections(&self, count: usize) {
        eventually("connections", || self.handle.connections() == count).await;
    }
}

/// Waits until something is so, as long as anything happens at all.
pub(crate) async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..100_000 {
        if is_so() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it never came to that: {what}");
}

/// Counts what goes on: calls that run, streams that live.
#[derive(Debug, Clone, Default)]
pub(crate) struct Count(Arc<AtomicUsize>);

impl Count {
    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    pub(crate) fn add(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// One more, until the guard is dropped.
    pub(crate) fn hold(&self) -> Held {
        self.add();
        Held(self.clone())
    }

    pub(crate) async fn reaches(&self, count: usize) {
        eventually(&format!("{count}, not {}", self.get()), || {
            self.get() == count
        })
        .await;
    }
}

pub(crate) struct Held(Count);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}
