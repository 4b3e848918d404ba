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

use std::{cell::RefCell, net::SocketAddr};

use axum::Router;
use clap::Parser;
use examples::{Error, ServerOptions, bench_hub, chat_hub, observe, run_when};
use hub::{Hub, Servers, backplane::Redis};

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
    let servers = cluster.servers.into_inner();
    let is_ready = move || servers.iter().all(Servers::are_ready);
    run_when(options.listen, &options.server, app, is_ready).await
}

/// The other servers of the contract.
struct Cluster {
    redis: Option<Redis>,
    prefix: String,
    /// As each hub sees them.
    servers: RefCell<Vec<Servers>>,
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
            servers: RefCell::default(),
        })
    }

    /// Makes a hub one with those of the same class on them.
    fn join<S: Send + Sync + 'static>(&self, hub: Hub<S>, class: &str) -> Hub<S> {
        let Some(redis) = &self.redis else {
            return hub;
        };
        self.servers.borrow_mut().push(hub.handle().servers());
        hub.backplane(redis.channel_prefix(format!("{}Peer.{class}", self.prefix)))
    }
}
