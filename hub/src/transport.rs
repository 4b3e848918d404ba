//! How a connection's bytes travel: what a session's driver asks of a transport (D2).

pub(crate) mod websocket;

use std::{
    future::Future,
    task::{Context, Poll},
};

use bytes::Bytes;
use raw_ws::{CloseCode, Sender};

/// The two directions of a connection.
pub(crate) trait Transport: Send {
    /// The queue of what goes to the client.
    fn sender(&self) -> Sender;

    /// Writes what is queued, and takes what the client sent unless `may_read` is false: then it
    /// stays where it is, and the client has to wait.
    fn poll(&mut self, cx: &mut Context<'_>, may_read: bool) -> Poll<Received>;

    /// Writes what is queued, then ends.
    fn close(&mut self, code: CloseCode) -> impl Future<Output = ()> + Send;
}

/// What came from a client.
#[derive(Debug)]
pub(crate) enum Received {
    /// Bytes, cut anywhere (WS-06).
    Bytes(Bytes),
    /// It is gone.
    Gone,
}
