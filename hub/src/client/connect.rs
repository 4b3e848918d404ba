//! How a connection is made: negotiated, carried by the first transport that works, shaken hands on.

use std::{future::poll_fn, sync::Arc, task::Poll, time::Duration};

use http::HeaderMap;
use raw_ws::clock::{Alarm, now};
use reqwest::Url;
use tokio::time::timeout;

use super::{
    error::ClientError,
    negotiate::{Negotiated, Offer, negotiate},
    refresh::Refreshes,
    requests::{Requests, TokenSource},
    session::{Fault, Heard, Session, Terms},
    socket::{Ended, Socket},
    web::Http,
};
use crate::{
    identity::request::Transport,
    protocol::{Encoding, TransferFormat},
};

/// How long another socket may take to come, before the next is tried.
const RESUME: Duration = Duration::from_secs(5);

/// All that is needed to connect, and to connect again.
pub(super) struct Connector {
    pub(super) http: Http,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) token: Option<TokenSource>,
    pub(super) token_refresh: bool,
    pub(super) request_timeout: Duration,
    pub(super) transports: Vec<Transport>,
    pub(super) skip_negotiation: bool,
    pub(super) encoding: Encoding,
    pub(super) handshake_timeout: Duration,
    pub(super) keep_alive: Duration,
    pub(super) server_timeout: Duration,
    pub(super) max_message_size: usize,
    pub(super) stateful: Option<usize>,
}

/// What a connection goes by.
pub(super) struct Link {
    pub(super) socket: Socket,
    pub(super) route: Route,
}

/// What stays of it when its socket is lost.
pub(super) struct Route {
    pub(super) refreshes: Refreshes,
    pub(super) name: Name,
}

/// By what the server knows a connection that is asked for again.
#[derive(Clone)]
pub(super) struct Name {
    requests: Arc<Requests>,
    /// `None` where nothing was negotiated.
    token: Option<String>,
}

/// A connection, and what it is.
pub(super) struct Made {
    pub(super) link: Link,
    pub(super) session: Session,
    pub(super) connection_id: Option<String>,
    pub(super) transport: Transport,
}

impl Connector {
    /// Makes a new connection.
    pub(super) async fn connect(&self) -> Result<Made, ClientError> {
        if self.skip_negotiation {
            return self.connect_unnegotiated().await;
        }
        let mut tried = Vec::new();
        let mut unused = None;
        for transport in self.transports.iter().copied() {
            // Each has a connection of its own: what was tried on another may have used it (N-19).
            let (requests, negotiated) = match unused.take() {
                Some(unused) => unused,
                None => {
                    let mut requests = self.requests();
                    let negotiated = negotiate(&mut requests, self.wants_stateful()).await?;
                    (requests, negotiated)
                }
            };
            if let Err(why) = self.offers(&negotiated, transport) {
                tried.push(format!("{}: {why}", transport.name()));
                unused = Some((requests, negotiated));
                continue;
            }
            match self.carry(requests, negotiated, transport).await {
                Ok(made) => return Ok(made),
                // What the hub itself refuses, no other transport changes.
                Err(refused @ ClientError::Handshake(_)) => return Err(refused),
                Err(error) => tried.push(format!("{}: {error}", transport.name())),
            }
        }
        if tried.is_empty() {
            tried.push("none is allowed".to_owned());
        }
        Err(ClientError::NoTransport(tried.join("; ")))
    }

    async fn connect_unnegotiated(&self) -> Result<Made, ClientError> {
        let requests = self.requests();
        requests.renew_token().await?;
        let requests = Arc::new(requests);
        let mut socket = self.open(&requests, Transport::WebSockets, None).await?;
        let terms = self.terms(Transport::WebSockets, false);
        let session = shake_hands(&mut socket, terms).await?;
        Ok(Made {
            link: Link {
                socket,
                route: Route {
                    refreshes: Refreshes::new(requests.clone(), String::new(), None),
                    name: Name {
                        requests,
                        token: None,
                    },
                },
            },
            session,
            connection_id: None,
            transport: Transport::WebSockets,
        })
    }

    async fn carry(
        &self,
        requests: Requests,
        negotiated: Negotiated,
        transport: Transport,
    ) -> Result<Made, ClientError> {
        let Negotiated {
            connection_id,
            token,
            is_stateful,
            token_lifetime,
            ..
        } = negotiated;
        let requests = Arc::new(requests);
        let mut socket = self.open(&requests, transport, Some(&token)).await?;
        let token_lifetime = token_lifetime.filter(|_| self.token_refresh && self.token.is_some());
        // Only WebSockets can be replaced (SR-21).
        let is_stateful = is_stateful && transport == Transport::WebSockets;
        let session = shake_hands(&mut socket, self.terms(transport, is_stateful)).await?;
        Ok(Made {
            link: Link {
                socket,
                route: Route {
                    refreshes: Refreshes::new(requests.clone(), token.clone(), token_lifetime),
                    name: Name {
                        requests,
                        token: Some(token),
                    },
                },
            },
            session,
            connection_id: Some(connection_id),
            transport,
        })
    }

