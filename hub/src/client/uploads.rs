//! Streams that follow a call: item by item, as the connection takes them.

use std::sync::Arc;

use bytestring::ByteString;
use futures_util::StreamExt as _;
use tokio_util::sync::CancellationToken;

use super::{
    arguments::{Items, UploadError},
    error::ClientError,
    shared::Shared,
};
use crate::protocol::message::{Completion, HubMessage};

/// As .NET's client says it, when a call is given up that it belongs to.
const CANCELLED: &str = "Stream canceled by client.";

/// Sends those of a call, each by a task of its own. `call_is_over` ends them; where nobody waits for
/// the call, there is none.
pub(super) fn begin(
    shared: &Arc<Shared>,
    number: u64,
    streams: Vec<ByteString>,
    uploads: Vec<Items>,
    call_is_over: Option<&CancellationToken>,
) {
    for (stream, items) in streams.into_iter().zip(uploads) {
        let over = call_is_over.cloned();
        tokio::spawn(send(shared.clone(), number, stream, items, over));
    }
}

async fn send(
    shared: Arc<Shared>,
    number: u64,
    stream: ByteString,
    items: Items,
    call_is_over: Option<CancellationToken>,
) {
    // Of a call that nobody waits for, only the connection's end is known.
    let over = call_is_over.unwrap_or_else(|| shared.ended.clone());
    let all = send_items(&shared, number, &stream, items);
    let completion = match over.run_until_cancelled(all).await {
        Some(Ok(completion)) => completion,
        // Where the connection is gone, so is the method.
        Some(Err(_)) => return,
        // The method reads no more: it has forgotten its streams (UP-07), or is cancelled.
        None => Completion::Error(CANCELLED.into()),
    };
    let end = HubMessage::Completion {
        invocation_id: stream,
        completion,
    };
    let _ = shared
        .send(Some(number), |session, _| session.send(&end))
        .await;
}

async fn send_items(
    shared: &Shared,
    number: u64,
    stream: &ByteString,
    mut items: Items,
) -> Result<Completion, ClientError> {
    while let Some(item) = items.next().await {
        let item = match item {
            Ok(item) => item,
            Err(UploadError::Failed(why)) => return Ok(Completion::Error(why.into())),
            Err(UploadError::Item(error)) => {
                return Ok(Completion::Error(error.to_string().into()));
            }
        };
        let message = HubMessage::StreamItem {
            invocation_id: stream.clone(),
            item,
        };
        let sent = shared
            .send(Some(number), |session, _| session.send(&message))
            .await;
        match sent {
            Ok(_) => {}
            // The call goes on, and what it is sent is not to have a hole.
            Err(ClientError::Full) => {
                let why = "the connection was lost, and its items had no room".to_owned();
                return Ok(Completion::Error(why.into()));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Completion::Void)
}
