//! Listening, with room for a crowd.

use std::{io, net::SocketAddr};

use tokio::net::{TcpListener, TcpSocket, ToSocketAddrs, lookup_host};

/// How many connections may wait to be accepted; the system may hold it lower
/// (`net.core.somaxconn`).
const QUEUE: u32 = 4096;

/// Listens on an address, as [`TcpListener::bind`] does, with a queue long enough for a crowd that
/// comes at once: 4,096 connections, or as many as the system allows
/// (`net.core.somaxconn` on Linux). `bind` asks for 128; whom the queue does not hold waits a second
/// or more until its own system tries again.
///
/// # Errors
/// What `bind` gives: the address is taken, or is none of this machine's, or may not be used.
///
/// ```
/// # async fn run() -> std::io::Result<()> {
/// let listener = raw_ws::listen("127.0.0.1:0").await?;
/// assert_ne!(listener.local_addr()?.port(), 0);
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(run()).unwrap();
/// ```
pub async fn listen(address: impl ToSocketAddrs) -> io::Result<TcpListener> {
    let mut failed = io::Error::new(io::ErrorKind::InvalidInput, "the name has no address");
    for address in lookup_host(address).await? {
        match listen_on(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Elsewhere than on Unix it would let two servers share an address.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(QUEUE)
}
