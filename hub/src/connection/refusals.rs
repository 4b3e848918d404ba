//! Why a call is not begun, in two ways: for the log, and for who called.

use crate::{
    error::{ErrorDetail, HubError},
    methods::arguments::BindError,
    session::{CallKind, NotBegun},
};

/// A call that is not begun.
pub(super) struct CallRefusal {
    /// For the log: no word of the client's, whose method names, ids and arguments are its own.
    pub(super) why: &'static str,
    /// For the client.
    pub(super) text: String,
}

impl CallRefusal {
    /// IN-04: shown even without detailed errors.
    pub(super) fn unknown(target: &str) -> Self {
        Self {
            why: "no such method",
            text: format!(
                "Failed to invoke '{target}' due to an error on the server. HubException: Method does not exist."
            ),
        }
    }

    /// A policy does not let the caller in (E-03).
    pub(super) fn unauthorized(name: &str) -> Self {
        Self {
            why: "the user may not call the method",
            text: format!("Failed to invoke '{name}' because user is unauthorized"),
        }
    }

    /// A policy of the hub's panicked, or a type of its as it was decoded.
    pub(super) fn panicked(name: &str, error: &HubError, detail: ErrorDetail) -> Self {
        Self {
            why: "a policy or the decoding of the arguments panicked",
            text: failed(name, error, detail),
        }
    }

    /// The arguments do not fit the parameters (IN-05).
    pub(super) fn unbound(name: &str, error: &BindError, detail: ErrorDetail) -> Self {
        let generic = format!("Failed to invoke '{name}' due to an error on the server.");
        let error_text = HubError::hidden("InvalidDataException", error.to_string());
        Self {
            why: match error {
                BindError::Count { .. } => "too many or too few arguments",
                BindError::Type => "arguments of other types",
                BindError::Malformed(_) => "arguments that cannot be read",
            },
            text: error_text.for_client(&generic, detail),
        }
    }

    /// IN-10: the method is of this kind, and was called as if it were of the other.
    pub(super) fn of_kind(name: &str, kind: CallKind) -> Self {
        match kind {
            CallKind::Stream => Self {
                why: "a streaming method, called as a plain one",
                text: format!(
                    "The client attempted to invoke the streaming '{name}' method with a non-streaming invocation."
                ),
            },
            CallKind::Plain => Self {
                why: "a plain method, called as a streaming one",
                text: format!(
                    "The client attempted to invoke the non-streaming '{name}' method with a streaming invocation."
                ),
            },
        }
    }

    /// The method takes another number of uploads (IN-11).
    pub(super) fn wrong_streams(name: &str, sent: usize, expected: usize) -> Self {
        let text = format!("Client sent {sent} stream(s), Hub method expects {expected}.");
        Self {
            why: "too many or too few uploads",
            text: failed(name, &HubError::new(text), ErrorDetail::Generic),
        }
    }

    /// What the session does not take.
    pub(super) fn of_ids(name: &str, refused: NotBegun) -> Self {
        match refused {
            // Of a stream that runs (ST-05).
            NotBegun::IdInUse(id) => Self {
                why: "an invocation id in use",
                text: format!("Invocation ID '{id}' is already in use."),
            },
            NotBegun::StreamIdInUse(id) => {
                let text = format!("Stream ID '{id}' is already in use.");
                Self {
                    why: "a stream id in use",
                    text: failed(name, &HubError::new(text), ErrorDetail::Generic),
                }
            }
            NotBegun::TooManyStreams => Self {
                why: "too many streams at a time",
                text: failed(
                    name,
                    &HubError::new("Too many streams at a time."),
                    ErrorDetail::Generic,
                ),
            },
        }
    }
}

/// How a call fails for what its method did: in detail only where that may be shown (IN-06).
pub(super) fn failed(name: &str, error: &HubError, detail: ErrorDetail) -> String {
    let generic = format!("An unexpected error occurred invoking '{name}' on the server.");
    error.for_client(&generic, detail)
}
