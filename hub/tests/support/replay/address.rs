//! Where a server is, and a connection to it.

use std::{fmt, io, sync::Arc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    net::TcpStream,
};

/// What a socket in memory holds in each direction.
const SOCKET_BUFFER: usize = 64 * 1024;

#[derive(Clone)]
pub(crate) enum Address {
    /// `HOST:PORT`
    Tcp(Arc<str>),
    /// A server in this process, which gives the client's end of a socket that holds so much.
    Memory(Arc<dyn Fn(usize) -> DuplexStream + Send + Sync>),
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.authority())
    }
}

impl Address {
    /// Of `http://HOST:PORT`.
    pub(crate) fn parse(url: &str) -> Option<Self> {
        let authority = url.strip_prefix("http://")?.trim_end_matches('/');
        let (host, port) = authority.rsplit_once(':')?;
        let good = !host.is_empty() && !authority.contains('/') && port.parse::<u16>().is_ok();
        good.then(|| Self::Tcp(authority.into()))
    }

    /// What a request's `Host` says.
    pub(crate) fn authority(&self) -> &str {
        match self {
            Self::Tcp(authority) => authority,
            Self::Memory(_) => "localhost",
        }
    }

    pub(super) async fn connect(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(authority) => {
                let stream = TcpStream::connect(&**authority).await?;
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
            Self::Memory(server) => {
                let socket = server(SOCKET_BUFFER);
                Ok(Stream::Memory(socket))
            }
        }
    }
}

#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Memory(DuplexStream),
}

impl Stream {
    pub(super) async fn read(&mut self, data: &mut Vec<u8>) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read_buf(data).await,
            Self::Memory(stream) => stream.read_buf(data).await,
        }
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.write_all(bytes).await,
            Self::Memory(stream) => stream.write_all(bytes).await,
        }
    }

    /// Ends the connection with a TCP reset; in memory it just ends.
    pub(super) fn reset(self) {
        if let Self::Tcp(stream) = self {
            let _ = stream.set_zero_linger();
        }
    }
}
