//! A server and its client on one thread, joined by a pipe in memory: the whole server, and no
//! kernel.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr},
};

use axum::{Router, serve::Listener};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    runtime::{self, Runtime},
};

use crate::{exchange::Exchange, peers::Endpoint};

/// One connection to a server in memory.
#[derive(Debug)]
pub struct Lane {
    client: Client,
    requests: Vec<u8>,
    replies: Vec<u8>,
    expected: Vec<u8>,
}

impl Lane {
    /// Connects to a server of this app, and looks at the first replies to the byte. Where the
    /// exchange needs no HTTP, what answers is a task that returns the bytes as they came.
    ///
    /// # Errors
    ///
    /// When the runtime does not start, or the server refuses.
    ///
    /// # Panics
    ///
    /// When the replies are others.
    pub fn open(app: Router, exchange: &Exchange) -> io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_time()
            .build()?;
        let (near, far) = tokio::io::duplex(PIPE);
        let mut client = Client { runtime, near };
        match exchange.endpoint {
            Endpoint::RawTcp => drop(client.runtime.spawn(echo(far))),
            Endpoint::WebSocket(_) => {
                let serving = axum::serve(InMemory(Some(far)), app);
                client.runtime.spawn(async move { serving.await });
            }
        }
        let host = SocketAddr::from((Ipv4Addr::LOCALHOST, 80));
        let target = exchange.endpoint.at(host);
        let early = target.converse_over(&mut client, &exchange.opening)?;
        assert!(early.is_empty(), "the server speaks first: {early:?}");
        let mut lane = Self {
            client,
            requests: exchange.requests.clone(),
            replies: vec![0; exchange.replies.len()],
            expected: exchange.replies.clone(),
        };
        lane.exchange();
        lane.check();
        Ok(lane)
    }

    /// Sends all requests of the exchange, and reads the replies.
    ///
    /// # Panics
    ///
    /// When the server has closed the connection.
    pub fn exchange(&mut self) {
        let Client { runtime, near } = &mut self.client;
        let exchanged = runtime.block_on(async {
            near.write_all(&self.requests).await?;
            near.read_exact(&mut self.replies).await
        });
        exchanged.expect("the server answers");
    }

    /// Whether the last replies are those expected.
    ///
    /// # Panics
    ///
    /// When they are not.
    pub fn check(&self) {
        assert!(
            self.replies == self.expected,
            "not the replies expected: {:?}",
            String::from_utf8_lossy(&self.replies[..self.replies.len().min(200)])
        );
    }
}

/// The client's end, which waits by running the server.
#[derive(Debug)]
struct Client {
    runtime: Runtime,
    near: DuplexStream,
}

impl Read for Client {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.runtime.block_on(self.near.read(buffer))
    }
}

impl Write for Client {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.runtime.block_on(self.near.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Accepts one connection, and waits for another that does not come.
struct InMemory(Option<DuplexStream>);

impl Listener for InMemory {
    type Io = DuplexStream;
    type Addr = ();

    async fn accept(&mut self) -> (DuplexStream, ()) {
        match self.0.take() {
            Some(stream) => (stream, ()),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

async fn echo(mut stream: DuplexStream) -> io::Result<()> {
    let mut buffer = vec![0; 32 * 1024];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            read => stream.write_all(&buffer[..read]).await?,
        }
    }
}

/// What the pipe holds in each direction: more than any exchange.
const PIPE: usize = 1 << 20;
