//! fastwebsockets, upgraded through hyper as its own echo example does it.

use std::io;

use fastwebsockets::{FragmentCollector, OpCode, WebSocketError, upgrade};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::accept;

pub(crate) async fn serve(listener: TcpListener) -> io::Result<()> {
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
