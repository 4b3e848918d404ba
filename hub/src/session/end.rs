//! How connections end: one table, a row for each end (`SPEC.md`, section 17).

use bytestring::ByteString;
use raw_ws::CloseCode;

use crate::{
    error::{ErrorDetail, HubError},
    protocol::{ProtocolError, message::HubMessage},
};

/// Why a connection is over that has agreed on a protocol. (One whose hub handshake fails is told
/// so in the answer to it, and nobody else notices: CL-09.)
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// The client said Close, perhaps with an error (CL-03).
    ClientClosed(Option<ByteString>),
    /// The client left without a word (CL-07).
    ClientLeft,
    /// The client broke the protocol (CL-02).
    Protocol(ProtocolError),
    /// The client was silent for too long (CL-05).
    Timeout,
    /// What runs on connect failed, or refused the client (CL-01).
    NotLetIn(Details),
    /// The hub ended the connection (CL-04).
    Aborted,
    /// Its user is known no longer (CL-06).
    Expired,
    /// The server stops (CL-15).
    Shutdown,
    /// Another server sent it a message, and not in its protocol (CL-08).
    CannotBeSentTo,
}

/// What there is to say of an error, as `class: text`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Details {
    /// It is meant for the client.
    Shown(String),
    /// The client sees it with detailed errors only (E-01).
    Hidden(String),
}

/// Which side closes the transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closer {
    Server,
    /// It has said Close, and is about to do it by itself (LP-12).
    Client,
}

/// Whether what runs on disconnect does.
#[derive(Debug)]
pub(crate) enum OnDisconnect {
    /// It is told of the error, if it was one.
    Runs(Option<HubError>),
    /// Who was not let in does not leave.
    Rests,
}

/// What follows from an end.
pub(crate) struct Ending {
    /// For the log.
    pub(crate) name: &'static str,
    /// What the Close message says of an error.
    details: Option<Details>,
    /// Whether the Close message lets the client come back by itself.
    allow_reconnect: bool,
    pub(crate) on_disconnect: OnDisconnect,
    /// With which code a WebSocket is closed (CL-11).
    pub(crate) close_code: CloseCode,
    /// `signalr.connection.status` of the metrics (O-02).
    pub(crate) status: &'static str,
    pub(crate) closer: Closer,
}

/// Before the details, in a Close message that tells of an error.
const GENERIC: &str = "Connection closed with an error.";

const CANCELED: &str = "OperationCanceledException";
const SILENT: &str =
    "Client hasn't sent a message/ping within the configured ClientTimeoutInterval.";

const INVALID: &str = "InvalidOperationException";
const NO_ENCODING: &str = "A message of another server is not in the protocol of the connection.";

/// What follows where a row of the table says nothing else.
const ORDINARY: Ending = Ending {
    name: "",
    details: None,
    allow_reconnect: true,
    on_disconnect: OnDisconnect::Runs(None),
    close_code: CloseCode::NORMAL,
    status: "normal_closure",
    closer: Closer::Server,
};

impl End {
    /// The table: what follows from each end.
    pub(crate) fn ending(&self) -> Ending {
        let hidden = |class, text: String| OnDisconnect::Runs(Some(HubError::hidden(class, text)));
        match self {
            Self::ClientClosed(error) => Ending {
                name: "client_closed",
                allow_reconnect: false,
                on_disconnect: OnDisconnect::Runs(
                    error.as_ref().map(|text| HubError::new(text.to_string())),
                ),
                closer: Closer::Client,
                ..ORDINARY
            },
            Self::ClientLeft => Ending {
                name: "client_left",
                ..ORDINARY
            },
            Self::Protocol(fault) => Ending {
                name: "protocol_error",
                details: Some(Details::Hidden(fault.to_string())),
                on_disconnect: hidden("InvalidDataException", fault.to_string()),
                ..ORDINARY
            },
            Self::Timeout => Ending {
                name: "client_timeout",
                details: Some(Details::Hidden(format!("{CANCELED}: {SILENT}"))),
                on_disconnect: hidden(CANCELED, SILENT.to_owned()),
                status: "timeout",
                ..ORDINARY
            },
            Self::NotLetIn(details) => Ending {
                name: "not_let_in",
                details: Some(details.clone()),
                allow_reconnect: false,
                on_disconnect: OnDisconnect::Rests,
                ..ORDINARY
            },
            Self::Aborted => Ending {
                name: "aborted",
                allow_reconnect: false,
                ..ORDINARY
            },
            Self::Expired => Ending {
                name: "authentication_expired",
                ..ORDINARY
            },
            Self::Shutdown => Ending {
                name: "shutdown",
                close_code: CloseCode::GOING_AWAY,
                status: "app_shutdown",
                ..ORDINARY
            },
            Self::CannotBeSentTo => Ending {
                name: "cannot_be_sent_to",
                details: Some(Details::Hidden(format!("{INVALID}: {NO_ENCODING}"))),
                on_disconnect: hidden(INVALID, NO_ENCODING.to_owned()),
                ..ORDINARY
            },
        }
    }

