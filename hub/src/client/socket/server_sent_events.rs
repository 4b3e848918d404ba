//! Server-sent events: one answer that does not end, and POSTs the other way.

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use http::{Method, StatusCode, header};
use reqwest::Url;

use super::{ClientError, Ended, Requests, posts::Posts};
use crate::client::web::{Answer, Boxed};

pub(crate) struct ServerSentEvents {
    pub(super) posts: Posts,
    reading: Boxed<(Answer, Result<Option<Bytes>, ClientError>)>,
    events: Events,
}

impl ServerSentEvents {
    pub(super) async fn open(requests: Arc<Requests>, url: Url) -> Result<Self, ClientError> {
        let accept = [("accept", "text/event-stream")];
        let answer = requests
            .ask(Method::GET, &url, &accept, Bytes::new())
            .await?;
        let kind = answer.header(header::CONTENT_TYPE).unwrap_or_default();
        if answer.status != StatusCode::OK {
            return Err(answer.refusal().await);
        }
        if !kind.starts_with("text/event-stream") {
            let text = format!("events were asked for, and {kind:?} came");
            return Err(ClientError::Protocol(text));
        }
        Ok(Self {
            posts: Posts::new(requests, url),
            reading: read(answer),
            events: Events::default(),
        })
    }

    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Ended>> {
        loop {
            let (answer, chunk) = ready!(self.reading.as_mut().poll(cx));
            self.reading = read(answer);
            let chunk = match chunk {
                Ok(Some(chunk)) => chunk,
                // There is no other end of it (SSE-08).
                Ok(None) => return Poll::Ready(Err(Ended::Over)),
                Err(error) => return Poll::Ready(Err(Ended::Lost(error))),
            };
            let data = self.events.data(chunk);
            if !data.is_empty() {
                return Poll::Ready(Ok(data));
            }
        }
    }
}

fn read(mut answer: Answer) -> Boxed<(Answer, Result<Option<Bytes>, ClientError>)> {
    Box::pin(async move {
        let chunk = answer.chunk().await;
        (answer, chunk)
    })
}

/// The data in a stream of events. Where an event ends means nothing: hub messages say that
/// themselves, and a line's end in one is white space of JSON.
#[derive(Debug, Default)]
struct Events {
    /// The start of a line, while it may still be that of one with data.
    start: Vec<u8>,
    line: Line,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Line {
    #[default]
    Begins,
    Data,
    /// A comment, or a field that says nothing here.
    Other,
}

impl Events {
    const DATA: &[u8] = b"data:";

    fn data(&mut self, mut chunk: Bytes) -> Bytes {
        let mut data = BytesMut::new();
        while let Some(&byte) = chunk.first() {
            if self.line == Line::Begins {
                self.begin(byte);
                chunk.advance(1);
                continue;
            }
            let end = chunk.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
            let part = chunk.split_to(end.unwrap_or(chunk.len()));
            if self.line == Line::Data {
                if part.len() + data.len() == part.len() && end.is_none() && chunk.is_empty() {
                    return part; // the middle of a long one is not copied
                }
                data.extend_from_slice(&part);
            }
            if end.is_some() {
                chunk.advance(1);
                self.line = Line::Begins;
            }
        }
        data.freeze()
    }

    fn begin(&mut self, byte: u8) {
        match byte {
            b'\r' | b'\n' => self.start.clear(), // the end of an event, or of an empty line
            b' ' if self.start == Self::DATA => {
                self.start.clear();
                self.line = Line::Data;
            }
            byte => {
                self.start.push(byte);
                if !Self::DATA.starts_with(&self.start) {
                    self.start.clear();
                    self.line = Line::Other;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sse_04_the_data_of_events_is_found_wherever_they_are_cut() {
        let stream = ":\r\n\r\ndata: {}\u{1e}\r\n\r\nevent: x\nid: 7\ndata: {\"a\":\ndata: 1}\u{1e}\n\nretry: 5\n\n";
        for at in 0..stream.len() {
            let mut events = Events::default();
            let (first, second) = stream.as_bytes().split_at(at);
            let mut data = events.data(Bytes::copy_from_slice(first)).to_vec();
            data.extend_from_slice(&events.data(Bytes::copy_from_slice(second)));
            assert_eq!(data, "{}\u{1e}{\"a\":1}\u{1e}".as_bytes(), "cut at {at}");
        }
    }
}
