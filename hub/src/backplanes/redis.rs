//! Servers that share a Redis, ASP.NET Core's among them.
//!
//! One connection publishes and one subscribes, for all hubs of a process. Begin here; then
//! [`publisher`] and [`subscriber`], the tasks of the two.

mod publisher;
mod subscriber;

use std::{error::Error, fmt, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use raw_ws::sync::Mutex;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo,
    ProtocolVersion, RedisError,
    aio::MultiplexedConnection,
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use self::{publisher::Queue, subscriber::Channels};
use super::{Arrivals, Away, Backplane, Link, Publication, PublishError};

/// How long a connection may take to be there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The first pause before another try to connect; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// A Redis that the servers of a hub share. [`channel_prefix`](Self::channel_prefix) makes a
/// [`Backplane`](super::Backplane) of it, one for each hub. Cheaply cloned.
///
/// Two connections serve all hubs of a process. Only pub/sub is used: nothing is stored, and any
/// Redis since 2.8 will do, Valkey and the like too; with one since 6 it speaks RESP3. A Redis Cluster
/// is used through the one node that the address names, as what is published on one node arrives on
/// all. Sentinels are not asked: name the server itself, or a proxy that follows the master.
///
/// A user of Redis for this needs six commands and the hub's channels; with two underscores in front
/// are those of notes, which servers of ASP.NET Core do not use:
///
/// ```text
/// ACL SETUSER app on >password &Chat.Hubs.ChatHub* &__Chat.Hubs.ChatHub*
///   +hello +ping +publish +subscribe +unsubscribe +pubsub
/// ```
///
/// With TLS, the certificates that the system trusts are trusted, or those in the file that
/// `SSL_CERT_FILE` names. Certificates of clients are not offered.
///
/// While Redis is away, clients stay connected and reach each other on the same server; what is to be
/// published waits, up to the bounds in [`RedisOptions`], and is then refused.
///
/// ```no_run
/// use hub::{Hub, backplane::Redis};
/// # async fn run() -> Result<(), hub::backplane::RedisConnectError> {
/// let redis = Redis::connect("redis://127.0.0.1:6379").await?;
/// let chat: Hub = Hub::new(()).backplane(redis.channel_prefix("Chat.Hubs.ChatHub"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Redis {
    ends: Arc<Ends>,
}

/// What all ends of the two connections share; they are closed with the last.
struct Ends {
    shared: Arc<Shared>,
    _open: DropGuard,
}

struct Shared {
    resp3: Client,
    resp2: Client,
    dialect: Mutex<Dialect>,
    options: RedisOptions,
    queue: Queue,
    channels: Channels,
    /// What publishes, while it is connected.
    publisher: Mutex<Option<MultiplexedConnection>>,
    closed: CancellationToken,
}

/// What Redis is spoken to in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Resp3,
    /// For a Redis before 6.
    Resp2,
}

impl Shared {
    fn dialect(&self) -> Dialect {
        *self.dialect.lock()
    }

    /// Whether Redis has just said that it is older than what it was spoken to in; from here on it is
    /// spoken to as it understands.
    fn falls_back(&self, error: &RedisError) -> bool {
        let mut dialect = self.dialect.lock();
        let is_too_new = *dialect == Dialect::Resp3
            && (error.kind() == ErrorKind::RESP3NotSupported
                || error.code() == Some("NOPROTO")
                || error.to_string().contains("unknown command"));
        if is_too_new {
            *dialect = Dialect::Resp2;
        }
        is_too_new
    }
}

/// The bounds and deadlines of a [`Redis`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RedisOptions {
    /// Messages that may wait to be published, of all hubs together; 65,536 by default.
    pub max_queued_messages: usize,
    /// Bytes that may wait to be published; 16 MiB by default.
    pub max_queued_bytes: usize,
    /// How long Redis may leave a command unanswered before its connection is given up; 15 s by
    /// default. A host that is gone is noticed by TCP, after 10 s.
    pub response_timeout: Duration,
    /// The longest pause between two tries to connect; 1 s by default.
    pub longest_pause: Duration,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            max_queued_messages: 64 * 1024,
            max_queued_bytes: 16 * 1024 * 1024,
            response_timeout: Duration::from_secs(15),
            longest_pause: Duration::from_secs(1),
        }
    }
}

