//! The PROXY protocol, versions 1 and 2: a proxy that passes bytes on as they are says first whose
//! they are.

use std::{io, net::SocketAddr};

use proxy_header::{ParseConfig, Protocol, ProxyHeader};
use tokio::{io::AsyncReadExt as _, net::TcpStream};

/// Both versions' headers are at least that long, so that so much may be read of either.
const FIRST: usize = 12;
const SIGNATURE: &[u8; FIRST] = b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2, up to and with its length.
const FIXED: usize = 16;
/// "a 108-byte buffer is always enough to store all the line and a trailing zero".
const LONGEST_LINE: usize = 107;
/// Addresses and the fields behind them, of which certificates' names are the longest.
const LONGEST_REST: usize = 4096;

/// What a proxy says of the connection it opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Proxied {
    /// `None`: the connection is the proxy's own, or it does not know.
    pub(super) client: Option<SocketAddr>,
    /// The client speaks TLS, to the proxy.
    pub(super) is_https: bool,
}

/// Reads the header from the beginning of a connection, and not one byte more.
///
/// # Errors
/// `InvalidData` for what is no header; as the socket fails.
pub(super) async fn read(stream: &mut TcpStream) -> io::Result<Proxied> {
    let mut header = vec![0; FIRST];
    stream.read_exact(&mut header).await?;
    if header == SIGNATURE {
        header.resize(FIXED, 0);
        stream.read_exact(&mut header[FIRST..]).await?;
        let rest = usize::from(u16::from_be_bytes([header[14], header[15]]));
        if rest > LONGEST_REST {
            return Err(malformed());
        }
        header.resize(FIXED + rest, 0);
        stream.read_exact(&mut header[FIXED..]).await?;
    } else if header.starts_with(b"PROXY ") {
        read_line(stream, &mut header).await?;
    } else {
        return Err(malformed());
    }
    parse(&header).ok_or_else(malformed)
}

/// The rest of a line: what has come is looked at before as much of it is taken as belongs to it.
async fn read_line(stream: &mut TcpStream, line: &mut Vec<u8>) -> io::Result<()> {
    while !line.ends_with(b"\r\n") {
        let begun = line.len();
        if begun >= LONGEST_LINE {
            return Err(malformed());
        }
        line.resize(LONGEST_LINE, 0);
        let come = stream.peek(&mut line[begun..]).await?;
        if come == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let end = line[begun..begun + come]
            .iter()
            .position(|byte| *byte == b'\n');
        line.truncate(begun + end.map_or(come, |end| end + 1));
        stream.read_exact(&mut line[begun..]).await?;
        if end.is_some() && !line.ends_with(b"\r\n") {
            return Err(malformed());
        }
    }
    Ok(())
}

fn parse(header: &[u8]) -> Option<Proxied> {
    let (parsed, len) = ProxyHeader::parse(header, ParseConfig::default()).ok()?;
    let addresses = parsed.proxied_address();
    if len != header.len() || addresses.is_some_and(|it| it.protocol != Protocol::Stream) {
        return None;
    }
    let mut is_https = false;
    for field in parsed.tlvs() {
        if let proxy_header::Tlv::Ssl(ssl) = field.ok()? {
            is_https = ssl.client_ssl();
        }
    }
    let client = addresses.map(|it| {
        let ip = it.source.ip().to_canonical();
        SocketAddr::new(ip, it.source.port())
    });
    Some(Proxied { client, is_https })
}

fn malformed() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the connection does not begin with the PROXY protocol",
    )
}
