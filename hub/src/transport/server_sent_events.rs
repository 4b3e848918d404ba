//! The server-sent events transport (`SPEC.md`, section 6).
//!
//! The session's task takes messages out of the connection's queue and lays them, as events, into
//! an [`Outlet`]; the body of the response takes them out again, as fast as the client reads.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::{BufMut as _, Bytes, BytesMut};
use http_body::Frame;
use raw_ws::{
    AckDeadline, CloseCode, Config, Mailbox, MessageKind, Sender,
    clock::{Alarm, now},
    sync::Mutex,
    sync::WakerSlot,
};

use super::{Duplex, Intake, Received, posts::Posts};
use crate::{events, options::HubOptions, protocol::Protocol, session::Signals};

/// Bytes of events laid out before the client has to read; the rest stays in the queue.
const LAID_OUT: usize = 16 * 1024;

/// The session's side of an event stream.
pub(crate) struct EventStream {
    mailbox: Mailbox,
    posts: Arc<Posts>,
    outlet: Arc<Outlet>,
    alarm: Alarm,
    send_timeout: Duration,
    client: Client,
    ack_deadline: Option<AckDeadline>,
}

/// Row 166: how long a ping may stay unacknowledged by a client that has never sent one itself: with
/// 15 s between pings it is missed at 30 s.
const UNACKNOWLEDGED: Duration = Duration::from_secs(15);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Client {
    Here,
    /// It says nothing more, and hears nothing more.
    Gone,
}

/// An event stream, and the body of the response that carries it. The guard is dropped with the
/// body: when the client is gone, or has read everything.
pub(crate) fn event_stream<G: Send + Unpin + 'static>(
    config: Arc<Config>,
    posts: Arc<Posts>,
    options: &HubOptions,
    ack_deadline: Option<AckDeadline>,
    guard: G,
) -> (EventStream, Events<G>) {
    if let Some(deadline) = &ack_deadline {
        deadline.set(Some(UNACKNOWLEDGED));
    }
    let outlet = Arc::new(Outlet::new());
    posts.connect();
    let stream = EventStream {
        mailbox: Mailbox::new(config),
        posts,
        outlet: outlet.clone(),
        alarm: Alarm::default(),
        send_timeout: options.endpoint.transport_send_timeout,
        client: Client::Here,
        ack_deadline,
    };
    let body = Events {
        outlet,
        _guard: guard,
    };
    (stream, body)
}

impl EventStream {
    /// Lays out what is queued; `false` when the queue was cut for being too long.
    fn lay_out(&mut self, cx: &mut Context<'_>) -> bool {
        let mut state = self.outlet.state.lock();
        let had_some = !state.events.is_empty();
        let is_whole = loop {
            state.needs_room = state.events.len() >= LAID_OUT;
            if state.needs_room {
                break true;
            }
            match self.mailbox.poll_recv(cx) {
                Poll::Ready(Some(message)) => write_event(&message.into_bytes(), &mut state.events),
                Poll::Ready(None) => break false,
                Poll::Pending => break true,
            }
        };
        if !had_some && !state.events.is_empty() {
            state.since = Some(now());
            state.body.wake_once();
        }
        is_whole
    }

    /// Lays out what is queued. Whether the client is gone: it has closed, or does not read.
    fn poll_client(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let is_whole = self.lay_out(cx);
        let mut state = self.outlet.state.lock();
        state.task.register(cx);
        if state.flow == Flow::Gone {
            return Poll::Ready(());
        }
        // A client that takes nothing is given up (C-17).
        let stuck = state.since.map(|since| since + self.send_timeout);
        drop(state);
        if is_whole {
            std::task::ready!(self.alarm.poll(cx, stuck));
        }
        events::client_does_not_read();
        Poll::Ready(())
    }

    /// Drops the client. What its POSTs have left stays for the session.
    fn drop_client(&mut self) {
        self.client = Client::Gone;
        self.posts.dispose();
        self.outlet.cut();
    }

    fn poll_written(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let is_whole = self.lay_out(cx);
        let mut state = self.outlet.state.lock();
        state.task.register(cx);
        if state.flow == Flow::Gone {
            return Poll::Ready(());
        }
        if state.flow == Flow::Open && (!state.needs_room || !is_whole) {
            state.flow = Flow::Ended;
        }
        state.body.wake_once();
        drop(state);
        self.alarm.poll(cx, Some(deadline))
    }
}

impl Duplex for EventStream {
    fn sender(&self) -> Sender {
        self.mailbox.sender()
    }

    fn feed(&mut self, kind: MessageKind, message: &[u8]) {
        // Who is gone gets nothing (CL-12).
        let _ = self.mailbox.sender().feed(kind, message);
    }

    fn poll(&mut self, cx: &mut Context<'_>, intake: Intake) -> Poll<Received> {
        if self.client == Client::Here && self.poll_client(cx).is_ready() {
            self.drop_client();
        }
        // What was answered with 200 happens, whoever has left since.
        let taken = self.posts.poll_take(cx, intake);
        taken.map(|bytes| bytes.map_or(Received::Gone, Received::Bytes))
    }

    /// K-05: it is missed by its silence from here on, also where its network is away for a while.
    fn client_pings(&mut self) {
        if let Some(deadline) = self.ack_deadline.take() {
            deadline.set(None);
        }
    }

