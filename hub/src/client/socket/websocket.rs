//! WebSockets, by tungstenite; the request that becomes one goes the way of all others.

use std::{
    future::poll_fn,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{Method, StatusCode, header};
use reqwest::Url;
use tokio::time::timeout;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Message, Utf8Bytes,
        handshake::{client::generate_key, derive_accept_key},
        protocol::{Role, WebSocketConfig},
    },
};

use super::{ClientError, Ended, Requests};
use crate::{client::web::BoxIo, protocol::TransferFormat};

/// Read at once, and kept for each connection.
const READ_BUFFER: usize = 4096;

/// How long the server may take to answer a Close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) struct WebSocket {
    socket: WebSocketStream<BoxIo>,
    format: TransferFormat,
    /// Something was written, and has not left yet.
    is_writing: bool,
    failed: Option<tungstenite::Error>,
}

impl WebSocket {
    pub(super) async fn open(
        requests: &Requests,
        url: &Url,
        format: TransferFormat,
        max_message_size: usize,
    ) -> Result<Self, ClientError> {
        let key = generate_key();
        let upgrade = [
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", &key),
        ];
        let answer = requests
            .ask(Method::GET, url, &upgrade, Bytes::new())
            .await?;
        if answer.status != StatusCode::SWITCHING_PROTOCOLS {
            return Err(answer.refusal().await);
        }
        if answer.header(header::SEC_WEBSOCKET_ACCEPT) != Some(&derive_accept_key(key.as_bytes())) {
            let text = "the answer is not one to this WebSocket handshake".to_owned();
            return Err(ClientError::Protocol(text));
        }
        let io = requests.in_time(answer.upgraded()).await?;
        // A message of the hub may come in many of the WebSocket's, and these hold several.
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .max_frame_size(Some(max_message_size))
            .max_message_size(Some(max_message_size));
        Ok(Self {
            socket: WebSocketStream::from_raw_socket(io, Role::Client, Some(config)).await,
            format,
            is_writing: false,
            failed: None,
        })
    }

    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Ended>> {
        loop {
            let bytes = match ready!(self.socket.poll_next_unpin(cx)) {
                Some(Ok(Message::Text(text))) => text.into(),
                Some(Ok(Message::Binary(bytes))) => bytes,
                Some(Ok(Message::Close(_))) => return Poll::Ready(Err(Ended::Over)),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {
                    self.is_writing = true; // the Pong
                    continue;
                }
                Some(Err(error)) => return Poll::Ready(Err(ended(error))),
                None => return Poll::Ready(Err(Ended::Over)),
            };
            return Poll::Ready(Ok(bytes));
        }
    }

    pub(super) fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Err(ended(error)));
        }
        if self.is_writing {
            ready!(self.socket.poll_flush_unpin(cx)).map_err(ended)?;
            self.is_writing = false;
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn write(&mut self, messages: Bytes) {
        let message = match self.format {
            TransferFormat::Text => match Utf8Bytes::try_from(messages) {
                Ok(text) => Message::Text(text),
                Err(error) => {
                    self.failed = Some(tungstenite::Error::from(error));
                    return;
                }
            },
            TransferFormat::Binary => Message::Binary(messages),
        };
        self.is_writing = true;
        self.failed = self.socket.start_send_unpin(message).err();
    }

    pub(super) async fn close(mut self) {
        let goodbye = async {
            if self.socket.close(None).await.is_ok() {
                while poll_fn(|cx| self.poll_read(cx)).await.is_ok() {}
            }
        };
        // A server that does not answer is left alone.
        let _ = timeout(CLOSE_TIMEOUT, goodbye).await;
    }
}

/// SR-12, SR-14: what ended without a Close frame may be replaced.
fn ended(error: tungstenite::Error) -> Ended {
    match error {
        tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed => Ended::Over,
        error => Ended::Lost(ClientError::network(error)),
    }
}