    /// What runs on connect has failed with this error.
    pub(crate) fn not_let_in(error: &HubError) -> Self {
        let details = format!("{}: {error}", error.class());
        Self::NotLetIn(if error.is_shown() {
            Details::Shown(details)
        } else {
            Details::Hidden(details)
        })
    }
}

impl Ending {
    /// What the client is told, in detail where the hub is so set.
    pub(super) fn close_message(self, detail: ErrorDetail) -> HubMessage {
        let error = self.details.map(|details| match details {
            Details::Shown(details) => with_details(GENERIC, &details, ErrorDetail::Full),
            Details::Hidden(details) => with_details(GENERIC, &details, detail),
        });
        HubMessage::Close {
            error,
            allow_reconnect: self.allow_reconnect,
        }
    }
}

/// A text that says nothing, and behind it what there is to say if that may be shown.
pub(super) fn with_details(
    generic: &str,
    details: &dyn std::fmt::Display,
    detail: ErrorDetail,
) -> ByteString {
    if detail == ErrorDetail::Full {
        format!("{generic} {details}").into()
    } else {
        generic.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::print_stdout, reason = "a test may tell")]
    fn section_17_the_table_of_endings() {
        let details = || Details::Hidden("IOException: no".to_owned());
        let ends = [
            End::ClientClosed(None),
            End::ClientClosed(Some("bye".into())),
            End::ClientLeft,
            End::Protocol(ProtocolError::invalid("no")),
            End::Timeout,
            End::NotLetIn(details()),
            End::Aborted,
            End::Expired,
            End::Shutdown,
            End::CannotBeSentTo,
        ];
        let rows = ends.map(|end| {
            let ending = end.ending();
            let said = match &ending.details {
                None => "-",
                Some(Details::Hidden(text) | Details::Shown(text)) => {
                    text.split(':').next().unwrap_or_default()
                }
            };
            let returns = if ending.allow_reconnect { "may" } else { "-" };
            let told = match &ending.on_disconnect {
                OnDisconnect::Runs(error) => error.as_ref().map_or("-", HubError::class),
                OnDisconnect::Rests => "does not run",
            };
            format!(
                "{:22} | {said:26} | {returns:6} | {told:26} | {} | {:14} | {:?}",
                ending.name, ending.close_code, ending.status, ending.closer,
            )
        });
        let table = rows.join("\n");
        println!("{table}");
        // end                | Close says                 | return | on_disconnected is told    | code | status         | who closes
        let expected = "\
client_closed          | -                          | -      | -                          | 1000 | normal_closure | Client
client_closed          | -                          | -      | HubException               | 1000 | normal_closure | Client
client_left            | -                          | may    | -                          | 1000 | normal_closure | Server
protocol_error         | InvalidDataException       | may    | InvalidDataException       | 1000 | normal_closure | Server
client_timeout         | OperationCanceledException | may    | OperationCanceledException | 1000 | timeout        | Server
not_let_in             | IOException                | -      | does not run               | 1000 | normal_closure | Server
aborted                | -                          | -      | -                          | 1000 | normal_closure | Server
authentication_expired | -                          | may    | -                          | 1000 | normal_closure | Server
shutdown               | -                          | may    | -                          | 1001 | app_shutdown   | Server
cannot_be_sent_to      | InvalidOperationException  | may    | InvalidOperationException  | 1000 | normal_closure | Server";
        assert_eq!(table, expected);
    }
}
