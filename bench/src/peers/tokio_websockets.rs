//! tokio-websockets, as its own echo example drives it.

use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_websockets::{Config, Error, Limits, ServerBuilder};

use super::{Endpoint, Peer, Serving, accept, echo_alone};
use crate::load::{Dialect, Work};

/// tokio-websockets.
pub struct TokioWebsockets;

impl Peer for TokioWebsockets {
    fn name(&self) -> &'static str {
        "tokio-websockets"
    }

    fn about(&self) -> &'static str {
        "tokio-websockets, as its echo example"
    }

    fn endpoint(&self, work: Work, dialect: Dialect) -> Option<Endpoint> {
        echo_alone(work, dialect)
    }

    fn serve(&self, listener: TcpListener) -> Serving {
        Box::pin(async move {
            loop {
                tokio::spawn(tokio::task::unconstrained(echo(accept(&listener).await?)));
            }
        })
    }
}

async fn echo(stream: TcpStream) -> Result<(), Error> {
    let (_request, mut socket) = ServerBuilder::new()
        .config(Config::default().frame_size(usize::MAX))
        .limits(Limits::unlimited())
        .accept(stream)
        .await?;
    while let Some(message) = socket.next().await {
        let message = message?;
        if message.is_text() || message.is_binary() {
            socket.send(message).await?;
        }
    }
    Ok(())
}
