//! What a client is told at the end (spec section 17).

use bytestring::ByteString;

use super::Session;
use crate::protocol::{ProtocolError, message::HubMessage};

/// Why a connection is over (spec section 17).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// The hub handshake failed; the client has been told (CL-09).
    Handshake,
    /// The client said so, perhaps with an error (CL-03).
    ClientClosed(Option<ByteString>),
    /// The client left without a word (CL-07).
    ClientLeft,
    /// The client broke the protocol (CL-02).
    Protocol(ProtocolError),
    /// The client was silent for too long (CL-05).
    Timeout,
    /// The hub ended the connection (CL-04).
    Aborted,
    /// The hub refused or failed the connection: the details of the error (CL-01, CL-08).
    Failed {
        details: String,
        is_shown: bool,
        may_reconnect: bool,
    },
    /// Its user is known no longer (CL-06).
    Expired,
    /// The server stops (CL-15).
    Shutdown,
}

impl Session {
    /// Section 17: what the client is told at the end.
    pub(super) fn close_message(&self, end: &End) -> HubMessage {
        let generic = "Connection closed with an error.";
        let (error, allow_reconnect) = match end {
            End::Handshake | End::ClientClosed(_) | End::Aborted => (None, false),
            End::ClientLeft | End::Expired | End::Shutdown => (None, true),
            End::Protocol(fault) => (Some(self.with_details(generic, fault)), true),
            End::Timeout => {
                let text = "OperationCanceledException: Client hasn't sent a message/ping within the configured ClientTimeoutInterval.";
                (Some(self.with_details(generic, &text)), true)
            }
            End::Failed {
                details,
                is_shown,
                may_reconnect,
            } => {
                let error = if *is_shown {
                    format!("{generic} {details}").into()
                } else {
                    self.with_details(generic, details)
                };
                (Some(error), *may_reconnect)
            }
        };
        HubMessage::Close {
            error,
            allow_reconnect,
        }
    }

    pub(super) fn with_details(
        &self,
        generic: &str,
        details: &dyn std::fmt::Display,
    ) -> ByteString {
        if self.options.enable_detailed_errors {
            format!("{generic} {details}").into()
        } else {
            generic.into()
        }
    }
}
