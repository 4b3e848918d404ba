//! One accepted connection as long as it speaks HTTP.

use std::{
    convert::Infallible,
    io::{self, IoSlice},
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use axum::{Router, body::Body, extract::ConnectInfo, response::Response};
use http::{
    HeaderValue, Request, StatusCode,
    header::{CONNECTION, CONTENT_TYPE, HOST, TRANSFER_ENCODING},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::watch,
};
use tower::ServiceExt;

use super::{
    ServeConfig, Tls,
    body::{TooSlow, bounded},
    head::{Findings, Heads},
    slots::Slot,
};
use crate::{
    connections::Connections,
    events,
    upgraded::{self, Parts, Stream, Takeover, Upgraded, downcast},
};

/// How far the server is with stopping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Serving,
    /// Requests under way are finished.
    Finishing,
    /// Nothing is waited for any more.
    Over,
}

/// What every connection of a server shares.
#[derive(Clone)]
pub(super) struct Http {
    app: Router,
    config: Arc<ServeConfig>,
    connections: Connections,
    phase: watch::Receiver<Phase>,
    protocol: http1::Builder,
}

impl Http {
    pub(super) fn new(
        app: Router,
        config: Arc<ServeConfig>,
        connections: Connections,
        phase: watch::Receiver<Phase>,
    ) -> Self {
        let mut protocol = http1::Builder::new();
        // Without a timer hyper's deadline for the head never fires.
        protocol
            .timer(TokioTimer::new())
            .header_read_timeout(config.head_timeout)
            .max_buf_size(config.max_head_size.max(8 * 1024))
            .max_headers(config.max_headers);
        Self {
            app,
            config,
            connections,
            phase,
            protocol,
        }
    }

    /// Serves requests until the connection is closed or upgraded.
    pub(super) async fn serve(mut self, stream: TcpStream, tls: Tls, peer: SocketAddr, slot: Slot) {
        let slot = Arc::new(Mutex::new(slot));
        let Some(accepted) = Accepted::new(stream, tls, slot.clone(), &self.config).await else {
            return;
        };
        let requests = Requests {
            app: self.app,
            config: self.config,
            connections: self.connections,
            peer,
            slot: Some(slot),
            findings: accepted.heads.findings(),
        };
        let requests = Arc::new(Mutex::new(requests));
        let service = service_fn(move |request| {
            let mut requests = requests.lock().unwrap_or_else(PoisonError::into_inner);
            let answer = requests.answer(request);
            async move { Ok::<_, Infallible>(answer.await) }
        });
        let connection = self
            .protocol
            .serve_connection(TokioIo::new(accepted), service)
            .with_upgrades();
        let mut connection = std::pin::pin!(connection);
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        events::http_failed(&error);
                    }
                    return;
                }
                Ok(()) = self.phase.changed() => match *self.phase.borrow_and_update() {
                    Phase::Serving => {}
                    Phase::Finishing => connection.as_mut().graceful_shutdown(),
                    Phase::Over => return,
                },
            }
        }
    }
}

/// The requests of one connection.
struct Requests {
    app: Router,
    config: Arc<ServeConfig>,
    connections: Connections,
    peer: SocketAddr,
    /// Until the first head has come.
    slot: Option<Arc<Mutex<Slot>>>,
    findings: Findings,
}

impl Requests {
    fn answer(&mut self, request: Request<Incoming>) -> impl Future<Output = Response> + use<> {
        if let Some(slot) = self.slot.take() {
            slot.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .head_finished();
        }
        let refused = self.check(&request).err();
        let (app, config) = (self.app.clone(), self.config.clone());
        let (connections, peer) = (self.connections.clone(), self.peer);
        async move {
            if let Some((status, reason)) = refused {
                return refusal(status, reason);
            }
            let too_slow = TooSlow::default();
            let mut request = request.map(|body| bounded(body, &config, &too_slow));
            request.extensions_mut().insert(ConnectInfo(peer));
            request.extensions_mut().insert(connections);
            request.extensions_mut().insert(Takeover(Accepted::take));
            // Where the chunks end is not looked after: no request may follow them.
            let is_last = request.headers().contains_key(TRANSFER_ENCODING);
            let Ok(mut response) = app.oneshot(request).await;
            if too_slow.is_set() {
                return refusal(
                    StatusCode::REQUEST_TIMEOUT,
                    "the request's body came too slowly",
                );
            }
            if is_last && response.status() != StatusCode::SWITCHING_PROTOCOLS {
                response
                    .headers_mut()
                    .insert(CONNECTION, HeaderValue::from_static("close"));
            }
            response
        }
    }

    /// What hyper lets through and this server does not.
    fn check(&self, request: &Request<Incoming>) -> Result<(), (StatusCode, &'static str)> {
        let (config, headers) = (&self.config, request.headers());
        if let Some(fault) = self.findings.fault() {
            return Err((StatusCode::BAD_REQUEST, fault));
        }
        let target = request
            .uri()
            .path_and_query()
            .map_or(0, |target| target.as_str().len());
        if target > config.max_target_size {
            return Err((StatusCode::URI_TOO_LONG, "the target is too long"));
        }
        if let Some(allowed) = &config.allowed_hosts {
            let host = headers.get(HOST).map_or(&b""[..], HeaderValue::as_bytes);
            if !allowed
                .iter()
                .any(|allowed| allowed.as_bytes().eq_ignore_ascii_case(host))
            {
                return Err((
                    StatusCode::MISDIRECTED_REQUEST,
                    "this server does not answer to that host",
                ));
            }
        }
        let length = http_body::Body::size_hint(request.body()).lower();
        if length > config.max_body_size as u64 {
            return Err((StatusCode::PAYLOAD_TOO_LARGE, "the body is too large"));
        }
        Ok(())
    }
}

fn refusal(status: StatusCode, reason: &'static str) -> Response {
    let mut response = Response::new(Body::from(reason));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// An accepted connection and its place among the others.
struct Accepted {
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
    async fn new(
        stream: TcpStream,
        tls: Tls,
        slot: Arc<Mutex<Slot>>,
        config: &ServeConfig,
    ) -> Option<Self> {
        let io = match tls {
            None => {
                let _ = stream.set_nodelay(true);
                Io::Tcp(stream)
            }
            #[cfg(feature = "tls")]
            Some(acceptor) => {
                let _ = stream.set_nodelay(true);
                let handshake = tokio::time::timeout(config.head_timeout, acceptor.accept(stream));
                Io::Tls(Box::new(handshake.await.ok()?.ok()?))
            }
        };
        let _ = config;
        Some(Self {
            io,
            slot,
            heads: Heads::default(),
        })
    }

    /// The stream of an upgraded connection, which keeps the connection's place.
    fn take(upgraded: hyper::upgrade::Upgraded) -> Result<Parts, hyper::upgrade::Upgraded> {
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
