//! How connections begin and end, and who may make them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use hub::{
    Transport,
    client::{ClientError, ConnectionState, Delays, Event, HubConnection},
};
use tokio::time::sleep;

use crate::site::{Check, Checked, Site, checks, same};

pub(crate) const CHECKS: &[(&str, Check)] = checks! {
    told_of a_stop a_stop_with_calls the_last_handle the_server_ends_it back_after_an_end
    nothing_there no_hub_there no_such_transport any_transport no_negotiation kept_alive
    a_message_too_long before_connect filtered tokens no_token a_token_that_ends stateful_or_not
    addresses
};

async fn told_of(site: Site) -> Checked {
    let builder = site.builder("/spec");
    let mut events = builder.events();
    let hub = builder.connect().await?;
    match (events.next().await, events.next().await) {
        (
            Some(Event::Connecting),
            Some(Event::Connected {
                connection_id,
                transport,
            }),
        ) => {
            same(connection_id, hub.connection_id())?;
            same(transport, site.transport)?;
        }
        other => return Err(format!("{other:?}").into()),
    }
    same(hub.state(), ConnectionState::Connected)?;
    hub.stop().await;
    match events.next().await {
        Some(Event::Disconnected { error: None }) => {
            same(hub.state(), ConnectionState::Disconnected)
        }
        other => Err(format!("{other:?}").into()),
    }
}

async fn a_stop(site: Site) -> Checked {
    let hub = site.connect().await?;
    let () = hub.invoke("Nothing", ()).await?;
    hub.stop().await;
    hub.stop().await; // once more is nothing more
    same(hub.closed().await.is_none(), true)?;
    match hub.invoke::<i32>("Zero", ()).await {
        Err(ClientError::Closed(None)) => {}
        other => return Err(format!("{other:?}").into()),
    }
    same(hub.send("Nothing", ()).await.is_err(), true)?;
    same(hub.stream::<i32>("Numbers", (1,)).await.is_err(), true)
}

async fn a_stop_with_calls(site: Site) -> Checked {
    use futures_util::StreamExt as _;
    let hub = site.connect().await?;
    let mut ticks = hub.stream::<u64>("Ticks", (50,)).await?;
    same(ticks.next().await.transpose()?.is_some(), true)?;
    let call = tokio::spawn({
        let hub = hub.clone();
        async move { hub.invoke::<String>("Hold", (20_000, "x")).await }
    });
    // Behind it, so it is under way.
    let limit = Duration::from_millis(200);
    same(
        hub.invoke_within::<String>(limit, "Hold", (9000, "y"))
            .await
            .is_err(),
        true,
    )?;
    hub.stop().await;
    match call.await? {
        Err(ClientError::Closed(_)) => {}
        other => return Err(format!("{other:?}").into()),
    }
    while let Some(tick) = ticks.next().await {
        match tick {
            Ok(_) => {}
            Err(ClientError::Closed(_)) => return same(ticks.next().await.is_none(), true),
            Err(other) => return Err(other.into()),
        }
    }
    Err("the stream ended as if it were whole".into())
}

async fn the_last_handle(site: Site) -> Checked {
    let ann = site.connect().await?;
    let bob = site.connect().await?;
    let id = bob.connection_id();
    let mut events = bob.events();
    let clone = bob.clone();
    drop(bob);
    let () = clone.invoke("Nothing", ()).await?;
    drop(clone);
    while !matches!(events.next().await, Some(Event::Disconnected { .. })) {}
    // The server has heard of it.
    for _ in 0..100 {
        let answer: Option<String> = ann.invoke("AskClient", (&id, "there?", 1000)).await?;
        if answer.is_some_and(|answer| answer.contains("does not exist")) {
            return Ok(());
        }
        sleep(Duration::from_millis(50)).await;
    }
    Err("the server does not know that it has gone".into())
}

