//! An accepted connection: its bytes, plain or by TLS, and its place among the other connections.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::{
    Tls, head::Heads, linger::Linger, refusal::Refusal, slots::Slot, unacknowledged::Unacknowledged,
};
use crate::{
    extensions::ack_deadline::AckDeadline,
    proto::config::Config,
    stream::{
        tcp,
        upgraded::{self, ByteStream, Parts, Upgraded, downcast},
    },
    sync::Mutex,
};

/// An accepted connection as long as it speaks HTTP.
pub(super) struct Accepted {
    io: Io,
    slot: Arc<Mutex<Slot>>,
    heads: Heads,
    linger: Linger,
    has_refused: bool,
    unacknowledged: Unacknowledged,
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
        ack_deadline: AckDeadline,
        head_timeout: Duration,
    ) -> Option<Self> {
        let _ = stream.set_nodelay(true);
        tcp::limit_unsent(&stream, Config::default().kernel_queue_bytes);
        let io = match tls {
            None => Io::Tcp(stream),
            #[cfg(feature = "tls")]
            Some(acceptor) => {
                let handshake = tokio::time::timeout(head_timeout, acceptor.accept(stream));
                Io::Tls(Box::new(handshake.await.ok()?.ok()?))
            }
        };
        let _ = head_timeout; // without TLS there is nothing to wait for
        Some(Self {
            io,
            slot,
            heads,
            linger: Linger::default(),
            has_refused: false,
            unacknowledged: Unacknowledged::new(ack_deadline),
        })
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
}

#[cfg(feature = "tls")]
impl upgraded::OnSocket for tokio_rustls::server::TlsStream<TcpStream> {
    fn socket(&self) -> Option<&TcpStream> {
        Some(self.get_ref().0)
    }
}

impl Accepted {
    /// Tells the client why it is let go, where nothing of an answer is under way, and lingers.
    fn poll_refuse(&mut self, refusal: Refusal, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A browser opens connections ahead of its requests, and would take it for the answer to one.
        let is_spare = refusal == Refusal::HeadTimeout && !self.heads.has_begun();
        if !self.has_refused && !is_spare {
            // As much as fits into any socket's buffer that is empty.
            let answer = refusal.answer();
            let written = ready!(self.io.stream().poll_write(cx, &answer))?;
            debug_assert_eq!(written, answer.len());
            self.has_refused = true;
        }
        ready!(self.linger.poll_close(self.io.stream(), cx))?;
        Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
    }

    fn writes(&mut self, bytes: usize) -> io::Result<()> {
        let Self {
            io, unacknowledged, ..
        } = self;
        unacknowledged.writes(bytes, io.socket())
    }
}

impl Io {
    fn socket(&self) -> &TcpStream {
        match self {
            Self::Tcp(stream) => stream,
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.get_ref().0,
        }
    }

    fn stream(&mut self) -> Pin<&mut dyn ByteStream> {
        match self {
            Self::Tcp(stream) => Pin::new(stream),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(&mut **stream),
        }
    }
}

impl AsyncRead for Accepted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(refusal) = self.heads.refusal() {
            return self.poll_refuse(refusal, cx);
        }
        let (filled, has_room) = (buf.filled().len(), buf.remaining() > 0);
        ready!(self.io.stream().poll_read(cx, buf))?;
        let read = &buf.filled()[filled..];
        if read.is_empty() && has_room {
            self.linger.has_ended();
        }
        self.heads.look(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Accepted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writes(bytes.len())?;
        self.io.stream().poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.writes(pieces.iter().map(|piece| piece.len()).sum())?;
        self.io.stream().poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.stream().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { io, linger, .. } = &mut *self;
        linger.poll_close(io.stream(), cx)
    }
}
