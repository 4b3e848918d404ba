//! A hub at a path of an axum app: which request is what, and how it is answered (`SPEC.md`, sections 1
//! to 7).
//!
//! The top floor, which may import every other. What a request begins runs in
//! [`connection`](crate::connection), on one of the transports: go on there.

mod answers;
mod elsewhere;
mod fallbacks;
mod negotiate;
mod paths;
mod raw_connections;
mod refresh;
mod tokens;

use std::{
    future::ready,
    sync::{Arc, Weak},
};

use axum::{
    Router,
    extract::{Request as HttpRequest, State},
    response::Response,
    routing::any,
};
use futures_util::FutureExt as _;
use http::{
    Extensions, HeaderMap, Method, StatusCode,
    header::{ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE, WWW_AUTHENTICATE},
    request::Parts,
};
use raw_ws::{Config, Connections, Origins, Upgrade, WebSocket, clock::now};

use answers::{Refusal, empty, json};
use negotiate::Negotiation;
pub use paths::ignore_path_case;
use paths::spellings;
pub use raw_connections::RawConnections;
use tokens::{Asks, NewSocket, Presented, Socket, Tokens};

use crate::{
    connection::{self, Arrival},
    events,
    identity::{
        connection_id::{ConnectionId, ConnectionToken},
        query::query_value,
        request::{Request, Transport, server_of},
        user::{Challenge, User},
    },
    methods::hub::{Hub, Shared},
    options::{EndpointOptions, HubOptions},
    reach::goodbye,
    session::Reconnect,
    transport::{
        Duplex, Preceded,
        stateful::{Detached, Reservation, Stateful},
        websocket,
    },
};

impl<S: Send + Sync + 'static> Hub<S> {
    /// The hub at `path`, to be merged into any axum app; layers of the app work around it (CORS,
    /// tracing, authentication).
    ///
    /// It owns `path` and `path/negotiate`, and `path/refresh` where its options say so, each also
    /// with one slash at the end (R-01). The path is written as people read it, `"/my hub"` or
    /// `"/café"`, or percent-encoded. axum matches it by case; [`ignore_path_case`] adds what
    /// ASP.NET Core does (R-02). For a hub at several paths see [`map`](Self::map).
    ///
    /// # Panics
    /// When `path` does not begin with a slash. Merging two hubs at one path panics too, and names
    /// the path.
    #[track_caller]
    pub fn router(self, path: &str) -> Router {
        self.map(path)
    }

    /// The hub at one more path: as [`router`](Self::router), for a hub that has several. All of them
    /// reach the same clients, groups and users. Layers around one of the routers hold for that
    /// path alone.
    ///
    /// ```
    /// use axum::Router;
    /// use hub::{Context, Hub, Transport};
    /// let chat: Hub = Hub::new(()).method("Hello", async |_: Context| Ok("hello"));
    /// let app = Router::new()
    ///     .merge(chat.map("/chat"))
    ///     .merge(chat.map_with("/chat-polled", |path| path.transports([Transport::LongPolling])));
    /// # let _: Router = app;
    /// ```
    ///
    /// # Panics
    /// As [`router`](Self::router). A hub that is mapped takes no more methods: adding one panics.
    #[track_caller]
    pub fn map(&self, path: &str) -> Router {
        self.map_with(path, |options| options)
    }

    /// The hub at one more path, which has options of its own: those of the hub, changed. What is
    /// counted for a path, such as [`max_unused_connections`](EndpointOptions), is counted for each.
    ///
    /// # Panics
    /// As [`map`](Self::map).
    #[track_caller]
    pub fn map_with(
        &self,
        path: &str,
        change: impl FnOnce(EndpointOptions) -> EndpointOptions,
    ) -> Router {
        assert!(
            path.starts_with('/'),
            "the path of a hub begins with a slash: \"/{path}\""
        );
        let mut options = HubOptions::clone(&self.shared.registry.options);
        options.endpoint = change(options.endpoint);
        Endpoint::new(self.shared.clone(), Arc::new(options), path).router()
    }
}

struct Endpoint<S> {
    hub: Arc<Shared<S>>,
    /// As it was mapped: on other servers it is the same.
    path: Box<str>,
    /// The hub's, with what holds at this path.
    options: Arc<HubOptions>,
    tokens: Arc<Tokens>,
    detached: Arc<Detached>,
    config: Arc<Config>,
}

