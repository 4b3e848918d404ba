//! Plays a conversation and writes down what the server did, so that two servers can be compared:
//! one line for each thing said, however the server split it into frames and writes.

use std::{io, net::SocketAddr, time::Duration};

use flate2::{Decompress, FlushDecompress};
use futures_util::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{
        Message,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use super::{
    conversations::{Conversation, HEAD, Step, head},
    servers::{Place, Servers},
};

/// The longest a server may say nothing where it should. Then that is written down.
const PATIENCE: Duration = Duration::from_secs(5);

/// How a transcript says that the connection was reset. A reset makes the operating system throw
/// away what the client has not read yet: what it heard just before is chance, and is left out.
pub(crate) const RESET: &str = "RST, and the last words may be lost";

/// Headers in which the answers to an upgrade can differ; all others are a server's own business.
const COMPARED: &[&str] = &[
    "allow",
    "connection",
    "sec-websocket-accept",
    "sec-websocket-extensions",
    "sec-websocket-protocol",
    "sec-websocket-version",
    "upgrade",
];

/// What every 101 has, for the key of [`HEAD`](super::conversations::HEAD).
const AGREED: &[&str] = &[
    "connection: Upgrade",
    "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
    "upgrade: websocket",
];

/// What a client does, and what it hears until the connection ends.
pub(crate) async fn play(servers: &Servers, conversation: &Conversation) -> Vec<String> {
    let (address, path) = servers.at(conversation.place);
    let mut lines = Vec::new();
    for script in &conversation.clients {
        let mut client = Client::connect(address).await;
        client.request(&conversation.head, path).await;
        for step in script {
            match step {
                Step::Send(bytes) => client.send(bytes).await,
                Step::Hear if client.is_over => {}
                Step::Hear => {
                    client.hear().await;
                    client.certain = client.lines.len();
                }
                Step::Reset => client.reset(),
                Step::HalfClose => client.half_close().await,
            }
        }
        while !client.is_over {
            client.hear().await;
        }
        lines.append(&mut client.lines);
    }
    counted(&lines)
}

/// Sends nothing for `time`, answers nothing, and writes down what comes meanwhile.
pub(crate) async fn silence(servers: &Servers, time: Duration) -> Vec<String> {
    let (address, path) = servers.at(Place::Echo);
    let mut client = Client::connect(address).await;
    client.request(&head(HEAD), path).await;
    let listening = async {
        while !client.is_over {
            // Silence is what this is about.
            let _ = client.stream.readable().await;
            client.hear().await;
        }
    };
    if timeout(time, listening).await.is_err() {
        client
            .lines
            .push(format!("open after {} s", time.as_secs()));
    }
    client.lines
}

/// The same in a library's words: what people's clients do.
pub(crate) async fn play_with_a_library(servers: &Servers) -> Vec<String> {
    let (address, path) = servers.at(Place::Echo);
    let url = format!("ws://{address}{path}");
    let (mut ws, response) = connect_async(url).await.unwrap();
    let mut lines = vec![response.status().as_u16().to_string()];
    for message in [
        Message::text("hello"),
        Message::binary(vec![0, 255]),
        Message::text(""),
        Message::Ping(b"there?"[..].into()),
    ] {
        ws.send(message).await.unwrap();
        lines.push(format!("{:?}", ws.next().await.unwrap().unwrap()));
    }
    let close = CloseFrame {
        code: CloseCode::Library(4000),
        reason: "done".into(),
    };
    ws.close(Some(close)).await.unwrap();
    while let Some(message) = ws.next().await {
        lines.push(match message {
            Ok(Message::Close(Some(close))) => format!("close {}", u16::from(close.code)),
            other => format!("{other:?}"),
        });
    }
    lines
}

/// The same said many times in a row is one line.
fn counted(lines: &[String]) -> Vec<String> {
    let runs = lines.chunk_by(|a, b| a == b);
    runs.map(|run| match run.len() {
        1 => run[0].clone(),
        times => format!("{} ({times} times)", run[0]),
    })
    .collect()
}

/// The order of an extension's parameters means nothing.
fn in_order(value: &str) -> String {
    let mut parameters = value.split(';').map(str::trim);
    let name = parameters.next().unwrap_or_default();
    let mut parameters: Vec<&str> = parameters.collect();
    parameters.sort_unstable();
    [&[name], &parameters[..]].concat().join("; ")
}

struct Client {
    stream: TcpStream,
    received: Vec<u8>,
    lines: Vec<String>,
    /// Lines up to here were heard before the client went on.
    certain: usize,
    is_over: bool,
    has_left: bool,
    /// The message that is coming in fragments: its kind, whether it is compressed, and so far.
    partial: Option<(&'static str, bool, Vec<u8>)>,
    inflate: Decompress,
}

impl Client {
    async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            received: Vec::new(),
            lines: Vec::new(),
            certain: 0,
            is_over: false,
            has_left: false,
            partial: None,
            // With a window that is never reset it reads what any server may have agreed to.
            inflate: Decompress::new(false),
        }
    }

    /// Sends the head of a request and takes the answer. All but 101 ends the conversation.
    async fn request(&mut self, head: &str, path: &str) {
        let host = self.stream.peer_addr().unwrap().to_string();
        let head = head.replace("{path}", path).replace("{host}", &host);
        self.send(head.as_bytes()).await;
        let end = loop {
            let found = self
                .received
                .windows(4)
                .position(|four| four == b"\r\n\r\n");
            match found {
                Some(end) => break end,
                None if self.fill().await => {}
                None => return,
            }
        };
        let answer: Vec<u8> = self.received.drain(..end + 4).collect();
        let answer = String::from_utf8(answer).unwrap();
        let mut lines = answer.trim_end().split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let status = status.unwrap_or("no status");
        self.lines.push(status.to_owned());
        let mut headers: Vec<String> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim()))
            .filter(|(name, _)| COMPARED.contains(&name.as_str()))
            .map(|(name, value)| format!("{name}: {}", in_order(value)))
            // Kestrel says on a refusal whether the connection goes on; that is HTTP's business.
            .filter(|line| status == "101" || !line.starts_with("connection"))
            .collect();
        headers.sort_unstable();
        if status == "101" {
            let (agreed, optional): (Vec<_>, Vec<_>) = headers
                .into_iter()
                .partition(|line| AGREED.contains(&line.as_str()));
            if agreed != AGREED {
                self.lines.push(format!("not as agreed: {agreed:?}"));
            }
            headers = optional;
        }
        self.lines.append(&mut headers);
        self.certain = self.lines.len();
        self.is_over = status != "101";
    }

    /// That the server has hung up is for the reading side to find out.
    async fn send(&mut self, bytes: &[u8]) {
        if !self.is_over {
            let _ = self.stream.write_all(bytes).await;
        }
    }

    fn reset(&mut self) {
        self.stream.set_zero_linger().unwrap();
        self.is_over = true;
    }

    async fn half_close(&mut self) {
        self.stream.shutdown().await.unwrap();
        self.has_left = true;
    }

    /// Waits until the server has said one thing more, or has ended.
    async fn hear(&mut self) {
        loop {
            if let Some((frame, len)) = parse(&self.received) {
                self.received.drain(..len);
                if self.frame(&frame) {
                    return;
                }
            } else if !self.fill().await {
                return;
            }
        }
    }

    /// Reads; `false` at the end.
    async fn fill(&mut self) -> bool {
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.received)).await;
        let end = match read {
            Ok(Ok(1..)) => return true,
            // Who left first does not care how the other end is torn down.
            Ok(_) if self.has_left => "the end".into(),
            Ok(Ok(0)) => "FIN".into(),
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionReset => {
                self.lines.truncate(self.certain);
                self.partial = None;
                RESET.into()
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("silence for {} s", PATIENCE.as_secs()),
        };
        if let Some((kind, _, payload)) = self.partial.take() {
            self.lines.push(format!("half a {kind} {}", show(&payload)));
        }
        self.lines.push(end);
        self.is_over = true;
        false
    }

    /// Takes a frame; `true` if it made a line.
    fn frame(&mut self, frame: &Frame) -> bool {
        let payload = &frame.payload;
        let line = match frame.opcode {
            1 | 2 => {
                let kind = if frame.opcode == 1 { "text" } else { "binary" };
                self.partial = Some((kind, frame.rsv1, payload.clone()));
                None
            }
            0 => {
                let (_, _, so_far) = self.partial.as_mut().expect("a message to continue");
                so_far.extend(payload);
                None
            }
            8 => Some(match payload[..] {
                [] => "close without a code".to_owned(),
                [high, low, ref reason @ ..] => {
                    format!("close {} {}", u16::from_be_bytes([high, low]), show(reason))
                }
                _ => "close with one byte".to_owned(),
            }),
            9 => Some(format!("ping {}", show(payload))),
            10 => Some(format!("pong {}", show(payload))),
            other => Some(format!("opcode {other}")),
        };
        let line = match line {
            None if frame.is_final => {
                let (kind, is_compressed, payload) = self.partial.take().unwrap();
                Some(if is_compressed {
                    format!("{kind} {} compressed", show(&self.inflated(payload)))
                } else {
                    format!("{kind} {}", show(&payload))
                })
            }
            line => line,
        };
        let is_line = line.is_some();
        self.lines.extend(line);
        is_line
    }

    fn inflated(&mut self, mut payload: Vec<u8>) -> Vec<u8> {
        payload.extend([0, 0, 0xff, 0xff]);
        let mut out = Vec::with_capacity(4 << 20);
        self.inflate
            .decompress_vec(&payload, &mut out, FlushDecompress::Sync)
            .unwrap();
        out
    }
}

