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

    /// Calls `target` on the client and waits for its answer, at most for `deadline` (section 14).
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
/// [`Client`](crate::Client).
///
/// ```
/// hub::client_methods! {
///     /// What the server may call on its clients.
///     pub trait ChatClient {
///         fn receive_message(user: &str, text: &str) = "ReceiveMessage";
///     }
/// }
/// fn greet(everybody: &hub::Clients) -> hub::Result<()> {
///     everybody.receive_message("server", "hello")
/// }
/// ```
#[macro_export]
macro_rules! client_methods {
    ($(#[$meta:meta])* $vis:vis trait $Name:ident {
        $($(#[$method_meta:meta])* fn $method:ident($($arg:ident: $ty:ty),* $(,)?) = $target:literal;)*
    }) => {
        $(#[$meta])*
        $vis trait $Name {
            $(
                $(#[$method_meta])*
                #[doc = concat!("Sends `", $target, "`.")]
                ///
                /// # Errors
                /// As `Clients::send`.
                fn $method(&self, $($arg: $ty),*) -> $crate::Result<()>;
            )*
        }
        impl $Name for $crate::Clients {
            $(fn $method(&self, $($arg: $ty),*) -> $crate::Result<()> {
                self.send($target, ($($arg,)*))
            })*
        }
        impl $Name for $crate::Client {
            $(fn $method(&self, $($arg: $ty),*) -> $crate::Result<()> {
                self.send($target, ($($arg,)*))
            })*
        }
    };
}
