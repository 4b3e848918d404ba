//! What an endpoint makes of a case: ours, and tungstenite's.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
    sync::Arc,
    time::Instant,
};

use bytes::BytesMut;
use raw_ws::{
    Config, Error, Message, ProtocolError,
    proto::{Connection, Event, Role, State},
};
use tokio_tungstenite::tungstenite;
use tungstenite::protocol::{WebSocket, WebSocketConfig};

use super::case::{Case, LIMIT};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    Open,
    Closed,
    Protocol,
    InvalidUtf8,
    TooBig,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) seen: Vec<Seen>,
    pub(crate) verdict: Verdict,
    /// The Close frame that was written, if one was.
    pub(crate) close_written: Option<Option<u16>>,
}

pub(crate) fn ours(case: &Case) -> Outcome {
    let role = if case.to_server {
        Role::Server
    } else {
        Role::Client {
            masking_key: || [9, 9, 9, 9],
        }
    };
    let config = Config::new()
        .max_message_size(LIMIT)
        .max_fragments(usize::MAX)
        .control_frames(1_000_000, 1_000_000);
    let now = Instant::now();
    let mut connection = Connection::new(role, Arc::new(config), now);
    let (mut input, mut seen) = (BytesMut::new(), Vec::new());
    let mut verdict = Verdict::Open;
    'parts: for part in case.parts() {
        input.extend_from_slice(&part);
        loop {
            match connection.handle_input(&mut input, now) {
                Ok(None) => break,
                Ok(Some(event)) => seen.push(match event {
                    Event::Message(Message::Text(text)) => Seen::Text(text.as_str().into()),
                    Event::Message(Message::Binary(bytes)) => Seen::Binary(bytes.into()),
                    Event::Ping(payload) => Seen::Ping(payload.into()),
                    Event::Pong(payload) => Seen::Pong(payload.into()),
                    Event::Close(close) => Seen::Close(
                        close.map(|close| (close.code().as_u16(), close.reason().into())),
                    ),
                }),
                Err(error) => {
                    verdict = match error {
                        Error::Protocol(ProtocolError::InvalidUtf8) => Verdict::InvalidUtf8,
                        Error::Protocol(_) => Verdict::Protocol,
                        Error::Capacity(_) => Verdict::TooBig,
                        error => panic!("{error}"),
                    };
                    break 'parts;
                }
            }
        }
    }
    let is_closed = connection.state() == State::Closed;
    if verdict == Verdict::Open && is_closed {
        verdict = Verdict::Closed;
    }
    assert_eq!(is_closed, verdict != Verdict::Open);
    let mut written = BytesMut::new();
    connection.transmit_into(&mut written);
    Outcome {
        seen,
        verdict,
        close_written: close_in(&written),
    }
}

pub(crate) fn theirs(case: &Case) -> Outcome {
    let role = if case.to_server {
        tungstenite::protocol::Role::Server
    } else {
        tungstenite::protocol::Role::Client
    };
    let config = WebSocketConfig::default()
        .max_message_size(Some(LIMIT))
        .max_frame_size(Some(LIMIT))
        .read_buffer_size(4096);
    let wire = Wire {
        parts: case.parts().into(),
        written: Vec::new(),
    };
    let mut socket = WebSocket::from_raw_socket(wire, role, Some(config));
    let mut seen = Vec::new();
    let verdict = loop {
        match socket.read() {
            Ok(message) => {
                let is_close = message.is_close();
                seen.push(match message {
                    tungstenite::Message::Text(text) => Seen::Text(text.as_str().into()),
                    tungstenite::Message::Binary(bytes) => Seen::Binary(bytes.into()),
                    tungstenite::Message::Ping(payload) => Seen::Ping(payload.into()),
                    tungstenite::Message::Pong(payload) => Seen::Pong(payload.into()),
                    tungstenite::Message::Close(close) => Seen::Close(
                        close.map(|close| (close.code.into(), close.reason.as_str().into())),
                    ),
                    tungstenite::Message::Frame(_) => unreachable!(),
                });
                if is_close {
                    let _ = socket.flush();
                    break Verdict::Closed;
                }
            }
            Err(tungstenite::Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                if socket.get_ref().parts.is_empty() {
                    break Verdict::Open;
                }
            }
            Err(tungstenite::Error::Protocol(_)) => break Verdict::Protocol,
            Err(tungstenite::Error::Utf8(_)) => break Verdict::InvalidUtf8,
            Err(tungstenite::Error::Capacity(_)) => break Verdict::TooBig,
            Err(error) => panic!("{error}"),
        }
    };
    Outcome {
        seen,
        verdict,
        close_written: close_in(&socket.get_ref().written),
    }
}

/// A stream that gives one part at a time, and would block between them.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) parts: VecDeque<Vec<u8>>,
    pub(crate) written: Vec<u8>,
}

impl Read for Wire {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Some(part) = self.parts.front_mut() else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        let len = part.len().min(buf.len());
        buf[..len].copy_from_slice(&part[..len]);
        part.drain(..len);
        if part.is_empty() {
            self.parts.pop_front();
        }
        Ok(len)
    }
}

impl Write for Wire {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.written.extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The Close at the end of what an endpoint wrote: `Some(None)` is one without a code. All that
/// is written here are control frames.
pub(crate) fn close_in(mut written: &[u8]) -> Option<Option<u16>> {
    while let [first, second, rest @ ..] = written {
        let (len, is_masked) = (usize::from(second & 0x7f), second & 0x80 != 0);
        let (key, rest) = rest.split_at(if is_masked { 4 } else { 0 });
        let (payload, rest) = rest.split_at(len);
        if *first == 0x88 {
            assert!(rest.is_empty(), "nothing follows a Close");
            let mut payload = payload.to_vec();
            if let Some(key) = key.first_chunk() {
                raw_ws::mask(&mut payload, *key);
            }
            return Some(payload.first_chunk().map(|code| u16::from_be_bytes(*code)));
        }
        written = rest;
    }
    None
}
