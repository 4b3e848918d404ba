//! What a task per connection costs when it does nothing but read and write: no HTTP, no frames.

use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{Endpoint, Peer, Serving, accept};
use crate::load::{Dialect, Work};

/// Bytes back as they came: the limit of an echo.
pub struct RawTcp;

/// As many bytes back as a request asks for: the limit of a stream. A request begins with two `u32`,
/// its own length in bytes and that of its reply.
pub struct RawTcpAsked;

impl Peer for RawTcp {
    fn name(&self) -> &'static str {
        "raw-tcp"
    }

    fn about(&self) -> &'static str {
        "bytes back as they came, without HTTP: the limit of an echo"
    }

    fn endpoint(&self, work: Work, dialect: Dialect) -> Option<Endpoint> {
        (work == Work::Echo && dialect == Dialect::Messages).then_some(Endpoint::RawTcp)
    }

    fn serve(&self, listener: TcpListener) -> Serving {
        Box::pin(async move {
            loop {
                tokio::spawn(echo(accept(&listener).await?));
            }
        })
    }
}

impl Peer for RawTcpAsked {
    fn name(&self) -> &'static str {
        "raw-tcp-asked"
    }

    fn about(&self) -> &'static str {
        "as many bytes back as asked for, without HTTP: the limit of a stream"
    }

    fn endpoint(&self, _: Work, _: Dialect) -> Option<Endpoint> {
        None
    }

    fn serve(&self, listener: TcpListener) -> Serving {
        Box::pin(async move {
            loop {
                tokio::spawn(answer(accept(&listener).await?));
            }
        })
    }
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..read]).await?;
    }
}

async fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let mut asked = stream.read_u32().await?.saturating_sub(8) as usize;
        let mut wanted = stream.read_u32().await? as usize;
        while asked > 0 {
            let part = asked.min(BUFFER);
            match stream.read(&mut buffer[..part]).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => asked -= read,
            }
        }
        while wanted > 0 {
            let part = wanted.min(BUFFER);
            stream.write_all(&buffer[..part]).await?;
            wanted -= part;
        }
    }
}

/// As large as ours: 16 messages of 1 KiB and their headers in one read.
const BUFFER: usize = 32 * 1024;
