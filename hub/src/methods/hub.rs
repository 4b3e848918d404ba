//! A hub: its methods, its state, and what runs around them.

use std::{
    fmt,
    future::Future,
    ops::Deref,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use bytestring::ByteString;
use http::request::Parts;
use serde::Serialize;

use crate::{
    backplanes::Backplane,
    error::{HubError, Result},
    identity::{connection_id::ConnectionId, request::Request, user::User},
    methods::{
        context::Context,
        dispatch::{Dispatch, IntoItems, RawArguments},
        filter::{Filter, Running},
        handle::HubHandle,
        method::{Answer, ArgumentList, Method, OwnedParameters},
        raw::RawHandler,
        reply::Reply,
    },
    options::HubOptions,
    reach::{
        arrivals,
        cluster::health::Gap,
        hold::HasRegistry,
        live::{ConnectionState, Identity},
        presence::Attendance,
        registry::Registry,
    },
};

/// The methods that clients may call at one path, and the state they share.
///
/// ```
/// use futures_util::{Stream, stream};
/// use hub::{Context, Hub, HubError};
///
/// async fn divide(_: Context, a: i64, b: i64) -> hub::Result<i64> {
///     a.checked_div(b).ok_or(HubError::new("divided by zero"))
/// }
///
/// fn countdown(_: Context, from: u32) -> impl Stream<Item = hub::Result<u32>> {
///     stream::iter((0..=from).rev().map(Ok))
/// }
///
/// let app: axum::Router = Hub::new(())
///     .method("Divide", divide)
///     .stream("Countdown", countdown)
///     .router("/numbers");
/// ```
pub struct Hub<S = ()> {
    pub(crate) shared: Arc<Shared<S>>,
}

/// What all connections of a hub share.
pub(crate) struct Shared<S> {
    pub(crate) state: Arc<S>,
    pub(crate) dispatch: Dispatch<S>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) on_connected: Option<OnConnected<S>>,
    pub(crate) on_disconnected: Option<OnDisconnected<S>>,
    pub(crate) user_identifier: Option<UserIdentifier>,
    connection_state: Option<MakeConnectionState>,
    /// What runs a connection instead of the hub protocol.
    pub(crate) raw: Option<RawHandler>,
    /// What the user of every request must satisfy; empty when nobody need be known.
    pub(crate) policies: Vec<UserPolicy>,
}

/// A connection's hold on what all share. References to it are counted for each call and each send: here,
/// where none of another connection is counted, and so none of another thread's.
pub(crate) struct Held<S>(pub(crate) Arc<Shared<S>>);

impl<S: Send + Sync> HasRegistry for Held<S> {
    fn registry(&self) -> &Registry {
        &self.registry
    }
}

impl<S> Deref for Held<S> {
    type Target = Shared<S>;

    fn deref(&self) -> &Shared<S> {
        &self.0
    }
}

pub(crate) type OnConnected<S> = Box<dyn Fn(Context<S>) -> Running<()> + Send + Sync>;
pub(crate) type OnDisconnected<S> =
    Box<dyn Fn(Context<S>, Option<HubError>) -> Running<()> + Send + Sync>;
pub(crate) type UserPolicy = Box<dyn Fn(&User) -> bool + Send + Sync>;
type MakeConnectionState = Box<dyn Fn(&Request) -> ConnectionState + Send + Sync>;
pub(crate) type UserIdentifier = Box<dyn Fn(&Parts) -> Option<String> + Send + Sync>;

