//! The byte stream under a WebSocket, after the HTTP server has let go of it.

use std::{
    any::Any,
    fmt,
    io::{self, IoSlice},
    net::Shutdown,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
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

use crate::stream::tcp;

/// A byte stream that a [`WebSocket`](crate::WebSocket) can run on.
pub trait ByteStream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> ByteStream for S {}

/// A stream that may run on a socket, which is known then.
pub(crate) trait OnSocket: ByteStream {
    /// The socket below.
    fn socket(&self) -> Option<&TcpStream> {
        None
    }
}

impl OnSocket for TokioIo<hyper::upgrade::Upgraded> {}

/// The connection that an HTTP server gave up to us: a TCP socket where nothing sits between it
/// and us, or whatever else the server had, such as a TLS stream.
pub struct Upgraded {
    io: Io,
    _slot: Option<Slot>,
}

/// A connection's place among those that are counted: held for as long as its socket.
pub(crate) type Slot = Arc<dyn Send + Sync>;

enum Io {
    /// Reads and, through the socket behind the half, writes.
    Tcp(OwnedReadHalf),
    Other(Box<dyn OnSocket>),
}

/// The writing half of a socket for whoever holds the connection's queue: a publisher writes
/// without waking the connection's task.
pub(crate) struct DirectWrite(Option<OwnedWriteHalf>);

/// What an upgrade gives: the stream, the way past its task, and what came behind the request.
pub(crate) type Parts = (Upgraded, Option<DirectWrite>, BytesMut);

impl Upgraded {
    /// A plain socket.
    pub(crate) fn tcp(stream: TcpStream, slot: Option<Slot>) -> (Self, Option<DirectWrite>) {
        // Small replies must not wait for the peer's delayed acknowledgements (Nagle).
        let _ = stream.set_nodelay(true);
        let (read, write) = stream.into_split();
        (
            Self {
                io: Io::Tcp(read),
                _slot: slot,
            },
            Some(DirectWrite(Some(write))),
        )
    }

    /// Any other stream.
    pub(crate) fn other(stream: impl OnSocket, slot: Option<Slot>) -> (Self, Option<DirectWrite>) {
        (
            Self {
                io: Io::Other(Box::new(stream)),
                _slot: slot,
            },
            None,
        )
    }

    /// Takes over from hyper: with the server's help, or as `axum::serve` accepts connections.
    pub(crate) fn from_hyper(
        upgraded: hyper::upgrade::Upgraded,
        takeover: Option<Takeover>,
    ) -> Parts {
        let upgraded = match takeover {
            Some(Takeover(take)) => match take(upgraded) {
                Ok(parts) => return parts,
                Err(upgraded) => upgraded,
            },
            None => upgraded,
        };
        match downcast::<TcpStream>(upgraded) {
            Ok((stream, read_ahead)) => {
                let (stream, direct) = Self::tcp(stream, None);
                (stream, direct, read_ahead)
            }
            Err(upgraded) => {
                let (stream, direct) = Self::other(TokioIo::new(upgraded), None);
                (stream, direct, BytesMut::new())
            }
        }
    }
}

/// The socket below a stream, where there is one and it is known.
pub(crate) fn socket_of<S: ByteStream>(stream: &S) -> Option<&TcpStream> {
    let upgraded = (stream as &dyn Any).downcast_ref::<Upgraded>()?;
    match &upgraded.io {
        Io::Tcp(half) => Some(half.as_ref()),
        Io::Other(stream) => stream.socket(),
    }
}

/// How a server with streams of its own kind gives one up. It puts this into its requests'
/// extensions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Takeover(
    pub(crate) fn(hyper::upgrade::Upgraded) -> Result<Parts, hyper::upgrade::Upgraded>,
);

/// The stream that a server gave to hyper, if it is a `T`, and what hyper has read ahead of it.
pub(crate) fn downcast<T: ByteStream>(
    upgraded: hyper::upgrade::Upgraded,
) -> Result<(T, BytesMut), hyper::upgrade::Upgraded> {
    let parts = upgraded.downcast::<TokioIo<T>>()?;
    Ok((parts.io.into_inner(), parts.read_buf.into()))
}

impl DirectWrite {
    /// Writes what the socket takes without waiting.
    pub(crate) fn try_write(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match &self.0 {
            Some(half) => try_write(half.as_ref(), pieces),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Ends the transport at once; what the peer has not taken is lost.
    pub(crate) fn abort(&self) {
        if let Some(half) = &self.0 {
            tcp::forget_at_close(half.as_ref());
            let _ = SockRef::from(half.as_ref()).shutdown(Shutdown::Both);
        }
    }
}

impl Drop for DirectWrite {
    /// Tokio would half-close the socket, on which the Close frame may still have to go out.
    fn drop(&mut self) {
        if let Some(half) = self.0.take() {
            half.forget();
        }
    }
}

fn try_write(socket: &TcpStream, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
    match pieces {
        [one] => socket.try_write(one),
        several => socket.try_write_vectored(several),
    }
}

fn poll_try_write(
    socket: &TcpStream,
    cx: &mut Context<'_>,
    pieces: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    loop {
        ready!(socket.poll_write_ready(cx))?;
        match try_write(socket, pieces) {
            // The readiness was stale and is cleared now.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            written => return Poll::Ready(written),
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
            Io::Tcp(socket) => Pin::new(socket).poll_read(cx, buf),
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
            Io::Tcp(socket) => poll_try_write(socket.as_ref(), cx, &[IoSlice::new(bytes)]),
            Io::Other(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Tcp(socket) => poll_try_write(socket.as_ref(), cx, pieces),
            Io::Other(stream) => Pin::new(stream).poll_write_vectored(cx, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Tcp(_) => true,
            Io::Other(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Tcp(_) => Poll::Ready(Ok(())),
            Io::Other(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Tcp(socket) => {
                Poll::Ready(SockRef::from(socket.as_ref()).shutdown(Shutdown::Write))
            }
            Io::Other(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

impl fmt::Debug for Upgraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.io {
            Io::Tcp(_) => "tcp",
            Io::Other(_) => "other",
        };
        f.debug_tuple("Upgraded").field(&kind).finish()
    }
}
