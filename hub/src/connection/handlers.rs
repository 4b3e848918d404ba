//! What a hub has run as connections come and go.

use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::FutureExt as _;

use super::Connection;
use crate::{
    error::HubError,
    methods::{filter::Running, running::panicked},
    reach::call::CallHandle,
    transport::Duplex,
};

impl<S: Send + Sync + 'static, T: Duplex> Connection<'_, S, T> {
    /// What runs before the first call: what other servers send this connection must have a way by then
    /// (RD-03), then what the hub has run on connect.
    pub(super) fn on_connected(&self) -> Option<Running<()>> {
        let run = self.hub_on_connected();
        let Some(cluster) = self.hub.registry.cluster().cloned() else {
            return run;
        };
        Some(Box::pin(async move {
            cluster.settled().await;
            match run {
                Some(run) => run.await,
                None => Ok(()),
            }
        }))
    }

    fn hub_on_connected(&self) -> Option<Running<()>> {
        let filters = &self.hub.dispatch.filters;
        if self.hub.on_connected.is_none() && filters.is_empty() {
            return None;
        }
        let cx = self.cx(CallHandle::connecting(self.live.clone()));
        let run: Running<()> = match &self.hub.on_connected {
            Some(on_connected) => caught(|| on_connected(cx.clone())),
            None => Box::pin(async { Ok(()) }),
        };
        Some(caught(|| filters.around_connected(&cx, run)))
    }

    pub(super) fn on_disconnected(&self, error: Option<HubError>) -> Option<Running<()>> {
        let filters = &self.hub.dispatch.filters;
        if self.hub.on_disconnected.is_none() && filters.is_empty() {
            return None;
        }
        let cx = self.cx(CallHandle::disconnecting(self.live.clone()));
        let run: Running<()> = match &self.hub.on_disconnected {
            Some(on_disconnected) => caught(|| on_disconnected(cx.clone(), error)),
            None => Box::pin(async { Ok(()) }),
        };
        Some(caught(|| filters.around_disconnected(&cx, run)))
    }
}

/// A panic is an error like any other.
pub(super) fn caught(begin: impl FnOnce() -> Running<()>) -> Running<()> {
    let begun = catch_unwind(AssertUnwindSafe(begin));
    Box::pin(async move {
        let ended = match begun {
            Ok(run) => AssertUnwindSafe(run).catch_unwind().await,
            Err(panic) => Err(panic),
        };
        ended.unwrap_or_else(|panic| Err(panicked(&*panic)))
    })
}
