//! Where the load goes, and how a connection to it is opened.

use std::{
    fmt,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    str::FromStr,
    time::Duration,
};

use super::{replies::masked_frame, socket_io};

/// A server on this machine: `ws://127.0.0.1:9001/echo`, or `tcp://127.0.0.1:9001` for one that
/// returns bytes as they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub(super) address: SocketAddr,
    /// `None` for raw TCP.
    pub(super) path: Option<String>,
    pub(super) transport: Transport,
}

/// How a client of a hub is connected. Everything else has WebSockets, or bare TCP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// Both directions in one.
    #[default]
    WebSockets,
    /// POSTs, and an event stream back; text only.
    ServerSentEvents,
    /// POSTs, and a request that waits for what comes back.
    LongPolling,
}

/// What a client says first: frames, sent one after the other, each when a message has answered the
/// one before. An empty one waits for a message.
#[derive(Clone, Debug, Default)]
pub struct Opening {
    frames: Vec<Vec<u8>>,
    /// Whether the first pings of a Socket.IO server may come in between: they are answered, and
    /// answer nothing.
    amid_pings: bool,
}

impl From<Vec<Vec<u8>>> for Opening {
    fn from(frames: Vec<Vec<u8>>) -> Self {
        let amid_pings = false;
        Self { frames, amid_pings }
    }
}

impl Opening {
    /// The same, and one more frame that a message answers.
    #[must_use]
    pub fn and(mut self, frame: Vec<u8>) -> Self {
        self.frames.push(frame);
        self
    }

    /// The same, to a server that may ping meanwhile.
    #[must_use]
    pub fn amid_pings(self) -> Self {
        let amid_pings = true;
        Self { amid_pings, ..self }
    }

    /// Says it all. What came behind the last answer is left in `early`.
    fn say(&self, stream: &mut (impl Read + Write), early: &mut Vec<u8>) -> io::Result<()> {
        for frame in &self.frames {
            stream.write_all(frame)?;
            while read_message(stream, early)? == socket_io::PING.as_bytes() && self.amid_pings {
                stream.write_all(&masked_frame(1, socket_io::PONG.as_bytes()))?;
            }
        }
        Ok(())
    }
}

impl Target {
    /// A WebSocket endpoint.
    pub fn web_socket(address: SocketAddr, path: &str) -> Self {
        Self {
            address,
            path: Some(path.into()),
            transport: Transport::WebSockets,
        }
    }

    /// A server that echoes bytes, without HTTP and frames.
    pub fn raw_tcp(address: SocketAddr) -> Self {
        Self {
            address,
            path: None,
            transport: Transport::WebSockets,
        }
    }

    /// The same server over another transport.
    #[must_use]
    pub fn over(self, transport: Transport) -> Self {
        Self { transport, ..self }
    }

    /// Opens a connection, blocking until the opening handshake is done; the stream does not block
    /// any more after it. Returns what the server sent behind the handshake, too.
    ///
    /// # Errors
    /// What the socket reports, or how the server refused.
    pub fn connect(&self) -> io::Result<(TcpStream, Vec<u8>)> {
        self.converse(&Opening::default())
    }

