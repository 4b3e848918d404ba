//! The long polling transport (`SPEC.md`, section 7).
//!
//! What is sent stays in the connection's queue until a poll wants it. Then the session's task
//! takes all there is, and the poll carries it away. [`Polls`] is what lies between the two.

mod polls;

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::BytesMut;
use raw_ws::{
    CloseCode, Config, Mailbox, MessageKind, Sender,
    clock::{Alarm, now},
};

use super::{Duplex, Intake, Received, posts::Posts};
use crate::{events, protocol::Protocol, session::Signals};
use polls::Wish;
pub(crate) use polls::{Answer, Polls};

/// The session's side of the polls.
pub(crate) struct LongPolling {
    mailbox: Mailbox,
    posts: Arc<Posts>,
    polls: Arc<Polls>,
    alarm: Alarm,
    client: Client,
}

/// What is known of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Client {
    Here,
    /// It has said Close.
    SaysGoodbye,
    /// It is here, and its server stops.
    TakesLeave,
    /// It says nothing more.
    Gone,
}

/// How long a client that has said Close gets for its DELETE.
const GOODBYE: Duration = Duration::from_secs(2);

/// How long a client whose server stops gets to come for its last messages, if no poll of it waits.
const LAST_POLL: Duration = Duration::from_secs(1);

impl LongPolling {
    pub(crate) fn new(config: Arc<Config>, posts: Arc<Posts>, polls: Arc<Polls>) -> Self {
        posts.connect();
        Self {
            mailbox: Mailbox::new(config),
            posts,
            polls,
            alarm: Alarm::default(),
            client: Client::Here,
        }
    }

    /// Serves the polls. Whether the client is gone: it says so, does not read, or does not poll.
    fn poll_polls(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Wish {
            wants_messages,
            deadline,
            is_over,
            ..
        } = self.polls.poll_wish(cx);
        let is_cut = self.mailbox.is_cut() || (wants_messages && !self.hand_over(cx));
        if is_over {
            return Poll::Ready(()); // LP-12: a poll that waits gets the Close message all the same.
        }
        if is_cut {
            events::client_does_not_read();
        } else {
            // It polls no more (C-05), or does not take its answer (LP-11).
            std::task::ready!(self.alarm.poll(cx, deadline));
        }
        self.polls.dispose();
        Poll::Ready(())
    }

    /// Gives what is queued to the poll that waits for it; `false` when the queue was cut.
    fn hand_over(&mut self, cx: &mut Context<'_>) -> bool {
        let mut messages = BytesMut::new();
        let is_whole = loop {
            match self.mailbox.poll_recv(cx) {
                Poll::Ready(Some(message)) => messages.extend_from_slice(&message.into_bytes()),
                Poll::Ready(None) => break false,
                Poll::Pending => break true,
            }
        };
        self.polls.deliver(messages);
        is_whole
    }
}

impl Duplex for LongPolling {
    fn sender(&self) -> Sender {
        self.mailbox.sender()
    }

    fn feed(&mut self, kind: MessageKind, message: &[u8]) {
        // Who is gone gets nothing (CL-12).
        let _ = self.mailbox.sender().feed(kind, message);
    }

    fn poll(&mut self, cx: &mut Context<'_>, intake: Intake) -> Poll<Received> {
        if self.poll_polls(cx).is_ready() {
            self.client = Client::Gone;
            self.posts.dispose();
        }
        // What was answered with 200 happens, whoever has left since.
        let taken = self.posts.poll_take(cx, intake);
        taken.map(|bytes| bytes.map_or(Received::Gone, Received::Bytes))
    }

    /// Nothing is counted: what a poll did not take goes with the next.
    fn opened(&mut self, _: Option<Protocol>) {}

    /// Its polls say that it is there (LP-15).
    fn client_pings(&mut self) {}

    fn hear(&mut self, _: Signals) {}

    fn waiting_bytes(&self) -> usize {
        0
    }

    fn client_closed(&mut self) {
        self.client = Client::SaysGoodbye;
    }

    fn server_stops(&mut self) {
        self.client = Client::TakesLeave;
    }

    /// LP-05: what is left goes with the next poll, and the one after that is told of the end. Where
    /// the server stops nobody waits for that one.
    async fn close(&mut self, _: CloseCode) {
        self.posts.end().await;
        let mut messages = BytesMut::new();
        while let Some(message) = self.mailbox.try_recv() {
            messages.extend_from_slice(&message.into_bytes());
        }
        let says_goodbye = self.client == Client::SaysGoodbye;
        let goodbye = says_goodbye.then(|| now() + GOODBYE);
        self.polls.end(messages, goodbye);
        let takes_leave = self.client == Client::TakesLeave;
        let last_poll = takes_leave.then(|| now() + LAST_POLL);
        poll_fn(|cx| {
            let wish = self.polls.poll_wish(cx);
            if wish.is_over || (takes_leave && !wish.has_left) {
                return Poll::Ready(());
            }
            let deadline = match (wish.deadline, last_poll) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
            self.alarm.poll(cx, deadline)
        })
        .await;
    }
}

impl Drop for LongPolling {
    fn drop(&mut self) {
        self.posts.dispose();
        self.polls.dispose();
    }
}
