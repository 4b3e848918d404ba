//! The servers that are measured: ours, the libraries to compare them with, and the limits of the
//! machine, one file each.
//!
//! A benchmark runs one on a thread of its own, the example `peer` as a process. Nagle's algorithm
//! is off everywhere.

mod axum;
mod epoll_fan_out;
mod fastwebsockets;
mod hub;
mod raw_tcp;
mod raw_ws;
mod socketioxide;
mod tokio_websockets;
mod tungstenite;
mod yawc;

use std::{io, net::SocketAddr, pin::Pin};

use tokio::net::{TcpListener, TcpStream};

pub use self::{
    axum::Axum,
    epoll_fan_out::EpollFanOut,
    fastwebsockets::Fastwebsockets,
    hub::Hub,
    raw_tcp::{RawTcp, RawTcpAsked},
    raw_ws::RawWs,
    socketioxide::Socketioxide,
    tokio_websockets::TokioWebsockets,
    tungstenite::{TunedTungstenite, Tungstenite},
    yawc::Yawc,
};
use crate::load::{Dialect, Target, Work};

/// A server that can be measured.
pub trait Peer: Sync {
    /// What it is called in tables, and on the command line of the example `peer`.
    fn name(&self) -> &'static str;

    /// What it is, in a few words.
    fn about(&self) -> &'static str;

    /// Where it does this work for who speaks so; `None` when it does not.
    fn endpoint(&self, work: Work, dialect: Dialect) -> Option<Endpoint>;

    /// Serves whoever connects, until the future is dropped.
    fn serve(&self, listener: TcpListener) -> Serving;
}

/// A server that runs.
pub type Serving = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// Where a server does a work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Anywhere, without HTTP.
    RawTcp,
    /// By WebSocket, at this path.
    WebSocket(&'static str),
}

impl Endpoint {
    /// The endpoint of a server that listens there.
    pub fn at(self, address: SocketAddr) -> Target {
        match self {
            Self::RawTcp => Target::raw_tcp(address),
            Self::WebSocket(path) => Target::web_socket(address, path),
        }
    }
}

/// All of them, in the order of the tables: the limits first, ours next.
pub const ALL: [&dyn Peer; 12] = [
    &RawTcp,
    &RawTcpAsked,
    &EpollFanOut,
    &RawWs,
    &Hub,
    &TunedTungstenite,
    &Tungstenite,
    &TokioWebsockets,
    &Fastwebsockets,
    &Yawc,
    &Axum,
    &Socketioxide,
];

/// The one of this name.
pub fn named(name: &str) -> Option<&'static dyn Peer> {
    ALL.into_iter().find(|peer| peer.name() == name)
}

/// `/echo`, for binary messages: what a library's own echo example does.
fn echo_alone(work: Work, dialect: Dialect) -> Option<Endpoint> {
    match (work, dialect) {
        (Work::Echo, Dialect::Messages | Dialect::HubBytes(_)) => {
            Some(Endpoint::WebSocket("/echo"))
        }
        _ => None,
    }
}

/// The same, and `/fanout`.
fn echo_and_fan_out(work: Work, dialect: Dialect) -> Option<Endpoint> {
    match (work, dialect) {
        (Work::FanOut, Dialect::Messages | Dialect::HubBytes(_)) => {
            Some(Endpoint::WebSocket("/fanout"))
        }
        _ => echo_alone(work, dialect),
    }
}

/// The next connection, with Nagle's algorithm off.
async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
