//! Sending to clients, and calling one of them.

use std::{sync::Arc, time::Duration};

use raw_ws::{MessageKind, PreparedMessage};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::{
    error::{HubError, Result},
    identity::connection_id::ConnectionId,
    protocol::{
        CallArguments, Encoding, TransferFormat,
        message::{Call, Completion},
    },
    reach::{
        call::CallHandle,
        live::Live,
        registry::{Registry, Selection},
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
    registry: Arc<Registry>,
    to: Selection,
}

impl Clients {
    pub(crate) fn new(registry: Arc<Registry>, to: Selection) -> Self {
        Self { registry, to }
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
        self.registry.send(&self.to, |protocol| {
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
    pub(crate) fn new(
        registry: Arc<Registry>,
        id: ConnectionId,
        asked_by: Option<Arc<CallHandle>>,
    ) -> Self {
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
        let gone = |what: &str| {
            HubError::hidden("IOException", format!("Connection '{}' {what}.", self.id))
        };
        let live: Arc<Live> = registry.find(&self.id).ok_or_else(|| {
            let asked_by = self.asked_by.as_ref();
            let is_caller = asked_by.is_some_and(|call| call.live().id == self.id);
            gone(if is_caller {
                "disconnected" // CR-06: it was there, or nothing would run for it
            } else {
                "does not exist"
            })
        })?;
        let mut waiting = registry.results.begin(&live.id);
        if registry.find(&self.id).is_none() {
            return Err(gone("disconnected")); // between the two: nobody would tell it
        }
        let invocation_id = Some(&*waiting.invocation_id);
        let message = prepare(live.encoding, invocation_id, target, &arguments)?;
        live.sender
            .send_prepared(&message)
            .map_err(|_| gone("disconnected"))?;
        if let Some(call) = &self.asked_by {
            call.release_slot();
        }
        let completion = match timeout(deadline, &mut waiting.answer).await {
            Ok(Ok(completion)) => completion,
            Ok(Err(_)) => return Err(gone("disconnected")),
            Err(_) => return Err(HubError::new("Invocation canceled by the server.")),
        };
        match completion {
            // A value of another type fails the call, and nothing else (CR-08).
            Completion::Result(value) => live.encoding.decode(&value).map_err(|error| {
                let name = dotnet::name_of::<R>();
                let (_, why) = dotnet::mismatch::<R>(live.encoding, &value, "argument", &error);
                HubError::new(format!(
                    "Error trying to deserialize result to {name}. {why}"
                ))
            }),
            // CR-09: no result is none, unless nothing was wanted. `null` would be one.
            Completion::Void if size_of::<R>() == 0 => {
                Ok(live.encoding.decode(live.encoding.protocol.nothing())?)
            }
            Completion::Void => Err(HubError::new(
                "Exception of type 'Microsoft.AspNetCore.SignalR.HubException' was thrown.",
            )),
            // The client's own words (CR-04).
            Completion::Error(text) => Err(HubError::new(text.to_string())),
        }
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
