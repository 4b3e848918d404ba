//! A hub's clients for tests: in memory, without a port, and under tokio's paused clock without a
//! wait.
//!
//! What a test drives is the whole app: its layers, the HTTP server beneath them, the WebSocket, the
//! hub protocol. Nothing is put in place of what users would have.
//!
//! ```
//! use hub::{Context, Hub, testing::TestServer};
//!
//! async fn join(cx: Context, room: String) -> hub::Result<usize> {
//!     cx.groups().join(&room)?;
//!     cx.group(&room).send("Joined", (cx.connection_id(),))?;
//!     Ok(cx.groups().members(&room).len())
//! }
//!
//! #[tokio::main(flavor = "current_thread")] // in your tests: #[tokio::test(start_paused = true)]
//! async fn main() -> hub::Result<()> {
//!     let server = TestServer::new(Hub::new(()).method("Join", join).router("/chat"));
//!     let mut ann = server.connect("/chat").await;
//!     let mut bob = server.connect("/chat").await;
//!
//!     assert_eq!(ann.invoke::<usize>("Join", ("lobby",)).await?, 1);
//!     assert_eq!(bob.invoke::<usize>("Join", ("lobby",)).await?, 2);
//!     let (first,): (String,) = ann.receive("Joined").await;
//!     let (second,): (String,) = ann.receive("Joined").await;
//!     assert_eq!([first, second], [ann.connection_id(), bob.connection_id()]);
//!     Ok(())
//! }
//! ```

// The top floor beside `endpoint`: of the hub it knows what its clients know, the protocol.

mod client;
pub(crate) mod conformance;

use std::{fmt, io, time::Duration};

use axum::{Router, body::Body, serve::Listener};
use http::{Request, Response, StatusCode};
use serde_json::Value;
use tokio::{io::DuplexStream, sync::mpsc, task::JoinHandle, time::timeout};
use tokio_tungstenite::{
    client_async,
    tungstenite::{self, client::IntoClientRequest as _},
};
use tower::ServiceExt as _;

use crate::protocol::Protocol;

pub use client::{Ended, StreamId, TestClient};

/// What a socket holds in each direction, as a small one of a system would.
const SOCKET_BUFFER: usize = 16 * 1024;

/// What the answer to a negotiation may hold.
const ANSWER: usize = 64 * 1024;

/// Longer than anything that a server does by itself.
const PATIENCE: Duration = Duration::from_secs(300);

/// An app that serves in memory, until it is dropped.
#[derive(Debug)]
pub struct TestServer {
    app: Router,
    sockets: mpsc::UnboundedSender<DuplexStream>,
    serving: JoinHandle<io::Result<()>>,
}

struct InMemory(mpsc::UnboundedReceiver<DuplexStream>);

impl Listener for InMemory {
    type Io = DuplexStream;
    type Addr = ();

