//! The workbench: the raw layer and the hub in one process on one port, and a page that compares
//! them live.
//!
//! Run it:     `cargo run --release`
//! Talk to it: the page at `http://127.0.0.1:8080/`, or any client at the paths below
//!
//! | path | serves |
//! |---|---|
//! | `/` | the page |
//! | `/raw/echo`, `/raw/fanout`, `/raw/stream` | plain WebSocket messages |
//! | `/raw/wire` | the binary protocol: the operations of `raw_server`, a chat, and a counter at topic 2 |
//! | `/hub` | the hub, over each transport, in both protocols: what the benchmarks call, and a chat |
//! | `/cut/NAME/…` | each of these through a relay, and `POST /cut/NAME` cuts what goes through it |
//! | `/healthz`, `/readyz`, `/metrics` | for whoever watches it |

mod chat;
mod hub;
mod page;
mod race;
mod relay;
mod usage;

use std::{
    net::SocketAddr,
    path::PathBuf,
    process::{ExitCode, exit},
    sync::Arc,
};

use clap::Parser;
use examples::{Error, Listening, ServerOptions, observe, raw_layer, say, tell};
use raw_ws::Config;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Both layers in one process, and a page that compares them live
#[derive(Parser)]
#[command(version)]
struct Options {
    /// The address to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Open the page in the browser
    #[arg(long)]
    open: bool,
    /// Where `npm ci` has been run for the official client, one more lane of the page
    #[arg(long, value_name = "DIR", default_value = "examples/web")]
    npm: PathBuf,
    /// End with the process that writes to standard input: for a copy that a race measures
    #[arg(long, hide = true)]
    until_stdin_ends: bool,
    #[command(flatten)]
    server: ServerOptions,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<(), Error> {
    observe()?;
    if options.until_stdin_ends {
        std::thread::spawn(|| {
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            exit(0);
        });
    }
    let listening = Listening::at(options.listen, &options.server).await?;
    let config = Arc::new(Config::new());
    let wire = Arc::new(chat::chat(raw_layer::wire_server()));
    let hub = hub::hub(hub::Workbench::new(listening.address()));
    tokio::spawn(hub::count(hub.handle(), wire.clone()));
    let app = raw_layer::messages("/raw", &config)
        .merge(raw_layer::binary_protocol("/raw/wire", wire, &config))
        .merge(usage::metered(hub.router("/hub")))
        .merge(relay::router(listening.address()))
        .merge(page::router(&options.npm));
    announce(&listening.url());
    if options.open {
        open_browser(listening.url());
    }
    listening.serve(app).await
}

fn announce(url: &str) {
    let socket = examples::websocket_url(url);
    say!("listening on {url}");
    say!();
    say!("  the page            {url}/");
    say!("  raw messages        {socket}/raw/echo  /raw/fanout  /raw/stream");
    say!("  the binary protocol {socket}/raw/wire");
    say!("  the hub             {url}/hub");
    say!("  for who watches it  {url}/healthz  /readyz  /metrics");
    say!();
    say!("Ctrl-C stops it.");
}

/// Not awaited: some browsers only return when they are closed.
fn open_browser(url: String) {
    std::thread::spawn(move || {
        if let Err(error) = open::that_detached(&url) {
            tell!("cannot open a browser ({error}): {url}");
        }
    });
}