struct Frame {
    opcode: u8,
    is_final: bool,
    rsv1: bool,
    payload: Vec<u8>,
}

/// The first frame in `bytes`, and how long it is. A server's: unmasked.
fn parse(bytes: &[u8]) -> Option<(Frame, usize)> {
    let (&first, rest) = bytes.split_first()?;
    let (&len, rest) = rest.split_first()?;
    assert_eq!(first & 0x30, 0, "reserved bits from a server");
    assert_eq!(len & 0x80, 0, "a masked frame from a server");
    let (len, rest) = match len {
        126 => {
            let (len, rest) = rest.split_first_chunk()?;
            (u16::from_be_bytes(*len) as usize, rest)
        }
        127 => {
            let (len, rest) = rest.split_first_chunk()?;
            (u64::from_be_bytes(*len) as usize, rest)
        }
        len => (len as usize, rest),
    };
    let payload = rest.get(..len)?.to_vec();
    let frame = Frame {
        opcode: first & 0x0f,
        is_final: first & 0x80 != 0,
        rsv1: first & 0x40 != 0,
        payload,
    };
    Some((frame, bytes.len() - rest.len() + len))
}

/// Short things as they are, long ones by their length and a digest.
fn show(payload: &[u8]) -> String {
    if payload.len() <= 64 {
        return match str::from_utf8(payload) {
            Ok(text) => format!("{text:?}"),
            Err(_) => format!("{payload:02x?}"),
        };
    }
    let digest = payload
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
    format!("of {} bytes, digest {digest:016x}", payload.len())
}
