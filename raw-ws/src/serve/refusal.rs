//! Why a client is not served, and the answer that says so.

use std::time::Duration;

use http::StatusCode;
use tokio::net::TcpStream;

use crate::stream::farewell::farewell;

/// Why a client is not let in, or let go before it has asked for anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Connections,
    ConnectionsOfAddress,
    HeadsOfAddress,
    /// Others wait for the place of a head that is late.
    LateHead,
    /// A head has had its time.
    HeadTimeout,
}

impl Refusal {
    pub(super) const ALL: usize = 5;

    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Connections | Self::LateHead => StatusCode::SERVICE_UNAVAILABLE,
            Self::ConnectionsOfAddress | Self::HeadsOfAddress => StatusCode::TOO_MANY_REQUESTS,
            Self::HeadTimeout => StatusCode::REQUEST_TIMEOUT,
        }
    }

    /// As the client reads it, and as it is counted.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Connections => "too many connections",
            Self::ConnectionsOfAddress => "too many connections from this address",
            Self::HeadsOfAddress => "too many unfinished requests from this address",
            Self::LateHead => "too many unfinished requests, and this one is late",
            Self::HeadTimeout => "the request's head took too long",
        }
    }

    pub(super) fn answer(self) -> Vec<u8> {
        answer(self.status(), self.reason())
    }
}

/// Answers without reading the request, and lingers so that the answer is not lost to a reset.
pub(super) async fn last_answer(stream: TcpStream, status: StatusCode, reason: &'static str) {
    let answer = answer(status, reason);
    farewell(stream, answer.as_slice().into(), Duration::from_secs(1)).await;
}

fn answer(status: StatusCode, reason: &'static str) -> Vec<u8> {
    let retry_after = match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => "Retry-After: 5\r\n",
        _ => "",
    };
    let answer = format!(
        "HTTP/1.1 {} {}\r\n{retry_after}Connection: close\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{reason}",
        status.as_u16(),
        status.canonical_reason().unwrap_or_default(),
        reason.len(),
    );
    answer.into_bytes()
}
