//! An accepted connection: its bytes, plain or by TLS, how long they may take, and its place among
//! the other connections.

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
    time::{Instant, Sleep, sleep_until},
};

use super::{ServeConfig, Tls, head::Heads, request::AtWork, slots::Slot};
use crate::upgraded::{self, Parts, Stream, Upgraded, downcast};

/// An accepted connection as long as it speaks HTTP.
pub(super) struct Accepted {
    io: Io,
    slot: Arc<Mutex<Slot>>,
    heads: Heads,
    at_work: AtWork,
    patience: Patience,
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
        config: &ServeConfig,
    ) -> Option<Self> {
        let _ = stream.set_nodelay(true);
        let io = match tls {
            None => Io::Tcp(stream),
            #[cfg(feature = "tls")]
            Some(acceptor) => {
                let handshake = tokio::time::timeout(config.head_timeout, acceptor.accept(stream));
                Io::Tls(Box::new(handshake.await.ok()?.ok()?))
            }
        };
        Some(Self {
            io,
            slot,
            heads: Heads::default(),
            at_work: AtWork::default(),
            patience: Patience::new(config),
        })
    }

    pub(super) fn heads(&self) -> &Heads {
        &self.heads
    }

    pub(super) fn at_work(&self) -> AtWork {
        self.at_work.clone()
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

    /// What a connection without bytes waits for.
    fn awaits(&self) -> Awaits {
        if self.heads.is_in_body() || self.at_work.is_so() {
            Awaits::Work
        } else if self.heads.is_in_head() || self.heads.is_first() {
            Awaits::Head
        } else {
            Awaits::Request
        }
    }
}

/// What a connection is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaits {
    /// The end of a request's head, of which something has come; the first one from the beginning.
    Head,
    /// Its next request.
    Request,
    /// The end of a body or of an answer, which others look after.
    Work,
}

/// How long a connection may wait.
struct Patience {
    awaits: Awaits,
    since: Instant,
    timer: Option<Pin<Box<Sleep>>>,
    head_timeout: Duration,
    keep_alive_timeout: Duration,
}

impl Patience {
    fn new(config: &ServeConfig) -> Self {
        Self {
            awaits: Awaits::Head,
            since: Instant::now(),
            timer: None,
            head_timeout: config.head_timeout,
            keep_alive_timeout: config.keep_alive_timeout,
        }
    }

    /// Done when that has been waited for too long.
    fn poll(&mut self, awaits: Awaits, cx: &mut Context<'_>) -> Poll<()> {
        if awaits != self.awaits {
            self.awaits = awaits;
            self.since = Instant::now();
        }
        let due = match awaits {
            Awaits::Head => self.since + self.head_timeout,
            Awaits::Request => self.since + self.keep_alive_timeout,
            Awaits::Work => return Poll::Pending,
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if timer.deadline() != due {
            timer.as_mut().reset(due);
        }
        timer.as_mut().poll(cx)
    }
}

impl AsyncRead for Accepted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let filled = buf.filled().len();
        if self.stream().poll_read(cx, buf)?.is_pending() {
            let awaits = self.awaits();
            std::task::ready!(self.patience.poll(awaits, cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
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
