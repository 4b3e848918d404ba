//! Every feature of a hub, one method each: the contract that a real ASP.NET Core server serves
//! too, so that the two can be compared call by call. Written with the public API alone.
//!
//! Run it:     `cargo run --release --example spec_server`
//!             `cargo run --release --example spec_server -- --redis redis://127.0.0.1:6379` (several
//!             of them, and of the real one, are one server)
//! Talk to it: any SignalR client, at `http://127.0.0.1:5001/spec`

/// The contract itself, which the tests of `hub` replay recorded conversations with.
#[path = "../hub/tests/support/spec/mod.rs"]
mod spec;

use std::{cell::RefCell, collections::HashMap, net::SocketAddr, time::Duration};

use axum::{
    Router,
    extract::{Path, State},
    routing::get,
};
use clap::Parser;
use examples::{Error, ServerOptions, bench_hub, chat_hub, observe, run_when};
use hub::{Everywhere, Hub, HubHandle, backplane::Redis};
use serde::Serialize;
use serde_json::json;

/// How long somebody who is present may be away.
const DEBOUNCE: Duration = Duration::from_secs(3);

/// The hub contract, every feature one method
#[derive(Parser)]
struct Options {
    /// The address to listen on
    #[arg(long, default_value = "127.0.0.1:5001")]
    listen: SocketAddr,
    /// The Redis by which it is one with other servers of the contract, as redis://HOST:PORT
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
    /// What the names of its channels begin with, before the hubs' own
    #[arg(long, value_name = "NAME", default_value = "", requires = "redis")]
    redis_prefix: String,
    #[command(flatten)]
    server: ServerOptions,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let options = Options::parse();
    observe()?;
    let cluster = Cluster::of(&options).await?;
    let others = Router::new()
        .merge(cluster.join(chat_hub::hub(), "ChatHub").router("/chat"))
        .merge(cluster.join(bench_hub::hub(), "BenchHub").router("/bench"));
    let join = |hub, class: &str| cluster.join(hub, class);
    let app = spec::endpoints::app(others, &["/chat", "/bench"], &join);
    let app = app.merge(cluster.questions());
    let hubs = cluster.hubs.into_inner();
    let is_ready = move || hubs.values().all(|hub| hub.servers().are_ready());
    run_when(options.listen, &options.server, app, is_ready).await
}

async fn online(State(spec): State<HubHandle>) -> String {
    json(&spec.servers().connections().await)
}

async fn members(State(spec): State<HubHandle>, Path(group): Path<String>) -> String {
    json(&spec.servers().members(&group).await)
}

fn json<T: Serialize>(everywhere: &Everywhere<T>) -> String {
    let Everywhere {
        value,
        servers,
        silent,
        ..
    } = everywhere;
    json!({ "value": value, "servers": servers, "silent": silent }).to_string()
}

async fn present(State(spec): State<HubHandle>, Path(group): Path<String>) -> String {
    let present = spec.presence().map(|presence| presence.members(&group));
    let names: Vec<String> = present
        .into_iter()
        .flatten()
        .map(|who| who.to_string())
        .collect();
    json!(names).to_string()
}

/// The other servers of the contract.
struct Cluster {
    redis: Option<Redis>,
    prefix: String,
    /// By their classes.
    hubs: RefCell<HashMap<String, HubHandle>>,
}

impl Cluster {
    async fn of(options: &Options) -> Result<Self, Error> {
        let redis = match &options.redis {
            Some(url) => Some(Redis::connect(url).await?),
            None => None,
        };
        let prefix = options.redis_prefix.clone();
        Ok(Self {
            redis,
            prefix,
            hubs: RefCell::default(),
        })
    }

    /// Makes a hub one with those of the same class on them.
    fn join<S: Send + Sync + 'static>(&self, hub: Hub<S>, class: &str) -> Hub<S> {
        let Some(redis) = &self.redis else {
            return hub;
        };
        self.hubs
            .borrow_mut()
            .insert(class.to_owned(), hub.handle());
        hub.presence(DEBOUNCE)
            .backplane(redis.channel_prefix(format!("{}Peer.{class}", self.prefix)))
    }

    /// What the contract does not have: who is where, on all servers.
    fn questions(&self) -> Router {
        let Some(spec) = self.hubs.borrow().get("SpecHub").cloned() else {
            return Router::new();
        };
        Router::new()
            .route("/cluster/online", get(online))
            .route("/cluster/members/{group}", get(members))
            .route("/cluster/present/{group}", get(present))
            .with_state(spec)
    }
}
