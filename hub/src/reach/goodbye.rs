//! How a graceful stop takes leave of clients: a Close that lets them come back, in batches, so
//! that they do not all do so at once (CL-15).

use std::{num::NonZeroU32, sync::Arc};

use tokio::time::sleep;

use crate::reach::{
    live::{Command, Live},
    registry::Registry,
};

/// Connections told to go at a time.
const AT_A_TIME: usize = 64;

/// Refuses new clients of a server, tells those it has to come back later, and waits until they
/// are gone.
pub(crate) async fn to_clients_of(registry: Arc<Registry>, server: NonZeroU32) {
    registry.stopping.stop_server(server);
    let mut connections = registry.all();
    connections.retain(|live| live.request.server() == Some(server));
    say(&registry, &connections).await;
    until_gone(&connections).await;
}

/// Tells each connection to end, spread over `shutdown_spread`.
pub(crate) async fn say(registry: &Registry, connections: &[Arc<Live>]) {
    let batches = connections.len().div_ceil(AT_A_TIME).max(1);
    let pause = registry.options.shutdown_spread / u32::try_from(batches).unwrap_or(1);
    for (count, batch) in connections.chunks(AT_A_TIME).enumerate() {
        if count > 0 {
            sleep(pause).await;
        }
        for live in batch {
            live.command(Command::Shutdown);
        }
    }
}

/// Whether the last word of a connection is to be fetched now or never: a stop has closed the listener
/// by which its client would come later.
pub(crate) fn is_pressing(registry: &Registry, live: &Live) -> bool {
    registry.stopping.has_closed(live.request.server())
}

/// Waits until all of them are over.
pub(crate) async fn until_gone(connections: &[Arc<Live>]) {
    for live in connections {
        live.gone().await;
    }
}
