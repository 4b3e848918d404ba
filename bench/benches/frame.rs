//! The protocol alone: 16 masked messages in, 16 replies out, through memory. No socket, no task,
//! no system call, so what remains is parsing, unmasking, checking UTF-8 (ASCII, here) and encoding.
//!
//! Each library gets the bytes by one copy and gives its replies by one copy, as it would to a
//! socket; how many calls it makes for that hardly counts here, and counts most in `echo`.

#[allow(dead_code, reason = "each benchmark uses a part of it")]
mod support {
    pub(crate) mod frames;
    pub(crate) mod settings;
}

use std::{
    io::{self, IoSlice, Read, Write},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::BytesMut;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, measurement::WallTime};
use fastwebsockets::FragmentCollector;
use futures_util::FutureExt;
use raw_ws::proto::{self, Event, SLICES};
use support::frames::{BINARY, masked_frame, payload, server_frame};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::{self, protocol::WebSocketConfig};

fn main() {
    let mut criterion = support::settings::criterion(50, Duration::from_secs(1));
    frames(&mut criterion, "frame-binary", BINARY);
    frames(&mut criterion, "frame-text", TEXT);
    criterion.final_summary();
}

fn frames(criterion: &mut Criterion, name: &str, opcode: u8) {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(MESSAGES as u64));
    for size in [20, 1024] {
        let memory = || Memory::new(opcode, size);
        bench(&mut group, "raw-ws", size, || RawWs::new(memory()));
        bench(&mut group, "tungstenite", size, || {
            Tungstenite::new(memory())
        });
        bench(&mut group, "tungstenite-tuned", size, || {
            TunedTungstenite::new(memory())
        });
        bench(&mut group, "fastwebsockets", size, || {
            Fastwebsockets::new(memory())
        });
    }
}

fn bench<E: Endpoint>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    size: usize,
    endpoint: impl Fn() -> E,
) {
    group.bench_function(BenchmarkId::new(name, size), |b| {
        let mut checked = endpoint();
        checked.answer();
        checked.into_memory().check();

        let mut endpoint = endpoint();
        b.iter(|| endpoint.answer());
    });
}

/// The server's end of a connection in memory.
trait Endpoint {
    /// Answers each of the [`MESSAGES`] that are there.
    fn answer(&mut self);
    fn into_memory(self) -> Memory;
}

/// A stream on which the same messages come over and over. A read ends where they end, as it does
/// on a socket on which no more has come yet.
struct Memory {
    input: Vec<u8>,
    read: usize,
    /// As long as the replies are.
    output: Vec<u8>,
    written: usize,
    expected: Vec<u8>,
}

impl Memory {
    fn new(opcode: u8, size: usize) -> Self {
        let payload = match opcode {
            TEXT => (0..size).map(|i| b'a' + (i % 26) as u8).collect(),
            _ => payload(size),
        };
        let expected = server_frame(opcode, &payload).repeat(MESSAGES);
        Self {
            input: masked_frame(opcode, &payload).repeat(MESSAGES),
            read: 0,
            output: vec![0; expected.len()],
            written: 0,
            expected,
        }
    }

    #[track_caller]
    fn check(&self) {
        assert_eq!(
            (self.read, self.written),
            (0, 0),
            "all was read and answered"
        );
        assert!(self.output == self.expected, "the replies are the messages");
    }
}

impl Read for Memory {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = &self.input[self.read..];
        let read = left.len().min(buffer.len());
        buffer[..read].copy_from_slice(&left[..read]);
        self.read = (self.read + read) % self.input.len();
        Ok(read)
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = &mut self.output[self.written..];
        let written = room.len().min(bytes.len());
        room[..written].copy_from_slice(&bytes[..written]);
        self.written = (self.written + written) % self.output.len();
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Memory {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = self.read(buffer.initialize_unfilled())?;
        buffer.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Memory {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.write(bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Our machine, driven as `WebSocket` drives it: one read, all messages in it, one write.
struct RawWs {
    connection: proto::Connection,
    input: BytesMut,
    memory: Memory,
}

impl RawWs {
    fn new(memory: Memory) -> Self {
        let config = Arc::new(raw_ws::Config::new());
        Self {
            connection: proto::Connection::new(proto::Role::Server, config, Instant::now()),
            input: BytesMut::new(),
            memory,
        }
    }
}

impl Endpoint for RawWs {
    fn answer(&mut self) {
        self.input.reserve(self.memory.input.len());
        self.input.extend_from_slice(&self.memory.input);
        let now = Instant::now();
        while let Some(event) = self
            .connection
            .handle_input(&mut self.input, now)
            .expect(VALID)
        {
            let Event::Message(message) = event else {
                panic!("not a message: {event:?}");
            };
            self.connection.send(message).expect(VALID);
        }
        while self.connection.unwritten() > 0 {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = self.connection.poll_transmit(&mut slices);
            let written: usize = slices[..count]
                .iter()
                .map(|slice| self.memory.write(slice).expect(VALID))
                .sum();
            self.connection.handle_transmitted(written);
        }
    }

    fn into_memory(self) -> Memory {
        self.memory
    }
}

/// tungstenite with its defaults: every reply is flushed.
struct Tungstenite(tungstenite::WebSocket<Memory>);

impl Tungstenite {
    fn new(memory: Memory) -> Self {
        Self(tungstenite::WebSocket::from_raw_socket(
            memory,
            tungstenite::protocol::Role::Server,
            None,
        ))
    }
}

impl Endpoint for Tungstenite {
    fn answer(&mut self) {
        for _ in 0..MESSAGES {
            let message = self.0.read().expect(VALID);
            self.0.send(message).expect(VALID);
        }
    }

    fn into_memory(self) -> Memory {
        self.0.into_inner()
    }
}

/// tungstenite with small buffers, and one flush for all replies.
struct TunedTungstenite(tungstenite::WebSocket<Memory>);

impl TunedTungstenite {
    fn new(memory: Memory) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(4096)
            .write_buffer_size(4096)
            .max_write_buffer_size(64 * 1024);
        Self(tungstenite::WebSocket::from_raw_socket(
            memory,
            tungstenite::protocol::Role::Server,
            Some(config),
        ))
    }
}

impl Endpoint for TunedTungstenite {
    fn answer(&mut self) {
        for _ in 0..MESSAGES {
            let message = self.0.read().expect(VALID);
            self.0.write(message).expect(VALID);
        }
        self.0.flush().expect(VALID);
    }

    fn into_memory(self) -> Memory {
        self.0.into_inner()
    }
}

/// fastwebsockets, which writes every reply by itself.
struct Fastwebsockets(FragmentCollector<Memory>);

impl Fastwebsockets {
    fn new(memory: Memory) -> Self {
        Self(FragmentCollector::new(
            fastwebsockets::WebSocket::after_handshake(memory, fastwebsockets::Role::Server),
        ))
    }
}

impl Endpoint for Fastwebsockets {
    fn answer(&mut self) {
        let answer = async {
            for _ in 0..MESSAGES {
                let frame = self.0.read_frame().await.expect(VALID);
                self.0.write_frame(frame).await.expect(VALID);
            }
        };
        answer.now_or_never().expect("memory is always ready");
    }

    fn into_memory(self) -> Memory {
        self.0.into_inner()
    }
}

/// The messages that have come, and are answered before more do.
const MESSAGES: usize = 16;

const TEXT: u8 = 1;

const VALID: &str = "the messages are valid, and memory does not fail";
