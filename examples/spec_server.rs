//! Every feature of a hub, one method each: the contract that a real ASP.NET Core server serves
//! too, so that the two can be compared call by call. Written with the public API alone.
//!
//! Run it:     `cargo run --release --example spec_server`
//! Talk to it: any SignalR client, at `http://127.0.0.1:5001/spec`

/// The contract itself, which the tests of `hub` replay recorded conversations with.
#[path = "../hub/tests/support/spec/mod.rs"]
mod spec;

use std::net::SocketAddr;

use clap::Parser;
use examples::{Error, ServerOptions, bench_hub, chat_hub, log, run_hubs};

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
    let (chat, bench) = (chat_hub::hub(), bench_hub::hub());
    let mut handles = vec![chat.handle(), bench.handle()];
    let others = chat.router("/chat").merge(bench.router("/bench"));
    let (app, more) = spec::endpoints::app(others, &["/chat", "/bench"]);
    handles.extend(more);
    run_hubs(options.listen, &options.server, app, handles).await
}
