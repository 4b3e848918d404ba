//! The raw layer alone: an echo, a fan-out, streams, and the binary protocol.
//!
//! Run it:
//!
//! ```text
//! cargo run --release --example raw_server
//! ```
//!
//! Talk to it: `cargo run --release --example raw_client -- echo`, or any WebSocket client.
//!
//! | path | does |
//! |---|---|
//! | `/echo` | returns every message as it came |
//! | `/fanout` | sends every message to every connection of this path, the sender included |
//! | `/stream` | takes a count and a size, two u32, and sends that many messages of that size |
//! | `/wire` | the binary protocol: 1 echo, 2 add, 3 clock, 4 fail, 5 items, and topics |
//! | `/` | a page that says how to talk to it |
//! | `/healthz`, `/readyz`, `/metrics` | for whoever watches it |

use std::{net::SocketAddr, sync::Arc};

use clap::Parser;
use examples::{Error, ServerOptions, raw_layer};
use raw_ws::{Config, Deflate};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The raw layer alone: /echo, /fanout, /stream and the binary protocol at /wire
#[derive(Debug, Parser)]
struct Options {
    /// Where to listen
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9001")]
    listen: SocketAddr,
    /// The largest message taken, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 64 * 1024)]
    max_message_size: usize,
    /// The most fragments a message may come in
    #[arg(long, value_name = "N", default_value_t = 128)]
    max_fragments: usize,
    /// Compress messages where the client offers it (permessage-deflate)
    #[arg(long)]
    deflate: bool,
    #[command(flatten)]
    server: ServerOptions,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let options = Options::parse();
    examples::observe()?;
    let config = Config::new()
        .max_message_size(options.max_message_size)
        .max_fragments(options.max_fragments)
        .deflate(options.deflate.then(Deflate::new));
    let config = Arc::new(config);
    let wire = Arc::new(raw_layer::wire_server());
    let wire = raw_layer::binary_protocol("/wire", wire, &config);
    let app = raw_layer::messages("", &config)
        .merge(wire)
        .merge(examples::page(include_str!("pages/raw_server.html")));
    examples::run(options.listen, &options.server, app).await
}