    /// Another socket for a connection that goes on (SR-07).
    pub(super) async fn replace(&self, name: &Name) -> Result<Socket, ClientError> {
        let opening = self.open(&name.requests, Transport::WebSockets, name.token.as_deref());
        let opened = timeout(RESUME, opening).await;
        opened.unwrap_or_else(|_| Err(ClientError::TimedOut("another socket".to_owned())))
    }

    async fn open(
        &self,
        requests: &Arc<Requests>,
        transport: Transport,
        token: Option<&str>,
    ) -> Result<Socket, ClientError> {
        let format = self.encoding.protocol.transfer_format();
        Socket::open(requests, transport, token, format, self.max_message_size).await
    }

    fn requests(&self) -> Requests {
        Requests::new(
            self.http.clone(),
            self.url.clone(),
            self.headers.clone(),
            self.request_timeout,
            self.token.clone(),
        )
    }

    fn wants_stateful(&self) -> bool {
        self.stateful.is_some() && self.transports.contains(&Transport::WebSockets)
    }

    /// Whether the server has a transport that carries what this client speaks.
    fn offers(&self, negotiated: &Negotiated, transport: Transport) -> Result<(), &'static str> {
        let mut offers = negotiated.offers.iter();
        let Some(Offer { formats, .. }) = offers.find(|offer| offer.transport == transport) else {
            return Err("the server does not offer it");
        };
        if formats.contains(&self.encoding.protocol.transfer_format()) {
            return Ok(());
        }
        Err(match self.encoding.protocol.transfer_format() {
            TransferFormat::Text => "it carries no text",
            TransferFormat::Binary => "it carries text alone",
        })
    }

    fn terms(&self, transport: Transport, is_stateful: bool) -> Terms {
        // Polls say that the client is there, and their answers that the server is (LP-15).
        let is_told = transport.needs_pings();
        Terms {
            encoding: self.encoding,
            handshake_timeout: self.handshake_timeout,
            keep_alive: is_told.then_some(self.keep_alive),
            server_timeout: is_told.then_some(self.server_timeout),
            max_message_size: self.max_message_size,
            stateful: self.stateful.filter(|_| is_stateful),
        }
    }
}

/// The hub handshake, on a new socket.
async fn shake_hands(socket: &mut Socket, terms: Terms) -> Result<Session, ClientError> {
    let mut session = Session::new(terms, now());
    let mut alarm = Alarm::default();
    poll_fn(|cx| {
        loop {
            let written = socket.poll_written(cx);
            if let Poll::Ready(Err(ended)) = written {
                return Poll::Ready(Err(refused(ended)));
            }
            if written.is_ready()
                && let Some(bytes) = session.outgoing(usize::MAX)
            {
                socket.write(bytes);
                continue;
            }
            match socket.poll_read(cx) {
                Poll::Ready(Ok(bytes)) => session.receive(bytes, now()),
                Poll::Ready(Err(ended)) => return Poll::Ready(Err(refused(ended))),
                Poll::Pending => {
                    let Poll::Ready(()) = alarm.poll(cx, session.deadline()) else {
                        return Poll::Pending;
                    };
                    if let Err(fault) = session.tick(now()) {
                        return Poll::Ready(Err(fault.into()));
                    }
                    continue;
                }
            }
            match session.next(now()) {
                Ok(None) => {}
                Ok(Some(Heard::Opened)) => return Poll::Ready(Ok(())),
                Ok(Some(_)) => unreachable!("a session begins with its handshake"),
                Err(fault) => return Poll::Ready(Err(fault.into())),
            }
        }
    })
    .await?;
    Ok(session)
}

/// The socket ended instead of an answer to the hub handshake.
fn refused(ended: Ended) -> ClientError {
    match ended {
        Ended::Lost(error) => error,
        Ended::Over => ClientError::Closed(Some("before the hub handshake was answered".into())),
    }
}

impl From<Fault> for ClientError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Refused(error) => Self::Handshake(error.to_string()),
            Fault::NoHandshake => Self::TimedOut("the answer to the hub handshake".to_owned()),
            // As the official clients say it (K-09).
            Fault::Silent => Self::TimedOut(
                "waiting for a message, with which a server says that it is there,".to_owned(),
            ),
            Fault::Protocol(error) => Self::Protocol(error.to_string()),
        }
    }
}
