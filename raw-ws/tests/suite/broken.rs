//! A peer that is gone, and what it said before it went.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::BytesMut;
use raw_ws::{Config, Error, WebSocket, proto::Role};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A socket whose peer has reset the connection: what had come can be read, nothing be written.
struct Reset(VecDeque<Vec<u8>>);

impl AsyncRead for Reset {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(piece) = self.0.pop_front() else {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        };
        buf.put_slice(&piece);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Reset {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn what_came_before_a_reset_is_received_though_nothing_can_be_written() {
    // "1", "2", and "3" in two pieces, each masked with zeros.
    let frame = |digit: u8| vec![0x81, 0x81, 0, 0, 0, 0, digit];
    let (third, rest) = (frame(b'3')[..3].to_vec(), frame(b'3')[3..].to_vec());
    let came = [frame(b'1'), frame(b'2'), third, rest];
    let mut ws = WebSocket::from_upgraded(
        Reset(came.into()),
        BytesMut::new(),
        Role::Server,
        Config::new(),
    );
    for digit in ["1", "2", "3"] {
        let message = ws.recv().await.unwrap().unwrap();
        assert_eq!(message.as_bytes(), digit.as_bytes());
        ws.feed(message).unwrap();
    }
    assert!(matches!(ws.recv().await, Err(Error::Io(_))));
    assert!(matches!(ws.feed("4"), Err(Error::ApiMisuse(_))));
}
