//! yawc behind hyper, as its documentation shows it, without compression.

use futures_util::{SinkExt, StreamExt};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use yawc::{OpCode, Options, UpgradeFut, WebSocket, WebSocketError};

use super::{Endpoint, Peer, Serving, accept, echo_alone};
use crate::load::{Dialect, Work};

/// yawc behind hyper.
pub struct Yawc;

impl Peer for Yawc {
    fn name(&self) -> &'static str {
        "yawc"
    }

    fn about(&self) -> &'static str {
        "yawc behind hyper"
    }

    fn endpoint(&self, work: Work, dialect: Dialect) -> Option<Endpoint> {
        echo_alone(work, dialect)
    }

    fn serve(&self, listener: TcpListener) -> Serving {
        Box::pin(async move {
            loop {
                let stream = TokioIo::new(accept(&listener).await?);
                let service = service_fn(|mut request: Request<Incoming>| async move {
                    let options = Options::default().without_compression();
                    let (response, upgraded) =
                        WebSocket::upgrade_with_options(&mut request, options)?;
                    tokio::spawn(echo(upgraded));
                    Ok::<_, WebSocketError>(response)
                });
                tokio::spawn(
                    http1::Builder::new()
                        .serve_connection(stream, service)
                        .with_upgrades(),
                );
            }
        })
    }
}

async fn echo(upgraded: UpgradeFut) -> Result<(), WebSocketError> {
    let mut socket = upgraded.await?;
    while let Some(frame) = socket.next().await {
        if matches!(frame.opcode(), OpCode::Text | OpCode::Binary) {
            socket.send(frame).await?;
        }
    }
    Ok(())
}
