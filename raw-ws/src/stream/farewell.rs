//! How a connection ends so that the peer can read why.

use std::time::Duration;

use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use crate::stream::upgraded::ByteStream;

/// How long, and how much, the peer may still send.
const DRAIN_FOR: Duration = Duration::from_secs(2);
const DRAIN_AT_MOST: usize = 1024 * 1024;

/// Writes the last bytes, half-closes, and reads on until the peer has closed too. Bytes left
/// unread at a close turn it into a reset, and a reset takes the Close frame with it.
pub(crate) async fn farewell(
    mut stream: impl ByteStream,
    last_bytes: BytesMut,
    write_within: Duration,
) {
    let last_words = async {
        stream.write_all(&last_bytes).await?;
        stream.shutdown().await
    };
    if !matches!(timeout(write_within, last_words).await, Ok(Ok(()))) {
        return;
    }
    let drain = async {
        let mut discarded = BytesMut::with_capacity(4 * 1024);
        let mut total = 0;
        while let Ok(read @ 1..) = stream.read_buf(&mut discarded).await {
            total += read;
            if total > DRAIN_AT_MOST {
                return;
            }
            discarded.clear();
        }
    };
    let _ = timeout(DRAIN_FOR, drain).await;
}