async fn negotiate_with<S: Send + Sync + 'static>(
    State(endpoint): State<Arc<Endpoint<S>>>,
    request: HttpRequest,
) -> Response {
    let (parts, _) = request.into_parts();
    if let Some(refusal) = endpoint.refuse(&parts) {
        return refusal;
    }
    if parts.method != Method::POST {
        // Clients negotiate with POST alone (R-06).
        return Refusal::Method.answer();
    }
    let options = &endpoint.options;
    let query = parts.uri.query().unwrap_or_default();
    let version = match negotiate::read(query, options) {
        Negotiation::Version(version) => version,
        Negotiation::Refused(error) => {
            events::refused(
                StatusCode::OK,
                "the client's negotiate version is not served",
            );
            return json(negotiate::refused(&error));
        }
    };
    if endpoint.is_stopping(&parts) {
        return Refusal::Stopping.answer();
    }
    let id = ConnectionId::random();
    // C-02: in version 0 they are the same.
    let token = if version == 0 {
        ConnectionToken::presented(&id)
    } else {
        endpoint.random_token()
    };
    let user_identifier = endpoint.hub.user_identifier_of(&parts);
    let reconnect = negotiate::reconnect(query, version, options);
    let added = endpoint
        .tokens
        .add(id.clone(), user_identifier, token.clone(), reconnect, now());
    if added.is_none() {
        return Refusal::Overloaded.answer();
    }
    let known = parts.extensions.get::<User>();
    let lifetime = known
        .filter(|_| options.endpoint.authentication_refresh)
        .and_then(User::lifetime);
    let shown = (version > 0).then(|| token.reveal());
    json(negotiate::accepted(
        version,
        &id,
        shown,
        lifetime,
        reconnect,
        &options.endpoint.transports,
    ))
}

async fn connect<S: Send + Sync + 'static>(
    State(endpoint): State<Arc<Endpoint<S>>>,
    request: HttpRequest,
) -> Response {
    let (mut parts, body) = request.into_parts();
    if let Some(refusal) = endpoint.refuse(&parts) {
        return refusal;
    }
    let query = parts.uri.query().unwrap_or_default();
    let token = query_value(query, "id")
        .filter(|id| !id.is_empty())
        .map(|id| ConnectionToken::presented(&id));
    if let Some(token) = &token
        && let Err(refusal) = endpoint.fetch(token, &parts).await
    {
        return refusal.answer();
    }
    match parts.method {
        Method::GET => {
            // WS-03: an event stream wins over an upgrade, and what is no upgrade is a poll.
            if accepts_event_stream(&parts.headers) {
                endpoint.stream_events(&parts, token)
            } else {
                match Upgrade::from_parts(&mut parts) {
                    Ok(upgrade) => endpoint.upgrade(upgrade, &parts, token),
                    Err(error) => {
                        if would_be_upgrade(&parts.headers) {
                            events::no_upgrade(&error);
                        }
                        endpoint.poll(&parts, token).await
                    }
                }
            }
        }
        Method::POST => endpoint.post(&parts, body, token).await,
        Method::DELETE => endpoint.delete(&parts, token),
        // HEAD, PUT, OPTIONS and others mean nothing here (R-05).
        _ => Refusal::Method.answer(),
    }
}

async fn refresh_user<S: Send + Sync + 'static>(
    State(endpoint): State<Arc<Endpoint<S>>>,
    request: HttpRequest,
) -> Response {
    let (parts, _) = request.into_parts();
    if let Some(refusal) = endpoint.refuse(&parts) {
        return refusal;
    }
    if parts.method != Method::POST {
        return Refusal::Method.answer();
    }
    endpoint.refresh(&parts)
}

