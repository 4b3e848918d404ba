//! A WebSocket client that can be made to misbehave.

use base64::{Engine, prelude::BASE64_STANDARD};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{
    address::Address,
    connection::Event,
    wire::{Exchange, Head, Result, Trouble, failed, header_name, names_header},
};
use crate::transcript::Messages;

const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

#[derive(Debug)]
pub(crate) struct WebSocket {
    pub(crate) exchange: Exchange,
    /// To check the answer with; `None` when the scenario brings its own.
    key: Option<String>,
    cut: Messages,
    /// The fragments of a message so far, and whether it is binary.
    part: Vec<u8>,
    binary: bool,
    pub(crate) sent_close: bool,
}

impl WebSocket {
    /// Asks for the upgrade. A line of `headers` replaces a default one, an empty one drops it.
    pub(crate) async fn dial(server: &Address, path: &str, headers: &[String]) -> Result<Self> {
        let key = BASE64_STANDARD.encode(random::<16>());
        let defaults = [
            "Connection: Upgrade".to_owned(),
            "Upgrade: websocket".to_owned(),
            "Sec-WebSocket-Version: 13".to_owned(),
            format!("Sec-WebSocket-Key: {key}"),
        ];
        let replaced = |line: &String| names_header(headers, &header_name(line));
        let mut lines: Vec<_> = defaults
            .into_iter()
            .filter(|line| !replaced(line))
            .collect();
        let has_value = |line: &&String| line.split_once(':').is_some_and(|(_, v)| v.trim() != "");
        lines.extend(headers.iter().filter(has_value).cloned());
        Ok(Self {
            exchange: Exchange::send(server, "GET", path, &lines, None).await?,
            key: (!names_header(headers, "sec-websocket-key")).then_some(key),
            cut: Messages::default(),
            part: Vec::new(),
            binary: false,
            sent_close: false,
        })
    }

    /// The answer to the upgrade.
    pub(crate) async fn answered(&mut self, deadline: Instant) -> Result<Head> {
        let head = self.exchange.head(deadline).await?;
        if let Some(key) = self.key.as_ref().filter(|_| head.is("101")) {
            let want = derive_accept_key(key.as_bytes());
            if head.header("sec-websocket-accept") != Some(&want) {
                return failed("wrong Sec-WebSocket-Accept");
            }
        }
        Ok(head)
    }

    pub(crate) async fn send(&mut self, opcode: u8, payload: &[u8], fin: bool) -> Result<()> {
        let mut frame = vec![if fin { 0x80 } else { 0 } | opcode];
        match payload.len() {
            n @ 0..126 => frame.push(0x80 | n as u8),
            n @ 126..65_536 => {
                frame.push(0xfe);
                frame.extend((n as u16).to_be_bytes());
            }
            n => {
                frame.push(0xff);
                frame.extend((n as u64).to_be_bytes());
            }
        }
        let mask = random::<4>();
        frame.extend(mask);
        frame.extend(
            payload
                .iter()
                .zip(mask.iter().cycle())
                .map(|(byte, mask)| byte ^ mask),
        );
        self.exchange.wire.write(&frame).await
    }

    pub(crate) async fn send_ping(&mut self, payload: &[u8]) -> Result<()> {
        self.send(PING, payload, true).await
    }

    pub(crate) async fn send_close(&mut self, close: Option<(u16, &str)>) -> Result<()> {
        self.sent_close = true;
        let mut payload = Vec::new();
        if let Some((code, reason)) = close {
            payload.extend(code.to_be_bytes());
            payload.extend(reason.as_bytes());
        }
        self.send(CLOSE, &payload, true).await
    }

    /// The next frame: FIN, opcode, payload.
    async fn frame(&mut self, deadline: Instant) -> Result<(bool, u8, Vec<u8>)> {
        loop {
            if let Some((payload_at, length)) = frame_length(&self.exchange.wire.data) {
                let whole = self.exchange.wire.take(payload_at + length);
                if whole[0] & 0x70 != 0 || whole[1] & 0x80 != 0 {
                    return failed("the server sent a masked frame or a reserved bit");
                }
                return Ok((
                    whole[0] >> 7 == 1,
                    whole[0] & 15,
                    whole[payload_at..].to_vec(),
                ));
            }
            self.exchange.wire.more(deadline).await?;
        }
    }

    pub(crate) async fn whole(&mut self, deadline: Instant) -> Result<Event> {
        loop {
            let (fin, opcode, payload) = match self.frame(deadline).await {
                Err(Trouble::Ended(_)) => return Ok(Event::End),
                frame => frame?,
            };
            match opcode {
                CLOSE => {
                    let code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
                    let reason = payload.get(2..).unwrap_or_default();
                    return Ok(Event::Close(
                        code,
                        String::from_utf8_lossy(reason).into_owned(),
                    ));
                }
                PING => return Ok(Event::Ping(payload)),
                PONG => return Ok(Event::Pong(payload)),
                0 => {}
                kind => self.binary = kind == 2,
            }
            self.part.extend(payload);
            if fin {
                let data = std::mem::take(&mut self.part);
                return Ok(Event::Frame {
                    binary: self.binary,
                    data,
                });
            }
        }
    }

    pub(crate) async fn event(&mut self, deadline: Instant) -> Result<Event> {
        loop {
            if let Some((binary, data)) = self.cut.next() {
                return Ok(Event::Message { binary, data });
            }
            match self.whole(deadline).await? {
                Event::Frame { binary, data } => self.cut.add(&data, binary)?,
                Event::Close(..) | Event::End if !self.cut.pending().is_empty() => {
                    return Ok(Event::Partial(self.cut.pending().to_vec()));
                }
                other => return Ok(other),
            }
        }
    }

    /// After a Close frame: answers it and sees the end of the TCP connection.
    pub(crate) async fn finish(&mut self, deadline: Instant) -> Result<()> {
        if !self.sent_close && self.send_close(Some((1000, ""))).await.is_err() {
            return Ok(());
        }
        loop {
            match self.exchange.wire.more(deadline).await {
                Ok(()) => {}
                Err(Trouble::Late) => {
                    return failed("the TCP connection did not end after the closing handshake");
                }
                Err(_) => return Ok(()),
            }
        }
    }
}

/// Where the payload of the frame in `data` begins and how long it is, once all of it is there.
fn frame_length(data: &[u8]) -> Option<(usize, usize)> {
    let (at, length) = match data.get(1)? & 0x7f {
        126 => (
            4,
            usize::from(u16::from_be_bytes(*data.get(2..)?.first_chunk()?)),
        ),
        127 => (
            10,
            u64::from_be_bytes(*data.get(2..)?.first_chunk()?) as usize,
        ),
        n => (2, usize::from(n)),
    };
    (data.len() - at.min(data.len()) >= length && data.len() >= at).then_some((at, length))
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system has random bytes");
    bytes
}
