//! One connection's life, top to bottom.
//!
//! One task does it all: it reads, writes, and polls the calls that run. Reading goes on while
//! methods run, so that pings, cancels and answers are seen; it rests only when the client is too
//! far ahead of them, or does not read what it is sent.
//!
//! It may import all but the endpoint above it, and brings three floors together: the machine in
//! [`session`](crate::session), the bytes of a [`transport`](crate::transport), and what the user
//! wrote, in [`methods`](crate::methods). Go on with [`calls`], which begins and ends one call.

mod calls;
mod handlers;
mod input;
pub(crate) mod raw;
mod refusals;

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use bytes::BytesMut;
use raw_ws::{
    CloseCode, MessageKind,
    clock::{Alarm, now},
};

use calls::Waiting;

use crate::{
    error, events,
    identity::request::{self, Request},
    inbox::Budget,
    methods::{
        context,
        filter::Running,
        hub::{Held, Shared},
        running::RunningCalls,
    },
    options::HubOptions,
    protocol::TransferFormat,
    reach::{
        call::CallHandle,
        goodbye,
        live::{Command, Identity, Live},
        registry::Registry,
    },
    session::{
        Closer, End, Ending, Event, Handshake, OnDisconnect, Pings, Reconnect, Session, Terms,
    },
    transport::{Duplex, Intake, Received},
};

/// Messages of one client taken before others get their turn.
const EVENTS_AT_A_TIME: usize = 64;

/// What a connection comes with. In a box on its way: what is moved into a future takes its room
/// twice, for as long as the future lives.
pub(crate) struct Arrival {
    pub(crate) request: Request,
    pub(crate) identity: Identity,
    pub(crate) reconnect: Reconnect,
    /// What holds at the path that it came to.
    pub(crate) options: Arc<HubOptions>,
}

/// Runs a connection from its first byte to its last.
pub(crate) async fn run<S: Send + Sync + 'static, T: Duplex>(
    hub: Arc<Shared<S>>,
    mut transport: T,
    arrival: Box<Arrival>,
) {
    let began = Instant::now();
    let name = arrival.request.transport().name();

    // 1. Agree on a protocol. H-10: if that fails, nobody notices.
    let terms = terms(arrival.request.transport(), arrival.reconnect);
    let mut connection = match shake_hands(&arrival.options, &mut transport, terms).await {
        Some(session) => Connection::new(hub, &mut transport, session, *arrival),
        None => return,
    };

    // 2. Be reachable, by sends and groups.
    let reachable = Reachable::new(&connection.hub.registry, &connection.live);
    let live = UntilGone(connection.live.clone());
    events::connected(&live.0.id, name);

    // 3. Live: what runs on connect, then calls until something ends them.
    let end = match connection.let_in().await {
        Ok(()) => connection.converse().await,
        Err(end) => end,
    };
    let Ending {
        name: end,
        on_disconnect,
        mut close_code,
        status,
        closer,
        ..
    } = end.ending();
    connection.say(); // the last word

    // 4. Be reachable no more.
    drop(reachable);
    connection.drop_calls();

    // 5. What runs on disconnect, for everybody who was let in.
    if let OnDisconnect::Runs(error) = on_disconnect
        && connection.let_out(error).await.is_err()
    {
        close_code = CloseCode::INTERNAL_ERROR; // the server is at fault (CL-13)
    }

    // 6. The closing handshake, under its deadline.
    if closer == Closer::Client {
        connection.transport.client_closed();
    }
    if goodbye::is_pressing(&connection.hub.registry, &live.0) {
        connection.transport.server_stops();
    }
    connection.transport.close(close_code).await;
    events::disconnected(&live.0.id, name, end, status, began.elapsed());
}

/// Takes what the client says until both ends agree. If they do not, or it leaves, the transport is
/// closed.
async fn shake_hands(
    options: &Arc<HubOptions>,
    transport: &mut impl Duplex,
    terms: Terms,
) -> Option<Session> {
    let mut handshake = Handshake::new(options.clone(), terms, now());
    let mut alarm = Alarm::default();
    let why = loop {
        match handshake.poll(now()) {
            Some(Ok(mut session)) => {
                write(transport, session.outgoing());
                transport.opened(session.stateful());
                return Some(session);
            }
            Some(Err(not_agreed)) => {
                write(transport, handshake.outgoing());
                break not_agreed.why();
            }
            None => {}
        }
        let received = poll_fn(|cx| {
            let room = handshake.room();
            match transport.poll(cx, Intake::Open { room }) {
                Poll::Ready(received) => Poll::Ready(Some(received)),
                Poll::Pending => alarm.poll(cx, Some(handshake.deadline())).map(|()| None),
            }
        });
        match received.await {
            Some(Received::Bytes(bytes)) => handshake.handle_input(bytes),
            // Who leaves before is told nothing (H-11).
            Some(Received::Gone) => break "the client left",
            Some(Received::Lost) => events::detached(),
            Some(Received::Resumed(_)) => handshake.resumed(),
            None => {} // it is too late, and the handshake says so
        }
    };
    events::handshake_failed(why);
    transport.close(CloseCode::NORMAL).await;
    None
}

