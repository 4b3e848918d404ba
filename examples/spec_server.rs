//! Every feature of a hub, one method each: the contract that a real ASP.NET Core server serves
//! too, so that the two can be compared call by call. Written with the public API alone.
//!
//! Run it:     `cargo run --release --example spec_server`
//! Talk to it: any SignalR client, at `http://127.0.0.1:5001/spec`

mod spec;

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use axum::{
    Router,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::{get, post},
};
use clap::Parser;
use examples::{Error, ServerOptions, log, run_hubs};
use hub::{HubHandle, HubOptions, Transport, ignore_path_case};

/// The hub contract, every feature one method
#[derive(Parser)]
struct Options {
    /// The address to listen on
    #[arg(long, default_value = "127.0.0.1:5001")]
    listen: SocketAddr,
    #[command(flatten)]
    server: ServerOptions,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let options = Options::parse();
    log();
    let (app, handles) = app();
    run_hubs(options.listen, &options.server, app, handles).await
}

/// All endpoints of the contract.
fn app() -> (Router, Vec<HubHandle>) {
    let usual = spec::options();
    let hubs: [(&str, HubOptions); 5] = [
        ("/spec", usual.clone()),
        ("/spec-detailed", usual.clone().enable_detailed_errors(true)),
        (
            "/spec-parallel",
            usual.clone().maximum_parallel_invocations_per_client(4),
        ),
        (
            "/spec-nowebsockets",
            usual
                .clone()
                .transports([Transport::ServerSentEvents, Transport::LongPolling]),
        ),
        (
            "/spec-small",
            usual
                .clone()
                .maximum_receive_message_size(1024)
                .keep_alive_interval(Duration::from_secs(1))
                .client_timeout_interval(Duration::from_secs(3))
                .handshake_timeout(Duration::from_secs(1)),
        ),
    ];
    let mut app = Router::new();
    let mut handles = Vec::new();
    for (path, options) in hubs {
        let hub = spec::hub(options);
        handles.push(hub.handle());
        app = app.merge(hub.router(path));
    }
    let filtered = spec::hub(usual)
        .on_connected(async |cx| cx.caller().send("Received", ("connected",)))
        .filter(spec::SpecFilter);
    handles.push(filtered.handle());
    app = app.merge(filtered.router("/spec-filtered"));
    let (chat, bench) = (examples::chat_hub::hub(), examples::bench_hub::hub());
    handles.extend([chat.handle(), bench.handle()]);
    app = app
        .merge(chat.router("/chat"))
        .merge(bench.router("/bench"));
    app = app.merge(from_outside(handles[0].clone()));
    let paths = [
        "/spec",
        "/spec-detailed",
        "/spec-parallel",
        "/spec-nowebsockets",
        "/spec-small",
        "/spec-filtered",
        "/chat",
        "/bench",
    ];
    (ignore_path_case(app, &paths), handles)
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
        "client" => (*spec.client(of("to"))).clone(),
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
    match spec.groups().add(&connection, &group) {
        Ok(()) => StatusCode::OK,
        Err(_) => StatusCode::CONFLICT,
    }
}

async fn leave(State(spec): State<HubHandle>, Path((group, connection)): Path<(String, String)>) {
    spec.groups().remove(&connection, &group);
}

async fn ask(State(spec): State<HubHandle>, Path(connection): Path<String>) -> String {
    let answer = spec
        .client(connection)
        .invoke::<i32>("Result", (), Duration::from_secs(5))
        .await;
    answer.map_or_else(|error| error.to_string(), |answer| answer.to_string())
}
