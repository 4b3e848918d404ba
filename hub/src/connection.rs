//! One connection's life, top to bottom.
//!
//! One task does it all (D3): it reads, writes, and polls the calls that run. Reading goes on while
//! methods run, so that pings, cancels and answers are seen; it rests only when the client is too
//! far ahead of them, or does not read what it is sent.
//!
//! It may import all but the endpoint above it, and brings three floors together: the machine in
//! [`session`](crate::session), the bytes of a [`transport`](crate::transport), and what the user
//! wrote, in [`methods`](crate::methods). Go on with [`calls`], which begins and ends one call.

mod calls;
mod handlers;
mod refusals;

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use raw_ws::{CloseCode, MessageKind, Sender};
use tokio::time::Sleep;

use calls::Waiting;

use crate::{
    events,
    identity::{request::Request, user::User},
    methods::{
        context,
        filter::Running,
        hub::Shared,
        running::{RunningCalls, Step},
        uploads::UploadBudget,
    },
    protocol::TransferFormat,
    reach::{
        call::CallHandle,
        goodbye,
        live::{Command, Live, Who},
        registry::Registry,
    },
    session::{End, Event, Session},
    transport::{Intake, Received, Transport},
};

/// Messages of one client taken before others get their turn.
const EVENTS_AT_A_TIME: usize = 64;

/// Runs a connection from its first byte to its last.
pub(crate) async fn run<S: Send + Sync + 'static>(
    hub: Arc<Shared<S>>,
    transport: impl Transport,
    request: Request,
    who: Who,
) {
    let began = Instant::now();
    let name = request.transport().name();
    let mut connection = Connection::new(hub, transport, &request, who.may_count);

    // 1. Agree on a protocol. H-10: if that fails, nobody notices.
    if let Err(end) = connection.shake_hands().await {
        debug_assert_eq!(end, End::Handshake);
        events::handshake_failed();
        return connection.close(CloseCode::NORMAL).await;
    }

    // 2. Be reachable, by sends and groups.
    let live = connection.become_live(who, request);
    let reachable = Reachable::new(&connection.hub.registry, &live);
    let _until_gone = UntilGone(live.clone());
    events::connected(&live.id, name);

    // 3. Live: what runs on connect, then calls until something ends them.
    let (end, was_let_in) = match connection.let_in().await {
        Welcome::Yes => (connection.converse().await, true),
        Welcome::TooLate(end) => (end, true),
        Welcome::No(end) => (end, false),
    };

    // 4. Be reachable no more; the last word has been queued.
    drop(reachable);
    connection.drop_calls();

    // 5. What runs on disconnect, always.
    let close_code = match connection.let_out(&live, &end, was_let_in).await {
        Ok(()) if end == End::Shutdown => CloseCode::GOING_AWAY,
        Ok(()) => CloseCode::NORMAL,         // WS-11
        Err(_) => CloseCode::INTERNAL_ERROR, // CL-13
    };

    // 6. The closing handshake, under its deadline.
    if let End::ClientClosed(_) = end {
        connection.transport.client_closed();
    }
    if goodbye::is_pressing(&connection.hub.registry, &live) {
        connection.transport.server_stops();
    }
    connection.close(close_code).await;
    events::disconnected(&live.id, name, status(&end), began.elapsed());
}

struct Connection<S, T> {
    hub: Arc<Shared<S>>,
    transport: T,
    sender: Sender,
    session: Session,
    live: Option<Arc<Live>>,
    running: RunningCalls,
    /// The handle of a call that is over, for the next one.
    spare_handle: Option<Arc<CallHandle>>,
    /// The call that waits for its turn; everything behind it waits too (OR-02).
    waiting: Option<Box<Waiting>>,
    uploads: Arc<UploadBudget>,
    /// The session has more to be done than was done so far.
    has_more: bool,
    /// When its user is known no longer (AU-04).
    expires_at: Option<Instant>,
    /// Since when the uploads hold all they may.
    uploads_stuck_since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
    /// The clock, read once each time the task runs: what came in one read came at one time.
    now: Instant,
    has_waited: bool,
}

