//! How a connection's bytes travel: what a session's driver asks of a transport.
//!
//! It may import `session` for what both ends count, and knows no hub and no method. Begin with
//! [`websocket`], the shortest; which of them a client gets is settled in
//! [`endpoint`](crate::endpoint).

pub(crate) mod long_polling;
pub(crate) mod posts;
pub(crate) mod server_sent_events;
pub(crate) mod stateful;
pub(crate) mod websocket;

use std::{
    future::Future,
    task::{Context, Poll},
};

use bytes::Bytes;
use raw_ws::{CloseCode, MessageKind, Sender};

use crate::{identity::user::User, protocol::Protocol, session::Signals};

/// The two directions of a connection. No method has a default, which a transport around another
/// could forget to pass on.
pub(crate) trait Duplex: Send {
    /// The queue of what goes to the client.
    fn sender(&self) -> Sender;

    /// Queues a copy of what this connection's own task says, in order with what others send. It
    /// leaves when the task polls next.
    fn feed(&mut self, kind: MessageKind, message: &[u8]);

    /// Writes what is queued, and takes what the client sent while the intake is open. Otherwise
    /// it stays where it is, and the client has to wait.
    fn poll(&mut self, cx: &mut Context<'_>, intake: Intake) -> Poll<Received>;

    /// Writes what is queued, then ends.
    fn close(&mut self, code: CloseCode) -> impl Future<Output = ()> + Send;

    /// The hub handshake is done; where both ends count from here on for a stateful reconnect, in
    /// this protocol (SR-01).
    fn opened(&mut self, stateful: Option<Protocol>);

    /// The client has sent a ping, and is missed from here on when it is silent (K-05).
    fn client_pings(&mut self);

    /// The client has said Close: it ends the connection by itself (LP-12).
    fn client_closed(&mut self);

    /// Its server stops: what is left is fetched now or never.
    fn server_stops(&mut self);

    /// What is new of a session that counts.
    fn hear(&mut self, signals: Signals);

    /// Bytes that wait for the client, beside those in the queue.
    fn waiting_bytes(&self) -> usize;
}

/// Whether a session takes what its client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Intake {
    /// It does; over so many bytes it would be full.
    Open { room: usize },
    /// Not now: the client has to read first.
    Resting,
    /// It has all it may keep (C-16).
    Full,
    /// Never again.
    Over,
}

/// What came from a client.
pub(crate) enum Received {
    /// Bytes, cut anywhere (WS-06).
    Bytes(Bytes),
    /// It is gone.
    Gone,
    /// Its socket is gone, and it may come back with another (SR-12).
    Lost,
    /// It is back, as this user (SR-15).
    Resumed(Option<User>),
}

/// A transport whose client has sent something before it connected (P-05).
pub(crate) struct Preceded<T> {
    first: Option<Bytes>,
    transport: T,
}

impl<T> Preceded<T> {
    pub(crate) fn new(first: Bytes, transport: T) -> Self {
        let first = Some(first);
        Self { first, transport }
    }
}

impl<T: Duplex> Duplex for Preceded<T> {
    fn sender(&self) -> Sender {
        self.transport.sender()
    }

    fn feed(&mut self, kind: MessageKind, message: &[u8]) {
        self.transport.feed(kind, message);
    }

    fn poll(&mut self, cx: &mut Context<'_>, intake: Intake) -> Poll<Received> {
        if let Intake::Open { .. } = intake
            && let Some(first) = self.first.take()
        {
            return Poll::Ready(Received::Bytes(first));
        }
        self.transport.poll(cx, intake)
    }

    fn opened(&mut self, stateful: Option<Protocol>) {
        self.transport.opened(stateful);
    }

    fn client_pings(&mut self) {
        self.transport.client_pings();
    }

    fn client_closed(&mut self) {
        self.transport.client_closed();
    }

    fn server_stops(&mut self) {
        self.transport.server_stops();
    }

    fn hear(&mut self, signals: Signals) {
        self.transport.hear(signals);
    }

    fn waiting_bytes(&self) -> usize {
        self.transport.waiting_bytes()
    }

    async fn close(&mut self, code: CloseCode) {
        self.transport.close(code).await;
    }
}
