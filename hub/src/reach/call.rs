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
    reach::live::Live,
};

/// One call of a hub method, or of what runs on connect and disconnect.
pub(crate) struct CallHandle {
    live: Arc<Live>,
    moment: Moment,
    slot_released: AtomicBool,
    cancelled: OnceLock<CancellationToken>,
}

/// When in a connection's life code runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Connecting,
    Open,
    Disconnecting,
}

impl CallHandle {
    /// For a call of a method.
    pub(crate) fn new(live: Arc<Live>) -> Arc<Self> {
        Self::at(Moment::Open, live)
    }

    /// For what runs on connect.
    pub(crate) fn connecting(live: Arc<Live>) -> Arc<Self> {
        Self::at(Moment::Connecting, live)
    }

    /// For what runs on disconnect.
    pub(crate) fn disconnecting(live: Arc<Live>) -> Arc<Self> {
        Self::at(Moment::Disconnecting, live)
    }

    fn at(moment: Moment, live: Arc<Live>) -> Arc<Self> {
        Arc::new(Self {
            live,
            moment,
            slot_released: AtomicBool::new(false),
            cancelled: OnceLock::new(),
        })
    }

    pub(crate) fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// Makes it a new call's, if nobody has kept it from the old one.
    pub(crate) fn reuse(mut this: Arc<Self>) -> Option<Arc<Self>> {
        let handle = Arc::get_mut(&mut this)?;
        handle.slot_released = AtomicBool::new(false);
        handle.cancelled = OnceLock::new();
        Some(this)
    }

    /// CR-06: whether it may call its clients and wait for them.
    pub(crate) fn may_ask(&self) -> Result<()> {
        match self.moment {
            Moment::Connecting => Err(HubError::hidden(
                "InvalidOperationException",
                "Client results inside OnConnectedAsync Hub methods are not allowed.",
            )),
            Moment::Open | Moment::Disconnecting => Ok(()),
        }
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

    /// Fires when the call is cancelled, or its connection is over; not when the call has ended. It
    /// is the call's own: the connection forgets it with the last who holds it.
    pub(crate) fn cancelled(&self) -> &CancellationToken {
        self.cancelled
            .get_or_init(|| self.live.aborted().child_token())
    }
}

impl fmt::Debug for CallHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallHandle").finish_non_exhaustive()
    }
}
