//! Sending to clients, and calling one of them.

use std::{future::pending, sync::Arc, time::Duration};

use raw_ws::{MessageKind, PreparedMessage};
use serde::de::DeserializeOwned;
use tokio::{sync::oneshot, time::timeout};

use crate::{
    error::{HubError, Result},
    identity::connection_id::ConnectionId,
    protocol::{
        CallArguments, Encoding, TransferFormat,
        message::{Call, Completion},
    },
    reach::{
        call::CallHandle,
        client_results::{Answer, WaitingCall},
        cluster::Cluster,
        hold::Hold,
        live::Live,
        registry::{Encoded, Reach, Selection},
    },
    values::dotnet,
};

/// A selection of connections, to be sent to.
///
/// A typed client is a trait of your own on this, and [`client_methods!`](crate::client_methods)
/// saves typing it:
///
/// ```
/// use hub::Clients;
/// trait ChatClient {
///     fn receive_message(&self, user: &str, text: &str) -> hub::Result<()>;
/// }
/// impl ChatClient for Clients {
///     fn receive_message(&self, user: &str, text: &str) -> hub::Result<()> {
///         self.send("ReceiveMessage", (user, text))
///     }
/// }
/// ```
#[derive(Clone)]
pub struct Clients {
    registry: Hold,
    to: Selection,
    reach: Reach,
}

impl Clients {
    pub(crate) fn new(registry: Hold, to: Selection) -> Self {
        Self {
            registry,
            to,
            reach: Reach::Everywhere,
        }
    }

    /// Those of them who are connected to this server: what other servers of the hub tell their own
    /// clients themselves.
    #[must_use]
    pub fn here(self) -> Self {
        Self {
            reach: Reach::Here,
            ..self
        }
    }

    /// Calls `target` on every selected client, with a tuple of arguments: encoded once for each
    /// protocol in use. Never waits, and nobody answers: a client that does not read is cut, and
    /// unknown connections, groups and users are nobody (API-02, API-03).
    ///
    /// # Errors
    /// When the arguments cannot be encoded, or are larger than
    /// [`max_queued_bytes`](crate::HubOptions).
    pub fn send(&self, target: &str, arguments: impl CallArguments) -> Result<()> {
        let names = self.registry.options.names;
        self.registry.send(&self.to, self.reach, |protocol| {
            let encoding = Encoding { protocol, names };
            prepare(encoding, None, target, &arguments)
        })
    }
}

impl std::fmt::Debug for Clients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clients")
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}

/// One connection: to be sent to, and to be asked.
#[derive(Debug, Clone)]
pub struct Client {
    clients: Clients,
    id: ConnectionId,
    /// The method that asks, and gives its turn to others while it waits.
    asked_by: Option<Arc<CallHandle>>,
}

impl Client {
    pub(crate) fn new(registry: Hold, id: ConnectionId, asked_by: Option<Arc<CallHandle>>) -> Self {
        Self {
            clients: Clients::new(registry, Selection::Connection(id.clone())),
            id,
            asked_by,
        }
    }

    /// Calls `target` on the client, as [`Clients::send`] does: never waits, and nobody answers.
    ///
    /// # Errors
    /// As [`Clients::send`].
    pub fn send(&self, target: &str, arguments: impl CallArguments) -> Result<()> {
        self.clients.send(target, arguments)
    }

    /// Calls `target` on the client and waits for its answer, at most for
    /// [`client_result_timeout`](crate::HubOptions), 30 s by default (section 14).
    ///
    /// Inside a hub method other calls of the same client may run from here on (CR-07): the answer
    /// could not be read otherwise.
    ///
    /// # Errors
    /// The client's own error, with its text; an answer of another type or none (CR-08, CR-09); a
    /// connection that is not there or ends (CR-05); a deadline that passes; and always while a
    /// client is only being connected, or is gone already in what runs on disconnect (CR-06).
    ///
    /// # Cancel safety
    /// When the future is dropped the answer is ignored. The client has been asked all the same.
    pub async fn invoke<R: DeserializeOwned>(
        &self,
        target: &str,
        arguments: impl CallArguments,
    ) -> Result<R> {
        let deadline = self.clients.registry.options.client_result_timeout;
        self.invoke_within(target, arguments, deadline).await
    }

