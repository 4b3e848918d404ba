//! A newer access token for a connection that goes on (AU-06 to AU-08).

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::Method;
use raw_ws::clock::{Alarm, now};
use serde_json::Value;

use super::{error::ClientError, requests::Requests, web::Boxed};

/// How long before the end of a token that lives long the next one is brought.
const AHEAD: Duration = Duration::from_secs(5 * 60);

/// Brings tokens in time.
pub(super) struct Refreshes {
    requests: Arc<Requests>,
    /// The connection's.
    token: String,
    at: Option<Instant>,
    alarm: Alarm,
    refreshing: Option<Boxed<Result<Option<Duration>, ClientError>>>,
}

impl Refreshes {
    /// Of a connection whose access token lives so long; `None` where nobody knows.
    pub(super) fn new(requests: Arc<Requests>, token: String, lifetime: Option<Duration>) -> Self {
        Self {
            requests,
            token,
            at: lifetime.map(when),
            alarm: Alarm::default(),
            refreshing: None,
        }
    }

    /// What has become of a refresh.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ClientError>> {
        loop {
            if let Some(refreshing) = &mut self.refreshing {
                let Poll::Ready(refreshed) = refreshing.as_mut().poll(cx) else {
                    return Poll::Pending;
                };
                self.refreshing = None;
                return Poll::Ready(refreshed.map(|lifetime| self.at = lifetime.map(when)));
            }
            if self.alarm.poll(cx, self.at).is_pending() {
                return Poll::Pending;
            }
            self.at = None;
            let (requests, token) = (self.requests.clone(), self.token.clone());
            self.refreshing = Some(Box::pin(async move { refresh(&requests, &token).await }));
        }
    }
}

/// When a token that lives so long is to be replaced (AU-06).
fn when(lifetime: Duration) -> Instant {
    let left = if lifetime > 2 * AHEAD {
        lifetime - AHEAD
    } else {
        lifetime / 2
    };
    now() + left
}

/// Brings a new token now; how long it lives.
pub(super) async fn refresh(
    requests: &Requests,
    token: &str,
) -> Result<Option<Duration>, ClientError> {
    requests.renew_token().await?;
    let url = requests.below("refresh", &[]);
    let connection = [("x-signalr-connection-token", token)];
    let asked = async {
        let asked = requests.send_once(&Method::POST, &url, &connection, Bytes::new());
        asked.await?.success().await
    };
    let body = requests.in_time(asked).await?;
    let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
    if let Some(token) = answer["accessToken"].as_str() {
        requests.set_token(token.to_owned());
    }
    let seconds = answer["tokenLifetimeSeconds"].as_u64();
    Ok(seconds
        .filter(|seconds| *seconds > 0)
        .map(Duration::from_secs))
}

/// AU-08: whether a refused poll asks for a new token.
pub(super) fn is_required(body: &[u8]) -> bool {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    body["error"] == "authentication_refresh_required"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn au_06_a_token_is_replaced_before_it_ends() {
        for (lifetime, after) in [(10, 5), (600, 300), (601, 301), (3600, 3300)] {
            let left = when(Duration::from_secs(lifetime)) - now();
            assert_eq!(left, Duration::from_secs(after), "{lifetime}");
        }
    }
}
