//! fastwebsockets, upgraded through hyper as its own echo example does it.

use fastwebsockets::{FragmentCollector, OpCode, WebSocketError, upgrade};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::{Endpoint, Peer, Serving, accept, echo_alone};
use crate::load::{Dialect, Work};

/// fastwebsockets behind hyper.
pub struct Fastwebsockets;

impl Peer for Fastwebsockets {
    fn name(&self) -> &'static str {
        "fastwebsockets"
    }

    fn about(&self) -> &'static str {
        "fastwebsockets behind hyper, as its echo example"
    }

    fn endpoint(&self, work: Work, dialect: Dialect) -> Option<Endpoint> {
        echo_alone(work, dialect)
    }

    fn serve(&self, listener: TcpListener) -> Serving {
        Box::pin(async move {
            loop {
                let stream = TokioIo::new(accept(&listener).await?);
                let service = service_fn(|mut request: Request<Incoming>| async move {
                    let (response, upgraded) = upgrade::upgrade(&mut request)?;
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

async fn echo(upgraded: upgrade::UpgradeFut) -> Result<(), WebSocketError> {
    let mut socket = FragmentCollector::new(upgraded.await?);
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
            _ => {}
        }
    }
}
