//! What a client says where its transport carries bytes one way only: in POSTs, one after the other,
//! so that they arrive in order (P-10).

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::Method;
use reqwest::Url;

use super::{ClientError, Ended, Requests};
use crate::client::web::Boxed;

pub(crate) struct Posts {
    requests: Arc<Requests>,
    url: Url,
    /// The one that is under way.
    posting: Option<Boxed<Result<(), ClientError>>>,
}

impl Posts {
    pub(super) fn new(requests: Arc<Requests>, url: Url) -> Self {
        Self {
            requests,
            url,
            posting: None,
        }
    }

    pub(super) fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        let Some(posting) = &mut self.posting else {
            return Poll::Ready(Ok(()));
        };
        let posted = ready!(posting.as_mut().poll(cx));
        self.posting = None;
        Poll::Ready(posted.map_err(Ended::Lost))
    }

    pub(super) fn write(&mut self, messages: Bytes) {
        let (requests, url) = (self.requests.clone(), self.url.clone());
        self.posting = Some(Box::pin(async move {
            let posted = requests.in_time(async {
                let answer = requests.send(Method::POST, &url, &[], messages).await?;
                answer.success().await
            });
            posted.await.map(drop)
        }));
    }
}
