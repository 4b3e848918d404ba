//! Every future of a `WebSocket` may be dropped at every poll: nothing is lost, doubled or moved.

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    io::{self, IoSlice},
    pin::{Pin, pin},
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use bytes::BytesMut;
use raw_ws::{
    CloseCode, Config, Frame, Message, OpCode, SendError, WebSocket,
    proto::{Role, State},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::yield_now,
};

/// One end of a wire that makes as much trouble as it may: every other call is `Pending`, the
/// rest move a few bytes, and what is written stays in a buffer until it is flushed.
struct Grudging {
    incoming: Arc<Mutex<Pipe>>,
    outgoing: Arc<Mutex<Pipe>>,
    held: VecDeque<u8>,
    at_once: usize,
    /// How often it was asked to read, to write and to flush.
    calls: [usize; 3],
}

const READ: usize = 0;
const WRITE: usize = 1;
const FLUSH: usize = 2;

#[derive(Default)]
struct Pipe {
    bytes: VecDeque<u8>,
    is_ended: bool,
}

const HELD_AT_MOST: usize = 50;

fn wire(at_once: usize) -> (Grudging, Grudging) {
    let (there, back) = (Arc::default(), Arc::default());
    let end = |incoming: &Arc<Mutex<Pipe>>, outgoing: &Arc<Mutex<Pipe>>| Grudging {
        incoming: incoming.clone(),
        outgoing: outgoing.clone(),
        held: VecDeque::new(),
        at_once,
        calls: [0; 3],
    };
    (end(&there, &back), end(&back, &there))
}

impl Grudging {
    /// How many bytes this call may move; `None` for `Pending`.
    fn grant(&mut self, call: usize, cx: &Context<'_>) -> Option<usize> {
        self.calls[call] += 1;
        let calls = self.calls[call];
        if calls.is_multiple_of(2) {
            return Some(1 + calls / 2 % self.at_once);
        }
        cx.waker().wake_by_ref();
        None
    }

    fn pass_on(&mut self, at_most: usize) {
        let len = at_most.min(self.held.len());
        let mut pipe = self.outgoing.lock().unwrap();
        pipe.bytes.extend(self.held.drain(..len));
    }
}

