//! A hub server: a chat with rooms, and the methods the benchmarks call.
//!
//! Run it:     `cargo run --release --example hub_server`
//! Talk to it: `cargo run --release --example hub_chat_client -- --user Ann --room lobby`, or any
//!             SignalR client, at `http://127.0.0.1:5000/chat`; the page at `http://127.0.0.1:5000/`
//!             says more

use std::net::SocketAddr;

use axum::Router;
use clap::Parser;
use examples::{Error, ServerOptions, bench_hub, chat_hub, observe, page, run};
use hub::ignore_path_case;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A SignalR server with two hubs: /chat and /bench
#[derive(Parser)]
#[command(version)]
struct Options {
    /// The address to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:5000")]
    listen: SocketAddr,
    #[command(flatten)]
    server: ServerOptions,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let options = Options::parse();
    observe()?;
    let app = Router::new()
        .merge(chat_hub::hub().router("/chat"))
        .merge(bench_hub::hub().router("/bench"))
        .merge(page(include_str!("pages/hub_server.html")));
    let app = ignore_path_case(app, &["/chat", "/bench"]);
    run(options.listen, &options.server, app).await
}