fn terms(transport: request::Transport, reconnect: Reconnect) -> Terms {
    Terms {
        carries: if transport.is_text_only() {
            TransferFormat::Text
        } else {
            TransferFormat::Binary
        },
        pings: if transport.needs_pings() {
            Pings::Sent
        } else {
            Pings::Needless
        },
        reconnect,
    }
}

/// Queues what a machine has to say, in order with what others send.
fn write(transport: &mut impl Duplex, (format, outgoing): (TransferFormat, &mut BytesMut)) {
    if outgoing.is_empty() {
        return;
    }
    let kind = match format {
        TransferFormat::Text => MessageKind::Text,
        TransferFormat::Binary => MessageKind::Binary,
    };
    transport.feed(kind, outgoing);
    outgoing.clear();
}

/// A connection's entry in the registry, taken out however its life ends.
struct Reachable {
    registry: Arc<Registry>,
    live: Arc<Live>,
}

impl Reachable {
    fn new(registry: &Arc<Registry>, live: &Arc<Live>) -> Self {
        registry.add(live);
        // Asked once all who stop the hub can find it: those who did before have not seen it.
        if registry.stopping.is_for(live.request.server()) {
            live.command(Command::Shutdown);
        }
        let (registry, live) = (registry.clone(), live.clone());
        Self { registry, live }
    }
}

impl Drop for Reachable {
    fn drop(&mut self) {
        self.registry.remove(&self.live);
        self.live.aborted().cancel();
    }
}

/// Tells those who wait for it that a connection is over, its transport closed.
struct UntilGone(Arc<Live>);

impl Drop for UntilGone {
    fn drop(&mut self) {
        self.0.set_gone();
    }
}

/// A connection that is live: reachable, its protocol agreed on.
struct Connection<'t, S, T> {
    hub: Arc<Held<S>>,
    transport: &'t mut T,
    session: Session,
    live: Arc<Live>,
    running: RunningCalls,
    /// The handle of a call that is over, for the next one.
    spare_handle: Option<Arc<CallHandle>>,
    /// The call that waits for its turn; everything behind it waits too (OR-02).
    waiting: Option<Box<Waiting>>,
    uploads: Arc<Budget>,
    /// The session has more to be done than was done so far.
    has_more: bool,
    /// When its user is known no longer (AU-04).
    expires_at: Option<Instant>,
    /// Since when the uploads hold all they may.
    uploads_stuck_since: Option<Instant>,
    alarm: Alarm,
    /// The clock, read once each time the task runs: what came in one read came at one time.
    now: Instant,
    has_waited: bool,
}

/// What came first: the end of something that runs beside the connection, or an input of it.
enum Beside<R> {
    Done(error::Result<R>),
    /// It was taken in.
    Input,
    /// It was taken in, and the connection is over.
    Over(End),
}