impl<S: Send + Sync + 'static> Endpoint<S> {
    fn new(hub: Arc<Shared<S>>, options: Arc<HubOptions>, path: &str) -> Arc<Self> {
        events::begins();
        let tokens = Arc::new(Tokens::new(options.clone()));
        let path = path.trim_end_matches('/');
        let given_away: Weak<Tokens> = Arc::downgrade(&tokens);
        hub.registry.paths.add(path, given_away);
        Arc::new(Self {
            path: path.into(),
            tokens,
            detached: Arc::new(Detached::new(&options)),
            config: Arc::new(websocket::config(&options)),
            options,
            hub,
        })
    }

    #[track_caller]
    fn router(self: Arc<Self>) -> Router {
        let path = self.path.clone();
        let refreshes = self.options.endpoint.authentication_refresh;
        let connect = any(connect::<S>).with_state(self.clone());
        let negotiate = any(negotiate_with::<S>).with_state(self.clone());
        let refresh = any(refresh_user::<S>).with_state(self);
        let mut router = Router::new();
        for path in spellings(&path) {
            // Services and not handlers: of those axum would say, where two hubs meet, that two
            // have a fallback, and not where.
            let below = |name: &str| format!("{path}/{name}");
            if !path.is_empty() {
                router = router.route_service(&path, connect.clone());
            }
            router = router
                .route_service(&below(""), connect.clone())
                .route_service(&below("negotiate"), negotiate.clone())
                .route_service(&below("negotiate/"), negotiate.clone());
            if refreshes {
                router = router
                    .route_service(&below("refresh"), refresh.clone())
                    .route_service(&below("refresh/"), refresh.clone());
            }
        }
        router
    }

    /// What is looked at before everything else, whatever the request: so what is refused here has
    /// changed nothing.
    fn refuse(&self, parts: &Parts) -> Option<Response> {
        // R-09, and the same for all other requests: a page that may not open a WebSocket here does
        // not get its way by another transport. CORS would keep the answer from it, but not the
        // request from us.
        if let Err(foreign) = self.options.endpoint.origins.check(&parts.headers) {
            if foreign.is_first() {
                events::foreign_origin(foreign.origin(), foreign.host());
            }
            return Some(Refusal::ForeignOrigin.answer());
        }
        self.unauthorized(&parts.extensions)
    }

    /// AU-01: without a body (N-17).
    fn unauthorized(&self, extensions: &Extensions) -> Option<Response> {
        let policies = &self.hub.policies;
        if policies.is_empty() {
            return None;
        }
        let Some(user) = extensions.get::<User>() else {
            let challenge = extensions.get::<Challenge>().cloned().unwrap_or_default();
            let mut response = empty(StatusCode::UNAUTHORIZED);
            let headers = response.headers_mut();
            headers.insert(WWW_AUTHENTICATE, challenge.header_value());
            events::refused(response.status(), "no layer knows the user of the request");
            return Some(response);
        };
        let is_let_in = policies.iter().all(|policy| policy(user));
        (!is_let_in).then(|| Refusal::Forbidden.answer())
    }

    /// A WebSocket: the first or the next of a negotiated connection, or without `id` a connection of
    /// its own (WS-01, WS-02).
    fn upgrade(&self, upgrade: Upgrade, parts: &Parts, token: Option<ConnectionToken>) -> Response {
        let upgrade = upgrade
            .config(self.config.clone())
            .origins(Origins::any()) // looked at by `refuse`
            .says_goodbye();
        // Without negotiation the token is the id, as in version 0 (WS-01).
        let found = match token {
            None => self.may_begin(parts, Transport::WebSockets).map(|()| {
                let (token, socket) = self.tokens.add_socket();
                (token, Socket::New(socket))
            }),
            Some(token) => {
                let may = |asks| self.may(asks, parts, Transport::WebSockets);
                let found = self.present(&token, parts, |presented| {
                    self.tokens.web_socket(presented, may)
                });
                found.map(|socket| (token, socket))
            }
        };
        let (token, socket) = match found {
            Ok((token, Socket::New(socket))) => (token, socket),
            Ok((_, Socket::Next(reservation))) => return resume(upgrade, parts, reservation),
            Err(refusal) => return refusal.answer_to_upgrade(),
        };
        let NewSocket { id, first, seat } = socket;
        // Given back however the connection ends, a refused upgrade included.
        let in_use = self.in_use(token);
        let hub = self.hub.clone();
        if let Some(seat) = seat {
            let arrival = self.arrival(id, parts, Transport::WebSockets, Reconnect::Stateful);
            let (config, detached) = (self.config.clone(), self.detached.clone());
            let options = self.options.clone();
            return upgrade.on_upgrade(move |ws: WebSocket| {
                let transport = Stateful::new(options, config, ws, first, seat, detached);
                // A task of its own: it outlives this socket.
                tokio::spawn(connection::run(hub, transport, arrival).map(|()| drop(in_use)));
                ready(())
            });
        }
        let arrival = self.arrival(id, parts, Transport::WebSockets, Reconnect::Anew);
        // Not awaited in an async block: that would hold all of these twice.
        upgrade.on_upgrade(move |ws: WebSocket| {
            if hub.raw.is_some() || !first.is_empty() {
                let transport = Preceded::new(first, ws);
                run(hub, transport, arrival)
                    .map(move |()| drop(in_use))
                    .boxed()
                    .right_future()
            } else {
                connection::run(hub, ws, arrival)
                    .map(move |()| drop(in_use))
                    .left_future()
            }
        })
    }

    /// Looks at a token with the user whose request presents it.
    fn present<R>(
        &self,
        token: &ConnectionToken,
        parts: &Parts,
        look: impl FnOnce(Presented<'_>) -> R,
    ) -> R {
        let user_identifier = self.hub.user_identifier_of(parts);
        look(Presented {
            token,
            user_identifier: user_identifier.as_ref(),
            now: now(),
        })
    }

    /// C-08: whether the transport is offered, and a new connection may begin. One that lives may go
    /// on while the server stops.
    fn may(&self, asks: Asks, parts: &Parts, transport: Transport) -> Result<(), Refusal> {
        match asks {
            Asks::ToBegin => self.may_begin(parts, transport),
            Asks::ToGoOn => self.is_offered(transport),
        }
    }

    fn may_begin(&self, parts: &Parts, transport: Transport) -> Result<(), Refusal> {
        self.is_offered(transport)?;
        if self.is_stopping(parts) {
            return Err(Refusal::Stopping);
        }
        Ok(())
    }

    /// Whether the hub stops, or the server under which a request came. The first request of a
    /// server has the hub take part in its graceful stop.
    fn is_stopping(&self, parts: &Parts) -> bool {
        let registry = &self.hub.registry;
        let server = server_of(parts);
        if let Some(server) = server
            && registry.stopping.meets(server.id())
        {
            server.on_close(goodbye::to_clients_of(registry.clone(), server.id()));
        }
        registry.stopping.is_for(server.map(Connections::id))
    }

    fn is_offered(&self, transport: Transport) -> Result<(), Refusal> {
        let options = &self.options;
        if !options.endpoint.transports.contains(&transport) {
            return Err(Refusal::NotOffered(transport));
        }
        Ok(())
    }

    /// Runs a connection in a task of its own, which outlives the request that began it.
    fn spawn(
        &self,
        token: ConnectionToken,
        transport: impl Duplex + 'static,
        arrival: Box<Arrival>,
    ) {
        let in_use = self.in_use(token);
        let run = run(self.hub.clone(), transport, arrival);
        tokio::spawn(run.map(|()| drop(in_use)));
    }

    /// What a connection comes with, by the request that begins it.
    fn arrival(
        &self,
        id: ConnectionId,
        parts: &Parts,
        transport: Transport,
        reconnect: Reconnect,
    ) -> Box<Arrival> {
        Box::new(Arrival {
            request: Request::new(parts, transport),
            identity: self.hub.identity(id, parts),
            reconnect,
            options: self.options.clone(),
        })
    }

    fn in_use(&self, token: ConnectionToken) -> InUse {
        InUse {
            tokens: self.tokens.clone(),
            token,
        }
    }
}