/// Whether a connection was let in.
enum Welcome {
    Yes,
    /// Yes, but it was over by then.
    TooLate(End),
    No(End),
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

/// What happens to a connection.
enum Input {
    Received(Received),
    Step(usize, Step),
    Command(Command),
    /// It is time to go on with what was there already.
    More,
    Deadline,
}

impl<S: Send + Sync + 'static, T: Transport> Connection<S, T> {
    fn new(hub: Arc<Shared<S>>, transport: T, request: &Request, may_count: bool) -> Self {
        let options = hub.registry.options.clone();
        let now = now();
        Self {
            sender: transport.sender(),
            uploads: UploadBudget::new(options.application_max_buffer_size),
            session: Session::new(
                options,
                request.transport().needs_pings(),
                request.transport().is_text_only(),
                now,
            )
            .may_count(may_count),
            hub,
            transport,
            live: None,
            running: RunningCalls::default(),
            spare_handle: None,
            waiting: None,
            has_more: false,
            expires_at: None,
            uploads_stuck_since: None,
            timer: None,
            now,
            has_waited: false,
        }
    }

    async fn shake_hands(&mut self) -> Result<(), End> {
        loop {
            match self.session.poll_event(self.now) {
                Some(Event::Opened) => {
                    self.write_outgoing();
                    self.transport.opened(self.session.counts());
                    return Ok(());
                }
                Some(Event::Ended(end)) => {
                    self.write_outgoing();
                    return Err(end);
                }
                Some(_) | None => {}
            }
            self.take_input().await.map_or(Ok(()), Err)?;
        }
    }

    fn become_live(&mut self, who: Who, request: Request) -> Arc<Live> {
        let encoding = self.session.encoding();
        let live = Live::new(who, encoding, self.sender.clone(), Arc::new(request));
        self.expires_at = self.expiry(&live);
        let live = Arc::new(live);
        self.live = Some(live.clone());
        live
    }

    /// When its user is known no longer, as things are (AU-04).
    fn expiry(&self, live: &Live) -> Option<Instant> {
        let options = &self.hub.registry.options;
        if !options.close_on_authentication_expiration {
            return None;
        }
        let lifetime = live.who()?.lifetime()?;
        Some(self.now + lifetime)
    }

    /// Runs what runs on connect, to its end whatever happens. Calls that come meanwhile wait
    /// (HB-03).
    async fn let_in(&mut self) -> Welcome {
        let mut over = None;
        if let Some(mut on_connected) = self.on_connected() {
            let connected = loop {
                match self.take_input_or(&mut on_connected).await {
                    Ok(Some(connected)) => break connected,
                    Ok(None) => {}
                    // It has begun, and is told: what runs on disconnect undoes it.
                    Err(end) => {
                        over = Some(end);
                        if let Some(live) = &self.live {
                            self.hub.registry.remove(live);
                            live.aborted().cancel();
                        }
                        break self.beside_writing(&mut on_connected).await;
                    }
                }
            };
            if let Err(error) = connected {
                events::method_failed("on_connected", &error);
                return Welcome::No(self.end(End::failed(&error, false))); // CL-01
            }
        }
        self.now = now(); // it may have taken long
        self.session.resume(self.now);
        over.map_or(Welcome::Yes, Welcome::TooLate)
    }

    /// The life: take one input, do everything that follows from it.
    async fn converse(&mut self) -> End {
        loop {
            if let Some(end) = poll_fn(|cx| Poll::Ready(self.do_what_follows(cx))).await {
                return end;
            }
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
    async fn take_input_or<R>(
        &mut self,
        beside: &mut Running<R>,
    ) -> Result<Option<crate::error::Result<R>>, End> {
        let input = poll_fn(|cx| match beside.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Err(done)),
            Poll::Pending => self.poll_input(cx).map(Ok),
        });
        match input.await {
            Err(done) => Ok(Some(done)),
            Ok(input) => {
                let end = self.handle_input(input);
                // Pings are answered, and what comes is kept for later.
                self.session.poll_event(self.now);
                self.tell_transport();
                self.write_outgoing();
                end.map_or(Ok(None), Err)
            }
        }
    }

    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<Input> {
        if std::mem::take(&mut self.has_waited) {
            self.now = now();
        }
        let input = self.poll_next_input(cx);
        if input.is_pending() {
            self.has_waited = true;
            self.session.rest();
            self.spare_handle = None;
        }
        input
    }

