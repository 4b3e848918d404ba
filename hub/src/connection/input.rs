//! What happens to a connection, and in which order it is looked at.

use std::{
    task::{Context, Poll},
    time::Instant,
};

use raw_ws::clock::now;

use super::Connection;
use crate::{
    events,
    identity::user::User,
    methods::running::Step,
    reach::live::Command,
    session::End,
    transport::{Duplex, Intake, Received},
};

/// What happens to a connection.
pub(super) enum Input {
    Received(Received),
    Step(usize, Step),
    Command(Command),
    /// It is time to go on with what was there already.
    More,
    Deadline,
}

impl<S: Send + Sync + 'static, T: Duplex> Connection<'_, S, T> {
    pub(super) fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<Input> {
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
        if let Some(command) = self.live.asked() {
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
            let intake = self.intake(cx, is_clogged);
            if let Poll::Ready(received) = self.transport.poll(cx, intake) {
                return Poll::Ready(Input::Received(received));
            }
            if !is_clogged || self.is_clogged() {
                break;
            }
        }
        // Only who waits needs to be woken.
        if let Some(command) = self.live.poll_command(cx) {
            return Poll::Ready(Input::Command(command));
        }
        let patience = self.session.options().endpoint.transport_send_timeout;
        let stuck = self.uploads_stuck_since.map(|since| since + patience);
        let deadlines = [self.session.poll_timeout(), stuck, self.expires_at];
        let deadline = deadlines.into_iter().flatten().min();
        self.alarm.poll(cx, deadline).map(|()| Input::Deadline)
    }

    /// Whether the transport may take what the client sends, and how much of it.
    fn intake(&mut self, cx: &mut Context<'_>, is_clogged: bool) -> Intake {
        let room = self.session.room(is_clogged);
        if room == 0 {
            Intake::Full
        } else if is_clogged && self.session.stateful().is_none() {
            Intake::Resting
        } else if self.uploads_are_full(cx) {
            Intake::Full
        } else {
            Intake::Open { room }
        }
    }

    pub(super) fn handle_input(&mut self, input: Input) -> Option<End> {
        match input {
            Input::Received(Received::Bytes(bytes)) => {
                self.session.handle_input(bytes);
                None
            }
            Input::Received(Received::Gone) => {
                self.session.handle_eof(self.now);
                // What it has said is done all the same; what runs may stop sooner.
                self.live.aborted().cancel();
                None
            }
            Input::Received(Received::Lost) => {
                self.session.lost();
                events::detached();
                None
            }
            Input::Received(Received::Resumed(user)) => {
                self.resumed(user);
                None
            }
            Input::Step(place, step) => {
                self.handle_step(place, step);
                None
            }
            Input::More => None,
            Input::Command(Command::Abort) => Some(self.session.end(End::Aborted)),
            Input::Command(Command::Shutdown) => Some(self.session.end(End::Shutdown)),
            Input::Command(Command::CannotBeSentTo) => Some(self.session.end(End::CannotBeSentTo)),
            Input::Deadline => self.handle_deadline(),
        }
    }

    fn handle_deadline(&mut self) -> Option<End> {
        self.now = now();
        if self.has_expired() {
            // A request since then may have renewed it.
            self.expires_at = self.expiry();
            if self.has_expired() {
                return Some(self.session.end(End::Expired));
            }
        }
        self.end_stuck_upload();
        self.session.handle_timeout(self.now)
    }

    fn has_expired(&self) -> bool {
        self.expires_at.is_some_and(|at| self.now >= at)
    }

    /// When its user is known no longer, as things are (AU-04).
    pub(super) fn expiry(&self) -> Option<Instant> {
        if !self
            .session
            .options()
            .endpoint
            .close_on_authentication_expiration
        {
            return None;
        }
        let lifetime = self.live.user()?.lifetime()?;
        Some(self.now + lifetime)
    }

    /// SR-12, SR-15: a client that was away is back, on another socket. The hub did not notice, but
    /// may have asked to be told.
    fn resumed(&mut self, user: Option<User>) {
        self.now = now();
        self.session.resumed(self.now);
        if let Some(user) = user {
            self.live.set_user(user);
            self.expires_at = self.expiry();
        }
        self.live.set_resumed();
        events::resumed(&self.live.id);
    }

    /// Whether the client leaves too much unread: its calls rest. Who is gone reads nothing.
    pub(super) fn is_clogged(&self) -> bool {
        if self.session.has_all() {
            return false;
        }
        let unread = self.live.sender.queued_bytes()
            + self.transport.waiting_bytes()
            + self.session.outgoing_bytes();
        unread >= self.session.options().endpoint.transport_max_buffer_size
    }
}
