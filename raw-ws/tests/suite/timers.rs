//! A connection's deadlines wake the task that waits for it, however it came to wait.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use bytes::BytesMut;
use raw_ws::{Config, Message, Result, WebSocket, proto::Role};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    task::coop,
};

const INTERVAL: Duration = Duration::from_secs(15);
const MESSAGE: &[u8] = &[0x82, 0x80, 1, 2, 3, 4];
const PING: [u8; 2] = [0x89, 0];

/// A task that counts how often it is woken.
#[derive(Default)]
struct Task(AtomicUsize);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Task {
    fn poll(self: &Arc<Self>, ws: &mut WebSocket<DuplexStream>) -> Poll<Result<Option<Message>>> {
        ws.poll_recv(&mut Context::from_waker(&Waker::from(self.clone())))
    }

    fn poll_flush(self: &Arc<Self>, ws: &mut WebSocket<DuplexStream>) -> Poll<Result<()>> {
        ws.poll_flush(&mut Context::from_waker(&Waker::from(self.clone())))
    }
}

fn connection() -> (WebSocket<DuplexStream>, DuplexStream) {
    let (near, far) = duplex(1024);
    let config = Config::new().keep_alive_interval(INTERVAL);
    let ws = WebSocket::from_upgraded(near, BytesMut::new(), Role::Server, config);
    (ws, far)
}

/// The task, which waits, is woken for the Ping.
async fn is_woken_in_time(
    task: &Arc<Task>,
    mut ws: WebSocket<DuplexStream>,
    mut far: DuplexStream,
) {
    let before = task.0.load(Ordering::Relaxed);
    tokio::time::sleep(INTERVAL + Duration::from_secs(1)).await;
    assert_ne!(before, task.0.load(Ordering::Relaxed), "never woken");
    assert!(task.poll(&mut ws).is_pending());
    let mut ping = PING.map(|_| 0);
    far.read_exact(&mut ping).await.unwrap();
    assert_eq!(ping, PING);
}

#[tokio::test(start_paused = true)]
async fn another_task_is_woken_after_it_was_given_a_message() {
    let (mut ws, mut far) = connection();
    let (first, second) = (Arc::default(), Arc::default());
    assert!(Task::poll(&first, &mut ws).is_pending());
    far.write_all(MESSAGE).await.unwrap();
    assert!(Task::poll(&second, &mut ws).is_ready());
    assert!(Task::poll(&second, &mut ws).is_pending());
    is_woken_in_time(&second, ws, far).await;
}

#[tokio::test(start_paused = true)]
async fn another_task_is_woken_after_it_flushed() {
    let (mut ws, far) = connection();
    let (first, second) = (Arc::default(), Arc::default());
    assert!(Task::poll(&first, &mut ws).is_pending());
    ws.feed("to be flushed").unwrap();
    assert!(Task::poll_flush(&second, &mut ws).is_ready());
    assert!(Task::poll(&second, &mut ws).is_pending());
    let mut far = far;
    far.read_exact(&mut [0; 15]).await.unwrap();
    is_woken_in_time(&second, ws, far).await;
}

#[tokio::test(start_paused = true)]
async fn a_task_is_woken_whose_budget_was_used_up() {
    let (mut ws, far) = connection();
    let task = Arc::default();
    poll_fn(|cx| {
        while coop::has_budget_remaining() {
            let _ = pin!(coop::consume_budget()).poll(cx);
        }
        assert!(Task::poll(&task, &mut ws).is_pending());
        Poll::Ready(())
    })
    .await;
    tokio::task::yield_now().await;
    assert!(Task::poll(&task, &mut ws).is_pending());
    is_woken_in_time(&task, ws, far).await;
}

#[tokio::test(start_paused = true)]
async fn a_task_is_woken_again_by_a_timer_that_fired_early() {
    let (mut ws, mut far) = connection();
    let task = Arc::<Task>::default();
    assert!(task.poll(&mut ws).is_pending());
    tokio::time::sleep(INTERVAL - Duration::from_secs(1)).await;
    far.write_all(MESSAGE).await.unwrap();
    assert!(task.poll(&mut ws).is_ready());
    assert!(task.poll(&mut ws).is_pending());
    let before = task.0.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_ne!(before, task.0.load(Ordering::Relaxed), "never woken");
    assert!(task.poll(&mut ws).is_pending());
    is_woken_in_time(&task, ws, far).await;
}

/// Its answer may have come long ago.
#[tokio::test(start_paused = true)]
async fn a_ping_does_not_run_out_while_its_answer_is_not_read() {
    let (near, mut far) = duplex(1024);
    let mut ws = WebSocket::from_upgraded(near, BytesMut::new(), Role::Server, Config::new());
    let mut pinged = [0; 2];
    tokio::select! {
        message = ws.recv() => panic!("{message:?}"),
        read = far.read_exact(&mut pinged) => assert_eq!((read.unwrap(), pinged), (2, [0x89, 0])),
    }
    far.write_all(&[0x8a, 0x80, 0, 0, 0, 0]).await.unwrap();

    // The server writes and reads nothing; the peer takes a little every second.
    ws.feed(vec![7; 60_000]).unwrap();
    let peer = async {
        let mut some = vec![0; 1000];
        for _ in 0..59 {
            far.read_exact(&mut some).await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        far.read_exact(&mut some).await.unwrap();
    };
    let (written, ()) = tokio::join!(ws.flush(), peer);
    written.unwrap();
    far.write_all(b"\x81\x82\0\0\0\0hi").await.unwrap();
    assert_eq!(ws.recv().await.unwrap(), Some(Message::text("hi")));
}