impl<'t, S: Send + Sync + 'static, T: Duplex> Connection<'t, S, T> {
    fn new(hub: Arc<Shared<S>>, transport: &'t mut T, session: Session, arrival: Arrival) -> Self {
        let Arrival {
            request, identity, ..
        } = arrival;
        let state = hub.connection_state(&request);
        let live = Live::new(
            identity,
            session.encoding(),
            transport.sender(),
            request,
            state,
        );
        let mut connection = Self {
            uploads: Budget::new(session.options().endpoint.application_max_buffer_size),
            hub: Arc::new(Held(hub)),
            transport,
            session,
            live,
            running: RunningCalls::default(),
            spare_handle: None,
            waiting: None,
            has_more: false,
            expires_at: None,
            uploads_stuck_since: None,
            alarm: Alarm::default(),
            now: now(),
            has_waited: false,
        };
        connection.expires_at = connection.expiry();
        connection
    }

    /// Runs what runs on connect, to its end whatever happens. Calls that come meanwhile wait
    /// (HB-03).
    async fn let_in(&mut self) -> Result<(), End> {
        let mut over = None;
        if let Some(mut on_connected) = self.on_connected() {
            let connected = loop {
                match self.take_input_beside(&mut on_connected).await {
                    Beside::Done(connected) => break connected,
                    Beside::Input => {}
                    // It has begun, and is told: what runs on disconnect undoes it.
                    Beside::Over(end) => {
                        over = Some(end);
                        self.hub.registry.remove(&self.live);
                        self.live.aborted().cancel();
                        break self.beside_writing(&mut on_connected).await;
                    }
                }
            };
            if let Err(error) = connected {
                events::method_failed("on_connected", &error);
                // Who is not let in is told so, and not to come back (CL-01).
                return Err(self.session.end(End::not_let_in(&error)));
            }
        }
        self.now = now(); // it may have taken long
        self.session.go_on(self.now);
        over.map_or(Ok(()), Err)
    }

    /// The life: take one input, do everything that follows from it, say what there is to say.
    async fn converse(&mut self) -> End {
        loop {
            if let Some(end) = poll_fn(|cx| Poll::Ready(self.do_what_follows(cx))).await {
                return end;
            }
            self.say();
            if let Some(end) = self.take_input().await {
                return end;
            }
            // Other connections want their turn too.
            tokio::task::consume_budget().await;
        }
    }

    /// Waits for something to happen, and takes it in.
    async fn take_input(&mut self) -> Option<End> {
        let input = poll_fn(|cx| self.poll_input(cx)).await;
        self.handle_input(input)
    }

    /// The same, or the end of a future that runs beside it.
    async fn take_input_beside<R>(&mut self, beside: &mut Running<R>) -> Beside<R> {
        let input = poll_fn(|cx| match beside.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Err(done)),
            Poll::Pending => self.poll_input(cx).map(Ok),
        });
        let end = match input.await {
            Ok(input) => self.handle_input(input),
            Err(done) => return Beside::Done(done),
        };
        // Pings are answered, and what comes is kept for later.
        self.session.keep_reading(self.now);
        self.say();
        end.map_or(Beside::Input, Beside::Over)
    }

    /// Does what the session asks for, and starts what waited for its turn: so much at a time, and
    /// no more while the client does not read its answers.
    fn do_what_follows(&mut self, cx: &mut Context<'_>) -> Option<End> {
        self.has_more = true;
        for _ in 0..EVENTS_AT_A_TIME {
            if self.is_clogged() {
                self.session.look_ahead(self.now);
                break;
            }
            if self.live.asked().is_some() {
                break; // CL-04: what follows is not even begun
            }
            self.start_waiting(cx);
            let Some(event) = self.session.poll_event(self.now) else {
                self.has_more = false;
                break;
            };
            let end = match event {
                Event::Call(invocation, kind) => {
                    self.begin(invocation, kind, cx);
                    None
                }
                Event::BrokenCall(broken) => self.begin_broken(*broken),
                Event::Cancel(key) => {
                    self.cancel(key);
                    None
                }
                Event::UploadItem(stream, item) => {
                    self.upload_item(stream, &item);
                    None
                }
                Event::UploadEnd(stream, error) => {
                    self.upload_end(stream, error);
                    None
                }
                Event::ClientResult(invocation_id, completion) => {
                    self.client_result(&invocation_id, completion)
                }
                Event::Ended(end) => Some(end),
            };
            if end.is_some() {
                return end;
            }
        }
        None
    }

    /// Says what there is to say, once each turn: to the transport what is new of the session, to
    /// the client what the session has for it.
    fn say(&mut self) {
        if self.session.client_pings() {
            self.transport.client_pings();
        }
        if let Some(mut signals) = self.session.take_signals() {
            // What its uploads hold is kept for the client too (SR-12).
            signals.keeps = signals.keeps.map(|bytes| bytes + self.uploads.bytes());
            self.transport.hear(signals);
        }
        self.write_outgoing();
    }

    fn write_outgoing(&mut self) {
        write(self.transport, self.session.outgoing());
    }

    /// Runs what runs on disconnect.
    async fn let_out(&mut self, error: Option<error::HubError>) -> error::Result<()> {
        let Some(mut on_disconnected) = self.on_disconnected(error) else {
            return Ok(());
        };
        self.beside_writing(&mut on_disconnected)
            .await
            .inspect_err(|error| events::method_failed("on_disconnected", error))
    }

    /// Runs something at the end, while the transport goes on writing.
    async fn beside_writing<R>(&mut self, run: &mut Running<R>) -> error::Result<R> {
        poll_fn(|cx| {
            let _ = self.transport.poll(cx, Intake::Over);
            run.as_mut().poll(cx)
        })
        .await
    }

    fn cx(&self, call: Arc<CallHandle>) -> context::Context<S> {
        context::Context {
            hub: self.hub.clone(),
            call,
        }
    }
}

#[cfg(test)]
mod tests {
    use raw_ws::WebSocket;

    use super::*;

    /// An idle connection is this, what `raw_ws` has of it and what others see of it: bytes here are
    /// bytes times connections.
    #[test]
    #[cfg(target_pointer_width = "64")]
    fn an_idle_connection_stays_small() {
        let size = of(run::<(), WebSocket>);
        assert!(size <= 1112, "{size}");
        assert!(size_of::<Live>() <= 296, "{}", size_of::<Live>());
    }

    fn of<F>(_: fn(Arc<Shared<()>>, WebSocket, Box<Arrival>) -> F) -> usize {
        size_of::<F>()
    }
}
