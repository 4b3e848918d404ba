//! The WebSockets transport (`SPEC.md`, section 5).

use std::{
    task::{Context, Poll},
    time::Duration,
};

use raw_ws::{CloseAnswer, CloseCode, Config, MessageKind, Sender, WebSocket};

use super::{Duplex, Intake, Received};
use crate::{events, options::HubOptions, protocol::Protocol, session::Signals};

/// What one WebSocket message may hold if hub messages have no limit.
const UNLIMITED: usize = 64 * 1024 * 1024;

/// Hub messages may share a WebSocket message, cut into any number of frames (WS-06): official
/// clients send what has queued up as one. What unfinished ones hold together is bounded as well.
const SHARED: usize = 16 * 1024 * 1024;

/// The .NET client cuts what it sends into frames of 4 KiB.
const FRAGMENTS: usize = 2 * SHARED / 4096;

/// What a hub asks of its WebSockets.
pub(crate) fn config(options: &HubOptions) -> Config {
    let max_message_size = options
        .maximum_receive_message_size
        .map_or(UNLIMITED, |bytes| bytes.saturating_add(SHARED));
    Config::new()
        .max_message_size(max_message_size)
        .max_fragments(FRAGMENTS)
        .max_queued_bytes(options.max_queued_bytes)
        .max_queued_messages(options.max_queued_messages)
        .progress_timeout(options.endpoint.transport_send_timeout)
        // Rows 15 and 166: until the client has said by a ping of its own that it can be missed
        // (K-05). Later than the hub's pings, and over at 30 s.
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10))
        .close_timeout(options.endpoint.close_timeout)
        // A Close of the client is answered with 1000, whatever code it has (WS-10).
        .close_answer(CloseAnswer::Normal)
}

impl Duplex for WebSocket {
    fn sender(&self) -> Sender {
        self.sender()
    }

    fn feed(&mut self, kind: MessageKind, message: &[u8]) {
        // Who is gone gets nothing (CL-12).
        let _ = self.feed_copy(kind, message);
    }

    fn poll(&mut self, cx: &mut Context<'_>, intake: Intake) -> Poll<Received> {
        if !matches!(intake, Intake::Open { .. }) {
            // A client that leaves now is noticed by the next write that fails: a ping (K-01) at
            // the latest, or `transport_send_timeout` while something waits for it. Its end stands
            // behind bytes that nobody has room for, and an upgraded connection (TLS, HTTP) has no
            // way to look past them.
            return match self.poll_flush(cx) {
                Poll::Ready(Err(error)) => {
                    events::transport_failed(&error);
                    Poll::Ready(Received::Gone)
                }
                Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
            };
        }
        self.poll_recv(cx).map(|received| match received {
            Ok(Some(message)) => Received::Bytes(message.into_bytes()),
            Ok(None) => Received::Gone,
            // WS-13: whoever breaks RFC 6455 has been told why, by its Close code.
            Err(error) => {
                events::transport_failed(&error);
                Received::Gone
            }
        })
    }

    /// WS-05: the hub's own pings do that from here on.
    fn client_pings(&mut self) {
        self.stop_keep_alive();
    }

    /// One socket has nothing to count for.
    fn opened(&mut self, _: Option<Protocol>) {}

    fn client_closed(&mut self) {}

    fn server_stops(&mut self) {}

    fn hear(&mut self, _: Signals) {}

    fn waiting_bytes(&self) -> usize {
        self.unwritten()
    }

    async fn close(&mut self, code: CloseCode) {
        // Over before the handshake is complete: nothing more can be done for this client.
        let _ = self.close(code, "").await;
    }
}
