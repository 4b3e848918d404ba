//! Plain connections at a path, without the hub protocol.

use std::future::Future;

use axum::Router;

use crate::{
    error::Result,
    identity::{request::Request, user::User},
    methods::{
        hub::Hub,
        raw::{RawConnection, RawHandler},
    },
    options::{EndpointOptions, HubOptions},
};

/// Plain connections at a path: negotiation and all three transports of SignalR, and bytes instead of
/// hub messages. ASP.NET Core calls that `MapConnectionHandler`; the clients are the HTTP connections
/// beneath the official ones, or anything that opens a WebSocket.
///
/// Where a WebSocket is all that is needed, `raw_ws` is less and faster.
///
/// ```
/// use hub::{RawConnection, RawConnections};
///
/// async fn echo(mut connection: RawConnection) -> hub::Result<()> {
///     while let Some(bytes) = connection.recv().await {
///         connection.send_text(&String::from_utf8_lossy(&bytes))?;
///     }
///     Ok(())
/// }
///
/// let app: axum::Router = RawConnections::new(echo).router("/echo");
/// ```
#[derive(Debug)]
pub struct RawConnections {
    hub: Hub,
}

impl RawConnections {
    /// Runs `handler` for each connection, from its beginning. The connection ends with it: as usual
    /// when it gives `Ok`; an error is logged, and the client told that the server failed (1011).
    pub fn new<F, Fut>(handler: F) -> Self
    where
        F: Fn(RawConnection) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        Self::with_options(handler, EndpointOptions::default())
    }

    /// The same, with options. Stateful reconnect is the hub protocol's: there is none here.
    pub fn with_options<F, Fut>(handler: F, options: EndpointOptions) -> Self
    where
        F: Fn(RawConnection) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        let options = options.allow_stateful_reconnects(false);
        let hub = Hub::with_options((), HubOptions::new().endpoint(options));
        let handler: RawHandler = Box::new(move |connection| Box::pin(handler(connection)));
        Self {
            hub: hub.raw(handler),
        }
    }

    /// Refuses every request of nobody, as [`Hub::require_user`].
    #[must_use]
    pub fn require_user(self) -> Self {
        Self {
            hub: self.hub.require_user(),
        }
    }

    /// Lets in only users for whom `policy` holds, as [`Hub::require`].
    #[must_use]
    pub fn require(self, policy: impl Fn(&User) -> bool + Send + Sync + 'static) -> Self {
        Self {
            hub: self.hub.require(policy),
        }
    }

    /// Makes a value of your own type for each connection, as [`Hub::connection_state`].
    #[must_use]
    pub fn connection_state<T, F>(self, make: F) -> Self
    where
        T: Send + Sync + 'static,
        F: Fn(&Request) -> T + Send + Sync + 'static,
    {
        Self {
            hub: self.hub.connection_state(make),
        }
    }

    /// The connections at `path`, to be merged into any axum app, as [`Hub::router`].
    ///
    /// # Panics
    /// As [`Hub::router`].
    #[track_caller]
    pub fn router(self, path: &str) -> Router {
        self.hub.router(path)
    }
}
