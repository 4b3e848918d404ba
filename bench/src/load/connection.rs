//! One connection of the load.

use std::{collections::VecDeque, io, time::Instant};

use mio::{Registry, Token};

use super::{
    content::Tally,
    dialect::Script,
    posting::Posting,
    target::{Target, Transport},
    web_socket::WebSocket,
};

/// A client connection that sends copies of one message and counts those that come back.
#[derive(Debug)]
pub(super) struct Connection {
    way: Way,
    traffic: Traffic,
    received: u64,
    /// When the messages that have not been answered were sent.
    sent_at: VecDeque<Instant>,
}

/// How a connection's bytes travel.
#[derive(Debug)]
enum Way {
    WebSocket(WebSocket),
    Posting(Box<Posting>),
}

/// What has gone over a connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Traffic {
    /// Written and read, heads and frame headers included.
    pub(super) bytes: u64,
}

/// The messages that are sent over and over: a number of copies, so that one write can take several.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) copies: Vec<u8>,
    /// Of one message.
    pub(super) length: usize,
}

impl Connection {
    /// Opens a connection; its events will carry one of its two tokens.
    pub(super) fn open(
        target: &Target,
        script: &Script,
        registry: &Registry,
        index: usize,
    ) -> io::Result<Self> {
        let tokens = [Token(2 * index), Token(2 * index + 1)];
        let (way, came) = match target.transport {
            Transport::WebSockets => {
                let (socket, came) = WebSocket::open(target, script, registry, tokens[0])?;
                (Way::WebSocket(socket), came)
            }
            Transport::ServerSentEvents | Transport::LongPolling => {
                let (posting, came) = Posting::open(target, script, registry, tokens)?;
                (Way::Posting(Box::new(posting)), came)
            }
        };
        Ok(Self {
            way,
            traffic: Traffic::default(),
            received: came.messages,
            sent_at: VecDeque::new(),
        })
    }

    /// Whose event carries this token.
    pub(super) fn index_of(token: Token) -> usize {
        token.0 / 2
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
        match &mut self.way {
            Way::WebSocket(socket) => socket.owe(message, count),
            Way::Posting(posting) => posting.owe(count),
        }
        self.flush(message)
    }

    /// Writes what is owed, until the socket takes no more.
    pub(super) fn flush(&mut self, message: &Outgoing) -> io::Result<()> {
        match &mut self.way {
            Way::WebSocket(socket) => socket.flush(message, &mut self.traffic),
            Way::Posting(posting) => posting.flush(message, &mut self.traffic),
        }
    }

    /// Reads until nothing is left to be read, and tells what came.
    pub(super) fn read(&mut self, message: &Outgoing, buffer: &mut [u8]) -> io::Result<Tally> {
        let tally = match &mut self.way {
            Way::WebSocket(socket) => socket.read(buffer, &mut self.traffic),
            Way::Posting(posting) => posting.read(message, buffer, &mut self.traffic),
        }?;
        self.received += tally.messages;
        Ok(tally)
    }

    /// Takes the times at which the next `count` answered messages were sent, oldest first.
    pub(super) fn answered(&mut self, count: u64) -> impl Iterator<Item = Instant> + '_ {
        let count = self.sent_at.len().min(count as usize);
        self.sent_at.drain(..count)
    }

    /// How many messages were sent that have not been answered.
    pub(super) fn in_flight(&self) -> usize {
        self.sent_at.len()
    }

    /// How many messages it has received since it was opened.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// What has gone over it since it was opened.
    pub(super) fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// Whether there is an answer to a ping that has not been written.
    pub(super) fn has_pongs(&self) -> bool {
        match &self.way {
            Way::WebSocket(socket) => socket.has_pongs(),
            Way::Posting(_) => false,
        }
    }
}

impl Outgoing {
    /// Messages of one length, prepared for writes of up to `at_once` of them, or of all of them.
    pub(super) fn new(messages: &[Vec<u8>], at_once: usize) -> Self {
        let length = messages[0].len();
        let at_once = at_once.min(LARGEST_WRITE / length).max(1);
        let cycles = at_once.div_ceil(messages.len());
        Self {
            copies: messages.concat().repeat(cycles),
            length,
        }
    }
}

const LARGEST_WRITE: usize = 1 << 20;
