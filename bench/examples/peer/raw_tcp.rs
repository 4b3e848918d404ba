//! What a task per connection costs when it does nothing but read and write: no HTTP, no frames.

use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::accept;

pub(crate) async fn serve(listener: TcpListener) -> io::Result<()> {
    loop {
        tokio::spawn(echo(accept(&listener).await?));
    }
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    // As large as ours: 16 messages of 1 KiB and their headers in one read.
    let mut buffer = vec![0; 32 * 1024];
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..read]).await?;
    }
}
