//! Every feature of a hub, one method each: the contract that a real ASP.NET Core server serves
//! too, so that the two can be compared call by call. Written with the public API alone.
//!
//! Run it:     `cargo run --release --example spec_server`
//! Talk to it: any SignalR client, at `http://127.0.0.1:5001/spec`

/// The contract itself, which the tests of `hub` replay recorded conversations with.
#[path = "../hub/tests/support/spec/mod.rs"]
mod spec;

use std::net::SocketAddr;

use axum::Router;
use clap::Parser;
use examples::{Error, ServerOptions, bench_hub, chat_hub, observe, run};

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
    observe()?;
    let others = Router::new()
        .merge(chat_hub::hub().router("/chat"))
        .merge(bench_hub::hub().router("/bench"));
    let app = spec::endpoints::app(others, &["/chat", "/bench"]);
    run(options.listen, &options.server, app).await
}
