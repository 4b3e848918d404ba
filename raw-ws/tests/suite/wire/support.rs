//! A server of the binary protocol in this process, a peer that writes bytes to it, and a
//! neighbour that must not notice any of it.

use std::{
    future::{Future, pending},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, response::Response, routing::any};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, stream};
use raw_ws::{
    Config, Upgrade,
    wire::{self, Client, Packet, WireError},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
    time::timeout,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, protocol::frame::CloseFrame},
};

/// Ends a test that hangs. Nothing passes because of it.
const GUARD: Duration = Duration::from_secs(20);

pub(crate) const ECHO: u16 = 1;
/// Answers when [`Server::gate`] is opened.
pub(crate) const GATED: u16 = 2;
pub(crate) const PANICS: u16 = 3;
pub(crate) const PANICS_LATER: u16 = 4;
/// As many items as the payload's length says: u32.
pub(crate) const COUNT: u16 = 10;
/// Two items, then an error, then it would go on.
pub(crate) const FAILS_MIDWAY: u16 = 11;
/// One item, then a panic.
pub(crate) const STREAM_PANICS: u16 = 12;
/// 1 KiB items without end, always ready.
pub(crate) const ENDLESS: u16 = 13;
pub(crate) const STREAM_PANICS_AT_ONCE: u16 = 14;
/// An error, and nothing after it, not even the end.
pub(crate) const FAILS_AND_HANGS: u16 = 15;

/// Awaits what must happen; `what` says what did not.
pub(crate) async fn soon<T>(what: &str, event: impl Future<Output = T>) -> T {
    match timeout(GUARD, event).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain for {what}"),
    }
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) wire: wire::Server,
    pub(crate) gate: Arc<Notify>,
    /// Handlers that are held by a connection.
    pub(crate) alive: Arc<AtomicUsize>,
}

/// Counts a handler while it is held.
struct Alive(Arc<AtomicUsize>);

