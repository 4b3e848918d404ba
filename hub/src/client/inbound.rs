//! What the server calls, one after the other.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{event::Event, handlers::Given, shared::Shared};
use crate::{
    error::HubError,
    events,
    protocol::message::{Completion, HubMessage, Invocation},
};

/// As the official clients say it (CR-04).
const NO_RESULT: &str = "Client didn't provide a result.";
const MORE_THAN_ONE: &str = "Client provided multiple results.";

/// Runs the handlers of what comes. What came before the server ended the connection is heard, too.
pub(super) async fn run(
    shared: Arc<Shared>,
    mut calls: mpsc::UnboundedReceiver<(u64, Invocation)>,
) {
    let ended = shared.ended.clone();
    loop {
        let next = match ended.run_until_cancelled(calls.recv()).await {
            Some(next) => next,
            None if shared.stop.is_cancelled() => None,
            None => calls.try_recv().ok(),
        };
        let Some((number, call)) = next else { break };
        handle(&shared, number, &call).await;
        shared.unread.give_back(call.arguments.len());
    }
}

async fn handle(shared: &Shared, number: u64, call: &Invocation) {
    let report = |error: &HubError| {
        events::handler_failed(&call.target, error);
        shared.events.tell(Event::HandlerFailed {
            method: call.target.to_string(),
            error: error.to_string(),
        });
    };
    let given = shared.handlers.run(shared.encoding, call, report).await;
    if given.is_none() {
        events::no_handler(&call.target);
    }
    let Some(id) = &call.invocation_id else {
        return;
    };
    let answer = HubMessage::Completion {
        invocation_id: id.clone(),
        completion: result(given.unwrap_or_default()),
    };
    // A server that is gone waits for nothing.
    let _ = shared
        .send(Some(number), |session, _| session.send(&answer))
        .await;
}

/// What the server is told that asked for a result.
fn result(given: Vec<Given>) -> Completion {
    let mut results = given.into_iter().filter_map(Result::transpose);
    match (results.next(), results.next()) {
        (None, _) => Completion::Error(NO_RESULT.into()),
        (Some(Ok(value)), None) => Completion::Result(value),
        (Some(Err(error)), None) => Completion::Error(error.to_string().into()),
        (Some(_), Some(_)) => Completion::Error(MORE_THAN_ONE.into()),
    }
}
