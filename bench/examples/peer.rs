//! One of the servers that the benchmarks compare, chosen by name: a limit of the machine (raw TCP,
//! a bare epoll loop), a library as its documentation shows it, or ours in a few lines.
//!
//! ```text
//! cargo run --profile measured -p bench --example peer -- tungstenite --listen 127.0.0.1:9001
//! cargo run --profile measured -p bench --example load -- echo --url ws://127.0.0.1:9001/echo
//! ```
//!
//! They run on tokio's multi-thread runtime with as many workers as the process has cores, so
//! pinning one to a core gives it one worker.

use std::{io, net::SocketAddr};

use bench::{
    peers::{self, Peer},
    say,
};
use clap::{
    Parser,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
};
use tokio::net::TcpListener;

/// The allocator of our example servers: the comparison is of servers, not of allocators.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Serves one of the servers that the benchmarks compare.
#[derive(Parser)]
struct Options {
    /// Which server.
    #[arg(value_parser = names())]
    name: String,
    /// Where to listen; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:9001")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let options = Options::parse();
    let peer = peers::named(&options.name).expect("clap takes no other name");
    let listener = TcpListener::bind(options.listen).await?;
    say!("listening on {}", listener.local_addr()?);
    peer.serve(listener).await
}

fn names() -> impl TypedValueParser<Value = String> {
    let named = |peer: &dyn Peer| PossibleValue::new(peer.name()).help(peer.about());
    PossibleValuesParser::new(peers::ALL.map(named))
}
