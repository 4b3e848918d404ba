//! The least a fan-out can cost on this machine: one thread, one epoll, one `write` per connection
//! for all messages of one `read`. Not a server to use: it takes whole frames only up to the size
//! of its read buffer, checks next to nothing, and never closes politely.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};
use sha1_smol::Sha1;
use tokio::io::unix::AsyncFd;

use super::{Endpoint, Peer, Serving};
use crate::load::{Dialect, Work};

/// A bare epoll loop that sends each message to every connection: the limit of a fan-out.
pub struct EpollFanOut;

impl Peer for EpollFanOut {
    fn name(&self) -> &'static str {
        "epoll-fan-out"
    }

    fn about(&self) -> &'static str {
        "one thread, one epoll, one write per connection: the limit of a fan-out"
    }

    fn endpoint(&self, work: Work, dialect: Dialect) -> Option<Endpoint> {
        let is_its_work = work == Work::FanOut && dialect == Dialect::Messages;
        is_its_work.then_some(Endpoint::WebSocket("/fanout"))
    }

    fn serve(&self, listener: tokio::net::TcpListener) -> Serving {
        Box::pin(async { serve(TcpListener::from_std(listener.into_std()?)).await })
    }
}

async fn serve(mut listener: TcpListener) -> io::Result<()> {
    let poll = Poll::new()?;
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut server = FanOut::default();
    let mut events = Events::with_capacity(1024);
    // All that tokio does is to tell when this epoll has something.
    #[expect(
        deprecated,
        reason = "what replaces it is unsafe; a Poll owns its descriptor"
    )]
    let mut poll = AsyncFd::new(poll)?;
    loop {
        let mut ready = poll.readable_mut().await?;
        ready
            .get_inner_mut()
            .poll(&mut events, Some(Duration::ZERO))?;
        if events.is_empty() {
            ready.clear_ready();
        }
        for event in &events {
            if event.token() == LISTENER {
                server.accept(&listener, ready.get_inner())?;
                continue;
            }
            if event.is_writable() {
                server.flush(event.token());
            }
            if event.is_readable() {
                server.read(event.token());
            }
        }
    }
}

#[derive(Default)]
struct FanOut {
    members: HashMap<Token, Member>,
    accepted: usize,
    /// The server frames of everything one read brought, built once for all members.
    batch: Vec<u8>,
}

struct Member {
    stream: TcpStream,
    is_upgraded: bool,
    /// Bytes that do not make a whole request or frame yet.
    unread: Vec<u8>,
    /// What the socket did not take.
    unwritten: Vec<u8>,
}

impl FanOut {
    fn accept(&mut self, listener: &TcpListener, poll: &Poll) -> io::Result<()> {
        loop {
            let mut stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e),
            };
            stream.set_nodelay(true)?;
            self.accepted += 1;
            let token = Token(self.accepted);
            poll.registry().register(
                &mut stream,
                token,
                Interest::READABLE | Interest::WRITABLE,
            )?;
            let (unread, unwritten) = (Vec::new(), Vec::new());
            let member = Member {
                stream,
                is_upgraded: false,
                unread,
                unwritten,
            };
            self.members.insert(token, member);
        }
    }

    fn flush(&mut self, token: Token) {
        if self
            .members
            .get_mut(&token)
            .is_some_and(|member| member.write(&[]).is_err())
        {
            self.members.remove(&token);
        }
    }

    fn read(&mut self, token: Token) {
        let mut buffer = [0; 32 * 1024];
        loop {
            let Some(member) = self.members.get_mut(&token) else {
                return;
            };
            let read = match member.stream.read(&mut buffer) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Ok(read) if read > 0 => read,
                _ => {
                    self.members.remove(&token);
                    return;
                }
            };
            self.batch.clear();
            if member
                .receive(&mut buffer[..read], &mut self.batch)
                .is_err()
            {
                self.members.remove(&token);
                return;
            }
            if !self.batch.is_empty() {
                let batch = &self.batch;
                self.members
                    .retain(|_, member| !member.is_upgraded || member.write(batch).is_ok());
            }
            if read < buffer.len() {
                return; // The socket is empty: epoll will tell when it is not.
            }
        }
    }
}

