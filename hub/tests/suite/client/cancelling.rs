//! What is dropped in the middle.

use futures_util::{StreamExt as _, stream};
use hub::{
    Context, Hub, UploadStream,
    client::{ClientError, upload},
};
use tokio::time::{sleep, timeout};

use super::{SECOND, Site, disconnected, polled_once, told};
use crate::live::Count;

type Cx = Context<Count>;

fn hub(cancelled: Count) -> Hub<Count> {
    Hub::new(cancelled)
        .method("Wait", async |cx: Cx| {
            cx.cancelled().await;
            cx.state().add();
            Ok(())
        })
        .method("Note", async |cx: Cx, number: u64| {
            cx.caller().send("Noted", (number,))
        })
        .method("Read", async |cx: Cx, mut items: UploadStream<u64>| {
            let mut failed = None;
            while let Some(item) = items.next().await {
                failed = item.err();
            }
            cx.state().add();
            cx.caller()
                .send("Read", (failed.map(|error| error.to_string()),))
        })
        .stream("Endless", |cx: Cx| {
            let ends = Ends(cx.state().clone());
            stream::iter(0_u64..).map(move |number| {
                let _until_it_ends = &ends;
                Ok(number)
            })
        })
}

/// Counts a stream's end.
struct Ends(Count);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.add();
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_stream_cancels_its_method() {
    let ended = Count::default();
    let site = Site::start(hub(ended.clone()));
    let hub = site.builder().connect().await.unwrap();
    let mut endless = hub.stream::<u64>("Endless", ()).await.unwrap();
    assert_eq!(endless.next().await.unwrap().unwrap(), 0);
    assert_eq!(ended.get(), 0);
    drop(endless);
    ended.reaches(1).await;
    // The connection goes on.
    let () = hub.invoke("Note", (1,)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_dropped_invoke_cancels_its_method() {
    let cancelled = Count::default();
    let site = Site::start(hub(cancelled.clone()));
    let hub = site.builder().connect().await.unwrap();
    assert!(timeout(SECOND, hub.invoke::<()>("Wait", ())).await.is_err());
    cancelled.reaches(1).await;
    // At the deadline it is the same.
    let late = hub.invoke_within::<()>(SECOND, "Wait", ()).await;
    assert!(matches!(late, Err(ClientError::TimedOut(_))), "{late:?}");
    cancelled.reaches(2).await;
    // And its answer, which comes now, is nobody's.
    let () = hub.invoke("Note", (1,)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_dropped_before_there_is_room_is_not_sent() {
    let site = Site::start(hub(Count::default()));
    let (builder, mut noted) = told::<u64>(site.builder().max_queued_bytes(1), "Noted");
    let hub = builder.connect().await.unwrap();
    // Nothing else runs between these: the first fills the queue.
    assert!(polled_once(hub.send("Note", (1,))).await.is_some());
    assert!(polled_once(hub.send("Note", (2,))).await.is_none());
    assert!(polled_once(hub.invoke::<()>("Note", (3,))).await.is_none());
    assert!(
        polled_once(hub.stream::<u64>("Endless", ()))
            .await
            .is_none()
    );
    hub.send("Note", (4,)).await.unwrap();
    assert_eq!((noted.recv().await, noted.recv().await), (Some(1), Some(4)));
}

#[tokio::test(start_paused = true)]
async fn a_call_given_up_ends_its_upload() {
    let read = Count::default();
    let site = Site::start(hub(read.clone()));
    let (builder, mut how) = told::<Option<String>>(site.builder(), "Read");
    let hub = builder.connect().await.unwrap();
    let endless = stream::iter(0_u64..).then(async |number| {
        sleep(SECOND).await;
        number
    });
    let call = hub.invoke::<()>("Read", (upload(endless.boxed()),));
    assert!(timeout(SECOND * 5, call).await.is_err());
    // It is cancelled, or reads the end of its stream before that: either way it reads no more.
    let _ = timeout(SECOND, how.recv()).await;
    let () = hub.invoke("Note", (1,)).await.unwrap();
    hub.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_items_of_a_stream_come_as_they_are_read() {
    let site = Site::start(hub(Count::default()));
    let hub = site
        .builder()
        .max_unread_bytes(1000)
        .connect()
        .await
        .unwrap();
    let mut endless = hub.stream::<u64>("Endless", ()).await.unwrap();
    for number in 0..1000 {
        assert_eq!(endless.next().await.unwrap().unwrap(), number);
    }
    drop(endless);
    // What is left of it is in nobody's way.
    let () = hub.invoke("Note", (1,)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_is_dropped_stops_all_the_same() {
    let site = Site::start(hub(Count::default()));
    let hub = site.builder().connect().await.unwrap();
    let mut events = hub.events();
    assert!(polled_once(hub.stop()).await.is_none());
    assert!(disconnected(&mut events).await.is_none());
    site.server.connections(0).await;
}

#[tokio::test(start_paused = true)]
async fn a_connect_that_is_dropped_leaves_nothing() {
    let site = Site::start(hub(Count::default()));
    for millis in 0..20 {
        let connect = site.builder().connect();
        let _ = timeout(std::time::Duration::from_millis(millis), connect).await;
    }
    site.server.connections(0).await;
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_takes_the_connection_with_it() {
    let site = Site::start(hub(Count::default()));
    let hub = site.builder().connect().await.unwrap();
    site.server.connections(1).await;
    let other = hub.clone();
    drop(hub);
    let () = other.invoke("Note", (1,)).await.unwrap();
    drop(other);
    site.server.connections(0).await;
}
