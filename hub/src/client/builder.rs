//! A connection, described.

use std::{fmt, future::Future, io, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
};

use super::{
    connect::{Connector, Made},
    connection::Connection,
    error::ClientError,
    event::{Event, Events, Teller},
    handlers::{Handled, Handler, Handlers},
    hub_connection::HubConnection,
    inbound,
    requests::{TokenSource, address},
    retry::RetryPolicy,
    shared::Shared,
    web::{BoxIo, Dial, Http},
};
use crate::{
    identity::request::Transport,
    inbox::Budget,
    methods::method::{ArgumentList, OwnedParameters},
    protocol::{Encoding, Names, Protocol},
};

type Configure = Box<dyn FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder + Send>;

/// Describes a connection to a hub; made by [`HubConnection::builder`]. Names and defaults are those
/// of the official clients where they have them.
#[must_use = "nothing happens before `connect`"]
pub struct HubConnectionBuilder {
    url: String,
    headers: Vec<(String, String)>,
    token: Option<TokenSource>,
    token_refresh: bool,
    network: Network,
    transports: Vec<Transport>,
    skip_negotiation: bool,
    encoding: Encoding,
    retry: Option<Box<dyn RetryPolicy>>,
    stateful: bool,
    stateful_reconnect_buffer_size: usize,
    resume_within: Duration,
    keep_alive_interval: Duration,
    server_timeout: Duration,
    handshake_timeout: Duration,
    request_timeout: Duration,
    max_message_size: usize,
    max_queued_bytes: usize,
    max_unread_bytes: usize,
    handlers: Arc<Handlers>,
    events: Teller,
}

enum Network {
    OfThisMachine(Option<Configure>),
    Own(Dial),
}

impl HubConnectionBuilder {
    pub(super) fn new(url: String) -> Self {
        Self {
            url,
            headers: Vec::new(),
            token: None,
            token_refresh: true,
            network: Network::OfThisMachine(None),
            transports: Transport::ALL.to_vec(),
            skip_negotiation: false,
            encoding: Encoding {
                protocol: Protocol::Json,
                names: Names::default(),
            },
            retry: None,
            stateful: false,
            stateful_reconnect_buffer_size: 100_000,
            resume_within: Duration::from_secs(15),
            keep_alive_interval: Duration::from_secs(15),
            server_timeout: Duration::from_secs(30),
            handshake_timeout: Duration::from_secs(15),
            request_timeout: Duration::from_secs(30),
            max_message_size: 64 * 1024 * 1024,
            max_queued_bytes: 1024 * 1024,
            max_unread_bytes: 1024 * 1024,
            handlers: Arc::default(),
            events: Teller::default(),
        }
    }

