//! WebSockets that a client may replace, one after the other, without losing a message (`SPEC.md`, section
//! 22).
//!
//! What is sent goes to a mailbox, which outlives every socket, so that senders, groups and topics
//! never notice. From there all of it passes through [`Sent`], and only what `Sent` gives out can
//! be written to a socket. The connection's one task owns both: when a new socket comes the old one
//! is gone before a byte is written to the new one.

mod detached;
mod seat;
mod socket;

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use raw_ws::{
    CloseCode, Config, Mailbox, MessageKind, Sender, WebSocket,
    clock::{Alarm, now},
};

pub(crate) use detached::Detached;
use detached::Ticket;
use seat::Order;
pub(crate) use seat::{NoSeat, Reservation, Seat};
use socket::{Heard, Socket, Uncounted};

use super::{Duplex, Intake, Received};
use crate::{
    counted::sent::{Overflow, Sent},
    events,
    options::HubOptions,
    protocol::Protocol,
    session::Signals,
};

/// Bytes given to a socket before the client has to read; the rest waits where it is kept.
const WRITTEN_AHEAD: usize = 16 * 1024;

/// A connection that outlives its sockets.
pub(crate) struct Stateful {
    options: Arc<HubOptions>,
    mailbox: Mailbox,
    mode: Mode,
    socket: Option<Socket>,
    seat: Arc<Seat>,
    detached: Arc<Detached>,
    away: Option<Away>,
    /// The client has nothing to come back to: the session is over (SR-14), or nobody counts.
    is_last: bool,
    /// What came before the first socket (P-05).
    first: Option<Bytes>,
    alarm: Alarm,
    /// SR-22: when the client counts, whether it has said something or not.
    counts_at: Option<Instant>,
    counting_alarm: Alarm,
}

enum Mode {
    /// Nobody counts: before the hub handshake, and behind it where the client's version knows no
    /// stateful reconnect (SR-01).
    Uncounted(Uncounted),
    /// Both ends count.
    Counting(Sent),
}

struct Away {
    until: Instant,
    /// What the session keeps.
    kept: usize,
    ticket: Ticket,
}

impl Stateful {
    pub(crate) fn new(
        options: Arc<HubOptions>,
        config: Arc<Config>,
        ws: WebSocket,
        first: Bytes,
        seat: Arc<Seat>,
        detached: Arc<Detached>,
    ) -> Self {
        let (socket, uncounted) = Socket::first(ws);
        Self {
            options,
            mailbox: Mailbox::new(config),
            mode: Mode::Uncounted(uncounted),
            socket: Some(socket),
            seat,
            detached,
            away: None,
            is_last: false,
            first: Some(first).filter(|first| !first.is_empty()),
            alarm: Alarm::default(),
            counts_at: None,
            counting_alarm: Alarm::default(),
        }
    }

    /// Passes on what is queued, as far as the socket and the client take it.
    fn pass_on(&mut self, cx: &mut Context<'_>) -> Result<(), Overflow> {
        if let Mode::Counting(sent) = &mut self.mode
            && self.counting_alarm.poll(cx, self.counts_at).is_ready()
        {
            self.counts_at = None;
            sent.release();
        }
        while let Poll::Ready(message) = self.mailbox.poll_recv(cx) {
            let message = message.ok_or(Overflow)?;
            match &mut self.mode {
                Mode::Counting(sent) => sent.take(&message.into_bytes())?,
                Mode::Uncounted(uncounted) => {
                    if let Some(socket) = &mut self.socket {
                        socket.pass(message, uncounted);
                    }
                }
            }
        }
        if let (Mode::Counting(sent), Some(socket)) = (&mut self.mode, &mut self.socket) {
            while socket.unwritten() < WRITTEN_AHEAD
                && let Some(outgoing) = sent.next()
            {
                socket.write(outgoing);
            }
        }
        Ok(())
    }

