//! A client of a storm: it connects over one of the transports, and stays until it is told to leave
//! or is left.

use std::{fmt, io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use bench::load::{HubProtocol, masked_frame};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpSocket,
    time::{sleep, timeout},
};
use tokio_rustls::TlsConnector;

/// How a client's bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Transport {
    /// WebSockets.
    Websockets,
    /// Server-sent events, and a POST for what the client says.
    Sse,
    /// Long polling.
    LongPolling,
}

/// What all clients of a storm do.
pub(crate) struct Clients {
    pub(crate) address: SocketAddr,
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) hub: Option<HubProtocol>,
    pub(crate) transport: Transport,
    pub(crate) negotiates: bool,
    /// From the connection to the first byte of its head.
    pub(crate) late: Duration,
    pub(crate) tls: Option<TlsConnector>,
}

/// A connection, and what it reads from while it is in.
pub(crate) struct Held {
    stream: Box<dyn Bytes>,
    read: Vec<u8>,
    is_web_socket: bool,
    /// The poll that is asked again and again.
    poll: Option<Vec<u8>>,
}

trait Bytes: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Bytes for T {}

/// Why an attempt did not get in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Failure {
    /// Nobody listened.
    NobodyListens,
    /// An answer with this status.
    Refused(u16),
    /// A reset, or an end without an answer.
    CutOff,
    /// No end within [`ATTEMPT`].
    TooLate,
    /// Something else.
    Other(io::ErrorKind),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NobodyListens => f.write_str("nobody listened"),
            Self::Refused(status) => write!(f, "answered with {status}"),
            Self::CutOff => f.write_str("cut off"),
            Self::TooLate => write!(f, "no answer within {} s", ATTEMPT.as_secs()),
            Self::Other(kind) => write!(f, "{kind}"),
        }
    }
}

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(30);

/// A client has so many addresses to come from, so that ports do not run out.
const ADDRESSES: usize = 16;

/// Trusts the certificates of a PEM file.
pub(crate) fn trust(file: &Path) -> io::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(file).map_err(io::Error::other)?;
    for certificate in certificates {
        let certificate = certificate.map_err(io::Error::other)?;
        roots.add(certificate).map_err(io::Error::other)?;
    }
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

impl Clients {
    /// One attempt of the `nth` client.
    pub(crate) async fn connect(&self, nth: usize) -> Result<Held, Failure> {
        match timeout(ATTEMPT, self.attempt(nth)).await {
            Err(_) => Err(Failure::TooLate),
            Ok(Ok(held)) => Ok(held),
            Ok(Err(Stop::Refused(status))) => Err(Failure::Refused(status)),
            Ok(Err(Stop::Failed(error))) => Err(match error.kind() {
                io::ErrorKind::ConnectionRefused => Failure::NobodyListens,
                io::ErrorKind::ConnectionReset
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::UnexpectedEof => Failure::CutOff,
                kind => Failure::Other(kind),
            }),
        }
    }

    async fn attempt(&self, nth: usize) -> Result<Held, Stop> {
        let mut path = self.path.clone();
        if self.negotiates || self.transport != Transport::Websockets {
            path = self.negotiate(nth).await?;
        }
        match self.transport {
            Transport::Websockets => self.web_socket(nth, &path).await,
            Transport::Sse => self.events(nth, &path).await,
            Transport::LongPolling => self.polls(nth, &path).await,
        }
    }

    async fn negotiate(&self, nth: usize) -> Result<String, Stop> {
        let path = format!("{}/negotiate?negotiateVersion=1", self.path);
        let answer = self.post(nth, &path, b"").await?;
        let answer = String::from_utf8_lossy(&answer);
        let token = answer
            .split_once("\"connectionToken\":\"")
            .and_then(|(_, rest)| rest.split('"').next())
            .ok_or_else(|| io::Error::other("no token in the answer to negotiate"))?;
        Ok(format!("{}?id={token}", self.path))
    }

