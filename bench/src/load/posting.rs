//! A connection of the load to a hub whose client POSTs what it says and hears the rest in an event
//! stream or in polls.
//!
//! As the official clients do it: one POST at a time, and what is said meanwhile goes with the next.

use std::{
    io::{self, Read, Write},
    net::SocketAddr,
};

use mio::{Interest, Registry, Token, net::TcpStream};

use super::{
    connection::{Outgoing, Traffic},
    content::{Content, Tally},
    dialect::Script,
    http::{Answers, Http, request},
    polling::negotiate,
    target::{Target, Transport},
};

#[derive(Debug)]
pub(super) struct Posting {
    posts: Channel,
    /// The event stream, or the polls.
    listens: Channel,
    events: Option<EventData>,
    content: Content,
    host: SocketAddr,
    path: String,
    /// Messages that no POST has taken yet.
    owed: u64,
    is_posting: bool,
}

/// One HTTP connection that does not wait.
#[derive(Debug)]
struct Channel {
    stream: TcpStream,
    answers: Answers,
    /// The rest of the request that is being written.
    unwritten: Vec<u8>,
}

/// The data in an event stream: what stands behind `data: ` in each line.
#[derive(Debug, Default)]
struct EventData {
    line: Line,
}

/// The line that comes.
#[derive(Debug, Default)]
enum Line {
    #[default]
    Empty,
    /// So much of what stands before the data.
    Field(usize),
    Data,
    /// It begins with a colon.
    Comment,
}

impl Posting {
    /// Connects, says what the script begins with, and goes on without waiting: events of the POSTs
    /// will carry the first token, what is heard the second.
    pub(super) fn open(
        target: &Target,
        script: &Script,
        registry: &Registry,
        tokens: [Token; 2],
    ) -> io::Result<(Self, Tally)> {
        let opened = open(target, script)?;
        let mut content = Content::new(&script.reply);
        let (mut events, mut came) = (None, Tally::default());
        if target.transport == Transport::ServerSentEvents {
            let mut data = EventData::default();
            data.take(&opened.early, |part| {
                came += content.take(part)?;
                Ok(())
            })?;
            events = Some(data);
        }
        let channel = |http: Http, token| {
            let (stream, answers) = http.into_parts()?;
            let mut stream = TcpStream::from_std(stream);
            registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
            let unwritten = Vec::new();
            io::Result::Ok(Channel {
                stream,
                answers,
                unwritten,
            })
        };
        let [posts, listens] = tokens;
        let posting = Self {
            posts: channel(opened.posts, posts)?,
            listens: channel(opened.listens, listens)?,
            events,
            content,
            host: target.address,
            path: opened.path,
            owed: 0,
            is_posting: false,
        };
        Ok((posting, came))
    }

    /// Has `count` more messages to say.
    pub(super) fn owe(&mut self, count: u64) {
        self.owed += count;
    }

    /// POSTs what is owed, if no POST is under way, and writes.
    pub(super) fn flush(&mut self, message: &Outgoing, traffic: &mut Traffic) -> io::Result<()> {
        if self.owed > 0 && !self.is_posting {
            let at_once = (message.copies.len() / message.length) as u64;
            let at_once = at_once.min((LARGEST_POST / message.length).max(1) as u64);
            let count = self.owed.min(at_once);
            self.owed -= count;
            self.is_posting = true;
            let body = &message.copies[..message.length * count as usize];
            self.posts.unwritten = request("POST", &self.path, self.host, body);
        }
        self.posts.flush(traffic)?;
        self.listens.flush(traffic)
    }

    /// Reads until both sockets are empty.
    pub(super) fn read(
        &mut self,
        message: &Outgoing,
        buffer: &mut [u8],
        traffic: &mut Traffic,
    ) -> io::Result<Tally> {
        let answered = self.posts.read(buffer, traffic, |_| Ok(()))?;
        if answered > 0 {
            self.is_posting = false;
        }
        let (mut tally, content) = (Tally::default(), &mut self.content);
        let mut count = |part: &[u8]| {
            tally += content.take(part)?;
            Ok(())
        };
        let events = &mut self.events;
        let ended = self
            .listens
            .read(buffer, traffic, |part| match events.as_mut() {
                Some(events) => events.take(part, &mut count),
                None => count(part),
            })?;
        match (ended, &self.events) {
            (0, _) => {}
            (_, Some(_)) => return Err(io::Error::other("the server ended the event stream")),
            (_, None) => self.listens.unwritten = request("GET", &self.path, self.host, b""),
        }
        self.flush(message, traffic)?;
        Ok(tally)
    }
}