/// SR-07: the socket is the connection's next one. Nothing is negotiated, and no hands are shaken.
fn resume(upgrade: Upgrade, parts: &Parts, reservation: Reservation) -> Response {
    let user = parts.extensions.get::<User>().cloned();
    upgrade.on_upgrade(move |ws: WebSocket| {
        reservation.come(ws, user);
        ready(())
    })
}

/// Runs a connection as its hub does: by the hub protocol, or by a plain handler.
fn run<S: Send + Sync + 'static>(
    hub: Arc<Shared<S>>,
    transport: impl Duplex + 'static,
    arrival: Box<Arrival>,
) -> impl Future<Output = ()> + Send {
    if hub.raw.is_some() {
        let run = async move {
            if let Some(handler) = &hub.raw {
                connection::raw::run(hub.clone(), transport, arrival, handler).await;
            }
        };
        return run.boxed().left_future();
    }
    connection::run(hub, transport, arrival).right_future()
}

/// A token whose connection lives.
struct InUse {
    tokens: Arc<Tokens>,
    token: ConnectionToken,
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.tokens.remove(&self.token);
    }
}

/// Whether something of a WebSocket's request is there: what is missing was lost on the way, or never
/// came.
fn would_be_upgrade(headers: &HeaderMap) -> bool {
    headers.contains_key(UPGRADE)
        || headers.contains_key(SEC_WEBSOCKET_KEY)
        || headers.contains_key(SEC_WEBSOCKET_VERSION)
}

/// SSE-01: the media type alone; with parameters .NET does not see it.
fn accepts_event_stream(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|media| media.trim().eq_ignore_ascii_case("text/event-stream"))
}
