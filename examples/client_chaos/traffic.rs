//! What goes to and fro while connections are cut.

use std::time::Duration;

use examples::Error;
use futures_util::{StreamExt as _, stream};
use hub::client::{ClientError, HubConnection, upload};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::{
    Kind,
    ledger::{Expected, Ledger},
};

/// Items of one stream, before the next is asked for.
const ITEMS: u64 = 200;

/// Runs all of it, until each client has had its messages and its connection all its cuts.
pub(crate) async fn run<T>(
    hub: &HubConnection,
    ledger: &Ledger,
    cutting: &JoinHandle<T>,
    told: watch::Receiver<Expected>,
) -> Result<(), Error> {
    // Each message of these has another that goes the other way.
    let each = ledger.goal.div_ceil(8);
    let goes_on = |done: u64| done < each || !cutting.is_finished();
    let of = |kind| move |done| ledger.kinds.contains(&kind) && goes_on(done);
    tokio::try_join!(
        messages(hub, ledger, goes_on, told),
        calls(hub, ledger, of(Kind::Calls)),
        down(hub, ledger, of(Kind::Down)),
        up(hub, ledger, of(Kind::Up)),
    )?;
    Ok(())
}

/// Messages that nobody waits for: each is told to the client again, in order.
async fn messages(
    hub: &HubConnection,
    ledger: &Ledger,
    goes_on: impl Fn(u64) -> bool,
    mut told: watch::Receiver<Expected>,
) -> Result<(), Error> {
    let mut sent = 0;
    while goes_on(sent) {
        match hub.send("ToCaller", (sent.to_string(),)).await {
            Ok(()) => {
                ledger.received();
                sent += 1;
                pause(ledger, 1).await;
            }
            // What has no room is not sent.
            Err(ClientError::Full) => sleep(Duration::from_millis(5)).await,
            Err(error) => return Err(error.into()),
        }
        if sent.is_multiple_of(50) {
            // What is behind them has arrived: they have, too.
            let () = call(hub, "ToCaller", (sent.to_string(),)).await?;
            sent += 1;
            ledger.received();
        }
    }
    let () = call(hub, "ToCaller", (sent.to_string(),)).await?;
    sent += 1;
    // Its answer came behind all of them, and the handlers are about to be told.
    let all = timeout(
        Duration::from_secs(10),
        told.wait_for(|told| told.has(sent)),
    )
    .await;
    drop(all);
    told.borrow().is_at(sent, ledger);
    Ok(())
}

async fn pause(ledger: &Ledger, messages: u32) {
    if !ledger.pause.is_zero() {
        sleep(ledger.pause * messages).await;
    }
}

async fn call<R: serde::de::DeserializeOwned>(
    hub: &HubConnection,
    method: &str,
    arguments: impl hub::client::InvokeArguments + Clone,
) -> Result<R, ClientError> {
    loop {
        match hub.invoke(method, arguments.clone()).await {
            Err(ClientError::Full) => sleep(Duration::from_millis(5)).await,
            answered => return answered,
        }
    }
}

/// Calls, one behind the other.
async fn calls(
    hub: &HubConnection,
    ledger: &Ledger,
    goes_on: impl Fn(u64) -> bool,
) -> Result<(), Error> {
    let mut answers = Expected::new("answers");
    let mut made = 0;
    while goes_on(made) {
        let sum: i32 = call(hub, "Add", (made as i32, 0)).await?;
        answers.came(u64::try_from(sum)?, ledger);
        made += 1;
        pause(ledger, 1).await;
        ledger.received();
        ledger.received();
    }
    answers.is_at(made, ledger);
    Ok(())
}

/// Streams from the server.
async fn down(
    hub: &HubConnection,
    ledger: &Ledger,
    goes_on: impl Fn(u64) -> bool,
) -> Result<(), Error> {
    let mut seen = 0;
    while goes_on(seen / 2) {
        let mut items = match hub.stream::<u64>("Numbers", (ITEMS,)).await {
            Err(ClientError::Full) => {
                sleep(Duration::from_millis(5)).await;
                continue;
            }
            items => items?,
        };
        let mut expected = Expected::new("items of a stream down");
        while let Some(item) = items.next().await {
            expected.came(item?, ledger);
            ledger.received();
            seen += 1;
        }
        expected.is_at(ITEMS, ledger);
        pause(ledger, ITEMS as u32).await;
    }
    Ok(())
}

/// Streams to the server, which gives back each item.
async fn up(
    hub: &HubConnection,
    ledger: &Ledger,
    goes_on: impl Fn(u64) -> bool,
) -> Result<(), Error> {
    let mut seen = 0;
    while goes_on(seen) {
        let numbers = upload(stream::iter(0..ITEMS as i32));
        let mut items = match hub.stream::<u64>("Doubled", (numbers,)).await {
            Err(ClientError::Full) => {
                sleep(Duration::from_millis(5)).await;
                continue;
            }
            items => items?,
        };
        let mut expected = Expected::new("items of a stream up");
        while let Some(item) = items.next().await {
            expected.came(item? / 2, ledger);
            ledger.received();
            ledger.received();
            seen += 1;
        }
        expected.is_at(ITEMS, ledger);
        pause(ledger, ITEMS as u32).await;
    }
    Ok(())
}