/// A connection on which a hub has agreed to the protocol.
pub(super) struct Opened {
    posts: Http,
    pub(super) listens: Http,
    path: String,
    /// What has come of the event stream.
    early: Vec<u8>,
}

/// Connects, waiting for each answer, and says what the script begins with.
pub(super) fn open(target: &Target, script: &Script) -> io::Result<Opened> {
    let (Some(hub), Some(posted)) = (&target.path, &script.posted) else {
        return Err(io::Error::other("only a hub is talked to in POSTs"));
    };
    let fail = |e: io::Error| io::Error::new(e.kind(), format!("cannot connect to {target}: {e}"));
    let mut posts = Http::connect(target.address).map_err(fail)?;
    let mut listens = Http::connect(target.address).map_err(fail)?;
    let path = negotiate(&mut posts, hub).map_err(fail)?;
    let mut early = Vec::new();
    let is_polling = target.transport == Transport::LongPolling;
    if is_polling {
        listens.ask("GET", &path, b"").map_err(fail)?; // the first poll is answered at once
        listens.write("GET", &path, b"")?;
    } else {
        early = listens.open_events(&path).map_err(fail)?;
    }
    for record in &posted.opening {
        posts.ask("POST", &path, record).map_err(fail)?;
    }
    if is_polling {
        listens.read().map_err(fail)?; // the hub handshake
        listens.write("GET", &path, b"")?;
    }
    Ok(Opened {
        posts,
        listens,
        path,
        early,
    })
}

impl Channel {
    fn flush(&mut self, traffic: &mut Traffic) -> io::Result<()> {
        while !self.unwritten.is_empty() {
            match self.stream.write(&self.unwritten) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                result => {
                    let written = result?;
                    traffic.bytes += written as u64;
                    self.unwritten.drain(..written);
                }
            }
        }
        Ok(())
    }

    /// Reads until the socket is empty, and counts the answers that have ended.
    fn read(
        &mut self,
        buffer: &mut [u8],
        traffic: &mut Traffic,
        mut on_body: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<u64> {
        let mut whole = 0;
        loop {
            let read = match self.stream.read(buffer) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(whole),
                result => result?,
            };
            if read == 0 {
                return Err(io::Error::other("the server closed the connection"));
            }
            traffic.bytes += read as u64;
            whole += self.answers.take(&buffer[..read], &mut on_body)?;
            if read < buffer.len() {
                return Ok(whole);
            }
        }
    }
}

impl EventData {
    /// Hands over what of these bytes is data.
    fn take(
        &mut self,
        mut bytes: &[u8],
        mut on_data: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        while let [byte, rest @ ..] = bytes {
            match (&self.line, *byte) {
                (_, b'\r' | b'\n') => self.line = Line::Empty,
                (Line::Empty, b':') => self.line = Line::Comment,
                (Line::Comment, _) => {}
                (Line::Data, _) => {
                    let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
                    let (data, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
                    on_data(data)?;
                    bytes = rest;
                    continue;
                }
                (Line::Empty | Line::Field(_), _) => {
                    let come = match self.line {
                        Line::Field(come) => come,
                        _ => 0,
                    };
                    if FIELD[come] != *byte {
                        return Err(io::Error::other("an event is not data"));
                    }
                    self.line = match come + 1 {
                        come if come == FIELD.len() => Line::Data,
                        come => Line::Field(come),
                    };
                }
            }
            bytes = rest;
        }
        Ok(())
    }
}

const FIELD: &[u8] = b"data: ";

/// As much as a server takes by default.
const LARGEST_POST: usize = 32 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_of_events_comes_out_however_the_bytes_are_split() {
        let stream = b":\r\ndata: {\"a\":1}\x1e\r\n\r\ndata: {}\x1e\r\ndata: more\r\n\r\n";
        for step in 1..=stream.len() {
            let (mut events, mut data) = (EventData::default(), Vec::new());
            for part in stream.chunks(step) {
                events
                    .take(part, |part| {
                        data.extend_from_slice(part);
                        Ok(())
                    })
                    .unwrap();
            }
            assert_eq!(data, b"{\"a\":1}\x1e{}\x1emore", "in steps of {step}");
        }
        let error = EventData::default().take(b"event: x", |_| Ok(()));
        assert_eq!(error.unwrap_err().to_string(), "an event is not data");
    }
}
