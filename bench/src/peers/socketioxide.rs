//! socketioxide on axum, with defaults but for the pings: a Socket.IO server with the methods that our hub has.

use std::time::Duration;

use axum::{Router, serve::ListenerExt};
use socketioxide::{
    SocketIo,
    extract::{AckSender, Data, SocketRef},
};
use tokio::net::TcpListener;

use super::{Endpoint, Peer, Serving};
use crate::{
    exchange::SOCKET_IO,
    load::{Dialect, Work},
};

/// socketioxide on axum.
pub struct Socketioxide;

impl Socketioxide {
    fn app() -> Router {
        // The first comes as soon as somebody has; a client that only counts bytes knows no others.
        let (layer, io) = SocketIo::builder().ping_interval(NEVER).build_layer();
        io.ns("/", async |socket: SocketRef| {
            // What cannot be sent belongs to a connection that has gone.
            socket.on("Echo", async |Data::<String>(text), ack: AckSender| {
                let _ = ack.send(&text);
            });
            socket.on(
                "Join",
                async |socket: SocketRef, Data::<String>(room), ack: AckSender| {
                    socket.join(room);
                    let _ = ack.send(&());
                },
            );
            socket.on(
                "Broadcast",
                async |io: SocketIo, Data::<(String, String)>((room, text))| {
                    let _ = io.to(room).emit("Received", &text).await;
                },
            );
        });
        Router::new().layer(layer)
    }
}

impl Peer for Socketioxide {
    fn name(&self) -> &'static str {
        "socketioxide"
    }

    fn about(&self) -> &'static str {
        "socketioxide, a Socket.IO server, on axum"
    }

    fn endpoint(&self, work: Work, dialect: Dialect) -> Option<Endpoint> {
        let is_its_work = matches!(work, Work::Echo | Work::FanOut);
        (is_its_work && dialect == Dialect::SocketIo).then_some(Endpoint::WebSocket(SOCKET_IO))
    }

    fn serve(&self, listener: TcpListener) -> Serving {
        Box::pin(async {
            let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
            axum::serve(listener, Self::app()).await
        })
    }
}

/// Between two pings.
const NEVER: Duration = Duration::from_secs(24 * 60 * 60);
