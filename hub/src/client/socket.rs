//! What carries a connection's bytes, of whichever transport: read them, write them, end it.

mod long_polling;
mod posts;
mod server_sent_events;
mod websocket;

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;

use super::{error::ClientError, requests::Requests};
use crate::{identity::request::Transport, protocol::TransferFormat};
use long_polling::LongPolling;
use server_sent_events::ServerSentEvents;
use websocket::WebSocket;

/// A transport at work.
pub(super) enum Socket {
    WebSocket(WebSocket),
    ServerSentEvents(ServerSentEvents),
    LongPolling(LongPolling),
}

/// How a socket has ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// Without a goodbye: a connection that counts may go on by another one (SR-12).
    Lost(ClientError),
    /// For good (SR-14).
    Over,
}

impl Socket {
    /// Opens one. `token` is the connection's; `None` where nothing was negotiated (WS-01).
    pub(super) async fn open(
        requests: &Arc<Requests>,
        transport: Transport,
        token: Option<&str>,
        format: TransferFormat,
        max_message_size: usize,
    ) -> Result<Self, ClientError> {
        let id = token.map(|token| ("id", token));
        let url = requests.here(id.as_slice());
        Ok(match transport {
            Transport::WebSockets => {
                Self::WebSocket(WebSocket::open(requests, &url, format, max_message_size).await?)
            }
            Transport::ServerSentEvents => {
                Self::ServerSentEvents(ServerSentEvents::open(requests.clone(), url).await?)
            }
            Transport::LongPolling => Self::LongPolling(
                LongPolling::open(requests.clone(), url, token, max_message_size).await?,
            ),
        })
    }

    /// The next bytes that come.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Ended>> {
        match self {
            Self::WebSocket(socket) => socket.poll_read(cx),
            Self::ServerSentEvents(socket) => socket.poll_read(cx),
            Self::LongPolling(socket) => socket.poll_read(cx),
        }
    }

    /// Whether what was written has left.
    pub(super) fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        match self {
            Self::WebSocket(socket) => socket.poll_written(cx),
            Self::ServerSentEvents(socket) => socket.posts.poll_written(cx),
            Self::LongPolling(socket) => socket.posts.poll_written(cx),
        }
    }

    /// Writes whole messages. What was written before has to have left.
    pub(super) fn write(&mut self, messages: Bytes) {
        match self {
            Self::WebSocket(socket) => socket.write(messages),
            Self::ServerSentEvents(socket) => socket.posts.write(messages),
            Self::LongPolling(socket) => socket.posts.write(messages),
        }
    }

    /// Ends it, as its transport does that, and waits until the server has heard of it.
    pub(super) async fn close(self) {
        match self {
            Self::WebSocket(socket) => socket.close().await,
            Self::ServerSentEvents(_) => {} // that it is dropped is the end of it (SSE-08)
            Self::LongPolling(socket) => socket.close().await,
        }
    }
}
