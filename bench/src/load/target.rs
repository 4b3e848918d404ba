//! Where the load goes, and how a connection to it is opened.

use std::{
    fmt,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    str::FromStr,
    time::Duration,
};

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
        self.converse(&[])
    }

    /// The same, with frames that are sent one after the other, each when a WebSocket message has
    /// answered the one before.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub fn converse(&self, opening: &[Vec<u8>]) -> io::Result<(TcpStream, Vec<u8>)> {
        let fail =
            |e: io::Error| io::Error::new(e.kind(), format!("cannot connect to {self}: {e}"));
        let mut stream = TcpStream::connect_timeout(&self.address, PATIENCE).map_err(fail)?;
        stream.set_nodelay(true)?;
        let mut early = match &self.path {
            None => Vec::new(),
            Some(path) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                upgrade(&mut stream, self.address, path).map_err(fail)?
            }
        };
        for frame in opening {
            stream.write_all(frame)?;
            skip_message(&mut stream, &mut early).map_err(fail)?;
        }
        stream.set_nonblocking(true)?;
        Ok((stream, early))
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

fn upgrade(stream: &mut TcpStream, host: SocketAddr, path: &str) -> io::Result<Vec<u8>> {
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

/// Reads one short message in one frame; what came behind it stays in `early`.
fn skip_message(stream: &mut TcpStream, early: &mut Vec<u8>) -> io::Result<()> {
    let mut buffer = [0; 1024];
    loop {
        if let [head, length, payload @ ..] = &early[..]
            && let Some(payload) = payload.get(..usize::from(*length))
        {
            if head & 0xf > 2 {
                let text = format!("no answer, but {:?}", String::from_utf8_lossy(payload));
                return Err(io::Error::other(text));
            }
            early.drain(..2 + usize::from(*length));
            return Ok(());
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