    fn poll_next_input(&mut self, cx: &mut Context<'_>) -> Poll<Input> {
        if let Some(command) = self.live.as_ref().and_then(|live| live.asked()) {
            return Poll::Ready(Input::Command(command));
        }
        loop {
            let is_clogged = self.is_clogged();
            if !is_clogged && self.has_more {
                return Poll::Ready(Input::More);
            }
            if !is_clogged && let Poll::Ready((place, step)) = self.running.poll_next(cx) {
                return Poll::Ready(Input::Step(place, step));
            }
            if self.session.has_all() {
                break;
            }
            let room = self.session.room(is_clogged);
            let intake = if room == 0 {
                Intake::Full
            } else if is_clogged && self.session.counts().is_none() {
                Intake::Resting
            } else if self.uploads_are_full(cx) {
                Intake::Full
            } else {
                Intake::Open { room }
            };
            if let Poll::Ready(received) = self.transport.poll(cx, intake) {
                return Poll::Ready(Input::Received(received));
            }
            if !is_clogged || self.is_clogged() {
                break;
            }
        }
        // Only who waits needs to be woken.
        if let Some(command) = self.live.as_ref().and_then(|live| live.poll_command(cx)) {
            return Poll::Ready(Input::Command(command));
        }
        self.poll_timer(cx).map(|()| Input::Deadline)
    }

    fn handle_input(&mut self, input: Input) -> Option<End> {
        match input {
            Input::Received(Received::Bytes(bytes)) => {
                self.session.handle_input(bytes);
                None
            }
            Input::Received(Received::Gone) => {
                self.session.handle_eof(self.now);
                // What it has said is done all the same; what runs may stop sooner.
                if let Some(live) = &self.live {
                    live.aborted().cancel();
                }
                None
            }
            Input::Received(Received::Lost) => {
                self.session.lost();
                self.tell_transport();
                events::detached();
                None
            }
            Input::Received(Received::Resumed(user)) => {
                self.resumed(user);
                None
            }
            Input::Step(place, step) => self.handle_step(place, step),
            Input::More => None,
            Input::Command(Command::Abort) => Some(self.end(End::Aborted)),
            Input::Command(Command::Shutdown) => Some(self.end(End::Shutdown)),
            Input::Deadline => {
                self.now = now();
                if self.expires_at.is_some_and(|at| self.now >= at) {
                    // A request since then may have renewed it.
                    self.expires_at = self.live.as_ref().and_then(|live| self.expiry(live));
                    if self.expires_at.is_some_and(|at| self.now >= at) {
                        return Some(self.end(End::Expired));
                    }
                }
                self.end_stuck_upload();
                let end = self.session.handle_timeout(self.now);
                self.write_outgoing();
                end
            }
        }
    }

    /// Does what the session asks for, and starts what waited for its turn: so much at a time, and
    /// no more while the client does not read its answers.
    fn do_what_follows(&mut self, cx: &mut Context<'_>) -> Option<End> {
        self.has_more = true;
        for _ in 0..EVENTS_AT_A_TIME {
            if self.is_clogged() {
                self.session.read_on(self.now);
                break;
            }
            if self
                .live
                .as_ref()
                .is_some_and(|live| live.asked().is_some())
            {
                break; // CL-04: what follows is not even begun
            }
            if let Some(end) = self.start_waiting(cx) {
                return Some(end);
            }
            let Some(event) = self.session.poll_event(self.now) else {
                self.has_more = false;
                break;
            };
            let end = match event {
                Event::Call(invocation, kind) => self.begin(invocation, kind, cx),
                Event::BrokenCall(broken) => self.begin_broken(*broken),
                Event::Ended(end) => Some(end),
                Event::Opened => None,
                other => self.handle_event(other),
            };
            if end.is_some() {
                self.tell_transport();
                self.write_outgoing();
                return end;
            }
        }
        self.tell_transport();
        self.write_outgoing();
        None
    }

