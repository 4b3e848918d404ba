//! The hub of the workbench: what a race calls, the race itself, a chat, and a counter to listen to.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use examples::{
    bench_hub,
    chat_hub::{self, Names},
};
use futures_util::{Stream, stream};
use hub::{Context, Hub, HubError, HubHandle, HubOptions};
use raw_ws::wire;
use tokio::{
    sync::{Mutex, mpsc},
    time::{MissedTickBehavior, interval},
};

use crate::{
    race::{Progress, Race},
    relay::reachable,
    usage::{self, Usage},
};

/// What its methods share.
pub(crate) struct Workbench {
    server: SocketAddr,
    /// Held by whoever races: two at once would measure each other.
    track: Arc<Mutex<()>>,
    names: Names,
}

impl AsRef<Names> for Workbench {
    fn as_ref(&self) -> &Names {
        &self.names
    }
}

impl Workbench {
    pub(crate) fn new(server: SocketAddr) -> Self {
        Self {
            server: reachable(server),
            track: Arc::default(),
            names: Names::default(),
        }
    }
}

/// The hub.
pub(crate) fn hub(workbench: Workbench) -> Hub<Workbench> {
    let options = HubOptions::new().allow_stateful_reconnects(true);
    let hub = Hub::with_options(workbench, options);
    chat_hub::rooms(bench_hub::methods(hub))
        .method(
            "Usage",
            async |_: Context<Workbench>| -> hub::Result<Usage> { Ok(usage::now()) },
        )
        .stream("Race", race)
}

/// Progress, lane after lane, until the race is over. Who stops listening stops it.
fn race(cx: Context<Workbench>, race: Race) -> impl Stream<Item = hub::Result<Progress>> + use<> {
    let begun = begin(cx, race).map_err(Some);
    stream::unfold(begun, async |begun| match begun {
        Ok(mut progress) => {
            let next = progress.recv().await?;
            Some((Ok(next), Ok(progress)))
        }
        Err(why) => why.map(|why| (Err(why), Err(None))),
    })
}

fn begin(cx: Context<Workbench>, race: Race) -> hub::Result<mpsc::Receiver<Progress>> {
    race.check().map_err(HubError::new)?;
    let track = cx.state().track.clone().try_lock_owned();
    let track = track.map_err(|_| HubError::new("another race is running; try again"))?;
    let (tell, progress) = mpsc::channel(16);
    std::thread::spawn(move || {
        race.run(cx.state().server, &tell);
        drop(track);
    });
    Ok(progress)
}

/// The group that hears the counter, and the topic.
const COUNTER: &str = "counter";
const COUNTER_TOPIC: u32 = 2;
const COUNT_EVERY: Duration = Duration::from_millis(100);

/// Counts for whoever listens, over the hub and over the binary protocol.
pub(crate) async fn count(hub: HubHandle, wire: Arc<wire::Server>) {
    let mut ticks = interval(COUNT_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    for number in 1_u32.. {
        ticks.tick().await;
        wire.publish(COUNTER_TOPIC, number.to_be_bytes().to_vec());
        // It fails for numbers that cannot be written, of which there are none.
        let _ = hub.group(COUNTER).send("Counted", (number,));
    }
}
