//! The byte stream under a WebSocket, after the HTTP server has let go of it.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::BytesMut;
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use crate::outbound::DirectWrite;

/// A byte stream that a [`WebSocket`](crate::WebSocket) can run on.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for S {}

/// The connection that an HTTP server gave up to us: a TCP socket where nothing sits between it
/// and us, or whatever else the server had, such as a TLS stream.
pub struct Upgraded {
    io: Io,
    /// Held for as long as the socket is: the connection's place among those that are counted.
    _slot: Option<Box<dyn Send>>,
}

enum Io {
    Tcp {
        read: OwnedReadHalf,
        write: Arc<TcpWrite>,
    },
    Other(Box<dyn Stream>),
}

/// The writing half of a socket, shared with publishers.
struct TcpWrite(OwnedWriteHalf);

impl Upgraded {
    /// A plain socket.
    pub(crate) fn tcp(stream: TcpStream, slot: Option<Box<dyn Send>>) -> Self {
        // Small replies must not wait for the peer's delayed acknowledgements (Nagle).
        let _ = stream.set_nodelay(true);
        let (read, write) = stream.into_split();
        Self {
            io: Io::Tcp {
                read,
                write: Arc::new(TcpWrite(write)),
            },
            _slot: slot,
        }
    }

    /// Any other stream.
    pub(crate) fn other(stream: impl Stream, slot: Option<Box<dyn Send>>) -> Self {
        Self {
            io: Io::Other(Box::new(stream)),
            _slot: slot,
        }
    }

    /// Takes over from hyper: the stream, and what came behind the request.
    pub(crate) fn from_hyper(upgraded: hyper::upgrade::Upgraded) -> (Self, BytesMut) {
        let upgraded = match downcast::<TcpStream>(upgraded) {
            Ok((stream, read_ahead)) => return (Self::tcp(stream, None), read_ahead),
            Err(upgraded) => upgraded,
        };
        #[cfg(feature = "serve")]
        let upgraded = match downcast::<crate::serve::Accepted>(upgraded) {
            Ok((accepted, read_ahead)) => return (accepted.into_upgraded(), read_ahead),
            Err(upgraded) => upgraded,
        };
        (Self::other(TokioIo::new(upgraded), None), BytesMut::new())
    }

    pub(crate) fn direct(&self) -> Option<Arc<dyn DirectWrite>> {
        match &self.io {
            Io::Tcp { write, .. } => Some(write.clone()),
            Io::Other(_) => None,
        }
    }
}

fn downcast<T>(
    upgraded: hyper::upgrade::Upgraded,
) -> Result<(T, BytesMut), hyper::upgrade::Upgraded>
where
    T: Stream,
{
    let parts = upgraded.downcast::<TokioIo<T>>()?;
    Ok((parts.io.into_inner(), parts.read_buf.into()))
}

impl DirectWrite for TcpWrite {
    fn try_write(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match pieces {
            [one] => self.0.try_write(one),
            several => self.0.try_write_vectored(several),
        }
    }

    fn abort(&self) {
        let _ = SockRef::from(self.0.as_ref()).shutdown(std::net::Shutdown::Both);
    }
}

impl TcpWrite {
    fn poll_try_write(
        &self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            std::task::ready!(self.0.as_ref().poll_write_ready(cx))?;
            match self.try_write(pieces) {
                // The readiness was stale and is cleared now.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }
}

impl AsyncRead for Upgraded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Tcp { read, .. } => Pin::new(read).poll_read(cx, buf),
            Io::Other(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Upgraded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Tcp { write, .. } => write.poll_try_write(cx, &[IoSlice::new(bytes)]),
            Io::Other(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Tcp { write, .. } => write.poll_try_write(cx, pieces),
            Io::Other(stream) => Pin::new(stream).poll_write_vectored(cx, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Tcp { .. } => true,
            Io::Other(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Tcp { .. } => Poll::Ready(Ok(())),
            Io::Other(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Tcp { write, .. } => {
                Poll::Ready(SockRef::from(write.0.as_ref()).shutdown(std::net::Shutdown::Write))
            }
            Io::Other(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

impl std::fmt::Debug for Upgraded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.io {
            Io::Tcp { .. } => "tcp",
            Io::Other(_) => "other",
        };
        f.debug_tuple("Upgraded").field(&kind).finish()
    }
}