    /// SR-12, SR-15: a client that was away is back, on another socket. The hub did not notice, but
    /// may have asked to be told.
    fn resumed(&mut self, user: Option<User>) {
        self.now = now();
        self.session.resumed(self.now);
        let Some(live) = self.live.clone() else {
            return; // SR-23: it begins anew
        };
        if let Some(user) = user {
            live.set_who(user);
            self.expires_at = self.expiry(&live);
        }
        live.set_resumed();
        events::resumed(&live.id);
    }

    /// What is known of the client: that it pings, and for who keeps what it was sent, what it said
    /// of that (SR-06).
    fn tell_transport(&mut self) {
        if self.session.client_pings() {
            self.transport.client_pings();
        }
        if let Some(mut signals) = self.session.take_signals() {
            signals.keeps = signals.keeps.map(|bytes| bytes + self.uploads.bytes());
            self.transport.hear(signals);
        }
    }

    /// Queues what the session has to say, in order with what others send.
    fn write_outgoing(&mut self) {
        if self.session.outgoing_bytes() == 0 {
            return;
        }
        let (format, outgoing) = self.session.outgoing();
        let kind = match format {
            TransferFormat::Text => MessageKind::Text,
            TransferFormat::Binary => MessageKind::Binary,
        };
        // Who is gone gets nothing (CL-12).
        let _ = self.sender.feed(kind, outgoing);
        outgoing.clear();
    }

    fn end(&mut self, end: End) -> End {
        let end = self.session.end(end);
        self.write_outgoing();
        end
    }

    /// Whether the client leaves too much unread: its calls rest. Who is gone reads nothing.
    fn is_clogged(&self) -> bool {
        if self.session.has_all() {
            return false;
        }
        let unread = self.sender.queued_bytes()
            + self.transport.waiting_bytes()
            + self.session.outgoing_bytes();
        unread >= self.hub.registry.options.transport_max_buffer_size
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let stuck = self
            .uploads_stuck_since
            .map(|since| since + self.hub.registry.options.transport_send_timeout);
        let deadlines = [self.session.poll_timeout(), stuck, self.expires_at];
        let Some(deadline) = deadlines.into_iter().flatten().min() else {
            return Poll::Pending;
        };
        let deadline = tokio::time::Instant::from_std(deadline);
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        timer.as_mut().poll(cx)
    }

    /// Runs what runs on disconnect.
    async fn let_out(
        &mut self,
        live: &Arc<Live>,
        end: &End,
        was_let_in: bool,
    ) -> crate::error::Result<()> {
        if !was_let_in {
            return Ok(());
        }
        let Some(mut on_disconnected) = self.on_disconnected(live, end.error()) else {
            return Ok(());
        };
        self.beside_writing(&mut on_disconnected)
            .await
            .inspect_err(|error| events::method_failed("on_disconnected", error))
    }

    /// Runs something at the end, while the transport goes on writing.
    async fn beside_writing<R>(&mut self, run: &mut Running<R>) -> crate::error::Result<R> {
        poll_fn(|cx| {
            let _ = self.transport.poll(cx, Intake::Over);
            run.as_mut().poll(cx)
        })
        .await
    }

    async fn close(&mut self, code: CloseCode) {
        self.transport.close(code).await;
    }

    fn cx(&self, call: Arc<CallHandle>) -> context::Context<S> {
        context::Context {
            hub: self.hub.clone(),
            call,
        }
    }
}

/// O-02.
fn status(end: &End) -> &'static str {
    match end {
        End::Timeout => "timeout",
        End::Shutdown => "app_shutdown",
        _ => "normal_closure",
    }
}

/// Tokio's clock, which tests can stop.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
