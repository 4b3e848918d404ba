//! One connection of the load.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
    time::Instant,
};

use mio::{Interest, Registry, Token, net::TcpStream};

use super::{
    dialect::Script,
    replies::{FrameReader, Replies},
    target::Target,
};

/// A client connection that sends copies of one message and counts those that come back.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    replies: Replies,
    /// Bytes of messages that are to be written yet.
    owed: usize,
    /// How much of the current message has been written.
    position: usize,
    pongs: Vec<u8>,
    received: u64,
    /// When the messages that have not come back were sent.
    sent_at: VecDeque<Instant>,
}

/// The message that is sent over and over: a number of copies, so that one write can take several.
#[derive(Debug)]
pub(super) struct Outgoing {
    copies: Vec<u8>,
    length: usize,
}

impl Connection {
    /// Opens a connection; its events will carry `token`.
    pub(super) fn open(
        target: &Target,
        script: &Script,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        let (stream, early) = target.converse(&script.opening)?;
        let mut stream = TcpStream::from_std(stream);
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        let replies = match target.path {
            Some(_) => Replies::Frames(FrameReader::new(&script.reply)),
            None => Replies::Bytes {
                length: script.request.len(),
                partial: 0,
            },
        };
        let mut connection = Self {
            stream,
            replies,
            owed: 0,
            position: 0,
            pongs: Vec::new(),
            received: 0,
            sent_at: VecDeque::new(),
        };
        connection.received = connection.replies.count(&early, &mut connection.pongs)?;
        Ok(connection)
    }

    /// Sends `count` more messages, as far as the socket takes them now. `remember` keeps the time
    /// for [`answered`](Self::answered).
    pub(super) fn send(
        &mut self,
        message: &Outgoing,
        count: u64,
        remember: Option<Instant>,
    ) -> io::Result<()> {
        if let Some(now) = remember {
            self.sent_at.extend((0..count).map(|_| now));
        }
        self.owed += message.length * count as usize;
        self.flush(message)
    }

    /// Writes what is owed, until the socket takes no more.
    pub(super) fn flush(&mut self, message: &Outgoing) -> io::Result<()> {
        while self.owed > 0 || !self.pongs.is_empty() {
            // A control frame may stand between two frames, not inside one.
            let is_pong = self.position == 0 && !self.pongs.is_empty();
            let bytes = if is_pong {
                &self.pongs
            } else {
                let end = message.copies.len().min(self.position + self.owed);
                &message.copies[self.position..end]
            };
            let written = match self.stream.write(bytes) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                result => result?,
            };
            if is_pong {
                self.pongs.drain(..written);
            } else {
                self.owed -= written;
                self.position = (self.position + written) % message.length;
            }
        }
        Ok(())
    }

    /// Reads until the socket is empty, and returns how many messages came.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<u64> {
        let mut messages = 0;
        loop {
            let read = match self.stream.read(buffer) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                result => result?,
            };
            if read == 0 {
                return Err(io::Error::other("the server closed the connection"));
            }
            messages += self.replies.count(&buffer[..read], &mut self.pongs)?;
            // epoll(7): with edge-triggered events, a short read of a stream means that it is
            // empty, and saves the call that would only say so.
            if read < buffer.len() {
                break;
            }
        }
        self.received += messages;
        Ok(messages)
    }

    /// Takes the times at which the next `count` answered messages were sent, oldest first.
    pub(super) fn answered(&mut self, count: u64) -> impl Iterator<Item = Instant> + '_ {
        let count = self.sent_at.len().min(count as usize);
        self.sent_at.drain(..count)
    }

    /// How many messages were sent whose answers have not come.
    pub(super) fn in_flight(&self) -> usize {
        self.sent_at.len()
    }

    /// How many messages it has received since it was opened.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Whether there is an answer to a ping that has not been written.
    pub(super) fn has_pongs(&self) -> bool {
        !self.pongs.is_empty()
    }
}

impl Outgoing {
    /// A message in its frame, prepared for writes of up to `at_once` of them.
    pub(super) fn new(frame: &[u8], at_once: usize) -> Self {
        let copies = at_once.min(LARGEST_WRITE / frame.len()).max(1);
        Self {
            copies: frame.repeat(copies),
            length: frame.len(),
        }
    }
}

const LARGEST_WRITE: usize = 1 << 20;