impl<S: Send + Sync + 'static> Hub<S> {
    /// A hub without methods, with the default options.
    pub fn new(state: S) -> Self {
        Self::with_options(state, HubOptions::default())
    }

    /// A hub without methods.
    pub fn with_options(state: S, options: HubOptions) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Arc::new(state),
                dispatch: Dispatch::new(),
                registry: Registry::new(Arc::new(options)),
                on_connected: None,
                on_disconnected: None,
                user_identifier: None,
                connection_state: None,
                raw: None,
                policies: Vec::new(),
            }),
        }
    }

    /// Lets clients call `method` as `name`, in any case (IN-01). It is answered with what the
    /// future gives.
    ///
    /// # Panics
    /// When the name is taken.
    #[track_caller]
    #[must_use]
    pub fn method<M, Args, Kinds, R>(mut self, name: &str, method: M) -> Self
    where
        M: Method<S, Args>,
        M::Output: Answer<R> + Send + 'static,
        Args: ArgumentList + OwnedParameters<Kinds>,
        R: Serialize,
    {
        self.shared().dispatch.add_method(name, method);
        self
    }

    /// Lets clients stream from `method` as `name`: an `fn` that returns a stream of results, or a
    /// `Result` or an `Option` with one. An `async fn` that returns one of these does its work before
    /// there is a stream, and what fails there fails the call, as an answer of a plain method would
    /// (ST-03). A client that cancels has the stream dropped, or that work (ST-06).
    ///
    /// ```
    /// use futures_util::{Stream, stream};
    /// use hub::{Context, Hub, HubError};
    ///
    /// async fn lines(_: Context, name: String) -> hub::Result<impl Stream<Item = hub::Result<String>>> {
    ///     let text = tokio::fs::read_to_string("notes.txt").await?; // fails the call
    ///     if !text.contains(&name) {
    ///         return Err(HubError::new("There are no such notes."));
    ///     }
    ///     let lines: Vec<_> = text.lines().map(|line| Ok(line.to_owned())).collect();
    ///     Ok(stream::iter(lines))
    /// }
    ///
    /// let hub: Hub = Hub::new(()).stream("Lines", lines);
    /// ```
    ///
    /// # Panics
    /// When the name is taken.
    #[track_caller]
    #[must_use]
    pub fn stream<M, Args, Kinds, R>(mut self, name: &str, method: M) -> Self
    where
        M: Method<S, Args>,
        M::Output: IntoItems<R>,
        Args: ArgumentList + OwnedParameters<Kinds>,
    {
        self.shared().dispatch.add_stream(name, method);
        self
    }

    /// Answers every plain call whose target no method has: for hubs whose targets are not known
    /// at compile time. Without it such a call is answered with an error (IN-04).
    #[track_caller]
    #[must_use]
    pub fn fallback<F, Fut, R>(mut self, method: F) -> Self
    where
        F: Fn(Context<S>, ByteString, RawArguments) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R>> + Send + 'static,
        R: Serialize,
    {
        let method = Arc::new(method);
        self.shared()
            .dispatch
            .set_fallback(Arc::new(move |cx, target, arguments| {
                let encoding = cx.live().encoding;
                let method = method.clone();
                Box::pin(async move {
                    let value = method(cx, target, arguments).await?;
                    Reply::value(encoding, &value)
                })
            }));
        self
    }

    /// Runs for each connection before its first call is looked at (HB-03). What it sends follows
    /// the answer to the hub handshake. An error ends the connection (CL-01).
    #[track_caller]
    #[must_use]
    pub fn on_connected<F, Fut>(mut self, run: F) -> Self
    where
        F: Fn(Context<S>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        self.shared().on_connected = Some(Box::new(move |cx| Box::pin(run(cx))));
        self
    }

    /// Runs once for each connection that ran `on_connected`, when it is over, whatever ended it;
    /// with the error if one did. Nothing reaches the connection any more.
    #[track_caller]
    #[must_use]
    pub fn on_disconnected<F, Fut>(mut self, run: F) -> Self
    where
        F: Fn(Context<S>, Option<HubError>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        self.shared().on_disconnected = Some(Box::new(move |cx, error| Box::pin(run(cx, error))));
        self
    }

    /// Puts code around every call, and around connecting and disconnecting (HB-08).
    #[track_caller]
    #[must_use]
    pub fn filter(mut self, filter: impl Filter<S>) -> Self {
        self.shared().dispatch.filters.add(filter);
        self
    }

    /// Lets clients call `method` only where `policy` holds; the others are told that they are
    /// unauthorized (E-03). Ask it of the connection's user, or of anything else in the context.
    ///
    /// ```
    /// use hub::{Context, Hub};
    /// let hub = Hub::new(())
    ///     .method("Restart", async |_: Context| Ok(()))
    ///     .authorize("Restart", |cx| {
    ///         cx.current_user().is_some_and(|user| user.is_in_role("admin"))
    ///     });
    /// ```
    ///
    /// # Panics
    /// When the hub has no such method.
    #[track_caller]
    #[must_use]
    pub fn authorize(
        mut self,
        method: &str,
        policy: impl Fn(&Context<S>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.shared().dispatch.authorize(method, Box::new(policy));
        self
    }

    /// Refuses every request of nobody with 401, negotiate included (AU-01): where no layer of the
    /// app has put a [`User`](crate::User) into the request.
    #[track_caller]
    #[must_use]
    pub fn require_user(self) -> Self {
        self.require(|_| true)
    }

    /// Lets in only users for whom `policy` holds: who is nobody gets 401, who is somebody else 403
    /// (AU-01). It is asked at every request, negotiate included, before anything else is looked at
    /// or changed. Where there are several, all must hold.
    ///
    /// ```
    /// use hub::Hub;
    /// let hub = Hub::new(()).require(|user| user.is_in_role("admin"));
    /// ```
    #[track_caller]
    #[must_use]
    pub fn require(mut self, policy: impl Fn(&User) -> bool + Send + Sync + 'static) -> Self {
        self.shared().policies.push(Box::new(policy));
        self
    }

    /// Says which user a request belongs to (HB-07); by default the one whose
    /// [`User`](crate::User) is in the request's extensions.
    #[track_caller]
    #[must_use]
    pub fn user_identifier(
        mut self,
        of: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.shared().user_identifier = Some(Box::new(of));
        self
    }

    /// Makes a value of your own type for each connection as it begins, by the request that it came
    /// with; methods find it with [`Context::connection`](crate::Context::connection). It is dropped with
    /// the connection. What changes in it needs a lock or an atomic of its own: calls may run at the
    /// same time.
    ///
    /// Found by its type when it is asked for, and not a second parameter of `Context`, which every
    /// method would have to name, those too that never look.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU32, Ordering};
    /// use hub::{Context, Hub};
    ///
    /// struct Visit { language: String, calls: AtomicU32 }
    ///
    /// async fn count(cx: Context) -> hub::Result<u32> {
    ///     Ok(cx.connection::<Visit>().calls.fetch_add(1, Ordering::Relaxed) + 1)
    /// }
    ///
    /// let hub = Hub::new(())
    ///     .connection_state(|request| Visit {
    ///         language: request.header("accept-language").unwrap_or("en").to_owned(),
    ///         calls: AtomicU32::new(0),
    ///     })
    ///     .method("Count", count);
    /// ```
    #[track_caller]
    #[must_use]
    pub fn connection_state<T, F>(mut self, make: F) -> Self
    where
        T: Send + Sync + 'static,
        F: Fn(&Request) -> T + Send + Sync + 'static,
    {
        self.shared().connection_state = Some(Box::new(move |request| Box::new(make(request))));
        self
    }

    /// Joins the hub to other servers of it: what is sent to clients, groups and users reaches those who
    /// are connected to the others too. Without it the hub is alone.
    ///
    /// The first part of the channel names is the hub's name among the servers
    /// ([`Backplane::channel_prefix`](crate::backplane::Backplane::channel_prefix)): another hub needs
    /// another one.
    ///
    /// ```no_run
    /// use hub::{Hub, backplane::Redis};
    /// # #[cfg(feature = "redis")]
    /// # async fn run() -> Result<(), hub::backplane::RedisConnectError> {
    /// let redis = Redis::connect("redis://127.0.0.1:6379").await?;
    /// let chat: Hub = Hub::new(()).backplane(redis.channel_prefix("Chat.Hubs.ChatHub"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// When it has one already, and outside a tokio runtime.
    #[track_caller]
    #[must_use]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "reads as a sentence; kept it is by its link"
    )]
    pub fn backplane(self, backplane: impl Backplane) -> Self {
        if arrivals::join(&self.shared.registry, &backplane).is_err() {
            panic!("a hub has one backplane");
        }
        self
    }

    /// Keeps track of who is present in the hub's groups, on all its servers: users who join and leave,
    /// whatever connections they have. Who comes back within `debounce` after its last connection has
    /// left, as after a reconnect, was not away; 3 s are usual. Each join and leave is then a message to
    /// the other servers.
    ///
    /// ```
    /// use std::time::Duration;
    /// use hub::{Hub, PresenceKind};
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let chat: Hub = Hub::new(()).presence(Duration::from_secs(3));
    /// let handle = chat.handle();
    /// let presence = handle.presence().expect("it was asked for");
    /// let mut events = presence.events();
    /// tokio::spawn(async move {
    ///     while let Some(Ok(event)) = events.next().await {
    ///         let target = match event.kind {
    ///             PresenceKind::Joined => "Joined",
    ///             PresenceKind::Left => "Left",
    ///         };
    ///         // Every server tells its own clients.
    ///         let _ = handle.group(&event.group).here().send(target, (&*event.who,));
    ///     }
    /// });
    /// assert!(presence.members("lobby").is_empty());
    /// # });
    /// ```
    ///
    /// # Panics
    /// When it does already, and outside a tokio runtime.
    #[track_caller]
    #[must_use]
    pub fn presence(self, debounce: Duration) -> Self {
        let attendance = Attendance::new(debounce);
        if self.shared.registry.set_attendance(attendance).is_err() {
            panic!("a hub has one presence");
        }
        self
    }

    /// Runs when messages of other servers may have been missed, once it is known how many: the
    /// [backplane](Self::backplane) was away, or another server could not publish. Nobody is told twice;
    /// clients that need what they missed are to be sent it here.
    ///
    /// ```
    /// use hub::Hub;
    /// let chat: Hub = Hub::new(()).on_gap(|gap| {
    ///     eprintln!("{} messages were missed in {:?}", gap.missed, gap.lasted);
    /// });
    /// ```
    ///
    /// # Panics
    /// When there is one already.
    #[track_caller]
    #[must_use]
    pub fn on_gap(self, tell: impl Fn(Gap) + Send + Sync + 'static) -> Self {
        if self.shared.registry.set_on_gap(Box::new(tell)).is_err() {
            panic!("there is one `on_gap` already");
        }
        self
    }

    /// Has each connection run by a plain handler.
    pub(crate) fn raw(mut self, handler: RawHandler) -> Self {
        self.shared().raw = Some(handler);
        self
    }

    /// What is still to be settled.
    #[track_caller]
    fn shared(&mut self) -> &mut Shared<S> {
        let Some(shared) = Arc::get_mut(&mut self.shared) else {
            panic!("a hub is complete before it is mapped: its methods and what is around them");
        };
        shared
    }

    /// A handle to reach the hub's clients from anywhere: background tasks, HTTP handlers.
    pub fn handle(&self) -> HubHandle {
        HubHandle::new(self.shared.registry.clone())
    }
}

impl<S> Shared<S> {
    /// Who a connection is, by the request that starts it (HB-07).
    pub(crate) fn identity(&self, connection_id: ConnectionId, parts: &Parts) -> Identity {
        Identity {
            connection_id,
            user_identifier: self.user_identifier_of(parts),
            user: parts.extensions.get::<User>().cloned(),
        }
    }

    /// What the application keeps for a connection, by the request that it came with. A panic in that
    /// code is as if there were none: a method that asks for it fails.
    pub(crate) fn connection_state(&self, request: &Request) -> Option<ConnectionState> {
        let make = self.connection_state.as_ref()?;
        catch_unwind(AssertUnwindSafe(|| make(request))).ok()
    }

    /// The identifier of the user that a request belongs to.
    pub(crate) fn user_identifier_of(&self, parts: &Parts) -> Option<Arc<str>> {
        match &self.user_identifier {
            Some(of) => of(parts).map(Into::into),
            None => {
                let user = parts.extensions.get::<User>();
                user.map(|user| user.identifier().into())
            }
        }
    }
}

impl<S> fmt::Debug for Hub<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").finish_non_exhaustive()
    }
}
