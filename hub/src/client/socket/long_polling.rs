//! Long polling: answers that wait until there is something, and POSTs the other way.

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, StatusCode};
use reqwest::Url;
use tokio::time::timeout;

use super::{ClientError, Ended, Requests, posts::Posts};
use crate::client::{refresh, web::Boxed};

/// How long a poll is waited for: the official clients' (LP-04).
const POLL: Duration = Duration::from_secs(100);

pub(crate) struct LongPolling {
    pub(super) posts: Posts,
    requests: Arc<Requests>,
    url: Url,
    token: String,
    polling: Boxed<Result<Polled, ClientError>>,
    max_message_size: usize,
}

enum Polled {
    /// What has come; nothing where the time for it was over (LP-04).
    Bytes(Bytes),
    /// The connection has ended (LP-05).
    Over,
}

impl LongPolling {
    pub(super) async fn open(
        requests: Arc<Requests>,
        url: Url,
        token: Option<&str>,
        max_message_size: usize,
    ) -> Result<Self, ClientError> {
        // The first poll is answered at once: it begins the connection (LP-01).
        let begun = requests.ask(Method::GET, &url, &[], Bytes::new()).await?;
        begun.success().await?;
        let token = token.unwrap_or_default().to_owned();
        Ok(Self {
            posts: Posts::new(requests.clone(), url.clone()),
            polling: poll(&requests, &url, &token, max_message_size),
            requests,
            url,
            token,
            max_message_size,
        })
    }

    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Ended>> {
        loop {
            match ready!(self.polling.as_mut().poll(cx)) {
                Ok(Polled::Bytes(bytes)) => {
                    let most = self.max_message_size;
                    self.polling = poll(&self.requests, &self.url, &self.token, most);
                    if !bytes.is_empty() {
                        return Poll::Ready(Ok(bytes));
                    }
                }
                Ok(Polled::Over) => return Poll::Ready(Err(Ended::Over)),
                Err(error) => return Poll::Ready(Err(Ended::Lost(error))),
            }
        }
    }

    /// Tells the server, which waits for nothing more then (LP-12, LP-16).
    pub(super) async fn close(self) {
        drop(self.polling);
        let deleted = self
            .requests
            .ask(Method::DELETE, &self.url, &[], Bytes::new());
        // A connection that is gone already is what was wanted.
        let _ = deleted.await;
    }
}

fn poll(
    requests: &Arc<Requests>,
    url: &Url,
    token: &str,
    most: usize,
) -> Boxed<Result<Polled, ClientError>> {
    let (requests, url, token) = (requests.clone(), url.clone(), token.to_owned());
    Box::pin(async move {
        match timeout(POLL, poll_once(&requests, &url, &token, most)).await {
            Ok(polled) => polled,
            Err(_) => Ok(Polled::Bytes(Bytes::new())),
        }
    })
}

async fn poll_once(
    requests: &Requests,
    url: &Url,
    token: &str,
    most: usize,
) -> Result<Polled, ClientError> {
    let poll = || requests.send(Method::GET, url, &[], Bytes::new());
    let mut answer = poll().await?;
    if answer.status == StatusCode::CONFLICT {
        // AU-08: the token is about to end, or has.
        let body = answer.body(most).await?;
        if !refresh::is_required(&body) {
            let text = "another poll of this connection is under way".to_owned();
            return Err(ClientError::Protocol(text));
        }
        refresh::refresh(requests, token).await?;
        answer = poll().await?;
    }
    match answer.status {
        StatusCode::NO_CONTENT => Ok(Polled::Over),
        StatusCode::OK => Ok(Polled::Bytes(answer.body(most).await?)),
        _ => Err(answer.refusal().await),
    }
}
