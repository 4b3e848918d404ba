//! What a client is told at the end (spec section 17).

use bytestring::ByteString;

use super::{End, Session};
use crate::message::HubMessage;

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
