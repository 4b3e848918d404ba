//! A connection of the load over one socket: WebSocket frames, or bare TCP.

use std::io::{self, Read, Write};

use mio::{Interest, Registry, Token, net::TcpStream};

use super::{
    connection::{Outgoing, Traffic},
    content::Tally,
    dialect::Script,
    replies::{FrameReader, Replies},
    target::Target,
};

#[derive(Debug)]
pub(super) struct WebSocket {
    stream: TcpStream,
    replies: Replies,
    /// Bytes of messages that are to be written yet.
    owed: usize,
    /// How much of the prepared messages has been written.
    position: usize,
    pongs: Vec<u8>,
}

impl WebSocket {
    /// Opens a connection; its events will carry `token`. Gives what has come already, too.
    pub(super) fn open(
        target: &Target,
        script: &Script,
        registry: &Registry,
        token: Token,
    ) -> io::Result<(Self, Tally)> {
        let (stream, early) = target.converse(&script.opening)?;
        let mut stream = TcpStream::from_std(stream);
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        let replies = match target.path {
            Some(_) => Replies::Frames(FrameReader::new(&script.reply)),
            None => Replies::Bytes {
                length: script.requests[0].len(),
                partial: 0,
            },
        };
        let mut socket = Self {
            stream,
            replies,
            owed: 0,
            position: 0,
            pongs: Vec::new(),
        };
        let came = socket.replies.count(&early, &mut socket.pongs)?;
        Ok((socket, came))
    }

    /// Has `count` more messages to write.
    pub(super) fn owe(&mut self, message: &Outgoing, count: u64) {
        self.owed += message.length * count as usize;
    }

    /// Writes what is owed, until the socket takes no more.
    pub(super) fn flush(&mut self, message: &Outgoing, traffic: &mut Traffic) -> io::Result<()> {
        while self.owed > 0 || !self.pongs.is_empty() {
            // A control frame may stand between two frames, not inside one.
            let is_between = self.position.is_multiple_of(message.length);
            let is_pong = is_between && !self.pongs.is_empty();
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
            traffic.bytes += written as u64;
            if is_pong {
                self.pongs.drain(..written);
            } else {
                self.owed -= written;
                self.position = (self.position + written) % message.copies.len();
            }
        }
        Ok(())
    }

    /// Reads until the socket is empty.
    pub(super) fn read(&mut self, buffer: &mut [u8], traffic: &mut Traffic) -> io::Result<Tally> {
        let mut tally = Tally::default();
        loop {
            let read = match self.stream.read(buffer) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                result => result?,
            };
            if read == 0 {
                return Err(io::Error::other("the server closed the connection"));
            }
            traffic.bytes += read as u64;
            tally += self.replies.count(&buffer[..read], &mut self.pongs)?;
            // epoll(7): with edge-triggered events, a short read of a stream means that it is
            // empty, and saves the call that would only say so.
            if read < buffer.len() {
                break;
            }
        }
        Ok(tally)
    }

    /// Whether there is an answer to a ping that has not been written.
    pub(super) fn has_pongs(&self) -> bool {
        !self.pongs.is_empty()
    }
}
