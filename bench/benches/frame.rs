//! The protocol alone: 16 masked messages in, 16 replies out, through memory. No socket, no task,
//! no system call, so what remains is parsing, unmasking, checking UTF-8 (ASCII, here) and encoding.
//!
//! Each library gets the bytes by one copy and gives its replies by one copy, as it would to a
//! socket; how many calls it makes for that hardly counts here, and counts most in `echo`.

mod support {
    pub(crate) mod settings;
}

use std::{
    io::{self, IoSlice, Read, Write},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bench::{
    exchange::{BINARY, TEXT, payload, server_frame},
    load::masked_frame,
};
use bytes::BytesMut;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, measurement::WallTime};
use fastwebsockets::FragmentCollector;
use futures_util::{FutureExt, SinkExt, StreamExt};
use raw_ws::proto::{self, Event, SLICES};
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
        let what = (opcode, size);
        bench(&mut group, "memcpy", what, Copying);
        bench(&mut group, "raw-ws", what, RawWs::new);
        bench(&mut group, "tungstenite-tuned", what, TunedTungstenite::new);
        bench(&mut group, "tungstenite", what, Tungstenite::new);
        bench(&mut group, "tokio-websockets", what, TokioWebsockets::new);
        bench(&mut group, "fastwebsockets", what, Fastwebsockets::new);
        bench(&mut group, "yawc", what, Yawc::new);
    }
}

fn bench<E: Endpoint>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    (opcode, size): (u8, usize),
    endpoint: impl Fn(Memory) -> E,
) {
    group.bench_function(BenchmarkId::new(name, size), |b| {
        let memory = Memory::new(opcode, size);
        let answered = Arc::clone(&memory.answered);
        let mut endpoint = endpoint(memory);
        endpoint.answer();
        assert!(answered.load(Relaxed), "all is read and answered");
        b.iter(|| endpoint.answer());
    });
}

/// The server's end of a connection in memory.
trait Endpoint {
    /// Answers each of the [`MESSAGES`] that are there.
    fn answer(&mut self);
}

/// A stream on which the same messages come over and over. A read ends where they end, as it does
/// on a socket on which no more has come yet.
struct Memory {
    input: Vec<u8>,
    read: usize,
    /// As long as the replies are.
    output: Vec<u8>,
    written: usize,
    /// What is to be written, the first time. Later ones are not looked at.
    expected: Vec<u8>,
    /// Whether that has been.
    answered: Arc<AtomicBool>,
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
            answered: Arc::default(),
        }
    }

    /// All has been written.
    #[cold]
    fn check(&mut self) {
        assert!(self.output == self.expected, "the replies are the messages");
        assert_eq!(self.read, 0, "all was read");
        self.expected.clear();
        self.answered.store(true, Relaxed);
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
        if self.written == 0 && !self.expected.is_empty() {
            self.check();
        }
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

/// The limit: one copy in and one out, and nothing done in between.
struct Copying(Memory);

impl Endpoint for Copying {
    fn answer(&mut self) {
        let memory = &mut self.0;
        let mut buffer = BytesMut::with_capacity(memory.input.len());
        buffer.extend_from_slice(&memory.input);
        // As many bytes as the replies have: a server's frames are not masked.
        let replies = std::hint::black_box(&buffer[..memory.output.len()]);
        memory.output.copy_from_slice(replies);
        // What is copied are no replies: there is nothing to look at.
        memory.answered.store(true, Relaxed);
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
}

/// tokio-websockets, which writes what it has when asked to, or by the 8 KiB.
struct TokioWebsockets(tokio_websockets::WebSocketStream<Memory>);

impl TokioWebsockets {
    fn new(memory: Memory) -> Self {
        Self(
            tokio_websockets::ServerBuilder::new()
                .config(tokio_websockets::Config::default().frame_size(usize::MAX))
                .limits(tokio_websockets::Limits::unlimited())
                .serve(memory),
        )
    }
}

impl Endpoint for TokioWebsockets {
    fn answer(&mut self) {
        let answer = async {
            for _ in 0..MESSAGES {
                let message = self.0.next().await.expect(VALID).expect(VALID);
                self.0.feed(message).await.expect(VALID);
            }
            self.0.flush().await.expect(VALID);
        };
        answer.now_or_never().expect("memory is always ready");
    }
}

/// yawc, with one flush for all replies.
struct Yawc(yawc::WebSocket<Memory>);

impl Yawc {
    fn new(memory: Memory) -> Self {
        let options = yawc::Options::default().without_compression();
        Self(yawc::WebSocket::from_stream(memory, yawc::Role::Server, options).expect(VALID))
    }
}

impl Endpoint for Yawc {
    fn answer(&mut self) {
        let answer = async {
            for _ in 0..MESSAGES {
                let frame = self.0.next().await.expect(VALID);
                self.0.feed(frame).await.expect(VALID);
            }
            self.0.flush().await.expect(VALID);
        };
        answer.now_or_never().expect("memory is always ready");
    }
}

/// The messages that have come, and are answered before more do.
const MESSAGES: usize = 16;

const VALID: &str = "the messages are valid, and memory does not fail";
