//! A connection as others see it while it lives.

use std::{
    any::{Any, type_name},
    collections::HashMap,
    sync::{
        Arc, MutexGuard, OnceLock,
        atomic::{AtomicU8, Ordering},
    },
    task::Context,
};

use futures_util::task::AtomicWaker;
use raw_ws::{
    Sender,
    sync::{Mutex, RwLock},
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    identity::{connection_id::ConnectionId, request::Request, user::User},
    protocol::Encoding,
};

/// What a connection shares with everybody who may reach it.
pub(crate) struct Live {
    pub(crate) id: ConnectionId,
    /// Settled once (HB-07).
    pub(crate) user_identifier: Option<Arc<str>>,
    /// As the last request had it.
    user: RwLock<Option<User>>,
    pub(crate) encoding: Encoding,
    pub(crate) sender: Sender,
    pub(crate) request: Request,
    /// Made when first used: most connections keep nothing.
    items: OnceLock<Box<Mutex<HashMap<String, serde_json::Value>>>>,
    /// What the application keeps for it, of a type of its own.
    state: Option<ConnectionState>,
    aborted: OnceLock<CancellationToken>,
    gone: OnceLock<CancellationToken>,
    resumed: OnceLock<Arc<Notify>>,
    groups: Mutex<Joined>,
    command: AtomicU8,
    task: AtomicWaker,
}

/// What an application keeps for a connection.
pub(crate) type ConnectionState = Box<dyn Any + Send + Sync>;

/// Who a connection is.
pub(crate) struct Identity {
    pub(crate) connection_id: ConnectionId,
    /// `None` when nobody was identified.
    pub(crate) user_identifier: Option<Arc<str>>,
    /// `None` where no layer of the app knows one.
    pub(crate) user: Option<User>,
}

/// The groups of a connection, in the order in which it joined them. They are kept here because the
/// topics forget a connection as soon as its socket is gone, and it leaves its groups after that.
#[derive(Default)]
pub(crate) struct Joined {
    pub(crate) names: Vec<Arc<str>>,
    /// The connection has ended: these are the groups it was in until then, and it joins no more
    /// (API-09).
    pub(crate) is_over: bool,
}

/// What others ask a connection's task to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    /// End the connection: the hub wants it so (CL-04).
    Abort = 1,
    /// End the connection: the server stops (CL-15).
    Shutdown = 2,
    /// End the connection: a message for it is not in its protocol (CL-08).
    CannotBeSentTo = 3,
}

impl Live {
    pub(crate) fn new(
        identity: Identity,
        encoding: Encoding,
        sender: Sender,
        request: Request,
        state: Option<ConnectionState>,
    ) -> Arc<Self> {
        let Identity {
            connection_id: id,
            user_identifier,
            user,
        } = identity;
        Arc::new(Self {
            id,
            user_identifier,
            user: RwLock::new(user),
            encoding,
            sender,
            request,
            items: OnceLock::new(),
            state,
            aborted: OnceLock::new(),
            gone: OnceLock::new(),
            resumed: OnceLock::new(),
            groups: Mutex::default(),
            command: AtomicU8::new(0),
            task: AtomicWaker::new(),
        })
    }

    /// Asks the task for something; the first to ask wins.
    pub(crate) fn command(&self, command: Command) {
        let asked =
            self.command
                .compare_exchange(0, command as u8, Ordering::AcqRel, Ordering::Acquire);
        if asked.is_ok() {
            self.task.wake();
        }
    }

    /// What the task was asked to do.
    pub(crate) fn poll_command(&self, cx: &mut Context<'_>) -> Option<Command> {
        self.task.register(cx.waker());
        self.asked()
    }

    /// What the task was asked to do, if it was.
    pub(crate) fn asked(&self) -> Option<Command> {
        match self.command.load(Ordering::Acquire) {
            1 => Some(Command::Abort),
            2 => Some(Command::Shutdown),
            3 => Some(Command::CannotBeSentTo),
            _ => None,
        }
    }

    /// The connection is over, and its transport closed.
    pub(crate) fn set_gone(&self) {
        self.gone.get_or_init(CancellationToken::new).cancel();
    }

    /// Waits until the connection is over, and its transport closed.
    pub(crate) async fn gone(&self) {
        self.gone
            .get_or_init(CancellationToken::new)
            .cancelled()
            .await;
    }

    /// The client is back, on another socket.
    pub(crate) fn set_resumed(&self) {
        if let Some(resumed) = self.resumed.get() {
            resumed.notify_waiters();
        }
    }

    /// What tells those who wait that the client is back on another socket.
    pub(crate) fn resumed(&self) -> &Arc<Notify> {
        self.resumed.get_or_init(Arc::default)
    }

    /// Wakes the task, to look again.
    pub(crate) fn wake(&self) {
        self.task.wake();
    }

    /// The user as its last request had it.
    pub(crate) fn user(&self) -> Option<User> {
        let user = self.user.read();
        user.clone()
    }

    /// A later request of the same user came (AU-04).
    pub(crate) fn set_user(&self, user: User) {
        let mut current = self.user.write();
        *current = Some(user);
    }

    /// Fires when the connection is over (HB-05).
    pub(crate) fn aborted(&self) -> &CancellationToken {
        self.aborted.get_or_init(CancellationToken::new)
    }

    /// The groups it is in; at its end, those it was in.
    pub(crate) fn groups(&self) -> MutexGuard<'_, Joined> {
        self.groups.lock()
    }

    /// What the application keeps for it.
    ///
    /// # Panics
    /// When it keeps nothing, or something of another type.
    pub(crate) fn state_as<T: Any>(&self) -> &T {
        let Some(state) = &self.state else {
            panic!("there is no connection_state here");
        };
        let Some(state) = state.downcast_ref() else {
            panic!("the connection_state is no `{}`", type_name::<T>());
        };
        state
    }

    /// Reads or changes what the hub keeps for this connection (HB-05).
    pub(crate) fn items<R>(
        &self,
        use_them: impl FnOnce(&mut HashMap<String, serde_json::Value>) -> R,
    ) -> R {
        let items = self.items.get_or_init(Box::default);
        use_them(&mut items.lock())
    }
}
