//! The life of an accepted connection as long as it speaks HTTP.

use std::{
    convert::Infallible,
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Poll, ready},
};

use axum::{Router, body::Body};
use http::StatusCode;
use hyper::{
    body::Incoming,
    server::conn::http1::{self, UpgradeableConnection},
    service::{HttpService, service_fn},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, sync::watch, time::timeout};

use super::{
    ServeConfig, Tls,
    accepted::Accepted,
    head::Heads,
    progress::{Over, Patience, Progress},
    proxy_protocol::{self, Proxied},
    refusal::last_answer,
    request::{Requests, peer},
    slots::{Slot, Slots},
};
use crate::{
    events, extensions::ack_deadline::AckDeadline, outbound::connections::Connections,
    stream::upgraded::Takeover, sync::Mutex,
};

/// How far the server is with stopping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Requests are taken: the server serves, or says goodbye.
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
    slots: Slots,
    phase: watch::Receiver<Phase>,
    protocol: http1::Builder,
}

impl Http {
    pub(super) fn new(
        app: Router,
        config: Arc<ServeConfig>,
        connections: Connections,
        slots: Slots,
        phase: watch::Receiver<Phase>,
    ) -> Self {
        let mut protocol = http1::Builder::new();
        protocol
            // Ours, which tell a slow head from a connection that waits.
            .header_read_timeout(None)
            .max_buf_size(config.max_head_size.max(8 * 1024))
            .max_headers(config.max_headers);
        Self {
            app,
            config,
            connections,
            slots,
            phase,
            protocol,
        }
    }

    /// Serves the requests of a connection until it is closed or upgraded, in a task of its own.
    pub(super) fn serve(
        self,
        stream: TcpStream,
        tls: Tls,
        address: SocketAddr,
        slot: Slot,
        progress: Progress,
    ) {
        let slot = Arc::new(Mutex::new(slot));
        tokio::spawn(async move {
            let mut phase = self.phase.clone();
            let refused = progress.clone();
            let begun = tokio::select! {
                biased;
                begun = self.begin(stream, tls, address, &slot, progress) => begun,
                // Nobody has asked for anything yet.
                _ = phase.wait_for(|phase| *phase != Phase::Serving) => return,
                () = poll_fn(|cx| refused.poll_refused(cx)) => return,
            };
            if let Some((accepted, requests)) = begun {
                // Once more a task of its own, so that what came before takes no memory in it.
                tokio::spawn(self.converse(accepted, requests));
            }
        });
    }

    fn converse(self, accepted: Accepted, requests: Requests) -> impl Future<Output = ()> + use<> {
        let patience = Patience::new(&self.config, requests.progress.clone());
        let (slot, phase) = (requests.slot.clone(), self.phase);
        let requests = Mutex::new(requests);
        let service = service_fn(move |request| {
            let mut requests = requests.lock();
            let answer = requests.answer(request);
            async move { Ok::<_, Infallible>(answer.await) }
        });
        let connection = self
            .protocol
            .serve_connection(TokioIo::new(accepted), service)
            .with_upgrades();
        drive(Box::pin(connection), patience, phase, slot)
    }

    /// What comes before the first request: the PROXY protocol, and TLS.
    async fn begin(
        &self,
        mut stream: TcpStream,
        tls: Tls,
        address: SocketAddr,
        slot: &Arc<Mutex<Slot>>,
        progress: Progress,
    ) -> Option<(Accepted, Requests)> {
        let config = &self.config;
        let speaks_tls = tls.is_some();
        let mut proxied = Proxied::default();
        if config.proxy_protocol && config.trusts(address.ip()) {
            let reading = timeout(config.head_timeout, proxy_protocol::read(&mut stream));
            match reading.await.ok()? {
                Ok(said) => proxied = said,
                Err(error) => {
                    if error.kind() == io::ErrorKind::InvalidData {
                        const REASON: &str = "the PROXY protocol is missing or malformed";
                        events::proxy_is_malformed(REASON);
                        if !speaks_tls {
                            last_answer(stream, StatusCode::BAD_REQUEST, REASON).await;
                        }
                    }
                    return None;
                }
            }
            if let Some(client) = proxied.client {
                let admitted = slot.lock().belongs_to(client.ip());
                if let Err(refusal) = admitted {
                    self.slots.tell(refusal);
                    let refusing = self.slots.open_door();
                    if refusing.is_some() && !speaks_tls {
                        last_answer(stream, refusal.status(), refusal.reason()).await;
                    }
                    return None;
                }
            }
        }
        let address = proxied.client.unwrap_or(address);
        let heads = Heads::new(progress.clone());
        let findings = heads.findings();
        let ack_deadline = AckDeadline::default();
        let accepted = Accepted::new(
            stream,
            tls,
            slot.clone(),
            heads,
            ack_deadline.clone(),
            config.head_timeout,
        )
        .await?;
        let requests = Requests {
            app: self.app.clone(),
            config: config.clone(),
            connections: self.connections.clone(),
            slots: self.slots.clone(),
            slot: slot.clone(),
            findings,
            progress,
            ack_deadline,
            takeover: Takeover(Accepted::take),
            peer: peer(address, speaks_tls || proxied.is_https),
            is_from_proxy: config.trusts(address.ip()),
        };
        Some((accepted, requests))
    }
}

/// Runs a connection until it is closed, is upgraded, has waited for too long, or the server stops.
async fn drive<S>(
    mut connection: Pin<Box<UpgradeableConnection<TokioIo<Accepted>, S>>>,
    mut patience: Patience,
    mut phase: watch::Receiver<Phase>,
    slot: Arc<Mutex<Slot>>,
) where
    S: HttpService<Incoming, ResBody = Body, Error = Infallible>,
{
    loop {
        let going_on = poll_fn(|cx| {
            loop {
                if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                    return Poll::Ready(ended);
                }
                match ready!(patience.poll_over(cx)) {
                    Over::Idle => return Poll::Ready(Ok(())),
                    Over::Refused => {}
                }
            }
        });
        tokio::select! {
            biased; // a request that has come is taken before the stop is
            ended = going_on => {
                if let Err(error) = ended {
                    events::http_failed(&error);
                }
                return;
            }
            Ok(()) = phase.changed() => match *phase.borrow_and_update() {
                Phase::Serving => {}
                Phase::Finishing if waits_for_head(&slot) => return,
                Phase::Finishing => connection.as_mut().graceful_shutdown(),
                Phase::Over => return,
            },
        }
    }
}

fn waits_for_head(slot: &Mutex<Slot>) -> bool {
    slot.lock().waits_for_head()
}