    /// Nothing is counted: a lost stream is a lost connection.
    fn opened(&mut self, _: Option<Protocol>) {}

    fn client_closed(&mut self) {}

    fn server_stops(&mut self) {}

    fn hear(&mut self, _: Signals) {}

    fn waiting_bytes(&self) -> usize {
        0
    }

    /// SSE-08: the response just ends.
    async fn close(&mut self, _: CloseCode) {
        self.posts.end().await;
        let deadline = now() + self.send_timeout;
        poll_fn(|cx| self.poll_written(cx, deadline)).await;
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        // The next answers on its connection are others'.
        self.client_pings();
        self.drop_client();
    }
}

/// What lies between a session and its response.
struct Outlet {
    state: Mutex<Laid>,
}

struct Laid {
    events: BytesMut,
    /// Since when the client has taken nothing although something lies here.
    since: Option<Instant>,
    /// The session's task waits until there is room.
    needs_room: bool,
    flow: Flow,
    body: WakerSlot,
    task: WakerSlot,
}

/// Whether events flow from a session to its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Open,
    /// Nothing more will come behind what lies here.
    Ended,
    /// What lies here is not sent any more.
    Cut,
    /// The body is gone.
    Gone,
}

impl Outlet {
    fn new() -> Self {
        Self {
            state: Mutex::new(Laid {
                // SSE-03: some browsers wait for the first bytes.
                events: BytesMut::from(&b":\r\n"[..]),
                since: Some(now()),
                needs_room: false,
                flow: Flow::Open,
                body: WakerSlot::new(),
                task: WakerSlot::new(),
            }),
        }
    }

    fn cut(&self) {
        let mut state = self.state.lock();
        if state.flow != Flow::Gone {
            state.flow = Flow::Cut;
        }
        state.events = BytesMut::new();
        state.since = None;
        state.body.wake_once();
    }
}

/// The body of the response to an event-stream GET.
pub(crate) struct Events<G> {
    outlet: Arc<Outlet>,
    _guard: G,
}

impl<G: Unpin> http_body::Body for Events<G> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let mut state = self.outlet.state.lock();
        if state.flow == Flow::Cut {
            return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
        }
        if !state.events.is_empty() {
            let events = std::mem::take(&mut state.events).freeze();
            state.since = None;
            if state.needs_room {
                state.task.wake();
            }
            return Poll::Ready(Some(Ok(Frame::data(events))));
        }
        if state.flow == Flow::Ended {
            return Poll::Ready(None);
        }
        state.body.register(cx);
        Poll::Pending
    }
}

impl<G> Drop for Events<G> {
    fn drop(&mut self) {
        let mut state = self.outlet.state.lock();
        state.flow = Flow::Gone;
        state.task.wake();
    }
}

/// SSE-04, SSE-05. A bare CR ends a line for a client too, so it is one here (.NET passes it on, as
/// a forged field).
fn write_event(payload: &[u8], out: &mut BytesMut) {
    let mut rest = payload;
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        let (line, after) = match end {
            None => (rest, &[][..]),
            Some(end) if rest[end..].starts_with(b"\r\n") => (&rest[..end], &rest[end + 2..]),
            Some(end) => (&rest[..end], &rest[end + 1..]),
        };
        out.reserve(line.len() + 10);
        out.put_slice(b"data: ");
        out.put_slice(line);
        out.put_slice(b"\r\n");
        rest = after;
    }
    out.put_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The data of the events in a stream, as a browser reads it (WHATWG).
    fn read(stream: &str) -> Vec<String> {
        let stream = stream.replace("\r\n", "\n").replace('\r', "\n");
        let mut events = Vec::new();
        let mut data: Vec<&str> = Vec::new();
        for line in stream.split('\n') {
            if line.is_empty() && !data.is_empty() {
                events.push(data.join("\n"));
                data.clear();
            } else if let Some(value) = line.strip_prefix("data:") {
                data.push(value.strip_prefix(' ').unwrap_or(value));
            } else {
                assert_eq!(line, "", "a forged field");
            }
        }
        events
    }

    #[test]
    fn row_161_a_payload_forges_nothing() {
        for (payload, data) in [
            ("{}\u{1e}", "{}\u{1e}"),
            ("a\nb", "a\nb"),
            ("a\r\nb", "a\nb"),
            ("a\rb", "a\nb"),
            ("a\r\revent: x\n\ndata: y", "a\n\nevent: x\n\ndata: y"),
            ("id: 1\rretry: 0\r\n: c", "id: 1\nretry: 0\n: c"),
            ("a\u{2028}b\u{85}c\u{b}", "a\u{2028}b\u{85}c\u{b}"),
            (" leading", " leading"),
        ] {
            let mut out = BytesMut::new();
            write_event(payload.as_bytes(), &mut out);
            let text = std::str::from_utf8(&out).unwrap();
            assert_eq!(read(text), [data], "{payload:?}");
        }
    }

    #[test]
    fn sse_04_sse_05_bytes() {
        for (payload, bytes) in [
            ("{}\u{1e}", "data: {}\u{1e}\r\n\r\n"),
            ("a\r\nb\nc", "data: a\r\ndata: b\r\ndata: c\r\n\r\n"),
            ("", "\r\n"),
        ] {
            let mut out = BytesMut::new();
            write_event(payload.as_bytes(), &mut out);
            assert_eq!(out, bytes.as_bytes());
        }
    }
}
