//! Where the contract's hubs are, each with the options that it shows, and what reaches them from
//! outside.

use std::{collections::HashMap, time::Duration};

use axum::{
    Router,
    extract::{Path, Query, Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::Response,
    routing::{get, post},
};
use hub::{Hub, HubHandle, HubOptions, Transport, ignore_path_case};
use serde::Deserialize;
use tower::{Layer as _, ServiceExt as _};
use tower_http::cors::CorsLayer;

use super::jwt::Keys;

/// All endpoints of the contract, and others beside them. Each hub is made one of several servers by
/// `join`, which is told the name of its class in the .NET contract.
pub(crate) fn app(others: Router, their_paths: &[&str], join: &dyn Fn(Hub, &str) -> Hub) -> Router {
    let usual = super::options();
    let hubs: [(&str, &str, HubOptions); 6] = [
        ("/spec", "SpecHub", usual.clone()),
        (
            "/spec-detailed",
            "DetailedHub",
            usual.clone().enable_detailed_errors(true),
        ),
        (
            "/spec-parallel",
            "ParallelHub",
            usual.clone().maximum_parallel_invocations_per_client(4),
        ),
        (
            "/spec-stateful",
            "StatefulHub",
            usual.clone().allow_stateful_reconnects(true),
        ),
        (
            "/spec-nowebsockets",
            "NoWebSocketsHub",
            usual
                .clone()
                .transports([Transport::ServerSentEvents, Transport::LongPolling]),
        ),
        (
            "/spec-small",
            "SmallHub",
            usual
                .clone()
                .maximum_receive_message_size(1024)
                .keep_alive_interval(Duration::from_secs(1))
                .client_timeout_interval(Duration::from_secs(3))
                .handshake_timeout(Duration::from_secs(1)),
        ),
    ];
    let mut app = others;
    let mut paths = their_paths.to_vec();
    let mut first = None;
    for (path, class, options) in hubs {
        let hub = join(super::hub(options), class);
        first.get_or_insert_with(|| hub.handle());
        app = app.merge(hub.router(path));
        paths.push(path);
    }
    let filtered = join(super::hub(usual), "FilteredHub")
        .on_connected(async |cx| cx.caller().send("Received", ("connected",)))
        .filter(super::SpecFilter);
    app = app.merge(filtered.router("/spec-filtered"));
    paths.push("/spec-filtered");
    let keys = Keys::new(b"a key only for tests, known to everybody");
    let expiring = super::options().close_on_authentication_expiration(true);
    let refreshed = expiring.clone().authentication_refresh(true);
    for (path, class, options) in [
        ("/spec-auth", "AuthorizedHub", expiring),
        ("/spec-refresh", "RefreshedHub", refreshed),
    ] {
        let hub = join(authorized(options), class);
        app = app.merge(hub.router(path).layer(keys.bearer()));
        paths.push(path);
    }
    app = app.merge(Router::new().route("/token", get(token)).with_state(keys));
    app = app.merge(first.map_or_else(Router::new, from_outside));
    ignore_path_case(app, &paths).layer(middleware::from_fn(cors))
}

/// The contract for users with a token.
fn authorized(options: HubOptions) -> Hub {
    super::hub(options)
        .method("AdminsOnly", async |_| Ok("welcome"))
        .authorize("AdminsOnly", |cx| {
            let user = cx.current_user();
            user.is_some_and(|user| user.is_in_role("admin"))
        })
        .require_user()
}

#[derive(Deserialize)]
struct Wanted {
    user: String,
    role: Option<String>,
    seconds: Option<u64>,
}

async fn token(
    State(keys): State<Keys>,
    Query(wanted): Query<Wanted>,
) -> Result<String, StatusCode> {
    let lifetime = Duration::from_secs(wanted.seconds.unwrap_or(3600));
    let token = keys.token(&wanted.user, wanted.role.as_deref(), lifetime);
    token.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

/// Pages of any origin may call, with credentials. An app just has the `CorsLayer` around
/// its hubs; the contract says nothing where no origin was named, and there answers OPTIONS as ever.
async fn cors(request: Request, next: Next) -> Response {
    if !request.headers().contains_key(header::ORIGIN) {
        return next.run(request).await;
    }
    let answer = CorsLayer::very_permissive().layer(next).oneshot(request);
    answer.await.unwrap_or_else(|never| match never {})
}

/// What background tasks and HTTP handlers do with a hub's handle.
fn from_outside(spec: HubHandle) -> Router {
    Router::new()
        .route("/context/{target}", post(send))
        .route(
            "/context/group/{group}/{connection}",
            post(join).delete(leave),
        )
        .route("/context/ask/{connection}", get(ask))
        .with_state(spec)
}

async fn send(
    State(spec): State<HubHandle>,
    Path(target): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> StatusCode {
    let of = |key: &str| query.get(key).map_or("", String::as_str);
    let several = |key: &str| -> Vec<String> {
        let names = of(key).split(',').filter(|name| !name.is_empty());
        names.map(str::to_owned).collect()
    };
    let clients = match target.as_str() {
        "all" => spec.all_except(several("except")),
        "client" => spec.clients_of([of("to")]),
        "clients" => spec.clients_of(several("to")),
        "group" => spec.group_except(of("to"), several("except")),
        "groups" => spec.groups_of(several("to")),
        "user" => spec.user(of("to")),
        "users" => spec.users(several("to")),
        _ => return StatusCode::NOT_FOUND,
    };
    match clients.send("Received", (of("text"),)) {
        Ok(()) => StatusCode::NO_CONTENT,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

async fn join(
    State(spec): State<HubHandle>,
    Path((group, connection)): Path<(String, String)>,
) -> StatusCode {
    changed(&spec.groups().add_and_wait(&connection, &group).await)
}

async fn leave(
    State(spec): State<HubHandle>,
    Path((group, connection)): Path<(String, String)>,
) -> StatusCode {
    changed(&spec.groups().remove_and_wait(&connection, &group).await)
}

fn changed(done: &hub::Result<()>) -> StatusCode {
    match done {
        Ok(()) => StatusCode::OK,
        Err(_) => StatusCode::CONFLICT,
    }
}

async fn ask(State(spec): State<HubHandle>, Path(connection): Path<String>) -> String {
    let answer = spec
        .client(connection)
        .invoke_within::<i32>("Result", (), Duration::from_secs(5))
        .await;
    answer.map_or_else(|error| error.to_string(), |answer| answer.to_string())
}