impl Alive {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(Config::new()).await
    }

    pub(crate) async fn with(config: Config) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let gate = Arc::new(Notify::new());
        let alive = Arc::new(AtomicUsize::new(0));
        let wire = wire_server(&gate, &alive);
        let (served, config) = (wire.clone(), Arc::new(config));
        let app = Router::new().route(
            "/wire",
            any(async move |upgrade: Upgrade| -> Response {
                served.serve(upgrade.config(config.clone()))
            }),
        );
        tokio::spawn(raw_ws::serve(listener, app).into_future());
        Self {
            address,
            wire,
            gate,
            alive,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/wire", self.address)
    }

    pub(crate) async fn peer(&self) -> Peer {
        let (ws, _) = connect_async(self.url()).await.unwrap();
        Peer { ws }
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(&self.url()).await.unwrap()
    }

    /// Waits until no connection holds a handler.
    pub(crate) async fn until_idle(&self) {
        soon("the end of all handlers", async {
            while self.alive.load(Ordering::SeqCst) > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    }
}

fn wire_server(gate: &Arc<Notify>, alive: &Arc<AtomicUsize>) -> wire::Server {
    let (gate, gated, endless, hanging) =
        (gate.clone(), alive.clone(), alive.clone(), alive.clone());
    wire::Server::new()
        .operation(ECHO, async |_, payload| Ok(payload))
        .operation(GATED, move |_, payload| {
            let (gate, alive) = (gate.clone(), Alive::new(&gated));
            async move {
                gate.notified().await;
                drop(alive);
                Ok(payload)
            }
        })
        .operation(PANICS, |_, _| -> std::future::Ready<_> { panic!("meant") })
        .operation(PANICS_LATER, async |_, _| {
            tokio::task::yield_now().await;
            panic!("meant")
        })
        .stream(COUNT, |_, payload: Bytes| {
            let count = u32::from_be_bytes(payload[..].try_into().unwrap());
            stream::iter((0..count).map(|i| Ok(Bytes::copy_from_slice(&i.to_be_bytes()))))
        })
        .stream(FAILS_MIDWAY, |_, _| {
            stream::iter([
                Ok("a".into()),
                Ok("b".into()),
                Err(WireError::new(1234, "midway")),
                Ok("never".into()),
            ])
        })
        .stream(STREAM_PANICS, |_, _| {
            stream::iter(0..2).map(|i| {
                assert_eq!(i, 0, "meant");
                Ok("a".into())
            })
        })
        .stream(ENDLESS, move |_, _| {
            let alive = Alive::new(&endless);
            let item = Bytes::from(vec![7; 1024]);
            stream::repeat_with(move || {
                let _ = &alive;
                Ok(item.clone())
            })
        })
        .stream(STREAM_PANICS_AT_ONCE, |_, _| -> stream::Empty<_> {
            panic!("meant")
        })
        .stream(FAILS_AND_HANGS, move |_, _| {
            let alive = Alive::new(&hanging);
            let hangs = async move {
                let _alive = alive;
                pending().await
            };
            stream::iter([Err(WireError::new(1234, "over"))]).chain(stream::once(hangs))
        })
        .topics()
}

/// One end of a connection, packet by packet.
pub(crate) struct Peer {
    pub(crate) ws: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Peer {
    pub(crate) async fn send(&mut self, packet: Packet) {
        self.send_bytes(packet.encode()).await;
    }

    pub(crate) async fn send_bytes(&mut self, bytes: impl Into<Bytes>) {
        let message = Message::Binary(bytes.into());
        soon("room to write", self.ws.send(message)).await.unwrap();
    }

    pub(crate) async fn request(&mut self, operation: u16, id: u32, payload: &[u8]) {
        let payload = Bytes::copy_from_slice(payload);
        self.send(Packet::Request {
            operation,
            id,
            payload,
        })
        .await;
    }

    /// The next packet.
    pub(crate) async fn packet(&mut self) -> Packet {
        loop {
            match soon("a packet", self.ws.next()).await {
                Some(Ok(Message::Binary(bytes))) => return Packet::parse(bytes).unwrap(),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("{other:?} where a packet was due"),
            }
        }
    }

    /// Nothing comes but a Close with this code and reason.
    pub(crate) async fn closes_with(&mut self, code: u16, reason: &str) {
        match soon("a close", self.ws.next()).await {
            Some(Ok(Message::Close(Some(CloseFrame { code: c, reason: r })))) => {
                assert_eq!((u16::from(c), r.as_str()), (code, reason));
            }
            other => panic!("{other:?} where Close {code} {reason:?} was due"),
        }
        assert!(soon("the end", self.ws.next()).await.is_none());
    }

    /// Everything sent before has been taken.
    pub(crate) async fn synchronise(&mut self) {
        self.request(ECHO, u32::MAX, b"synchronise").await;
        assert_eq!(self.packet().await, response(u32::MAX, "synchronise"));
    }
}

pub(crate) fn response(id: u32, payload: impl Into<Bytes>) -> Packet {
    Packet::Response {
        id,
        more: false,
        payload: payload.into(),
    }
}

pub(crate) fn item(id: u32, payload: impl Into<Bytes>) -> Packet {
    Packet::Response {
        id,
        more: true,
        payload: payload.into(),
    }
}

pub(crate) fn error(id: u32, code: u16, text: &str) -> Packet {
    Packet::Error {
        id,
        error: WireError::new(code, text),
    }
}

pub(crate) fn event(topic: u32, payload: impl Into<Bytes>) -> Packet {
    Packet::Event {
        topic,
        payload: payload.into(),
    }
}

/// Runs a row while somebody else talks to the same server, and must be answered each time.
pub(crate) async fn unharmed(server: Server, row: impl AsyncFnOnce(&Server)) {
    let done = Arc::new(AtomicBool::new(false));
    let neighbour = {
        let (mut peer, done) = (server.peer().await, done.clone());
        tokio::spawn(async move {
            for round in 0.. {
                let is_last = done.load(Ordering::Relaxed);
                peer.request(ECHO, round, b"neighbour").await;
                assert_eq!(peer.packet().await, response(round, "neighbour"));
                if is_last {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
    };
    row(&server).await;
    done.store(true, Ordering::Relaxed);
    soon("the neighbour", neighbour).await.unwrap();
    server.until_idle().await;
}
