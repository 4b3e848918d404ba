//! What can go wrong for a client.

use std::{error::Error as StdError, fmt, sync::Arc};

use http::StatusCode;

use crate::protocol::ValueError;

/// The cause of a [`ClientError`], shared by all who are told.
pub(super) type Cause = Arc<dyn StdError + Send + Sync>;

/// Why a connection is not made, has ended, or cannot do what it was asked for.
///
/// ```
/// use hub::client::{ClientError, HubConnection};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let refused = HubConnection::builder("ftp://example.com/chat").connect().await;
/// assert!(matches!(refused, Err(ClientError::Address(_))));
/// # }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ClientError {
    /// The address is none that a hub can have; the text says why.
    Address(String),
    /// Nobody answered, what answered is not HTTP, or the connection broke.
    Network(Cause),
    /// A request was refused.
    Refused {
        /// With this status: 401 where a token is wanted, 404 where there is no hub.
        status: StatusCode,
        /// What the server said of it; often nothing.
        body: String,
    },
    /// The answer to the negotiation leads nowhere; the text says why.
    Negotiation(String),
    /// Each transport that both ends know was tried; the text has what became of each.
    NoTransport(String),
    /// The hub handshake was refused, with this text.
    Handshake(String),
    /// [`access_token`](super::HubConnectionBuilder::access_token) failed.
    Token(Cause),
    /// What was asked for took too long; the text says what.
    TimedOut(String),
    /// The method failed, and this is what the server says of it.
    Server(String),
    /// The connection has ended, or ended before the answer came; with what the server said of it.
    Closed(Option<String>),
    /// The connection is lost, and another is being made: nothing can be sent until then.
    Reconnecting,
    /// The connection is lost, and what is kept for the next socket has no room for more.
    Full,
    /// The answer was not read in time: as much as may waits to be read came before it, and its
    /// handler or its stream has not read it.
    Unread,
    /// A value is not what it was taken for.
    Value(ValueError),
    /// What the server sent breaks the hub protocol; the text says how.
    Protocol(String),
}

impl ClientError {
    /// Something below HTTP failed.
    pub(super) fn network(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Network(error.into().into())
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(why) => write!(f, "no address of a hub: {why}"),
            Self::Network(error) => {
                // The outermost error of an HTTP stack says little, others all that is beneath them.
                let mut said = error.to_string();
                let mut source = error.source();
                while let Some(error) = source {
                    let text = error.to_string();
                    if !said.contains(&text) {
                        said = format!("{said}: {text}");
                    }
                    source = error.source();
                }
                write!(f, "the network failed: {said}")
            }
            Self::Refused { status, body } if body.is_empty() => {
                write!(f, "the server refused: {status}")
            }
            Self::Refused { status, body } => write!(f, "the server refused: {status}, {body}"),
            Self::Negotiation(why) => write!(f, "negotiation failed: {why}"),
            Self::NoTransport(why) => write!(f, "no transport works: {why}"),
            Self::Handshake(why) => write!(f, "the hub refused: {why}"),
            Self::Token(error) => write!(f, "there is no access token: {error}"),
            Self::TimedOut(what) => write!(f, "{what} took too long"),
            Self::Server(text) => f.write_str(text),
            Self::Closed(None) => f.write_str("the connection is closed"),
            Self::Closed(Some(why)) => write!(f, "the connection is closed: {why}"),
            Self::Reconnecting => f.write_str(
                "the connection is lost, and nothing can be sent until there is another",
            ),
            Self::Full => f.write_str(
                "the connection is lost, and what may wait for its return has no room for more",
            ),
            Self::Unread => f.write_str(
                "the answer was not read in time: what came before it waits for a handler or the \
                 reader of a stream",
            ),
            Self::Value(error) => write!(f, "a value of another type: {error}"),
            Self::Protocol(error) => write!(f, "what came is no hub protocol: {error}"),
        }
    }
}

impl StdError for ClientError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Value(error) => Some(error),
            // Of `Network` all is in the text already.
            Self::Token(error) => Some(&**error),
            _ => None,
        }
    }
}

impl From<ValueError> for ClientError {
    fn from(error: ValueError) -> Self {
        Self::Value(error)
    }
}
