//! What may wait, and what becomes of more than that.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context as Task, Poll},
};

use hub::{
    Context, Hub, HubOptions, Transport,
    client::{ClientError, ConnectionState, Event},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf},
    sync::Semaphore,
    time::sleep,
};

use super::{SECOND, Site, event, told};

/// What the server sends at once, each time.
const SIZE: usize = 10_000;

fn hub() -> Hub {
    let options = HubOptions::new()
        .allow_stateful_reconnects(true)
        .max_queued_bytes(10_000_000)
        .disconnect_timeout(SECOND * 60);
    Hub::with_options((), options)
        .method("Flood", async |cx: Context, count: usize| {
            for number in 0..count {
                cx.caller().send("Drop", (number, "x".repeat(SIZE)))?;
            }
            Ok(())
        })
        .method("Note", async |cx: Context, number: u64, _: String| {
            cx.caller().send("Noted", (number,))
        })
}

/// A socket that counts what is read of it.
struct Counting(DuplexStream, Arc<AtomicUsize>);

impl AsyncRead for Counting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Task<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let polled = Pin::new(&mut self.0).poll_read(cx, into);
        self.1
            .fetch_add(into.filled().len() - before, Ordering::SeqCst);
        polled
    }
}

impl AsyncWrite for Counting {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Task<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_for_a_slow_handler_is_bounded_and_all_of_it_arrives() {
    let site = Site::start(hub());
    let read = Arc::new(AtomicUsize::new(0));
    let sockets = {
        let (site, read) = (site.clone(), read.clone());
        move || std::future::ready(site.open().map(|io| Counting(io, read.clone())))
    };
    let (open, seen) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let handler = {
        let (open, seen) = (open.clone(), seen.clone());
        move |number: usize, _: String| {
            let (open, seen) = (open.clone(), seen.clone());
            async move {
                open.acquire().await.unwrap().forget();
                assert_eq!(seen.fetch_add(1, Ordering::SeqCst), number);
            }
        }
    };
    let hub = site
        .builder()
        .sockets(sockets)
        .transports([Transport::WebSockets])
        .max_unread_bytes(100_000)
        .on("Drop", handler)
        .connect()
        .await
        .unwrap();
    hub.send("Flood", (200,)).await.unwrap();
    sleep(SECOND * 3).await;
    // One more than may wait, what is in the buffers of sockets, and no more.
    let came = read.load(Ordering::SeqCst);
    assert!(came < 100_000 + 3 * SIZE + 64 * 1024, "{came}");
    open.add_permits(1000);
    sleep(SECOND).await;
    assert_eq!(seen.load(Ordering::SeqCst), 200);
    assert_eq!(hub.state(), ConnectionState::Connected);
}

#[tokio::test(start_paused = true)]
async fn an_answer_behind_what_nobody_reads_does_not_keep_its_caller_for_ever() {
    let site = Site::start(hub());
    let open = Arc::new(Semaphore::new(0));
    let handler = {
        let open = open.clone();
        move |_: usize, _: String| {
            let open = open.clone();
            async move { open.acquire().await.unwrap().forget() }
        }
    };
    let hub = site
        .builder()
        .max_unread_bytes(20_000)
        .server_timeout(SECOND * 5)
        .on("Drop", handler)
        .connect()
        .await
        .unwrap();
    let flooded = hub.invoke::<()>("Flood", (20,)).await;
    assert!(matches!(flooded, Err(ClientError::Unread)), "{flooded:?}");
    // The connection goes on.
    open.add_permits(1000);
    let () = hub.invoke("Note", (1, "")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_while_away_is_kept_up_to_a_limit_and_then_refused() {
    let site = Site::start(hub());
    let (builder, mut noted) = told::<u64>(site.builder(), "Noted");
    let hub = builder
        .stateful_reconnect()
        .resume_within(SECOND * 60)
        .max_queued_bytes(50_000)
        .connect()
        .await
        .unwrap();
    let mut events = hub.events();
    site.set_down(true);
    let away = |event| {
        matches!(
            event,
            Event::Reconnecting {
                is_stateful: true,
                ..
            }
        )
        .then_some(())
    };
    event(&mut events, away).await;
    let text = "x".repeat(1000);
    let mut kept = 0;
    let refused = loop {
        match hub.send("Note", (kept, &text)).await {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, ClientError::Full), "{refused}");
    assert!((40..60).contains(&kept), "{kept}");
    let calls = hub.invoke::<()>("Note", (99, "")).await;
    assert!(matches!(calls, Err(ClientError::Full)), "{calls:?}");
    assert_eq!(hub.state(), ConnectionState::Reconnecting);

    site.set_down(false);
    for number in 0..kept {
        assert_eq!(noted.recv().await, Some(number));
    }
    let () = hub.invoke("Note", (100, "")).await.unwrap();
    assert_eq!(noted.recv().await, Some(100));
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_room_when_the_socket_is_lost_is_refused() {
    let site = Site::start(hub());
    let builder = site.builder().stateful_reconnect().max_queued_bytes(1);
    let hub = builder.connect().await.unwrap();
    // The second waits behind the first, which cannot leave.
    site.set_down(true);
    let text = "x".repeat(1000);
    let (first, second) = tokio::join!(hub.send("Note", (1, &text)), hub.send("Note", (2, &text)));
    assert!(first.is_ok());
    assert!(
        matches!(second, Err(ClientError::Full) | Ok(())),
        "{second:?}"
    );
    let third = hub.send("Note", (3, &text)).await;
    assert!(
        third.is_ok() || matches!(third, Err(ClientError::Full)),
        "{third:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_larger_than_may_be_ends_the_connection() {
    let site = Site::start(hub());
    let hub = site
        .builder()
        .max_message_size(5000)
        .connect()
        .await
        .unwrap();
    hub.send("Flood", (1,)).await.unwrap();
    assert!(hub.closed().await.is_some());
}