impl Member {
    fn receive(&mut self, bytes: &mut [u8], batch: &mut Vec<u8>) -> io::Result<()> {
        let mut unread = std::mem::take(&mut self.unread);
        // Nearly always everything is whole and is taken straight from the read buffer.
        let rest = if unread.is_empty() {
            self.take(bytes, batch)?
        } else {
            unread.extend_from_slice(bytes);
            self.take(&mut unread, batch)?
        };
        self.unread = rest.to_vec();
        Ok(())
    }

    /// Takes what is whole and returns what is not.
    fn take<'a>(&mut self, bytes: &'a mut [u8], batch: &mut Vec<u8>) -> io::Result<&'a [u8]> {
        if self.is_upgraded {
            return take_frames(bytes, batch);
        }
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(bytes);
        };
        let response = switching_protocols(&bytes[..end])?;
        self.write(response.as_bytes())?;
        self.is_upgraded = true;
        take_frames(&mut bytes[end + 4..], batch)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.unwritten.is_empty() {
            let written = write_some(&mut self.stream, &self.unwritten)?;
            self.unwritten.drain(..written);
        }
        let mut rest = bytes;
        if self.unwritten.is_empty() && !bytes.is_empty() {
            rest = &bytes[write_some(&mut self.stream, bytes)?..];
        }
        if self.unwritten.len() + rest.len() > MAX_UNWRITTEN {
            return Err(io::Error::other("slow consumer"));
        }
        self.unwritten.extend_from_slice(rest);
        Ok(())
    }
}

fn write_some(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    match stream.write(bytes) {
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(0),
        result => result,
    }
}

fn switching_protocols(request: &[u8]) -> io::Result<String> {
    let request = std::str::from_utf8(request).map_err(io::Error::other)?;
    let key = request.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key")
            .then_some(value.trim())
    });
    let key = key.ok_or_else(|| io::Error::other("not a WebSocket request"))?;
    let mut sha1 = Sha1::from(key);
    sha1.update(GUID.as_ref());
    let accept = STANDARD.encode(sha1.digest().bytes());
    Ok(format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    ))
}

/// Appends the server's frame of each whole binary or text frame, and returns what is left.
fn take_frames<'a>(mut bytes: &'a mut [u8], batch: &mut Vec<u8>) -> io::Result<&'a [u8]> {
    loop {
        let (header, length) = match *bytes {
            [_, second, ..] if second & 0x7f < 126 => (2, usize::from(second & 0x7f)),
            [_, second, high, low, ..] if second & 0x7f == 126 => {
                (4, usize::from(u16::from_be_bytes([high, low])))
            }
            [_, second, ..] if second & 0x7f == 127 => {
                return Err(io::Error::other("larger than the limit's own buffer"));
            }
            _ => return Ok(bytes),
        };
        if bytes.len() < header + 4 + length {
            return Ok(bytes);
        }
        let (frame, rest) = bytes.split_at_mut(header + 4 + length);
        bytes = rest;
        if !matches!(frame[0], 0x81 | 0x82) {
            continue;
        }
        let (head, payload) = frame.split_at_mut(header + 4);
        let key = [
            head[header],
            head[header + 1],
            head[header + 2],
            head[header + 3],
        ];
        unmask(payload, key);
        batch.extend_from_slice(&[head[0], head[1] & 0x7f]);
        batch.extend_from_slice(&head[2..header]);
        batch.extend_from_slice(payload);
    }
}

fn unmask(payload: &mut [u8], key: [u8; 4]) {
    let (fours, rest) = payload.as_chunks_mut::<4>();
    for four in fours {
        *four = (u32::from_ne_bytes(*four) ^ u32::from_ne_bytes(key)).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key) {
        *byte ^= key;
    }
}

const LISTENER: Token = Token(0);
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const MAX_UNWRITTEN: usize = 4 * 1024 * 1024;
