//! A hub: its methods, its state, and what runs around them.

use std::{fmt, future::Future, sync::Arc};

use bytestring::ByteString;
use http::request::Parts;
use serde::Serialize;

use crate::{
    error::{HubError, Result},
    identity::{connection_id::ConnectionId, user::User},
    methods::{
        context::Context,
        dispatch::{Dispatch, IntoItems, RawArguments},
        filter::{Filter, Running},
        handle::HubHandle,
        method::{ArgumentList, Method},
        reply::Reply,
    },
    options::HubOptions,
    reach::{live::Identity, registry::Registry},
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
    pub(crate) shared: Shared<S>,
}

/// What all connections of a hub share.
pub(crate) struct Shared<S> {
    pub(crate) state: Arc<S>,
    pub(crate) dispatch: Dispatch<S>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) on_connected: Option<OnConnected<S>>,
    pub(crate) on_disconnected: Option<OnDisconnected<S>>,
    pub(crate) user_identifier: Option<UserIdentifier>,
    /// What the user of every request must satisfy; empty when nobody need be known.
    pub(crate) policies: Vec<UserPolicy>,
}

pub(crate) type OnConnected<S> = Box<dyn Fn(Context<S>) -> Running<()> + Send + Sync>;
pub(crate) type OnDisconnected<S> =
    Box<dyn Fn(Context<S>, Option<HubError>) -> Running<()> + Send + Sync>;
pub(crate) type UserPolicy = Box<dyn Fn(&User) -> bool + Send + Sync>;
pub(crate) type UserIdentifier = Box<dyn Fn(&Parts) -> Option<String> + Send + Sync>;

impl<S: Send + Sync + 'static> Hub<S> {
    /// A hub without methods, with the default options.
    pub fn new(state: S) -> Self {
        Self::with_options(state, HubOptions::default())
    }

    /// A hub without methods.
    pub fn with_options(state: S, options: HubOptions) -> Self {
        Self {
            shared: Shared {
                state: Arc::new(state),
                dispatch: Dispatch::new(),
                registry: Registry::new(Arc::new(options)),
                on_connected: None,
                on_disconnected: None,
                user_identifier: None,
                policies: Vec::new(),
            },
        }
    }

    /// Lets clients call `method` as `name`, in any case (IN-01). It is answered with what the
    /// future gives.
    ///
    /// # Panics
    /// When the name is taken.
    #[track_caller]
    #[must_use]
    pub fn method<M, Args, R>(mut self, name: &str, method: M) -> Self
    where
        M: Method<S, Args>,
        M::Output: Future<Output = Result<R>> + Send + 'static,
        Args: ArgumentList,
        R: Serialize,
    {
        self.shared.dispatch.add_method(name, method);
        self
    }

    /// Lets clients stream from `method` as `name`. It is a plain `fn` that returns a stream of
    /// results, or a `Result` or an `Option` with one; a client that cancels has the stream dropped
    /// (ST-06).
    ///
    /// # Panics
    /// When the name is taken.
    #[track_caller]
    #[must_use]
    pub fn stream<M, Args, R>(mut self, name: &str, method: M) -> Self
    where
        M: Method<S, Args>,
        M::Output: IntoItems<R>,
        Args: ArgumentList,
    {
        self.shared.dispatch.add_stream(name, method);
        self
    }

    /// Answers every plain call whose target no method has: for hubs whose targets are not known
    /// at compile time. Without it such a call is answered with an error (IN-04).
    #[must_use]
    pub fn fallback<F, Fut, R>(mut self, method: F) -> Self
    where
        F: Fn(Context<S>, ByteString, RawArguments) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R>> + Send + 'static,
        R: Serialize,
    {
        let method = Arc::new(method);
        self.shared
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
    #[must_use]
    pub fn on_connected<F, Fut>(mut self, run: F) -> Self
    where
        F: Fn(Context<S>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        self.shared.on_connected = Some(Box::new(move |cx| Box::pin(run(cx))));
        self
    }

    /// Runs once for each connection that ran `on_connected`, when it is over, whatever ended it;
    /// with the error if one did. Nothing reaches the connection any more.
    #[must_use]
    pub fn on_disconnected<F, Fut>(mut self, run: F) -> Self
    where
        F: Fn(Context<S>, Option<HubError>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        self.shared.on_disconnected = Some(Box::new(move |cx, error| Box::pin(run(cx, error))));
        self
    }

    /// Puts code around every call, and around connecting and disconnecting (HB-08).
    #[must_use]
    pub fn filter(mut self, filter: impl Filter<S>) -> Self {
        self.shared.dispatch.filters.add(filter);
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
        self.shared.dispatch.authorize(method, Box::new(policy));
        self
    }

    /// Refuses every request of nobody with 401, negotiate included (AU-01): where no layer of the
    /// app has put a [`User`](crate::User) into the request.
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
    #[must_use]
    pub fn require(mut self, policy: impl Fn(&User) -> bool + Send + Sync + 'static) -> Self {
        self.shared.policies.push(Box::new(policy));
        self
    }

    /// Says which user a request belongs to (HB-07); by default the one whose
    /// [`User`](crate::User) is in the request's extensions.
    #[must_use]
    pub fn user_identifier(
        mut self,
        of: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.shared.user_identifier = Some(Box::new(of));
        self
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
