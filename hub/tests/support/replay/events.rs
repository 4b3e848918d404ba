//! Server-sent events, and the POSTs that go with them.

use tokio::time::Instant;

use super::{
    address::Address,
    connection::Event,
    run::Patience,
    wire::{Exchange, Result, Trouble, failed, find, names_header},
};
use crate::transcript::Messages;

/// From client to server where the transport goes one way only.
#[derive(Debug)]
pub(crate) struct Post {
    pub(crate) server: Address,
    pub(crate) path: String,
    pub(crate) headers: Vec<String>,
    pub(crate) patience: Patience,
}

impl Post {
    pub(crate) async fn say(&self, data: &[u8], binary: bool) -> Result<()> {
        let kind = if binary {
            "application/octet-stream"
        } else {
            "text/plain;charset=UTF-8"
        };
        let mut headers = vec![format!("Content-Type: {kind}")];
        headers.extend(self.headers.iter().cloned());
        let mut exchange =
            Exchange::send(&self.server, "POST", &self.path, &headers, Some(data)).await?;
        let deadline = self.patience.deadline();
        exchange.body(deadline).await?;
        let head = exchange.head(deadline).await?;
        if head.status != "200 OK" {
            return failed(format!("the POST was answered {}", head.status));
        }
        Ok(())
    }
}

#[derive(Debug)]
pub(crate) struct Events {
    pub(crate) exchange: Exchange,
    pub(crate) post: Post,
    data: Vec<u8>,
    cut: Messages,
}

impl Events {
    pub(crate) async fn open(post: Post) -> Result<Self> {
        let mut headers = post.headers.clone();
        if !names_header(&headers, "accept") {
            headers.insert(0, "Accept: text/event-stream".into());
        }
        let mut exchange = Exchange::send(&post.server, "GET", &post.path, &headers, None).await?;
        exchange.head(post.patience.deadline()).await?;
        Ok(Self {
            exchange,
            post,
            data: Vec::new(),
            cut: Messages::default(),
        })
    }

    /// The bytes of the next event or comment.
    pub(crate) async fn whole(&mut self, deadline: Instant) -> Result<Event> {
        loop {
            let end = if self.data.starts_with(b":") {
                find(&self.data, b"\r\n").map(|at| at + 2)
            } else {
                find(&self.data, b"\r\n\r\n").map(|at| at + 4)
            };
            if let Some(end) = end {
                let data = self.data.drain(..end).collect();
                return Ok(Event::Frame {
                    binary: false,
                    data,
                });
            }
            match self.exchange.chunk(deadline).await {
                Ok(Some(piece)) => self.data.extend(piece),
                Ok(None) | Err(Trouble::Ended(_)) => return Ok(Event::End),
                Err(trouble) => return Err(trouble),
            }
        }
    }

    pub(crate) async fn event(&mut self, deadline: Instant) -> Result<Event> {
        loop {
            if let Some((binary, data)) = self.cut.next() {
                return Ok(Event::Message { binary, data });
            }
            match self.whole(deadline).await? {
                Event::Frame { data, .. } => self.cut.add(&payload(&data), false)?,
                other => return Ok(other),
            }
        }
    }
}

/// The `data:` lines of an event, joined.
fn payload(event: &[u8]) -> Vec<u8> {
    let lines = event
        .split(|b| *b == b'\n')
        .filter_map(|line| line.strip_prefix(b"data: "));
    let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.collect::<Vec<_>>().join(&b'\n')
}