    /// The same, at most for `deadline`.
    ///
    /// # Errors
    /// As [`invoke`](Self::invoke).
    ///
    /// # Cancel safety
    /// As [`invoke`](Self::invoke).
    pub async fn invoke_within<R: DeserializeOwned>(
        &self,
        target: &str,
        arguments: impl CallArguments,
        deadline: Duration,
    ) -> Result<R> {
        if let Some(call) = &self.asked_by {
            call.may_ask()?;
        }
        let registry = &self.clients.registry;
        let asking = match (registry.find(&self.id), registry.cluster()) {
            (Some(live), _) => self.ask(&live, target, &arguments)?,
            (None, Some(cluster)) if !self.is_caller() => {
                self.ask_elsewhere(cluster, target, &arguments)?
            }
            // CR-06: the caller was there, or nothing would run for it.
            (None, _) if self.is_caller() => return Err(self.gone("disconnected")),
            (None, _) => return Err(self.gone("does not exist")),
        };
        if let Some(call) = &self.asked_by {
            call.release_slot();
        }
        let names = registry.options.names;
        match timeout(deadline, asking.answered()).await {
            Ok(Ok((protocol, completion))) => read_answer(Encoding { protocol, names }, completion),
            Ok(Err(why)) => Err(self.gone(why)),
            Err(_) => Err(HubError::new("Invocation canceled by the server.")),
        }
    }

    /// Asks a client of this server.
    fn ask(&self, live: &Live, target: &str, arguments: &impl CallArguments) -> Result<Asking<'_>> {
        let registry = &self.clients.registry;
        let waiting = registry.results.begin(&live.id);
        if registry.find(&self.id).is_none() {
            return Err(self.gone("disconnected")); // between the two: nobody would tell it
        }
        let invocation_id = Some(&*waiting.invocation_id);
        let message = prepare(live.encoding, invocation_id, target, arguments)?;
        live.sender
            .send_prepared(&message)
            .map_err(|_| self.gone("disconnected"))?;
        Ok(Asking {
            waiting,
            reached: None,
        })
    }

    /// Asks a client that another server may have (RD-09).
    fn ask_elsewhere(
        &self,
        cluster: &Cluster,
        target: &str,
        arguments: &impl CallArguments,
    ) -> Result<Asking<'_>> {
        let registry = &self.clients.registry;
        let options = &registry.options;
        let waiting = registry.results.begin_elsewhere(&self.id);
        let id = &*waiting.invocation_id;
        let mut message = Encoded::new(options, |protocol| {
            let names = options.names;
            prepare(Encoding { protocol, names }, Some(id), target, arguments)
        });
        let answer_to = Some((id, &*cluster.channels.answers));
        let payload = message.for_others(options, &[], answer_to)?;
        let channel = cluster.channels.connection(&self.id);
        let reached = Some(cluster.publish_counted(channel, payload)?);
        Ok(Asking { waiting, reached })
    }

    fn is_caller(&self) -> bool {
        let asked_by = self.asked_by.as_ref();
        asked_by.is_some_and(|call| call.live().id == self.id)
    }

    fn gone(&self, what: &str) -> HubError {
        HubError::hidden("IOException", format!("Connection '{}' {what}.", self.id))
    }
}

/// A client has been asked.
struct Asking<'a> {
    waiting: WaitingCall<'a>,
    /// How many servers have the client; `None` where it is this one.
    reached: Option<oneshot::Receiver<u64>>,
}

impl Asking<'_> {
    /// Its answer, or what became of its connection.
    async fn answered(mut self) -> std::result::Result<Answer, &'static str> {
        let nobody_has_it = async {
            let count = match self.reached {
                Some(reached) => reached.await.ok(),
                None => None,
            };
            // Somebody has it, or that is not known.
            if count != Some(0) {
                pending::<()>().await;
            }
        };
        tokio::select! {
            answer = &mut self.waiting.answer => answer.map_err(|_| "disconnected"),
            () = nobody_has_it => Err("does not exist"),
        }
    }
}

fn read_answer<R: DeserializeOwned>(encoding: Encoding, completion: Completion) -> Result<R> {
    match completion {
        // A value of another type fails the call, and nothing else (CR-08).
        Completion::Result(value) => encoding.decode(&value).map_err(|error| {
            let name = dotnet::name_of::<R>();
            let (_, why) = dotnet::mismatch::<R>(encoding, &value, "argument", &error);
            HubError::new(format!(
                "Error trying to deserialize result to {name}. {why}"
            ))
        }),
        // CR-09: no result is none, unless nothing was wanted. `null` would be one.
        Completion::Void if size_of::<R>() == 0 => {
            Ok(encoding.decode(encoding.protocol.nothing())?)
        }
        Completion::Void => Err(HubError::new(
            "Exception of type 'Microsoft.AspNetCore.SignalR.HubException' was thrown.",
        )),
        // The client's own words (CR-04).
        Completion::Error(text) => Err(HubError::new(text.to_string())),
    }
}