impl AsyncRead for Grudging {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(len) = self.grant(READ, cx) else {
            return Poll::Pending;
        };
        let mut pipe = self.incoming.lock().unwrap();
        if pipe.bytes.is_empty() && !pipe.is_ended {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let len = len.min(pipe.bytes.len()).min(buf.remaining());
        for byte in pipe.bytes.drain(..len) {
            buf.put_slice(&[byte]);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Grudging {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let grant = self.grant(WRITE, cx);
        if self.held.len() >= HELD_AT_MOST {
            self.pass_on(grant.unwrap_or(1));
        }
        let Some(len) = grant.filter(|_| self.held.len() < HELD_AT_MOST) else {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        };
        let bytes = pieces.iter().flat_map(|piece| piece.iter().copied());
        let before = self.held.len();
        self.held.extend(bytes.take(len));
        Poll::Ready(Ok(self.held.len() - before))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(len) = self.grant(FLUSH, cx) {
            self.pass_on(len);
        }
        if self.held.is_empty() {
            return Poll::Ready(Ok(()));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(self.as_mut().poll_flush(cx))?;
        self.outgoing.lock().unwrap().is_ended = true;
        Poll::Ready(Ok(()))
    }
}

/// Polls a future once and drops it.
async fn once<F: Future>(future: F) -> Option<F::Output> {
    let polled = {
        let mut future = pin!(future);
        poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
    };
    // What a connection leaves behind when it ends runs in a task of its own.
    yield_now().await;
    match polled {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

const CLIENT: Role = Role::Client {
    masking_key: || [1, 2, 3, 4],
};

fn pair(at_once: usize) -> (WebSocket<Grudging>, WebSocket<Grudging>) {
    let (client, server) = wire(at_once);
    let end = |io, role| WebSocket::from_upgraded(io, BytesMut::new(), role, Config::new());
    (end(client, CLIENT), end(server, Role::Server))
}

fn messages() -> Vec<Message> {
    let mut messages: Vec<Message> = [0, 1, 125, 126, 300, 5_000]
        .map(|len| Message::binary((0..len).map(|i| (i % 251) as u8).collect::<Vec<_>>()))
        .into();
    messages.extend(["", "grüezi", "€"].map(Message::text));
    messages.push(Message::text("ß".repeat(500)));
    messages.extend((0..20_u8).map(|nth| Message::from(vec![nth; 3])));
    messages
}

const SIZES: [usize; 5] = [1, 2, 7, 64, 4_099];
const MANY: usize = 400_000;

/// What one side has to send, by futures that are polled once.
struct Sending {
    left: VecDeque<Message>,
    is_under_way: bool,
}

impl Sending {
    fn new(messages: Vec<Message>) -> Self {
        Self {
            left: messages.into(),
            is_under_way: false,
        }
    }

    /// `send` queues at its first poll; `flush` sees it through.
    async fn turn(&mut self, ws: &mut WebSocket<Grudging>) {
        let done = if self.is_under_way {
            once(ws.flush()).await
        } else if let Some(message) = self.left.pop_front() {
            once(ws.send(message)).await
        } else {
            return;
        };
        self.is_under_way = done.transpose().unwrap().is_none();
    }
}

#[tokio::test(start_paused = true)]
async fn messages_cross_in_both_directions_by_futures_polled_once() {
    for at_once in SIZES {
        let (mut client, mut server) = pair(at_once);
        let mut to_server = Sending::new(messages());
        let mut to_client = Sending::new(messages().into_iter().rev().collect());
        let (mut at_server, mut at_client) = (Vec::new(), Vec::new());
        let count = messages().len();
        for _ in 0..MANY {
            to_server.turn(&mut client).await;
            to_client.turn(&mut server).await;
            if let Some(message) = once(server.recv()).await {
                at_server.push(message.unwrap().unwrap());
            }
            if let Some(message) = once(client.recv()).await {
                at_client.push(message.unwrap().unwrap());
            }
            if at_server.len() >= count && at_client.len() >= count {
                break;
            }
        }
        assert!(at_server == messages(), "{at_once} at once");
        assert!(
            at_client.into_iter().rev().eq(messages()),
            "{at_once} at once"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_fed_leaves_by_flushes_polled_once_alone() {
    for at_once in SIZES {
        let (mut client, mut server) = pair(at_once);
        for message in messages() {
            server.feed(message).unwrap();
        }
        let mut at_client = Vec::new();
        let mut is_flushed = false;
        for _ in 0..MANY {
            if !is_flushed {
                is_flushed = once(server.flush()).await.transpose().unwrap().is_some();
            }
            if let Some(message) = once(client.recv()).await {
                at_client.push(message.unwrap().unwrap());
            }
            if at_client.len() >= messages().len() {
                break;
            }
        }
        assert!(at_client == messages(), "{at_once} at once");
        assert_eq!(server.unwritten(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn frames_and_pings_between_them_cross_by_futures_polled_once() {
    for at_once in SIZES {
        let (mut client, mut server) = pair(at_once);
        let mut frames = Vec::new();
        for nth in 0..10_u8 {
            frames.push(Frame::text(&b"gr\xc3"[..], false));
            frames.push(Frame::ping(vec![nth]).unwrap());
            frames.push(Frame::continuation(&b"\xbc"[..], false));
            frames.push(Frame::ping(vec![nth; 125]).unwrap());
            frames.push(Frame::continuation("n".repeat(200), true));
            frames.push(Frame::binary(vec![nth; 4_500], true));
        }
        let is_ping = |frame: &&Frame| frame.opcode() == OpCode::Ping;
        let (mut left, mut is_under_way) = (VecDeque::from(frames.clone()), false);
        let mut pongs_left = VecDeque::new();
        let (mut at_server, mut pongs) = (Vec::new(), Vec::new());
        for _ in 0..MANY {
            if is_under_way {
                is_under_way = once(client.flush()).await.transpose().unwrap().is_none();
            } else if let Some(frame) = left.pop_front() {
                let sent = once(client.send_frame(frame)).await;
                is_under_way = sent.transpose().unwrap().is_none();
            }
            if let Some(frame) = once(server.recv_frame()).await {
                let frame = frame.unwrap().unwrap();
                if is_ping(&&frame) {
                    pongs_left.push_back(Frame::pong(frame.payload().clone()).unwrap());
                }
                at_server.push(frame);
            }
            if let Some(pong) = pongs_left.pop_front() {
                once(server.send_frame(pong)).await.transpose().unwrap();
            }
            if let Some(frame) = once(client.recv_frame()).await {
                pongs.push(frame.unwrap().unwrap().into_payload());
            }
            if at_server.len() >= frames.len() && pongs.len() >= 20 {
                break;
            }
        }
        // Pings overtake data that waits, and nothing else changes places.
        let split = |frames: &[Frame]| -> (Vec<Frame>, Vec<Frame>) {
            frames.iter().cloned().partition(|frame| is_ping(&frame))
        };
        assert!(split(&at_server) == split(&frames), "{at_once} at once");
        let pinged = split(&frames).0.into_iter().map(Frame::into_payload);
        assert!(pinged.eq(pongs), "{at_once} at once");
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_polled_once_at_a_time_comes_behind_everything_and_is_answered() {
    for at_once in SIZES {
        // Seen through by `close`, or by `recv` after one poll of `close`.
        for by_recv in [false, true] {
            let (mut client, mut server) = pair(at_once);
            for message in messages() {
                server.feed(message).unwrap();
            }
            let (mut at_client, mut is_begun) = (Vec::new(), false);
            let (mut closed, mut ended) = (false, false);
            for _ in 0..MANY {
                if !closed && by_recv && is_begun {
                    if let Some(message) = once(server.recv()).await {
                        assert_eq!(message.unwrap(), None);
                        closed = true;
                    }
                } else if !closed {
                    is_begun = true;
                    let bye = server.close(CloseCode::new(4000), "bye");
                    if let Some(answer) = once(bye).await {
                        assert_eq!(answer.unwrap().unwrap().code(), CloseCode::new(4000));
                        closed = true;
                    }
                }
                match once(client.recv()).await {
                    None => {}
                    Some(Ok(Some(message))) => at_client.push(message),
                    Some(Ok(None)) => ended = true,
                    Some(Err(error)) => panic!("{error}"),
                }
                if closed && ended {
                    break;
                }
            }
            assert!(closed && ended, "{at_once} at once, by recv: {by_recv}");
            assert!(at_client == messages(), "{at_once} at once");
            assert_eq!(client.peer_close().unwrap().reason(), "bye");
            assert_eq!(server.peer_close().unwrap().code().as_u16(), 4000);
            assert_eq!(
                (client.state(), server.state()),
                (State::Closed, State::Closed)
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_only_polls_writes_and_closes_too() {
    for at_once in SIZES {
        let (mut client, mut server) = pair(at_once);
        for message in messages() {
            server.feed(message).unwrap();
        }
        let mut at_client = Vec::new();
        let peer = tokio::spawn(async move {
            while let Some(message) = client.recv().await.unwrap() {
                at_client.push(message);
            }
            (at_client, client.peer_close().unwrap().reason().to_owned())
        });
        poll_fn(|cx| server.poll_flush(cx)).await.unwrap();
        assert_eq!(server.unwritten(), 0);
        assert!(server.start_close(CloseCode::new(1005), "").is_err());
        assert_eq!(server.state(), State::Open);
        server.start_close(CloseCode::new(4000), "bye").unwrap();
        server.start_close(CloseCode::new(4001), "again").unwrap();
        assert_eq!(server.state(), State::Closing);
        assert_eq!(server.sender().send("late"), Err(SendError::Closed));
        assert_eq!(poll_fn(|cx| server.poll_recv(cx)).await.unwrap(), None);
        assert_eq!(server.state(), State::Closed);
        let (at_client, reason) = peer.await.unwrap();
        assert!(at_client == messages(), "{at_once} at once");
        assert_eq!(reason, "bye");
    }
}

#[tokio::test]
async fn a_future_that_is_never_polled_does_nothing() {
    let (mut client, _server) = pair(1);
    drop(client.send("unsent"));
    drop(client.send_frame(Frame::ping("").unwrap()));
    drop(client.close(CloseCode::NORMAL, ""));
    drop(client.recv());
    assert_eq!((client.unwritten(), client.state()), (0, State::Open));
}

/// With a real runtime and real wake-ups: whoever takes over must be woken, not whoever left.
#[tokio::test]
async fn a_dropped_future_leaves_the_next_one_awake() {
    let (client, server) = tokio::io::duplex(5);
    let mut client = WebSocket::from_upgraded(client, BytesMut::new(), CLIENT, Config::new());
    let mut server = WebSocket::from_upgraded(server, BytesMut::new(), Role::Server, Config::new());
    let echo = tokio::spawn(async move {
        loop {
            let received = tokio::select! {
                biased;
                received = server.recv() => received,
                () = yield_now() => continue,
            };
            match received.unwrap() {
                Some(message) => {
                    // Queued at the first poll.
                    once(server.send(message)).await.transpose().unwrap();
                }
                None => return,
            }
        }
    });
    for message in messages() {
        client.send(message.clone()).await.unwrap();
        let back = tokio::time::timeout(Duration::from_secs(10), client.recv());
        assert_eq!(back.await.unwrap().unwrap(), Some(message));
    }
    client.close(CloseCode::NORMAL, "").await.unwrap();
    echo.await.unwrap();
}