impl RedisOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    raw_ws::__setters! {
        max_queued_messages: usize,
        max_queued_bytes: usize,
        response_timeout: Duration,
        longest_pause: Duration,
    }
}

impl Redis {
    /// Connects to the Redis of this URL: `redis://user:password@host:port/db`, `rediss://` with TLS,
    /// `unix:///path`. Once it has been reached, it is found again whenever it was away.
    ///
    /// # Errors
    /// [`RedisConnectError`] when the URL is none, Redis cannot be reached, or lets nobody in with these
    /// credentials.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn connect(url: &str) -> Result<Self, RedisConnectError> {
        Self::connect_with(url, RedisOptions::default()).await
    }

    /// The same, with options of its own.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn connect_with(url: &str, options: RedisOptions) -> Result<Self, RedisConnectError> {
        let clients = clients(url)?;
        let client = &clients[0];
        let look = async {
            let config = config(&options);
            let connection = client.get_multiplexed_async_connection_with_config(&config);
            redis::cmd("PING").exec_async(&mut connection.await?).await
        };
        let failed = |error| RedisConnectError::unreachable(client.get_connection_info(), error);
        look.await.map_err(failed)?;
        Ok(Self::of(clients, options))
    }

    /// The same without a first look: a server begins although Redis is not there yet, and is not
    /// ready until it is.
    ///
    /// # Errors
    /// [`RedisConnectError`] when the URL is none.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn connect_later(url: &str, options: RedisOptions) -> Result<Self, RedisConnectError> {
        Ok(Self::of(clients(url)?, options))
    }

    fn of([resp2, resp3]: [Client; 2], options: RedisOptions) -> Self {
        let closed = CancellationToken::new();
        let shared = Arc::new(Shared {
            queue: Queue::new(&options),
            channels: Channels::default(),
            publisher: Mutex::default(),
            closed: closed.clone(),
            resp2,
            resp3,
            dialect: Mutex::new(Dialect::Resp3),
            options,
        });
        let until_closed = closed.clone();
        tokio::spawn(until_closed.run_until_cancelled_owned(publisher::run(shared.clone())));
        let until_closed = closed.clone();
        tokio::spawn(until_closed.run_until_cancelled_owned(subscriber::run(shared.clone())));
        let _open = closed.drop_guard();
        Self {
            ends: Arc::new(Ends { shared, _open }),
        }
    }

    /// A backplane for one hub, whose channels begin with this. Each hub needs a prefix of its own;
    /// hubs of the same prefix are servers of one hub. Where servers of ASP.NET Core take part it is
    /// the full name of the hub's class there, `Chat.Hubs.ChatHub`, behind their own `ChannelPrefix` if
    /// they have one (RD-01).
    #[must_use]
    pub fn channel_prefix(&self, prefix: impl Into<Arc<str>>) -> RedisBackplane {
        RedisBackplane {
            ends: self.ends.clone(),
            prefix: prefix.into(),
        }
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let info = self.ends.shared.resp2.get_connection_info();
        f.debug_struct("Redis")
            .field("address", &info.addr().to_string())
            .finish_non_exhaustive()
    }
}

/// The channels of one hub on a [`Redis`].
#[derive(Clone)]
pub struct RedisBackplane {
    ends: Arc<Ends>,
    prefix: Arc<str>,
}

impl Backplane for RedisBackplane {
    fn channel_prefix(&self) -> &str {
        &self.prefix
    }

    fn join(&self, arrivals: Arrivals) -> Arc<dyn Link> {
        let ends = self.ends.clone();
        let id = ends.shared.channels.join(&arrivals);
        Arc::new(RedisLink { ends, id })
    }
}

impl fmt::Debug for RedisBackplane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBackplane")
            .field("channel_prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

struct RedisLink {
    ends: Arc<Ends>,
    id: u64,
}

impl RedisLink {
    fn channels(&self) -> &Channels {
        &self.ends.shared.channels
    }
}

impl Link for RedisLink {
    fn publish(&self, publication: Publication) -> Result<(), PublishError> {
        self.ends.shared.queue.push(publication)
    }

    fn subscribe(&self, channel: &str) {
        self.channels().subscribe(self.id, channel);
    }

    fn unsubscribe(&self, channel: &str) {
        self.channels().unsubscribe(self.id, channel);
    }

    fn settled(&self) -> BoxFuture<'static, Result<(), Away>> {
        let settled = self.channels().settled();
        Box::pin(async move { settled.await.map_err(|_| Away) })
    }

    fn subscribers(&self, channel: &str) -> BoxFuture<'static, Option<u64>> {
        let connection = self.ends.shared.publisher.lock().clone();
        let channel = channel.to_owned();
        Box::pin(async move {
            let mut ask = redis::cmd("PUBSUB");
            ask.arg("NUMSUB").arg(channel);
            let counted: Result<(String, u64), _> = ask.query_async(&mut connection?).await;
            counted.ok().map(|(_, count)| count)
        })
    }
}

