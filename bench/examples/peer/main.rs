//! One server to compare with, chosen by name: the limit of the machine (raw TCP, a bare epoll
//! loop) or a WebSocket library as its documentation shows it, and tuned.
//!
//! ```text
//! cargo run --profile measured -p bench --example peer -- tungstenite --listen 127.0.0.1:9001
//! cargo run --profile measured -p bench --example load -- echo --url ws://127.0.0.1:9001/echo
//! ```
//!
//! Nagle's algorithm is off everywhere. The asynchronous peers run on tokio's multi-thread runtime
//! with as many workers as the process has cores, so pinning one to a core gives it one worker.

mod axum_echo;
mod epoll_fan_out;
mod fastwebsockets_echo;
mod raw_tcp;
mod tungstenite;

use std::{io, net::SocketAddr};

use bench::say;
use clap::{Parser, ValueEnum};
use tokio::net::{TcpListener, TcpStream};

/// The allocator of our example servers: the comparison is of servers, not of allocators.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Serves one of the servers that the benchmarks compare with.
#[derive(Parser)]
struct Options {
    /// Which server.
    name: Name,
    /// Where to listen; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:9001")]
    listen: SocketAddr,
}

#[derive(Clone, Copy, ValueEnum)]
enum Name {
    /// Bytes back as they came, without HTTP: the limit of an echo.
    RawTcp,
    /// A single-threaded epoll loop that sends each message to every connection: the limit of a
    /// fan-out.
    EpollFanOut,
    /// tokio-tungstenite as its examples show it: /echo and /fanout.
    Tungstenite,
    /// tokio-tungstenite with small buffers and one flush per batch: /echo and /fanout.
    TungsteniteTuned,
    /// axum's `ws` with defaults: /echo.
    Axum,
    /// fastwebsockets behind hyper: /echo.
    Fastwebsockets,
}

fn main() -> io::Result<()> {
    let options = Options::parse();
    if let Name::EpollFanOut = options.name {
        return epoll_fan_out::serve(options.listen);
    }
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(serve(options))
}

async fn serve(options: Options) -> io::Result<()> {
    let listener = TcpListener::bind(options.listen).await?;
    say!("listening on {}", listener.local_addr()?);
    match options.name {
        Name::RawTcp => raw_tcp::serve(listener).await,
        Name::Tungstenite => tungstenite::serve(listener, tungstenite::Style::Default).await,
        Name::TungsteniteTuned => tungstenite::serve(listener, tungstenite::Style::Tuned).await,
        Name::Axum => axum_echo::serve(listener).await,
        Name::Fastwebsockets => fastwebsockets_echo::serve(listener).await,
        Name::EpollFanOut => unreachable!("served before the runtime was started"),
    }
}

/// The next connection, with Nagle's algorithm off.
async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
