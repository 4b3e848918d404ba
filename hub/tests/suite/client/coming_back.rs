//! Connections that are lost, and tried again.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use hub::{
    Context, Hub, HubOptions, Transport,
    client::{Attempt, Backoff, ClientError, ConnectionState, Delays, Event, Events},
};
use tokio::time::{Instant, timeout};

use super::{SECOND, Site, connected, disconnected, event, told};

fn hub() -> Hub {
    Hub::with_options((), HubOptions::new().allow_stateful_reconnects(true))
        .method("Id", async |cx: Context| Ok(cx.connection_id().to_string()))
        .method("Wait", async |cx: Context| {
            cx.cancelled().await;
            Ok(())
        })
        .stream("Endless", |_: Context| {
            stream::iter(0_u64..).then(async |number| {
                tokio::time::sleep(SECOND / 10).await;
                Ok(number)
            })
        })
        .method("Abort", async |cx: Context| {
            cx.abort();
            Ok(())
        })
        .method("Last", async |cx: Context| {
            for number in 0..100 {
                cx.caller().send("Word", (number,))?;
            }
            cx.abort();
            Ok(())
        })
}

/// The wait before the next try, and which it is.
async fn next_try(events: &mut Events) -> (u32, Duration, bool) {
    event(events, |event| match event {
        Event::Reconnecting {
            attempt,
            delay,
            is_stateful,
            ..
        } => Some((attempt, delay, is_stateful)),
        _ => None,
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn rc_01_it_is_tried_as_the_official_clients_do_and_then_given_up() {
    let site = Site::start(hub());
    let builder = site.builder().automatic_reconnect(Delays::default());
    let hub = builder.connect().await.unwrap();
    let mut events = hub.events();
    let lost_at = Instant::now();
    site.set_down(true);
    for (attempt, seconds) in [(1, 0), (2, 2), (3, 10), (4, 30)] {
        let next = next_try(&mut events).await;
        assert_eq!(next, (attempt, SECOND * seconds, false));
        assert_eq!(hub.state(), ConnectionState::Reconnecting);
        let refused = hub.send("Id", ()).await;
        assert!(
            matches!(refused, Err(ClientError::Reconnecting)),
            "{refused:?}"
        );
    }
    let error = disconnected(&mut events).await;
    assert!(matches!(error, Some(ClientError::Network(_))), "{error:?}");
    assert_eq!(lost_at.elapsed().as_secs(), 42);
    assert!(events.next().await.is_none());
    let closed = hub.invoke::<()>("Id", ()).await;
    assert!(
        matches!(closed, Err(ClientError::Closed(Some(_)))),
        "{closed:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn rc_01_another_connection_is_another_one() {
    let site = Site::start(hub());
    let builder = site.builder().automatic_reconnect(Backoff::default());
    let hub = builder.connect().await.unwrap();
    let before = hub.connection_id().unwrap();
    assert_eq!(hub.invoke::<String>("Id", ()).await.unwrap(), before);
    let mut events = hub.events();
    site.cut();
    connected(&mut events).await;
    let after = hub.connection_id().unwrap();
    assert_ne!(before, after);
    assert_eq!(hub.invoke::<String>("Id", ()).await.unwrap(), after);
}

#[tokio::test(start_paused = true)]
async fn sr_12_one_that_is_resumed_is_the_same() {
    let site = Site::start(hub());
    let hub = site.builder().stateful_reconnect().connect().await.unwrap();
    let before = hub.connection_id();
    let mut events = hub.events();
    site.cut();
    assert_eq!(next_try(&mut events).await, (1, Duration::ZERO, true));
    event(&mut events, |event| {
        matches!(event, Event::Resumed).then_some(())
    })
    .await;
    assert_eq!(hub.connection_id(), before);
    assert_eq!(hub.invoke::<String>("Id", ()).await.ok(), before);
}

/// The server has forgotten it: then the policy decides.
#[tokio::test(start_paused = true)]
async fn sr_20_what_cannot_be_resumed_is_made_anew() {
    let site = Site::start(hub());
    let builder = site
        .builder()
        .stateful_reconnect()
        .automatic_reconnect(Delays::default());
    let hub = builder.resume_within(SECOND * 20).connect().await.unwrap();
    let before = hub.connection_id();
    let mut events = hub.events();
    site.set_down(true);
    // The server keeps it for 15 s.
    tokio::time::sleep(SECOND * 18).await;
    site.set_down(false);
    connected(&mut events).await;
    assert_ne!(hub.connection_id(), before);
    assert!(hub.invoke::<String>("Id", ()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn calls_under_way_fail_with_the_connection() {
    let site = Site::start(hub());
    let hub = site.builder().connect().await.unwrap();
    let (waited, ()) = tokio::join!(hub.invoke::<()>("Wait", ()), async {
        tokio::time::sleep(SECOND).await;
        site.cut();
    });
    assert!(
        matches!(waited, Err(ClientError::Closed(Some(_)))),
        "{waited:?}"
    );
    // Without a policy that was all.
    assert!(hub.closed().await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_tries() {
    for stateful in [false, true] {
        let site = Site::start(hub());
        let builder = site.builder().automatic_reconnect(Backoff::default());
        let builder = if stateful {
            builder.stateful_reconnect()
        } else {
            builder
        };
        let hub = builder.connect().await.unwrap();
        let mut events = hub.events();
        site.set_down(true);
        next_try(&mut events).await;
        next_try(&mut events).await;
        let begun = Instant::now();
        hub.stop().await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert!(disconnected(&mut events).await.is_none());
    }
}

/// Of the lost connection, and not of the next.
#[tokio::test(start_paused = true)]
async fn calls_and_streams_under_way_fail_though_another_connection_comes() {
    let site = Site::start(hub());
    let builder = site.builder().automatic_reconnect(Delays::default());
    let hub = builder.connect().await.unwrap();
    let mut events = hub.events();
    let mut endless = hub.stream::<u64>("Endless", ()).await.unwrap();
    assert_eq!(endless.next().await.unwrap().unwrap(), 0);
    let call = timeout(SECOND * 5, hub.invoke::<()>("Wait", ()));
    let (waited, ()) = tokio::join!(call, async {
        tokio::time::sleep(SECOND).await;
        site.cut();
    });
    let waited = waited.expect("the end of the connection ends it");
    assert!(
        matches!(waited, Err(ClientError::Closed(Some(_)))),
        "{waited:?}"
    );
    let ends = async {
        loop {
            match endless.next().await {
                Some(Ok(_)) => {}
                end => break end,
            }
        }
    };
    let end = timeout(SECOND, ends).await.unwrap();
    assert!(matches!(end, Some(Err(ClientError::Closed(_)))), "{end:?}");
    connected(&mut events).await;
    assert!(hub.invoke::<String>("Id", ()).await.is_ok());
}

/// CL-14: a Close without `allowReconnect`.
#[tokio::test(start_paused = true)]
async fn cl_04_who_is_not_to_come_back_does_not() {
    let site = Site::start(hub());
    for stateful in [false, true] {
        let builder = site.builder().automatic_reconnect(Delays::default());
        let builder = if stateful {
            builder.stateful_reconnect()
        } else {
            builder
        };
        let hub = builder.connect().await.unwrap();
        let mut events = hub.events();
        hub.send("Abort", ()).await.unwrap();
        let next = events.next().await;
        assert!(
            matches!(next, Some(Event::Disconnected { error: None })),
            "{next:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_came_before_the_end_is_heard() {
    let site = Site::start(hub());
    let (builder, mut words) = told::<u32>(site.builder(), "Word");
    let hub = builder.connect().await.unwrap();
    hub.send("Last", ()).await.unwrap();
    for number in 0..100 {
        let word = timeout(SECOND, words.recv()).await;
        assert_eq!(word, Ok(Some(number)));
    }
}

/// K-09. The server pings each 15 s: it is silent for a client that waits less.
#[tokio::test(start_paused = true)]
async fn k_09_a_silent_server_is_a_lost_one() {
    let site = Site::start(hub());
    for transport in [Transport::WebSockets, Transport::ServerSentEvents] {
        let hub = site
            .builder()
            .transports([transport])
            .server_timeout(SECOND * 5)
            .connect()
            .await
            .unwrap();
        let begun = Instant::now();
        let error = hub.closed().await;
        assert!(matches!(error, Some(ClientError::TimedOut(_))), "{error:?}");
        assert_eq!(begun.elapsed().as_secs(), 5);
    }
    // Polls need no sign of life.
    let polls = site.builder().transports([Transport::LongPolling]);
    let hub = polls.server_timeout(SECOND * 5).connect().await.unwrap();
    assert!(timeout(SECOND * 300, hub.closed()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn k_01_both_ends_are_there_for_as_long_as_they_like() {
    let site = Site::start(hub());
    for transport in Transport::ALL {
        let builder = site.builder().transports([transport]).stateful_reconnect();
        let hub = builder.connect().await.unwrap();
        assert!(timeout(SECOND * 3600, hub.closed()).await.is_err());
        assert!(hub.invoke::<String>("Id", ()).await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_panics_ends_the_connection_and_is_waited_for_by_nobody() {
    let site = Site::start(hub());
    let policy = |_: &Attempt<'_>| -> Option<Duration> { panic!("no policy") };
    let hub = site
        .builder()
        .automatic_reconnect(policy)
        .connect()
        .await
        .unwrap();
    let call = tokio::spawn({
        let hub = hub.clone();
        async move { hub.invoke::<()>("Wait", ()).await }
    });
    tokio::time::sleep(SECOND).await;
    site.cut();
    assert!(hub.closed().await.is_some());
    assert!(call.await.unwrap().is_err());
}
