//! The long polling transport (spec section 7).
//!
//! What is sent stays in the connection's queue until a poll wants it. Then the session's task
//! takes all there is, and the poll carries it away. [`Polls`] is what lies between the two.

mod polls;

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::BytesMut;
use raw_ws::{CloseCode, Config, Mailbox, Sender};

use super::{Intake, Received, Transport, alarm::Alarm, posts::Posts};
use crate::events;
use polls::Wish;
pub(crate) use polls::{Answer, Polls};

/// The session's side of the polls.
pub(crate) struct LongPolling {
    mailbox: Mailbox,
    posts: Arc<Posts>,
    polls: Arc<Polls>,
    alarm: Alarm,
    client_has_closed: bool,
}

/// How long a client that has said Close gets for its DELETE.
const GOODBYE: Duration = Duration::from_secs(2);

impl LongPolling {
    pub(crate) fn new(config: Arc<Config>, posts: Arc<Posts>, polls: Arc<Polls>) -> Self {
        posts.connect();
        Self {
            mailbox: Mailbox::new(config),
            posts,
            polls,
            alarm: Alarm::default(),
            client_has_closed: false,
        }
    }

    fn drop_client(&mut self) -> Poll<Received> {
        self.posts.dispose();
        self.polls.dispose();
        Poll::Ready(Received::Gone)
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

impl Transport for LongPolling {
    fn sender(&self) -> Sender {
        self.mailbox.sender()
    }

    fn poll(&mut self, cx: &mut Context<'_>, intake: Intake) -> Poll<Received> {
        let Wish {
            wants_messages,
            deadline,
            is_over,
        } = self.polls.poll_wish(cx);
        let is_cut = self.mailbox.is_cut() || (wants_messages && !self.hand_over(cx));
        if is_over {
            // LP-12: a poll that waits gets the Close message all the same.
            self.posts.dispose();
            return Poll::Ready(Received::Gone);
        }
        if is_cut {
            events::client_does_not_read();
            return self.drop_client();
        }
        if self.alarm.poll(cx, deadline).is_ready() {
            return self.drop_client(); // C-05, LP-11
        }
        self.posts.poll_take(cx, intake).map(Received::Bytes)
    }

    fn client_closed(&mut self) {
        self.client_has_closed = true;
    }

    /// LP-05: what is left goes with the next poll, and the one after that is told of the end.
    async fn close(&mut self, _: CloseCode) {
        self.posts.end().await;
        let mut messages = BytesMut::new();
        while let Some(message) = self.mailbox.try_recv() {
            messages.extend_from_slice(&message.into_bytes());
        }
        let goodbye = self.client_has_closed.then(|| now() + GOODBYE);
        self.polls.end(messages, goodbye);
        poll_fn(|cx| {
            let wish = self.polls.poll_wish(cx);
            if wish.is_over {
                return Poll::Ready(());
            }
            self.alarm.poll(cx, wish.deadline)
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

/// Tokio's clock, which tests can stop.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
