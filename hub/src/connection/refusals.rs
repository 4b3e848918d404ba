//! Why a call is not begun, in two ways: for the log, and for who called.

use std::sync::Arc;

use crate::{
    error::{ErrorDetail, HubError},
    events::Misfit,
    methods::arguments::BindError,
    session::{CallKind, NotBegun},
};

/// A call that is not begun.
pub(super) struct CallRefusal {
    /// For the log: no word of the client's, whose method names, ids and arguments are its own.
    pub(super) why: &'static str,
    /// For the log too: which method, as declared; `None` where there is no such.
    pub(super) method: Option<Arc<str>>,
    /// And how its arguments do not fit.
    pub(super) misfit: Option<Misfit>,
    /// For the client.
    pub(super) text: String,
}

impl CallRefusal {
    fn new(why: &'static str, text: String) -> Self {
        Self {
            why,
            text,
            method: None,
            misfit: None,
        }
    }

    /// The same, of a method.
    pub(super) fn of(self, method: Option<Arc<str>>) -> Self {
        Self { method, ..self }
    }

    /// IN-04: shown even without detailed errors.
    pub(super) fn unknown(target: &str) -> Self {
        Self::new(
            "no such method",
            format!(
                "Failed to invoke '{target}' due to an error on the server. HubException: Method does not exist."
            ),
        )
    }

    /// A policy does not let the caller in (E-03).
    pub(super) fn unauthorized(name: &str) -> Self {
        Self::new(
            "the user may not call the method",
            format!("Failed to invoke '{name}' because user is unauthorized"),
        )
    }

    /// A policy of the hub's panicked, or a type of its as it was decoded.
    pub(super) fn panicked(name: &str, error: &HubError, detail: ErrorDetail) -> Self {
        Self::new(
            "a policy or the decoding of the arguments panicked",
            failed(name, error, detail),
        )
    }

    /// The arguments do not fit the parameters (IN-05).
    pub(super) fn unbound(name: &str, error: &BindError, detail: ErrorDetail) -> Self {
        let generic = format!("Failed to invoke '{name}' due to an error on the server.");
        let error_text = HubError::hidden("InvalidDataException", error.to_string());
        let text = error_text.for_client(&generic, detail);
        let (why, misfit) = match *error {
            BindError::Count { provided, expected } => {
                let misfit = Misfit::Count { provided, expected };
                ("too many or too few arguments", Some(misfit))
            }
            BindError::Type {
                position,
                wanted,
                found,
            } => {
                let misfit = Misfit::Type {
                    position,
                    wanted,
                    found,
                };
                ("an argument of another type", Some(misfit))
            }
            BindError::Malformed(_) => ("arguments that cannot be read", None),
        };
        Self {
            misfit,
            ..Self::new(why, text)
        }
    }

    /// IN-10: the method is of this kind, and was called as if it were of the other.
    pub(super) fn of_kind(name: &str, kind: CallKind) -> Self {
        match kind {
            CallKind::Stream => Self::new(
                "a streaming method, called as a plain one",
                format!(
                    "The client attempted to invoke the streaming '{name}' method with a non-streaming invocation."
                ),
            ),
            CallKind::Plain => Self::new(
                "a plain method, called as a streaming one",
                format!(
                    "The client attempted to invoke the non-streaming '{name}' method with a streaming invocation."
                ),
            ),
        }
    }

    /// The method takes another number of uploads (IN-11).
    pub(super) fn wrong_streams(name: &str, sent: usize, expected: usize) -> Self {
        let text = format!("Client sent {sent} stream(s), Hub method expects {expected}.");
        Self::new(
            "too many or too few uploads",
            failed(name, &HubError::new(text), ErrorDetail::Generic),
        )
    }

    /// What the session does not take.
    pub(super) fn of_ids(name: &str, refused: NotBegun) -> Self {
        match refused {
            // Of a stream that runs (ST-05).
            NotBegun::IdInUse(id) => Self::new(
                "an invocation id in use",
                format!("Invocation ID '{id}' is already in use."),
            ),
            NotBegun::StreamIdInUse(id) => {
                let text = format!("Stream ID '{id}' is already in use.");
                Self::new(
                    "a stream id in use",
                    failed(name, &HubError::new(text), ErrorDetail::Generic),
                )
            }
            NotBegun::TooManyStreams => Self::new(
                "too many streams at a time",
                failed(
                    name,
                    &HubError::new("Too many streams at a time."),
                    ErrorDetail::Generic,
                ),
            ),
        }
    }
}

/// How a call fails for what its method did: in detail only where that may be shown (IN-06).
pub(super) fn failed(name: &str, error: &HubError, detail: ErrorDetail) -> String {
    let generic = format!("An unexpected error occurred invoking '{name}' on the server.");
    error.for_client(&generic, detail)
}
