//! The life of a connection without the hub protocol.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use raw_ws::{
    CloseCode,
    clock::{Alarm, now},
};

use super::{Arrival, Reachable, UntilGone, handlers::caught};
use crate::{
    error::Result,
    events,
    methods::{
        filter::Running,
        hub::Shared,
        raw::{Inbox, RawConnection, RawHandler},
    },
    options::HubOptions,
    protocol::{Encoding, Names, Protocol},
    reach::{
        goodbye,
        live::{Command, Live},
    },
    transport::{Duplex, Intake, Received},
};

/// How one ends.
enum RawEnd {
    /// Its handler has.
    Handled(Result<()>),
    /// It was asked to.
    Asked(Command),
    /// Its user is known no longer.
    Expired,
}

/// Runs a connection from its first byte to its last.
pub(crate) async fn run<S: Send + Sync + 'static, T: Duplex>(
    hub: Arc<Shared<S>>,
    mut transport: T,
    arrival: Box<Arrival>,
    handler: &RawHandler,
) {
    let began = Instant::now();
    let Arrival {
        request,
        identity,
        options,
        ..
    } = *arrival;
    let name = request.transport().name();
    let state = hub.connection_state(&request);
    // The protocol is nobody's: no call is ever written.
    let encoding = Encoding {
        protocol: Protocol::Json,
        names: Names::AsDeclared,
    };
    let live = Live::new(identity, encoding, transport.sender(), request, state);
    transport.opened(None);
    let reachable = Reachable::new(&hub.registry, &live);
    let live = UntilGone(live);
    events::connected(&live.0.id, name);

    let inbox = Inbox::new();
    let connection = RawConnection::new(live.0.clone(), inbox.clone());
    let mut raw = Raw {
        transport: &mut transport,
        live: &live.0,
        inbox: &inbox,
        options: &options,
        is_gone: false,
        alarm: Alarm::default(),
    };
    let mut handled = caught(|| handler(connection));
    let end = poll_fn(|cx| raw.poll_end(&mut handled, cx)).await;
    // Dropped before the goodbye, behind which nothing may be said; and what it does as it is dropped
    // is its own.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(handled)));
    inbox.end();
    drop(reachable);

    let (end, status, code) = match end {
        RawEnd::Handled(Ok(())) => ("ended", "normal_closure", CloseCode::NORMAL),
        RawEnd::Handled(Err(error)) => {
            events::method_failed("raw connection", &error);
            ("failed", "normal_closure", CloseCode::INTERNAL_ERROR)
        }
        RawEnd::Asked(Command::Abort | Command::CannotBeSentTo) => {
            ("aborted", "normal_closure", CloseCode::NORMAL)
        }
        RawEnd::Asked(Command::Shutdown) => ("shutdown", "app_shutdown", CloseCode::GOING_AWAY),
        RawEnd::Expired => (
            "authentication_expired",
            "normal_closure",
            CloseCode::NORMAL,
        ),
    };
    if goodbye::is_pressing(&hub.registry, &live.0) {
        transport.server_stops();
    }
    transport.close(code).await;
    events::disconnected(&live.0.id, name, end, status, began.elapsed());
}

/// A connection while its handler runs.
struct Raw<'a, T> {
    transport: &'a mut T,
    live: &'a Arc<Live>,
    inbox: &'a Inbox,
    options: &'a HubOptions,
    /// The client is gone: what it has sent may still be read.
    is_gone: bool,
    alarm: Alarm,
}

impl<T: Duplex> Raw<'_, T> {
    /// Runs the handler, and takes in and writes what there is beside it.
    fn poll_end(&mut self, handled: &mut Running<()>, cx: &mut Context<'_>) -> Poll<RawEnd> {
        if let Poll::Ready(ended) = handled.as_mut().poll(cx) {
            return Poll::Ready(RawEnd::Handled(ended));
        }
        if let Some(command) = self.live.poll_command(cx) {
            return Poll::Ready(RawEnd::Asked(command));
        }
        self.take_in(cx);
        let Some(left) = self.lifetime() else {
            return Poll::Pending;
        };
        // Where none is left, `now` is past whatever the alarm was set to, and goes on.
        if left.is_zero() {
            return Poll::Ready(RawEnd::Expired);
        }
        let expires = now() + left;
        self.alarm.poll(cx, Some(expires)).map(|()| RawEnd::Expired)
    }

    fn take_in(&mut self, cx: &mut Context<'_>) {
        while !self.is_gone {
            let limit = self.options.endpoint.application_max_buffer_size.max(1);
            let intake = match self.inbox.room(limit, cx) {
                0 => Intake::Full,
                room => Intake::Open { room },
            };
            match self.transport.poll(cx, intake) {
                Poll::Ready(Received::Bytes(bytes)) => self.inbox.push(bytes),
                Poll::Ready(Received::Gone | Received::Lost) => {
                    self.is_gone = true;
                    self.inbox.end();
                    self.live.aborted().cancel();
                }
                // Nobody resumes what cannot be resumed.
                Poll::Ready(Received::Resumed(_)) => {}
                Poll::Pending => return,
            }
        }
    }

    /// How long its user is known yet, where that matters (AU-04).
    fn lifetime(&self) -> Option<Duration> {
        if !self.options.endpoint.close_on_authentication_expiration {
            return None;
        }
        self.live.user()?.lifetime()
    }
}
