//! What a running call and its connection tell each other.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio_util::sync::CancellationToken;

use crate::{
    error::{HubError, Result},
    live::Live,
};

/// One call of a hub method, or of what runs on connect and disconnect.
pub(crate) struct CallHandle {
    live: Arc<Live>,
    may_ask: bool,
    slot_released: AtomicBool,
    cancelled: OnceLock<CancellationToken>,
}

impl CallHandle {
    /// `may_ask`: whether it may call its clients and wait (CR-06).
    pub(crate) fn new(live: Arc<Live>, may_ask: bool) -> Arc<Self> {
        Arc::new(Self {
            live,
            may_ask,
            slot_released: AtomicBool::new(false),
            cancelled: OnceLock::new(),
        })
    }

    pub(crate) fn may_ask(&self) -> Result<()> {
        if self.may_ask {
            return Ok(());
        }
        let text = "Client results inside OnConnectedAsync Hub methods are not allowed.";
        Err(HubError::hidden("InvalidOperationException", text))
    }

    /// CR-07: while a method waits for a client, others may run.
    pub(crate) fn release_slot(&self) {
        if !self.slot_released.swap(true, Ordering::AcqRel) {
            self.live.wake();
        }
    }

    pub(crate) fn has_released_slot(&self) -> bool {
        self.slot_released.load(Ordering::Acquire)
    }

    pub(crate) fn cancel(&self) {
        self.cancelled().cancel();
    }

    pub(crate) fn cancelled(&self) -> &CancellationToken {
        self.cancelled.get_or_init(CancellationToken::new)
    }
}

impl fmt::Debug for CallHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallHandle").finish_non_exhaustive()
    }
}