async fn the_server_ends_it(site: Site) -> Checked {
    let hub = site.connect().await?;
    hub.send("Abort", ()).await?;
    // With a Close that does not let it come back; and there is no error in it.
    same(hub.closed().await.is_none(), true)?;
    same(hub.state(), ConnectionState::Disconnected)
}

/// A Close with `allowReconnect`: this server's for a message that is too long.
async fn back_after_an_end(site: Site) -> Checked {
    let hub = site
        .builder("/spec-small")
        .automatic_reconnect(Delays::default())
        .connect()
        .await?;
    let (mut events, before) = (hub.events(), hub.connection_id());
    match hub.invoke::<String>("Echo", ("x".repeat(3000),)).await {
        Err(ClientError::Closed(Some(_))) => {}
        other => return Err(format!("{other:?}").into()),
    }
    match events.next().await {
        Some(Event::Reconnecting {
            attempt: 1,
            is_stateful: false,
            delay: Duration::ZERO,
            ..
        }) => {}
        other => return Err(format!("{other:?}").into()),
    }
    while !matches!(events.next().await, Some(Event::Connected { .. })) {}
    same(hub.connection_id() != before, true)?;
    same(hub.invoke::<i32>("Zero", ()).await?, 0)
}

async fn nothing_there(_: Site) -> Checked {
    let hub = HubConnection::builder("http://127.0.0.1:9/hub")
        .connect()
        .await;
    match hub {
        Err(ClientError::Network(_)) => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}

async fn no_hub_there(site: Site) -> Checked {
    match site.builder("/nowhere").connect().await {
        Err(ClientError::Refused { status, .. }) => same(status.as_u16(), 404),
        other => Err(format!("{other:?}").into()),
    }
}

async fn no_such_transport(site: Site) -> Checked {
    let hub = site.builder("/spec-nowebsockets").connect().await;
    match (site.transport, hub) {
        (Transport::WebSockets, Err(ClientError::NoTransport(why))) => {
            same(why, "WebSockets: the server does not offer it")
        }
        (Transport::ServerSentEvents | Transport::LongPolling, Ok(hub)) => {
            same(hub.invoke::<i32>("Zero", ()).await?, 0)
        }
        (_, other) => Err(format!("{other:?}").into()),
    }
}

async fn any_transport(site: Site) -> Checked {
    let best = site
        .builder("/spec")
        .transports(Transport::ALL)
        .connect()
        .await?;
    same(best.transport(), Some(Transport::WebSockets))?;
    let next = site
        .builder("/spec-nowebsockets")
        .transports(Transport::ALL)
        .connect()
        .await?;
    let carries = match site.protocol {
        hub::Protocol::Json => Transport::ServerSentEvents,
        _ => Transport::LongPolling,
    };
    same(next.transport(), Some(carries))
}

async fn no_negotiation(site: Site) -> Checked {
    if site.transport != Transport::WebSockets {
        return Ok(());
    }
    let hub = site.builder("/spec").skip_negotiation().connect().await?;
    same(hub.connection_id(), None)?;
    same(hub.invoke::<i32>("Add", (1, 1)).await?, 2)
}

/// The server gives its clients three seconds, and pings each second.
async fn kept_alive(site: Site) -> Checked {
    let hub = site
        .builder("/spec-small")
        .keep_alive_interval(Duration::from_secs(1))
        .server_timeout(Duration::from_secs(4))
        .connect()
        .await?;
    sleep(Duration::from_secs(6)).await;
    same(hub.state(), ConnectionState::Connected)?;
    same(hub.invoke::<i32>("Zero", ()).await?, 0)
}

async fn a_message_too_long(site: Site) -> Checked {
    let hub = site.builder("/spec-small").connect().await?;
    match hub.invoke::<String>("Echo", ("x".repeat(3000),)).await {
        Err(ClientError::Closed(Some(why))) => {
            same(why, "Connection closed with an error.")?;
        }
        other => return Err(format!("{other:?}").into()),
    }
    match hub.closed().await {
        Some(ClientError::Closed(Some(why))) => same(why, "Connection closed with an error."),
        other => Err(format!("{other:?}").into()),
    }
}

/// What the server sends before anybody has asked for something.
async fn before_connect(site: Site) -> Checked {
    let (_hub, mut told) = site.listen("/spec-filtered").await?;
    same(told.recv().await.as_deref(), Some("filter before connect"))
}

async fn filtered(site: Site) -> Checked {
    let hub = site.builder("/spec-filtered").connect().await?;
    same(hub.invoke::<String>("Echo", ("x",)).await?, "filtered x")
}

/// A token of the server's.
async fn token(url: &str, user: &str, seconds: u32) -> Result<String, reqwest::Error> {
    let url = examples::http_url(url);
    let url = format!("{url}/token?user={user}&role=admin&seconds={seconds}");
    examples::http().get(url).send().await?.text().await
}

async fn tokens(site: Site) -> Checked {
    let asked = Arc::new(AtomicU32::new(0));
    let (url, count) = (site.url.clone(), asked.clone());
    let fetch = move || {
        count.fetch_add(1, Ordering::Relaxed);
        let url = url.clone();
        async move { token(&url, "ann", 60).await }
    };
    let hub = site
        .builder("/spec-auth")
        .access_token(fetch)
        .connect()
        .await?;
    same(hub.invoke::<String>("UserIdentifier", ()).await?, "ann")?;
    let () = hub.invoke("AdminsOnly", ()).await?;
    same(asked.load(Ordering::Relaxed), 1)
}

async fn no_token(site: Site) -> Checked {
    let refused = site.builder("/spec-auth").connect().await;
    match refused {
        Err(ClientError::Refused { status, .. }) => same(status.as_u16(), 401)?,
        other => return Err(format!("{other:?}").into()),
    }
    let wrong = site
        .builder("/spec-auth")
        .access_token(async || "wrong".to_owned());
    same(wrong.connect().await.is_err(), true)?;
    let none = site
        .builder("/spec-auth")
        .access_token(async || None::<String>);
    same(none.connect().await.is_err(), true)?;
    let fails = site
        .builder("/spec-auth")
        .access_token(async || Err::<String, _>("the vault is shut"));
    match fails.connect().await {
        Err(ClientError::Token(why)) => same(why.to_string(), "the vault is shut"),
        other => Err(format!("{other:?}").into()),
    }
}

/// The server ends it with the token, and lets it come back: with another one.
async fn a_token_that_ends(site: Site) -> Checked {
    let url = site.url.clone();
    let fetch = move || {
        let url = url.clone();
        async move { token(&url, "ann", 2).await }
    };
    let hub = site
        .builder("/spec-auth")
        .access_token(fetch)
        .automatic_reconnect(Delays::default())
        .connect()
        .await?;
    let mut events = hub.events();
    while !matches!(events.next().await, Some(Event::Connected { .. })) {}
    same(hub.invoke::<String>("UserIdentifier", ()).await?, "ann")
}

/// Stateful reconnect where the server grants it, and none where it does not: with the same calls.
async fn stateful_or_not(site: Site) -> Checked {
    for path in ["/spec-stateful", "/spec"] {
        let hub = site.builder(path).stateful_reconnect().connect().await?;
        for number in 0..50 {
            same(hub.invoke::<i32>("Add", (number, 1)).await?, number + 1)?;
        }
        hub.stop().await;
    }
    Ok(())
}

async fn addresses(site: Site) -> Checked {
    let url = examples::http_url(&site.url).replacen("http", "ws", 1);
    let hub = HubConnection::builder(format!("{url}/spec")).transports([site.transport]);
    same(hub.connect().await?.invoke::<i32>("Zero", ()).await?, 0)?;
    for wrong in ["", "spec", "/spec", "ftp://example.com", "http://"] {
        match HubConnection::builder(wrong).connect().await {
            Err(ClientError::Address(_)) => {}
            other => return Err(format!("{wrong:?}: {other:?}").into()),
        }
    }
    Ok(())
}