impl Drop for RedisLink {
    fn drop(&mut self) {
        self.channels().leave(self.id);
    }
}

/// For the server at this URL, in both dialects.
fn clients(url: &str) -> Result<[Client; 2], RedisConnectError> {
    let sentinel = ["redis+sentinel:", "sentinel:", "redis-sentinel:"];
    if sentinel.iter().any(|scheme| url.starts_with(scheme)) {
        return Err(RedisConnectError::new(
            "Sentinels are not asked: name the Redis server itself, or a proxy that follows the master",
            None,
        ));
    }
    let no_url = |error| {
        RedisConnectError::new(
            "the URL is none of Redis: redis://user:password@host:port/db, or rediss:// with TLS",
            Some(error),
        )
    };
    let info = url.into_connection_info().map_err(no_url)?;
    if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
        // There may be one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(4))
        .with_interval(Duration::from_secs(2));
    #[cfg(not(windows))]
    let keepalive = keepalive.with_retries(3);
    let tcp = TcpSettings::default()
        .set_nodelay(true)
        .set_keepalive(keepalive);
    #[cfg(any(target_os = "android", target_os = "linux"))]
    let tcp = tcp.set_user_timeout(Duration::from_secs(10));
    let info = info.set_tcp_settings(tcp);
    let in_dialect = |protocol| {
        let settings = info.redis_settings().clone().set_protocol(protocol);
        Client::open(info.clone().set_redis_settings(settings)).map_err(no_url)
    };
    Ok([
        in_dialect(ProtocolVersion::RESP2)?,
        in_dialect(ProtocolVersion::RESP3)?,
    ])
}

fn config(options: &RedisOptions) -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(options.response_timeout))
}

/// The pauses between tries to connect: each twice as long as the one before, with a part left to
/// chance, so that all servers do not come back at once.
struct Pauses {
    next: Duration,
    longest: Duration,
}

impl Pauses {
    fn new(options: &RedisOptions) -> Self {
        Self {
            next: FIRST_PAUSE,
            longest: options.longest_pause,
        }
    }

    /// A connection was of use: what follows is another story.
    fn begin_again(&mut self) {
        self.next = FIRST_PAUSE;
    }

    /// Whether none was made yet.
    fn have_just_begun(&self) -> bool {
        self.next == FIRST_PAUSE
    }

    fn next(&mut self) -> Duration {
        let pause = self.next.min(self.longest);
        self.next = pause * 2;
        let mut chance = [0];
        // Without chance they are as long as they are.
        let _ = getrandom::fill(&mut chance);
        pause.mul_f64(0.5 + f64::from(chance[0]) / 512.0)
    }
}

/// Why a Redis cannot be used. `Debug` writes the sentence too, as that is what `main` shows.
pub struct RedisConnectError {
    text: String,
    source: Option<RedisError>,
}

impl RedisConnectError {
    fn new(text: impl Into<String>, source: Option<RedisError>) -> Self {
        let text = text.into();
        Self { text, source }
    }

    fn unreachable(info: &ConnectionInfo, error: RedisError) -> Self {
        let address = info.addr();
        let text = match error.kind() {
            ErrorKind::AuthenticationFailed => {
                format!("the Redis at {address} lets nobody in with these credentials")
            }
            _ if error.code() == Some("NOAUTH") => {
                format!("the Redis at {address} wants a password: redis://user:password@{address}")
            }
            _ => format!(
                "no Redis at {address}: {error}; start one with `redis-server`, or \
                 `docker run -p 6379:6379 redis`"
            ),
        };
        Self::new(text, Some(error))
    }
}

impl fmt::Debug for RedisConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for RedisConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for RedisConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|error| error as _)
    }
}
