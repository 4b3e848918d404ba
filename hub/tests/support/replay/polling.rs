//! Long polling: one request after another.

use tokio::time::Instant;

use super::{
    connection::Event,
    events::Post,
    wire::{Exchange, Result, Trouble, failed},
};
use crate::transcript::Messages;

#[derive(Debug)]
pub(crate) struct Polling {
    pub(crate) post: Post,
    binary: bool,
    cut: Messages,
    /// The poll under way; one that is late goes on.
    poll: Option<Exchange>,
    over: bool,
}

impl Polling {
    /// Makes the first poll, which is answered at once.
    pub(crate) async fn open(post: Post, binary: bool) -> Result<Self> {
        let polling = Self {
            post,
            binary,
            cut: Messages::default(),
            poll: None,
            over: false,
        };
        let mut first = polling.ask().await?;
        let deadline = polling.post.patience.deadline();
        first.body(deadline).await?;
        let status = first.head(deadline).await?.status;
        if status != "200 OK" {
            return failed(format!("the first poll was answered {status}"));
        }
        Ok(polling)
    }

    async fn ask(&self) -> Result<Exchange> {
        Exchange::send(
            &self.post.server,
            "GET",
            &self.post.path,
            &self.post.headers,
            None,
        )
        .await
    }

    pub(crate) async fn whole(&mut self, deadline: Instant) -> Result<Event> {
        while !self.over {
            let mut poll = match self.poll.take() {
                Some(poll) => poll,
                None => self.ask().await?,
            };
            let body = match poll.body(deadline).await {
                Ok(body) => body,
                Err(Trouble::Ended(_)) => return Ok(Event::End),
                Err(trouble) => {
                    self.poll = Some(poll);
                    return Err(trouble);
                }
            };
            let head = poll.head(deadline).await?;
            if head.is("204") {
                self.over = true;
            } else if head.status != "200 OK" {
                return failed(format!("a poll was answered {}", head.status));
            } else if !body.is_empty() {
                return Ok(Event::Frame {
                    binary: self.binary,
                    data: body,
                });
            }
        }
        Ok(Event::End)
    }

    pub(crate) async fn event(&mut self, deadline: Instant) -> Result<Event> {
        loop {
            if let Some((binary, data)) = self.cut.next() {
                return Ok(Event::Message { binary, data });
            }
            match self.whole(deadline).await? {
                Event::Frame { binary, data } => self.cut.add(&data, binary)?,
                Event::End if !self.cut.pending().is_empty() => {
                    return Ok(Event::Partial(self.cut.pending().to_vec()));
                }
                other => return Ok(other),
            }
        }
    }

    pub(crate) fn close(&mut self) {
        self.poll = None;
    }
}