    fn poll_socket(&mut self, cx: &mut Context<'_>, intake: Intake) -> Poll<Received> {
        loop {
            if self.pass_on(cx).is_err() {
                events::client_does_not_read();
                self.socket = None;
                return Poll::Ready(Received::Gone);
            }
            let Some(socket) = &mut self.socket else {
                return self.poll_away(cx);
            };
            if let Intake::Open { .. } = intake
                && let Some(first) = self.first.take()
            {
                return Poll::Ready(Received::Bytes(first));
            }
            let before = socket.unwritten();
            let heard = match intake {
                Intake::Open { .. } => socket.poll_recv(cx),
                Intake::Resting | Intake::Full | Intake::Over => socket.poll_flush(cx),
            };
            match heard {
                Poll::Ready(Heard::Bytes(bytes)) => {
                    return Poll::Ready(Received::Bytes(bytes));
                }
                Poll::Ready(Heard::Lost) if !self.is_last => return self.lost(),
                // SR-14: a clean end, or an offence.
                Poll::Ready(Heard::Lost | Heard::Over) => {
                    self.socket = None;
                    return Poll::Ready(Received::Gone);
                }
                // There is room for more now.
                Poll::Pending if socket.unwritten() < before.min(WRITTEN_AHEAD) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// SR-12: the connection lives on for a while, for whoever presents its token.
    fn lost(&mut self) -> Poll<Received> {
        self.socket = None;
        if let Mode::Counting(sent) = &mut self.mode {
            sent.lost();
        }
        self.away = Some(Away {
            until: now() + self.options.endpoint.disconnect_timeout,
            kept: 0,
            ticket: self.detached.add(self.seat.clone()),
        });
        Poll::Ready(Received::Lost)
    }

    fn poll_away(&mut self, cx: &mut Context<'_>) -> Poll<Received> {
        let mailed = self.mailbox.queued_bytes();
        let Some(away) = &mut self.away else {
            return Poll::Ready(Received::Gone);
        };
        let kept = match &self.mode {
            Mode::Counting(sent) => sent.bytes(),
            Mode::Uncounted(_) => 0,
        };
        away.ticket.set(away.kept + kept + mailed);
        self.alarm
            .poll(cx, Some(away.until))
            .map(|()| Received::Gone)
    }

    /// SR-07, SR-13: the new socket is the one from here on.
    fn resume(&mut self, ws: WebSocket) {
        self.socket = None;
        self.away = None;
        let mut socket = Socket::next(ws);
        if let Mode::Counting(sent) = &mut self.mode {
            // Before anything else (SR-08).
            socket.write(sent.resume());
            self.counts_at = None;
        }
        self.socket = Some(socket);
    }

    /// From here on its client has nothing to come back to.
    fn end(&mut self) {
        self.is_last = true;
        self.seat.end();
        self.away = None;
    }

    fn has_more(&self) -> bool {
        let waiting = match &self.mode {
            Mode::Counting(sent) => sent.has_next(),
            Mode::Uncounted(_) => false,
        };
        waiting || self.mailbox.queued_bytes() > 0
    }
}

impl Duplex for Stateful {
    fn sender(&self) -> Sender {
        self.mailbox.sender()
    }

    fn feed(&mut self, kind: MessageKind, message: &[u8]) {
        // Who is gone gets nothing (CL-12).
        let _ = self.mailbox.sender().feed(kind, message);
    }

    fn poll(&mut self, cx: &mut Context<'_>, intake: Intake) -> Poll<Received> {
        if intake == Intake::Over && !self.is_last {
            self.end();
        }
        match self.seat.poll_order(cx, self.socket.is_some()) {
            Some(Order::Come(ws, user)) => {
                self.resume(*ws);
                return Poll::Ready(Received::Resumed(user));
            }
            // SR-13: at once; whoever comes has the token, and messages go one way only.
            Some(Order::GiveWay) if !self.is_last => return self.lost(),
            Some(Order::GoneForGood) if self.away.is_some() => {
                events::detached_evicted();
                return Poll::Ready(Received::Gone);
            }
            Some(Order::GiveWay | Order::GoneForGood) | None => {}
        }
        self.poll_socket(cx, intake)
    }

    /// The last word leaves first, and whoever comes now is too late (SR-14).
    async fn close(&mut self, code: CloseCode) {
        self.end();
        poll_fn(|cx| {
            loop {
                if self.pass_on(cx).is_err() {
                    return Poll::Ready(());
                }
                let Some(socket) = &mut self.socket else {
                    return Poll::Ready(());
                };
                match socket.poll_flushed(cx) {
                    Poll::Ready(true) if self.has_more() => {}
                    Poll::Ready(_) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await;
        if let Some(socket) = self.socket.take() {
            socket.close(code).await;
        }
    }

    fn opened(&mut self, stateful: Option<Protocol>) {
        // The answer to the hub handshake is not counted, and is the last that is not.
        while let Some(message) = self.mailbox.try_recv() {
            if let (Mode::Uncounted(uncounted), Some(socket)) = (&self.mode, &mut self.socket) {
                socket.pass(message, uncounted);
            }
        }
        match stateful {
            Some(protocol) => {
                let options = &self.options;
                let limit = options.stateful_reconnect_buffer_size;
                self.mode = Mode::Counting(Sent::new(protocol, limit, options.max_queued_bytes));
                self.counts_at = Some(now() + options.handshake_timeout);
            }
            None => self.end(),
        }
    }

    fn client_pings(&mut self) {
        if let Some(socket) = &mut self.socket {
            socket.client_pings();
        }
    }

    fn client_closed(&mut self) {}

    fn server_stops(&mut self) {}

    fn hear(&mut self, signals: Signals) {
        let Mode::Counting(sent) = &mut self.mode else {
            return;
        };
        if signals.client_counts {
            self.counts_at = None;
            sent.release();
        }
        if let Some(id) = signals.acknowledged {
            sent.acknowledge(id);
        }
        if let (Some(bytes), Some(away)) = (signals.keeps, &mut self.away) {
            away.kept = bytes;
        }
    }

    fn waiting_bytes(&self) -> usize {
        match &self.mode {
            Mode::Counting(sent) => sent.waiting_bytes(),
            Mode::Uncounted(_) => 0,
        }
    }
}

impl Drop for Stateful {
    fn drop(&mut self) {
        self.seat.end();
    }
}