/// A call as one frame, for any number of connections of that encoding.
fn prepare(
    encoding: Encoding,
    invocation_id: Option<&str>,
    target: &str,
    arguments: &impl CallArguments,
) -> Result<PreparedMessage> {
    let kind = match encoding.protocol.transfer_format() {
        TransferFormat::Text => MessageKind::Text,
        TransferFormat::Binary => MessageKind::Binary,
    };
    let message = encoding.with_arguments(arguments, |arguments| {
        PreparedMessage::written(kind, |out| {
            let call = Call {
                invocation_id,
                target,
                arguments,
                stream_ids: &[],
            };
            encoding.protocol.encode_call(call, out);
        })
    })?;
    Ok(message)
}

/// Writes a trait of typed client methods, implemented for [`Clients`](crate::Clients) and
/// [`Client`](crate::Client): a `fn` is sent to all of them, an `async fn` asks one and waits for its
/// answer, as [`Client::invoke`](crate::Client::invoke) does.
///
/// ```
/// hub::client_methods! {
///     /// What the server may call on its clients.
///     pub trait ChatClient {
///         fn receive_message(user: &str, text: &str) = "ReceiveMessage";
///         async fn may_join(user: &str) -> bool = "MayJoin";
///     }
/// }
/// async fn greet(cx: hub::Context, user: String) -> hub::Result<()> {
///     if cx.caller().may_join(&user).await? {
///         cx.all().receive_message(&user, "hello")?;
///     }
///     Ok(())
/// }
/// ```
///
/// Many cannot be asked at once: that does not compile.
///
/// ```compile_fail
/// # hub::client_methods! { trait ChatClient { async fn may_join(user: &str) -> bool = "MayJoin"; } }
/// async fn ask_all(cx: hub::Context) -> hub::Result<bool> {
///     cx.all().may_join("ann").await
/// }
/// ```
#[macro_export]
macro_rules! client_methods {
    ($(#[$meta:meta])* $vis:vis trait $Name:ident { $($methods:tt)* }) => {
        $(#[$meta])*
        $vis trait $Name: $crate::__private::Sends {
            $crate::client_methods! { @methods $($methods)* }
        }
        impl $Name for $crate::Clients {}
        impl $Name for $crate::Client {}
    };
    (@methods) => {};
    (@methods
        $(#[$meta:meta])* fn $method:ident($($arg:ident: $ty:ty),* $(,)?) = $target:literal;
        $($rest:tt)*
    ) => {
        $(#[$meta])*
        #[doc = concat!("Sends `", $target, "`.")]
        ///
        /// # Errors
        /// As `Clients::send`.
        fn $method(&self, $($arg: $ty),*) -> $crate::Result<()> {
            $crate::__private::Sends::send_these(self, $target, ($($arg,)*))
        }
        $crate::client_methods! { @methods $($rest)* }
    };
    (@methods
        $(#[$meta:meta])* async fn $method:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $Answer:ty)? = $target:literal;
        $($rest:tt)*
    ) => {
        $(#[$meta])*
        #[doc = concat!("Asks with `", $target, "`, and waits for the answer.")]
        ///
        /// # Errors
        /// As `Client::invoke`.
        fn $method(&self, $($arg: $ty),*)
            -> impl ::std::future::Future<Output = $crate::Result<($($Answer)?)>> + Send
        where
            Self: $crate::__private::IsOne,
        {
            $crate::__private::IsOne::one(self).invoke($target, ($($arg,)*))
        }
        $crate::client_methods! { @methods $($rest)* }
    };
}

/// Whom [`client_methods!`](crate::client_methods) can send to.
pub trait Sends {
    /// As [`Clients::send`].
    #[doc(hidden)]
    fn send_these(&self, target: &str, arguments: impl CallArguments) -> Result<()>;
}

impl Sends for Clients {
    fn send_these(&self, target: &str, arguments: impl CallArguments) -> Result<()> {
        self.send(target, arguments)
    }
}

impl Sends for Client {
    fn send_these(&self, target: &str, arguments: impl CallArguments) -> Result<()> {
        self.send(target, arguments)
    }
}

/// Whom [`client_methods!`](crate::client_methods) can ask.
#[diagnostic::on_unimplemented(
    message = "only one client can be asked, and `{Self}` may be many",
    label = "not one client",
    note = "`cx.caller()` and `cx.client(id)` are one"
)]
pub trait IsOne {
    #[doc(hidden)]
    fn one(&self) -> &Client;
}

impl IsOne for Client {
    fn one(&self) -> &Client {
        self
    }
}