    /// The same, and says something in messages.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub fn converse(&self, opening: &Opening) -> io::Result<(TcpStream, Vec<u8>)> {
        let fail =
            |e: io::Error| io::Error::new(e.kind(), format!("cannot connect to {self}: {e}"));
        let mut stream = TcpStream::connect_timeout(&self.address, PATIENCE).map_err(fail)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let early = self.converse_over(&mut stream, opening).map_err(fail)?;
        stream.set_nonblocking(true)?;
        Ok((stream, early))
    }

    /// The same over a stream that is connected already.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub fn converse_over(
        &self,
        stream: &mut (impl Read + Write),
        opening: &Opening,
    ) -> io::Result<Vec<u8>> {
        let mut early = match &self.path {
            None => Vec::new(),
            Some(path) => upgrade(stream, self.address, path)?,
        };
        opening.say(stream, &mut early)?;
        Ok(early)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl FromStr for Transport {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "websockets" => Ok(Self::WebSockets),
            "sse" => Ok(Self::ServerSentEvents),
            "long-polling" => Ok(Self::LongPolling),
            _ => Err(format!(
                "the transports are websockets, sse and long-polling, not {name:?}"
            )),
        }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").ok_or_else(|| {
            format!("{url:?} is not of the form ws://HOST:PORT/PATH or tcp://HOST:PORT")
        })?;
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, "/"),
        };
        let path = match (scheme, path) {
            ("ws", path) => Some(path.to_owned()),
            ("tcp", "/") => None,
            ("tcp", _) => return Err("a tcp:// address has no path".into()),
            _ => return Err(format!("the scheme is ws or tcp, not {scheme:?}")),
        };
        let mut addresses = authority
            .to_socket_addrs()
            .map_err(|e| format!("{authority:?} is not HOST:PORT: {e}"))?;
        let address = addresses
            .next()
            .ok_or_else(|| format!("{authority:?} has no address"))?;
        if !address.ip().is_loopback() {
            return Err(format!(
                "{address} is not on this machine: the load stays on loopback"
            ));
        }
        let transport = Transport::WebSockets;
        Ok(Self {
            address,
            path,
            transport,
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.transport {
            Transport::WebSockets => "ws",
            Transport::ServerSentEvents | Transport::LongPolling => "http",
        };
        match &self.path {
            Some(path) => write!(f, "{scheme}://{}{path}", self.address),
            None => write!(f, "tcp://{}", self.address),
        }
    }
}

/// Asks for an upgrade, and returns what came behind the answer.
fn upgrade(stream: &mut (impl Read + Write), host: SocketAddr, path: &str) -> io::Result<Vec<u8>> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut response = Vec::new();
    let mut buffer = [0; 1024];
    let end = loop {
        if let Some(end) = response.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => response.extend_from_slice(&buffer[..read]),
        }
        if response.len() > 16 * 1024 {
            return Err(io::Error::other("the response to the upgrade does not end"));
        }
    };
    let early = response.split_off(end + 4);
    let head = String::from_utf8_lossy(&response);
    if !head.starts_with("HTTP/1.1 101 ") {
        let status = head.lines().next().unwrap_or_default();
        return Err(io::Error::other(format!(
            "the upgrade was refused with {status:?}"
        )));
    }
    if !head.contains(ACCEPT) {
        return Err(io::Error::other(
            "the response has a wrong Sec-WebSocket-Accept",
        ));
    }
    Ok(early)
}

/// Reads one message of less than 64 KiB in one frame; what came behind it stays in `early`.
fn read_message(stream: &mut impl Read, early: &mut Vec<u8>) -> io::Result<Vec<u8>> {
    let mut buffer = [0; 1024];
    loop {
        let length = match early[..] {
            [_, length @ ..126, ..] => Some((2, usize::from(length))),
            [_, 126, high, low, ..] => Some((4, usize::from(u16::from_be_bytes([high, low])))),
            _ => None,
        };
        if let Some((header, length)) = length
            && let Some(payload) = early.get(header..header + length)
        {
            if early[0] & 0xf > 2 {
                let text = format!("no answer, but {:?}", String::from_utf8_lossy(payload));
                return Err(io::Error::other(text));
            }
            let payload = payload.to_vec();
            early.drain(..header + length);
            return Ok(payload);
        }
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => early.extend_from_slice(&buffer[..read]),
        }
    }
}

/// The pair of RFC 6455, section 1.3: nothing here is secret, so one key will do.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_schemes_are_read_back_as_they_are_written() {
        for url in [
            "ws://127.0.0.1:9001/echo",
            "ws://[::1]:9001/",
            "tcp://127.0.0.1:9001",
        ] {
            assert_eq!(url.parse::<Target>().unwrap().to_string(), url);
        }
    }

    #[test]
    fn what_is_no_target_is_refused_with_the_reason() {
        let error = |url: &str| url.parse::<Target>().unwrap_err();
        assert!(error("127.0.0.1:9001").contains("is not of the form ws://HOST:PORT/PATH"));
        assert!(error("http://127.0.0.1:9001").contains("the scheme is ws or tcp"));
        assert!(error("tcp://127.0.0.1:9001/echo").contains("has no path"));
        assert!(error("ws://192.0.2.1:9001/echo").contains("stays on loopback"));
    }
}
