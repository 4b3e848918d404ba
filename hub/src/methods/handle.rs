//! Reaching a hub's clients from outside the hub.

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::timeout;

use crate::{
    identity::connection_id::ConnectionId,
    reach::{
        call::CallHandle,
        clients::{Client, Clients},
        goodbye,
        groups::Groups,
        hold::Hold,
        presence::Presence,
        registry::{Registry, Selection},
        selections::selections,
        servers::Servers,
    },
};

/// Sends to a hub's clients from anywhere. Cheaply cloned. ASP.NET Core calls it `IHubContext`.
///
/// ```
/// use hub::Hub;
/// let chat: Hub = Hub::new(());
/// let handle = chat.handle();
/// handle.all().send("Tick", (1,))?; // nobody is there yet, and that is no error
/// assert_eq!(handle.connections(), 0);
/// # Ok::<(), hub::HubError>(())
/// ```
#[derive(Clone)]
pub struct HubHandle {
    registry: Hold,
}

impl HubHandle {
    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        let registry = Hold::new(registry);
        Self { registry }
    }

    selections!();

    /// Who is in which group, and who is connected at all.
    pub fn groups(&self) -> Groups {
        Groups::new(self.registry.clone(), None)
    }

    /// Who is present in the hub's groups; `None` where [`Hub::presence`](crate::Hub::presence) was not
    /// asked for.
    pub fn presence(&self) -> Option<Presence> {
        let attendance = self.registry.attendance()?;
        Some(Presence::new(attendance.clone()))
    }

    /// The servers that the hub is one with.
    pub fn servers(&self) -> Servers {
        Servers::new(self.registry.clone())
    }

    /// How many connections the hub has on this server.
    pub fn connections(&self) -> usize {
        self.registry.len()
    }

    /// Stops the hub gracefully: no new connection is let in, and each one is told to come back
    /// later, then closed with 1001; in batches, over
    /// [`shutdown_spread`](crate::HubOptions). Done when all are gone, at the latest `deadline`
    /// after the last was told.
    ///
    /// Under `raw_ws::serve` it is not needed: the server's own graceful stop does the same for the
    /// hubs in its app. Under another server:
    ///
    /// ```no_run
    /// # async fn run(chat: hub::Hub) -> std::io::Result<()> {
    /// let handle = chat.handle();
    /// let listener = raw_ws::listen("127.0.0.1:5000").await?;
    /// axum::serve(listener, chat.router("/chat"))
    ///     .with_graceful_shutdown(async move {
    ///         tokio::signal::ctrl_c().await.unwrap_or(());
    ///         handle.shutdown(std::time::Duration::from_secs(5)).await;
    ///     })
    ///     .await
    /// # }
    /// ```
    pub async fn shutdown(&self, deadline: Duration) {
        self.registry.stopping.stop();
        let connections = self.registry.all();
        goodbye::say(&self.registry, &connections).await;
        // Whoever is left has had its time.
        let _ = timeout(deadline, goodbye::until_gone(&connections)).await;
    }

    fn registry(&self) -> Hold {
        self.registry.clone()
    }

    /// Nobody's turn has to be given up while a client is asked from outside.
    fn asked_by(&self) -> Option<&Arc<CallHandle>> {
        None
    }
}

impl fmt::Debug for HubHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubHandle")
            .field("connections", &self.connections())
            .finish_non_exhaustive()
    }
}