    async fn accept(&mut self) -> (DuplexStream, ()) {
        match self.0.recv().await {
            Some(io) => (io, ()),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

impl TestServer {
    /// Serves an app: the routers of any hubs, with the layers around them.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn new(app: Router) -> Self {
        let (sockets, far_ends) = mpsc::unbounded_channel();
        let service = app.clone();
        let serving = tokio::spawn(async move { axum::serve(InMemory(far_ends), service).await });
        Self {
            app,
            sockets,
            serving,
        }
    }

    /// The client's end of a new socket, for bytes of your own.
    ///
    /// # Panics
    /// When the server has ended, as it never does by itself.
    pub fn socket(&self) -> DuplexStream {
        self.socket_of(SOCKET_BUFFER)
    }

    /// The same, of a socket that holds so many bytes in each direction.
    ///
    /// # Panics
    /// As [`socket`](Self::socket).
    pub fn socket_of(&self, bytes: usize) -> DuplexStream {
        let (near, far) = tokio::io::duplex(bytes);
        self.sockets.send(far).expect("the server serves");
        near
    }

    /// Connects a client at `path`, in JSON over a WebSocket: it negotiates, upgrades and shakes hands,
    /// as the official ones do. A query may follow the path.
    ///
    /// # Panics
    /// When it is refused: [`try_connect`](Self::try_connect) tells that.
    pub async fn connect(&self, path: &str) -> TestClient {
        self.connect_in(Protocol::Json, path).await
    }

    /// The same, in another protocol.
    ///
    /// # Panics
    /// As [`connect`](Self::connect).
    pub async fn connect_in(&self, protocol: Protocol, path: &str) -> TestClient {
        let connected = self.try_connect(protocol, Request::get(path)).await;
        connected.unwrap_or_else(|refused| panic!("{path} does not let in: {refused}"))
    }

    /// Connects a client by a request of your own: with headers, such as a token's.
    ///
    /// ```
    /// use http::{Request, StatusCode};
    /// use hub::{Hub, protocol::Protocol, testing::{NotConnected, TestServer}};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let server = TestServer::new(Hub::new(()).require_user().router("/chat"));
    /// let request = Request::get("/chat").header("authorization", "Bearer nobody's");
    /// let refused = server.try_connect(Protocol::Json, request).await;
    /// assert_eq!(refused.err(), Some(NotConnected::Status(StatusCode::UNAUTHORIZED)));
    /// # }
    /// ```
    ///
    /// # Errors
    /// The refusal.
    ///
    /// # Panics
    /// When the request is none, or the server says nothing for five minutes.
    pub async fn try_connect(
        &self,
        protocol: Protocol,
        request: http::request::Builder,
    ) -> Result<TestClient, NotConnected> {
        let request = request.body(()).expect("a request");
        let (id, token) = self.negotiate(&request).await?;
        let (path, query) = (request.uri().path(), request.uri().query());
        let query = query.map_or_else(String::new, |query| format!("{query}&"));
        let mut upgrade = format!("ws://hub{path}?{query}id={token}")
            .into_client_request()
            .expect("a request target");
        for (name, value) in request.headers() {
            upgrade.headers_mut().append(name, value.clone());
        }
        let connected = timeout(PATIENCE, client_async(upgrade, self.socket())).await;
        let socket = match connected.expect("the server answers") {
            Ok((socket, _)) => socket,
            Err(tungstenite::Error::Http(response)) => {
                return Err(NotConnected::Status(response.status()));
            }
            Err(error) => panic!("no answer: {error}"),
        };
        TestClient::begin(id, socket, protocol).await
    }

    /// Describes a connection of the crate's own client to `path`: all that it can, in memory.
    ///
    /// ```
    /// use hub::{Context, Hub, testing::TestServer};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), hub::client::ClientError> {
    /// let add = async |_: Context, a: i64, b: i64| Ok(a + b);
    /// let server = TestServer::new(Hub::new(()).method("Add", add).router("/sums"));
    /// let sums = server.hub_connection("/sums").connect().await?;
    /// assert_eq!(sums.invoke::<i64>("Add", (1, 2)).await?, 3);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "client")]
    #[cfg_attr(docsrs, doc(cfg(feature = "client")))]
    pub fn hub_connection(&self, path: &str) -> crate::client::HubConnectionBuilder {
        let sockets = self.sockets.clone();
        let open = move || {
            let (near, far) = tokio::io::duplex(SOCKET_BUFFER);
            let sent = sockets.send(far);
            std::future::ready(sent.map(|()| near).map_err(io::Error::other))
        };
        crate::client::HubConnection::builder(format!("http://hub{path}")).sockets(open)
    }

    /// Asks for a connection, as clients do: its id, and its token.
    async fn negotiate(&self, of: &Request<()>) -> Result<(String, String), NotConnected> {
        let path = of.uri().path().trim_end_matches('/');
        let query = of.uri().query();
        let query = query.map_or_else(String::new, |query| format!("{query}&"));
        let mut request = Request::post(format!("{path}/negotiate?{query}negotiateVersion=1"))
            .body(Body::empty())
            .expect("a request target");
        *request.headers_mut() = of.headers().clone();
        let answer = self.request(request).await;
        if answer.status() != StatusCode::OK {
            return Err(NotConnected::Status(answer.status()));
        }
        let body = axum::body::to_bytes(answer.into_body(), ANSWER).await;
        let body: Value = serde_json::from_slice(&body.expect("a body")).expect("JSON");
        let member = |name: &str| body[name].as_str().map(str::to_owned);
        match (member("connectionId"), member("connectionToken")) {
            (Some(id), Some(token)) => Ok((id, token)),
            _ => Err(NotConnected::Negotiation(member("error"))),
        }
    }

    /// Answers one request without a socket: a negotiate request, a page beside the hub.
    pub async fn request(&self, request: Request<Body>) -> Response<Body> {
        let answer = self.app.clone().oneshot(request).await;
        answer.unwrap_or_else(|never| match never {})
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Why a client is not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotConnected {
    /// The request was refused.
    Status(StatusCode),
    /// The answer to it names no connection; the error in it.
    Negotiation(Option<String>),
    /// The hub handshake was refused, with this text; or the WebSocket ended in it, without one.
    Handshake(Option<String>),
}

impl fmt::Display for NotConnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "{status}"),
            Self::Negotiation(error) => {
                write!(
                    f,
                    "negotiation: {}",
                    error.as_deref().unwrap_or("no connection")
                )
            }
            Self::Handshake(Some(text)) => write!(f, "the hub handshake: {text}"),
            Self::Handshake(None) => f.write_str("the connection ended in the hub handshake"),
        }
    }
}

impl std::error::Error for NotConnected {}