    /// Speaks this hub protocol; JSON by default.
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.encoding.protocol = protocol;
        self
    }

    /// Names the members of structs on the wire in this way; as declared by default.
    /// [`Names::DotNet`] is for hubs of ASP.NET Shared.
    pub fn names(mut self, names: Names) -> Self {
        self.encoding.names = names;
        self
    }

    /// Asks this for an access token before each negotiation, when a request is refused for want of
    /// one, and before the one that is used ends where the server tells when that is. It is sent as
    /// `Authorization: Bearer`.
    ///
    /// It gives a `String`, an `Option<String>` where there may be none, or a `Result` with one of
    /// them.
    ///
    /// ```no_run
    /// use hub::client::{ClientError, HubConnection};
    ///
    /// async fn fetch_token() -> std::io::Result<String> {
    ///     tokio::fs::read_to_string("/run/secrets/token").await
    /// }
    ///
    /// # async fn connect() -> Result<HubConnection, ClientError> {
    /// HubConnection::builder("https://example.com/chat").access_token(fetch_token).connect().await
    /// # }
    /// ```
    pub fn access_token<F, Fut>(mut self, token: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output: IntoToken> + Send + 'static,
    {
        self.token = Some(Arc::new(move || {
            let token = token();
            Box::pin(async move { token.await.into_token() })
        }));
        self
    }

    /// Whether a server that tells how long an access token lives is brought a newer one in time, for
    /// the connection that goes on; `true` by default. ASP.NET Core 11 and hubs with
    /// [`authentication_refresh`](crate::EndpointOptions::authentication_refresh) tell it.
    pub fn token_refresh(mut self, is_brought: bool) -> Self {
        self.token_refresh = is_brought;
        self
    }

    /// Sends this header with each request.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Tries these transports, in this order; WebSockets, server-sent events and long polling by
    /// default. One that the server does not offer, or that does not carry the hub protocol, is left
    /// out.
    pub fn transports(mut self, transports: impl IntoIterator<Item = Transport>) -> Self {
        self.transports = transports.into_iter().collect();
        self
    }

    /// Opens a WebSocket at once, without a negotiation: one request less, where the server has
    /// WebSockets and no load balancer needs a token. There is no connection id then, and no stateful
    /// reconnect.
    pub fn skip_negotiation(mut self) -> Self {
        self.skip_negotiation = true;
        self
    }

    /// Makes another connection when this one is lost, as the policy says: [`Backoff`], [`Delays`] or
    /// a function. Without one, a lost connection has ended. The first connection is not tried again:
    /// [`connect`](Self::connect) tells why it failed.
    ///
    /// The new connection is another one to the server, with another id and in no group: join again
    /// at [`Event::Connected`].
    ///
    /// [`Backoff`]: super::Backoff
    /// [`Delays`]: super::Delays
    pub fn automatic_reconnect(mut self, policy: impl RetryPolicy) -> Self {
        self.retry = Some(Box::new(policy));
        self
    }

    /// Asks for stateful reconnect: a lost WebSocket is replaced, the connection goes on with its id
    /// and its groups, and no message of either end is lost, as far as both keep them. Where the
    /// server does not grant it, all is as without.
    pub fn stateful_reconnect(mut self) -> Self {
        self.stateful = true;
        self
    }

    /// Bytes of messages that may be under way to the server without an acknowledgement, where
    /// reconnect is stateful; 100,000 by default. The rest waits.
    pub fn stateful_reconnect_buffer_size(mut self, bytes: usize) -> Self {
        self.stateful_reconnect_buffer_size = bytes;
        self
    }

    /// How long a lost WebSocket is tried to be replaced, where reconnect is stateful; 15 s by default,
    /// as long as servers keep the connection. Then it is lost, and
    /// [`automatic_reconnect`](Self::automatic_reconnect) decides.
    pub fn resume_within(mut self, limit: Duration) -> Self {
        self.resume_within = limit;
        self
    }

    /// How often the server is told that this client is there; 15 s by default. To be less than half
    /// of the server's client timeout.
    pub fn keep_alive_interval(mut self, interval: Duration) -> Self {
        self.keep_alive_interval = interval;
        self
    }

    /// How long the server may say nothing before the connection counts as lost; 30 s by default. To
    /// be at least twice the server's keep-alive interval.
    pub fn server_timeout(mut self, limit: Duration) -> Self {
        self.server_timeout = limit;
        self
    }

    /// How long the answer to the hub handshake may take; 15 s by default.
    pub fn handshake_timeout(mut self, limit: Duration) -> Self {
        self.handshake_timeout = limit;
        self
    }

    /// How long the answer to a request may take, but for a poll's; 30 s by default.
    pub fn request_timeout(mut self, limit: Duration) -> Self {
        self.request_timeout = limit;
        self
    }

    /// The largest message that the server may send, in bytes; 64 MiB by default. A larger one ends
    /// the connection.
    pub fn max_message_size(mut self, bytes: usize) -> Self {
        self.max_message_size = bytes;
        self
    }

    /// Bytes of calls and items that may wait to be written; 1 MiB by default. Over it, what is sent
    /// waits, and is refused while there is no socket to write to.
    pub fn max_queued_bytes(mut self, bytes: usize) -> Self {
        self.max_queued_bytes = bytes;
        self
    }

    /// Bytes that may have come and wait for handlers and readers of streams; 1 MiB by default. Over
    /// it, nothing more is read from the server until some of it is read here. A call whose answer
    /// waits behind it for longer than [`server_timeout`](Self::server_timeout) fails with
    /// [`ClientError::Unread`].
    pub fn max_unread_bytes(mut self, bytes: usize) -> Self {
        self.max_unread_bytes = bytes;
        self
    }

    /// Lets the server call `handler` as `method`: an `async` function or closure with a parameter for
    /// each argument. One that returns a [`hub::Result`](crate::Result) gives the server the result
    /// that it asked for.
    ///
    /// Names are matched without regard to case. Handlers run one after the other, in the order of the
    /// calls; several of one method in the order in which they were added. They may use the connection
    /// itself. One that panics, fails, or does not fit what came is reported as
    /// [`Event::HandlerFailed`] and in the log, and nothing else.
    ///
    /// ```no_run
    /// # use hub::client::{ClientError, HubConnection};
    /// # async fn connect() -> Result<HubConnection, ClientError> {
    /// HubConnection::builder("https://example.com/chat")
    ///     .on("Said", async |who: String, text: String| println!("{who}: {text}"))
    ///     .on("Ask", async |question: String| -> hub::Result<String> { Ok(format!("{question}? Yes.")) })
    ///     .connect()
    ///     .await
    /// # }
    /// ```
    ///
    /// # Panics
    /// When it takes an [`UploadStream`](crate::UploadStream): servers send none.
    #[track_caller]
    pub fn on<H, Args, Kinds, K>(self, method: &str, handler: H) -> Self
    where
        H: Handler<Args>,
        H::Output: Handled<K>,
        Args: ArgumentList + OwnedParameters<Kinds>,
    {
        self.handlers.add(method, handler);
        self
    }

    /// Tells what happens to the connection, from before it is made.
    pub fn events(&self) -> Events {
        self.events.listen()
    }

    /// Configures what carries all requests, WebSockets too: certificates, proxies, timeouts, name
    /// resolution. By default it is rustls with the certificates of this machine, the proxies of the
    /// environment, and cookies that are kept, so that load balancers find the same server again.
    /// HTTP/1.1 alone is needed.
    pub fn http(
        mut self,
        configure: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder + Send + 'static,
    ) -> Self {
        self.network = Network::OfThisMachine(Some(Box::new(configure)));
        self
    }

    /// Connects by sockets of your own, one for each request: in memory, Unix sockets, a tunnel. The
    /// host of the address then only says what the `Host` header is; cookies are not kept.
    ///
    /// ```no_run
    /// # use hub::client::{ClientError, HubConnection};
    /// # async fn connect() -> Result<HubConnection, ClientError> {
    /// HubConnection::builder("http://localhost/chat")
    ///     .sockets(|| tokio::net::UnixStream::connect("/run/chat.socket"))
    ///     .connect()
    ///     .await
    /// # }
    /// ```
    pub fn sockets<F, Fut, S>(mut self, open: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        self.network = Network::Own(Arc::new(move || {
            let opening = open();
            Box::pin(async move { Ok(Box::new(opening.await?) as BoxIo) })
        }));
        self
    }

    /// Connects: negotiates, opens the first transport that works, shakes hands.
    ///
    /// # Errors
    /// Why there is no connection. It is tried once.
    ///
    /// # Cancel safety
    /// Dropped, there is no connection.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn connect(self) -> Result<HubConnection, ClientError> {
        let http = match self.network {
            Network::OfThisMachine(None) => Http::web(|builder| builder)?,
            Network::OfThisMachine(Some(configure)) => Http::web(configure)?,
            Network::Own(dial) => Http::Own(dial),
        };
        let connector = Connector {
            http,
            url: address(&self.url)?,
            headers: headers(&self.headers)?,
            token: self.token,
            token_refresh: self.token_refresh,
            request_timeout: self.request_timeout,
            transports: self.transports,
            skip_negotiation: self.skip_negotiation,
            encoding: self.encoding,
            handshake_timeout: self.handshake_timeout,
            keep_alive: self.keep_alive_interval,
            server_timeout: self.server_timeout,
            max_message_size: self.max_message_size,
            stateful: self.stateful.then_some(self.stateful_reconnect_buffer_size),
        };
        self.events.tell(Event::Connecting);
        let Made {
            link,
            session,
            connection_id,
            transport,
        } = connector.connect().await?;
        let (calls_in, calls) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::new(
            self.encoding,
            self.max_queued_bytes,
            Budget::new(self.max_unread_bytes),
            self.handlers,
            calls_in,
            self.events,
        ));
        shared.open(session, connection_id, transport);
        let connection = Connection {
            shared: shared.clone(),
            connector,
            retry: self.retry,
            resume_within: self.resume_within,
        };
        tokio::spawn(inbound::run(shared.clone(), calls));
        tokio::spawn(connection.run(link));
        Ok(HubConnection::of(shared))
    }
}

