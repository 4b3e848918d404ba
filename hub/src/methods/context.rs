//! What a hub method knows of its caller, and whom it can reach.

use std::{any::Any, collections::HashMap, fmt, future::Future, sync::Arc};

use serde::Serialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{
    error::Result,
    identity::{connection_id::ConnectionId, request::Request, user::User},
    methods::{hub::Held, reply::Reply},
    reach::{
        call::CallHandle,
        clients::{Client, Clients},
        groups::Groups,
        hold::Hold,
        live::{Command, Live},
        presence::Presence,
        registry::Selection,
        selections::selections,
        servers::Servers,
    },
};

/// The first parameter of every hub method: who calls, the hub's state, and whom it can reach.
/// Cheaply cloned; a clone may outlive the call.
///
/// ```
/// use hub::Context;
/// async fn send_message(cx: Context, room: String, text: String) -> hub::Result<()> {
///     cx.group(&room).send("ReceiveMessage", (cx.connection_id(), text))
/// }
/// ```
pub struct Context<S = ()> {
    // Two, as each is counted for every call.
    pub(crate) hub: Arc<Held<S>>,
    pub(crate) call: Arc<CallHandle>,
}

impl<S> Context<S> {
    /// The connection that called.
    pub fn connection_id(&self) -> &ConnectionId {
        &self.live().id
    }

    /// The identifier of the user that the connection belongs to, as long as it lives; `None` when
    /// nobody was identified (HB-07).
    pub fn user_identifier(&self) -> Option<&str> {
        self.live().user_identifier.as_deref()
    }

    /// The user that a layer of the app put into the newest request of the connection; `None` when
    /// none did (AU-04).
    pub fn current_user(&self) -> Option<User> {
        self.live().user()
    }

    /// The state the hub was made with.
    pub fn state(&self) -> &S {
        &self.hub.state
    }

    /// The HTTP request that the connection came with (C-14).
    pub fn request(&self) -> &Request {
        &self.live().request
    }

    /// Reads or changes what this hub keeps for the connection, for as long as it lives (HB-05).
    ///
    /// ```
    /// use hub::Context;
    /// async fn visit(cx: Context) -> hub::Result<u64> {
    ///     Ok(cx.items(|items| {
    ///         let visits = items.get("visits").and_then(|v| v.as_u64()).unwrap_or(0) + 1;
    ///         items.insert("visits".into(), visits.into());
    ///         visits
    ///     }))
    /// }
    /// ```
    pub fn items<R>(&self, use_them: impl FnOnce(&mut HashMap<String, Value>) -> R) -> R {
        self.live().items(use_them)
    }

    /// What [`Hub::connection_state`](crate::Hub::connection_state) made for this connection: a value of
    /// your own type, for as long as the connection lives.
    ///
    /// # Panics
    /// When the hub makes none, or of another type: like every panic of a method, that is logged, and
    /// answered as an error.
    pub fn connection<T: Any>(&self) -> &T {
        self.live().state_as()
    }

    /// Ends the connection: the client is told not to come back by itself (CL-04).
    pub fn abort(&self) {
        self.live().command(Command::Abort);
    }

    /// Waits until the client wants no more of this call, or is gone, or the connection is over
    /// (ST-06, ST-08). That the call has ended, its stream too, is no reason: then this waits for the
    /// end of the connection.
    ///
    /// A stream need not look: it is dropped. A plain method that has begun runs to its end unless
    /// it looks here.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn cancelled(&self) {
        self.call.cancelled().cancelled().await;
    }

    /// The same as a token, for what the call has others do: a task that it spawns, a library that
    /// takes one. ASP.NET Core's `CancellationToken` parameter is that.
    ///
    /// It fires when [`cancelled`](Self::cancelled) would return, and holds nothing of the call: the
    /// connection forgets it when its last holder does.
    ///
    /// ```
    /// use hub::Context;
    /// async fn index(cx: Context, words: Vec<String>) -> hub::Result<()> {
    ///     let token = cx.cancellation_token();
    ///     tokio::spawn(async move {
    ///         for word in words {
    ///             if token.is_cancelled() {
    ///                 break;
    ///             }
    ///             # drop(word);
    ///             // a long look at each …
    ///         }
    ///     });
    ///     Ok(())
    /// }
    /// ```
    pub fn cancellation_token(&self) -> CancellationToken {
        self.call.cancelled().clone()
    }

    /// Waits until the client has come back on a new socket, from this call on (SR-12). Nothing was
    /// lost meanwhile, nothing else has changed, and no method ran for it: look here where a client
    /// that was away needs something, such as the current state instead of all that led to it.
    ///
    /// Without [`allow_stateful_reconnects`](crate::HubOptions), and once the connection is over, it
    /// waits for ever: see [`disconnected`](Self::disconnected).
    ///
    /// ```
    /// use hub::Context;
    /// async fn watch(cx: Context) -> hub::Result<()> {
    ///     loop {
    ///         tokio::select! {
    ///             () = cx.resumed() => cx.caller().send("WelcomeBack", ())?,
    ///             () = cx.disconnected() => return Ok(()),
    ///         }
    ///     }
    /// }
    /// ```
    ///
    /// # Cancel safety
    /// Safe, but what happens between two calls is not seen by the second.
    pub fn resumed(&self) -> impl Future<Output = ()> + Send + 'static + use<S> {
        self.live().resumed().clone().notified_owned()
    }

    /// Waits until the client is gone, or the connection is over (HB-05).
    ///
    /// What a client has said before it went happens all the same: of such calls this is done from
    /// the beginning.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn disconnected(&self) {
        self.live().aborted().cancelled().await;
    }

    /// A result as a method would return it, for a filter that puts one in place of another.
    ///
    /// # Errors
    /// When the value cannot be encoded.
    pub fn reply<T: Serialize>(&self, value: &T) -> Result<Reply> {
        Reply::value(self.live().encoding, value)
    }

    pub(crate) fn live(&self) -> &Arc<Live> {
        self.call.live()
    }
}

impl<S: Send + Sync + 'static> Context<S> {
    selections!();

    /// Everybody but the caller.
    pub fn others(&self) -> Clients {
        self.clients(Selection::AllExcept(vec![self.live().id.clone()]))
    }

    /// The connection that called.
    pub fn caller(&self) -> Client {
        self.client(self.live().id.clone())
    }

    /// The members of a group but the caller.
    pub fn others_in_group(&self, name: &str) -> Clients {
        self.group_except(name, [self.live().id.clone()])
    }

    /// Who is in which group, and who is connected at all.
    pub fn groups(&self) -> Groups {
        Groups::new(self.registry(), Some(self.live().clone()))
    }

    /// Who is present in the hub's groups; `None` where [`Hub::presence`](crate::Hub::presence) was not
    /// asked for.
    pub fn presence(&self) -> Option<Presence> {
        let attendance = self.hub.registry.attendance()?;
        Some(Presence::new(attendance.clone()))
    }

    /// The servers that the hub is one with.
    pub fn servers(&self) -> Servers {
        Servers::new(self.registry())
    }

    fn registry(&self) -> Hold {
        Hold::through(self.hub.clone())
    }

    fn asked_by(&self) -> Option<&Arc<CallHandle>> {
        Some(&self.call)
    }
}

impl<S> Clone for Context<S> {
    fn clone(&self) -> Self {
        Self {
            hub: self.hub.clone(),
            call: self.call.clone(),
        }
    }
}

impl<S> fmt::Debug for Context<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("connection_id", self.connection_id())
            .finish_non_exhaustive()
    }
}