    async fn web_socket(&self, nth: usize, path: &str) -> Result<Held, Stop> {
        let mut stream = self.open(nth).await?;
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            self.host
        );
        stream.write_all(head.as_bytes()).await?;
        let mut read = Vec::new();
        expect(&mut stream, &mut read, 101).await?;
        if let Some(protocol) = self.hub {
            let handshake = masked_frame(1, &protocol.handshake());
            stream.write_all(&handshake).await?;
            until_handshake_is_answered(&mut stream, &mut read).await?;
        }
        Ok(Held {
            stream,
            read: Vec::new(),
            is_web_socket: true,
            poll: None,
        })
    }

    async fn events(&self, nth: usize, path: &str) -> Result<Held, Stop> {
        let mut stream = self.open(nth).await?;
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\n\r\n",
            self.host
        );
        stream.write_all(head.as_bytes()).await?;
        let mut read = Vec::new();
        expect(&mut stream, &mut read, 200).await?;
        let protocol = self.hub.unwrap_or(HubProtocol::Json);
        self.post(nth, path, &protocol.handshake()).await?;
        until_handshake_is_answered(&mut stream, &mut read).await?;
        Ok(Held {
            stream,
            read: Vec::new(),
            is_web_socket: false,
            poll: None,
        })
    }

    async fn polls(&self, nth: usize, path: &str) -> Result<Held, Stop> {
        let mut stream = self.open(nth).await?;
        let poll = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.host).into_bytes();
        let mut read = Vec::new();
        stream.write_all(&poll).await?;
        expect(&mut stream, &mut read, 200).await?;
        let protocol = self.hub.unwrap_or(HubProtocol::Json);
        self.post(nth, path, &protocol.handshake()).await?;
        stream.write_all(&poll).await?;
        until_handshake_is_answered(&mut stream, &mut read).await?;
        stream.write_all(&poll).await?;
        Ok(Held {
            stream,
            read: Vec::new(),
            is_web_socket: false,
            poll: Some(poll),
        })
    }

    /// A connection of its own, which ends with the answer.
    async fn post(&self, nth: usize, path: &str, body: &[u8]) -> Result<Vec<u8>, Stop> {
        let mut stream = self.open(nth).await?;
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            self.host,
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body].concat()).await?;
        let mut read = Vec::new();
        expect(&mut stream, &mut read, 200).await?;
        let end = stream.read_to_end(&mut read).await;
        // TLS wants a word at the end, which nobody has to wait for.
        end.or_else(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Ok(0),
            _ => Err(error),
        })?;
        Ok(read)
    }

    async fn open(&self, nth: usize) -> io::Result<Box<dyn Bytes>> {
        let socket = match self.address {
            SocketAddr::V4(_) => {
                let socket = TcpSocket::new_v4()?;
                let from = [127, 0, 0, 2 + (nth % ADDRESSES) as u8];
                socket.bind((from, 0).into())?;
                socket
            }
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        let stream = socket.connect(self.address).await?;
        stream.set_nodelay(true)?;
        if !self.late.is_zero() {
            sleep(self.late).await;
        }
        let Some(tls) = &self.tls else {
            return Ok(Box::new(stream));
        };
        let name = self
            .host
            .rsplit_once(':')
            .map_or(&*self.host, |host| host.0);
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        Ok(Box::new(tls.connect(name, stream).await?))
    }
}

impl Held {
    /// Done when the server has gone, or says goodbye.
    pub(crate) async fn left(&mut self) {
        loop {
            if self.stream.read_buf(&mut self.read).await.unwrap_or(0) == 0 {
                return;
            }
            if self.is_web_socket {
                if takes_frames(&mut self.read) {
                    return;
                }
                continue;
            }
            let says_goodbye = self.read.windows(8).any(|part| part == b"\"type\":7");
            if says_goodbye || (self.poll.is_some() && !self.read.starts_with(b"HTTP/1.1 200 ")) {
                return;
            }
            self.read.clear();
            // What came answers the poll.
            if let Some(poll) = &self.poll
                && self.stream.write_all(poll).await.is_err()
            {
                return;
            }
        }
    }
}

/// Takes the frames of a server; whether one of them is a Close.
fn takes_frames(read: &mut Vec<u8>) -> bool {
    const CLOSE: u8 = 0x88;
    while let [first, length, rest @ ..] = &read[..] {
        let (head, length) = match (length, rest) {
            (126, [high, low, ..]) => (4, usize::from(u16::from_be_bytes([*high, *low]))),
            (126, _) => break,
            (127, _) => return true, // nothing in a storm is so long
            (length, _) => (2, usize::from(*length)),
        };
        if *first == CLOSE {
            return true;
        }
        if read.len() < head + length {
            break;
        }
        read.drain(..head + length);
    }
    false
}

enum Stop {
    Refused(u16),
    Failed(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// Reads the head of an answer with this status; what came behind it stays in `read`.
async fn expect(stream: &mut Box<dyn Bytes>, read: &mut Vec<u8>, status: u16) -> Result<(), Stop> {
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&read[..end]);
            let given = head.split(' ').nth(1).and_then(|code| code.parse().ok());
            if given != Some(status) {
                return Err(Stop::Refused(given.unwrap_or_default()));
            }
            read.drain(..end + 4);
            return Ok(());
        }
        more(stream, read).await?;
    }
}

/// `{}` and the end of its record: in a frame, an event or a body.
async fn until_handshake_is_answered(
    stream: &mut Box<dyn Bytes>,
    read: &mut Vec<u8>,
) -> io::Result<()> {
    while !read.windows(3).any(|three| three == b"{}\x1e") {
        more(stream, read).await?;
    }
    Ok(())
}

async fn more(stream: &mut Box<dyn Bytes>, read: &mut Vec<u8>) -> io::Result<()> {
    match stream.read_buf(read).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}