fn headers(given: &[(String, String)]) -> Result<HeaderMap, ClientError> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        // Its value may be a secret.
        let header = HeaderName::from_bytes(name.as_bytes()).ok();
        let Some((header, value)) = header.zip(HeaderValue::from_str(value).ok()) else {
            let why = format!("the header {name:?} cannot be sent");
            return Err(ClientError::Address(why));
        };
        headers.append(header, value);
    }
    Ok(headers)
}

impl fmt::Debug for HubConnectionBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubConnectionBuilder")
            .field("transports", &self.transports)
            .field("encoding", &self.encoding)
            .finish_non_exhaustive()
    }
}

/// What gives an access token: a `String`, an `Option` of one, or a `Result` with either.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no access token",
    note = "give a `String`, an `Option<String>`, or a `Result` with one of them"
)]
pub trait IntoToken {
    /// The token.
    ///
    /// # Errors
    /// When there is none to be had.
    fn into_token(self) -> Result<Option<String>, ClientError>;
}

impl IntoToken for String {
    fn into_token(self) -> Result<Option<String>, ClientError> {
        Ok(Some(self))
    }
}

impl IntoToken for Option<String> {
    fn into_token(self) -> Result<Option<String>, ClientError> {
        Ok(self)
    }
}

impl<T, E> IntoToken for Result<T, E>
where
    T: IntoToken,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn into_token(self) -> Result<Option<String>, ClientError> {
        match self {
            Ok(token) => token.into_token(),
            Err(error) => Err(ClientError::Token(error.into().into())),
        }
    }
}
