//! An accepted connection: its bytes, plain or by TLS, and its place among the other connections.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::{Tls, head::Heads, slots::Slot};
use crate::upgraded::{self, Parts, Stream, Upgraded, downcast};

/// An accepted connection as long as it speaks HTTP.
pub(super) struct Accepted {
    io: Io,
    slot: Arc<Mutex<Slot>>,
    heads: Heads,
}

enum Io {
    Tcp(TcpStream),
    #[cfg(feature = "tls")]
    Tls(Box<tokio_rustls::server::TlsStream<TcpStream>>),
}

impl Accepted {
    /// Shakes hands, if by TLS. `None` if the client does not.
    pub(super) async fn new(
        stream: TcpStream,
        tls: Tls,
        slot: Arc<Mutex<Slot>>,
        heads: Heads,
        head_timeout: Duration,
    ) -> Option<Self> {
        let _ = stream.set_nodelay(true);
        let io = match tls {
            None => Io::Tcp(stream),
            #[cfg(feature = "tls")]
            Some(acceptor) => {
                let handshake = tokio::time::timeout(head_timeout, acceptor.accept(stream));
                Io::Tls(Box::new(handshake.await.ok()?.ok()?))
            }
        };
        let _ = head_timeout; // without TLS there is nothing to wait for
        Some(Self { io, slot, heads })
    }

    /// The stream of an upgraded connection, which keeps the connection's place.
    pub(super) fn take(
        upgraded: hyper::upgrade::Upgraded,
    ) -> Result<Parts, hyper::upgrade::Upgraded> {
        let (accepted, read_ahead) = downcast::<Self>(upgraded)?;
        let slot: Option<upgraded::Slot> = Some(accepted.slot);
        let (stream, direct) = match accepted.io {
            Io::Tcp(stream) => Upgraded::tcp(stream, slot),
            #[cfg(feature = "tls")]
            Io::Tls(stream) => Upgraded::other(*stream, slot),
        };
        Ok((stream, direct, read_ahead))
    }

    fn stream(&mut self) -> Pin<&mut dyn Stream> {
        match &mut self.io {
            Io::Tcp(stream) => Pin::new(stream),
            #[cfg(feature = "tls")]
            Io::Tls(stream) => Pin::new(&mut **stream),
        }
    }
}

impl AsyncRead for Accepted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let filled = buf.filled().len();
        std::task::ready!(self.stream().poll_read(cx, buf))?;
        self.heads.look(&buf.filled()[filled..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Accepted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(cx)
    }
}
