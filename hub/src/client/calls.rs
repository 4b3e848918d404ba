//! Calls that wait for their answers.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::error::ClientError;
use crate::{
    inbox::{Budget, Inbox},
    protocol::message::Completion,
};

/// The answer to a call: its encoded value; `None` where the method gave none.
pub(super) type Answer = Result<Option<Bytes>, ClientError>;

/// What a call is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CallId(pub(super) u64);

/// Calls under way, and the ids of those to come: of calls and of uploads alike.
#[derive(Default)]
pub(super) struct Calls {
    last_id: u64,
    pending: HashMap<u64, Pending>,
}

struct Pending {
    wants: Wants,
    /// Cancelled when the call is over: what it uploads ends with it (UP-07).
    uploads: Option<CancellationToken>,
}

enum Wants {
    Value(oneshot::Sender<Answer>),
    Stream(Arc<Inbox<ClientError>>),
}

impl Calls {
    /// The next id.
    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Begins a call that is answered with a value.
    pub(super) fn value(
        &mut self,
        uploads: Option<CancellationToken>,
    ) -> (CallId, oneshot::Receiver<Answer>) {
        let (answer, answered) = oneshot::channel();
        (self.begin(Wants::Value(answer), uploads), answered)
    }

    /// Begins a call that is answered with a stream.
    pub(super) fn stream(
        &mut self,
        uploads: Option<CancellationToken>,
        budget: Arc<Budget>,
    ) -> (CallId, Arc<Inbox<ClientError>>) {
        let items = Inbox::new(budget);
        (self.begin(Wants::Stream(items.clone()), uploads), items)
    }

    fn begin(&mut self, wants: Wants, uploads: Option<CancellationToken>) -> CallId {
        let id = self.next_id();
        self.pending.insert(id, Pending { wants, uploads });
        CallId(id)
    }

    /// Whether exactly one is under way.
    pub(super) fn is_one(&self) -> bool {
        self.pending.len() == 1
    }

    /// An item has come.
    pub(super) fn item(&self, id: &str, item: &Bytes) {
        let pending = id.parse().ok().and_then(|id: u64| self.pending.get(&id));
        if let Some(Pending {
            wants: Wants::Stream(items),
            ..
        }) = pending
        {
            items.push(item);
        }
    }

    /// A call is over.
    pub(super) fn complete(&mut self, id: &str, completion: Completion) {
        let Some(pending) = id.parse().ok().and_then(|id: u64| self.pending.remove(&id)) else {
            return; // it was given up
        };
        let answer = match completion {
            Completion::Result(value) => Ok(Some(value)),
            Completion::Void => Ok(None),
            Completion::Error(text) => Err(ClientError::Server(text.to_string())),
        };
        pending.end(answer);
    }

    /// Nobody waits for a call any more; whether it was still under way.
    pub(super) fn forget(&mut self, id: CallId) -> bool {
        let Some(pending) = self.pending.remove(&id.0) else {
            return false;
        };
        if let Some(uploads) = pending.uploads {
            uploads.cancel();
        }
        true
    }

    /// Fails those that wait for a value.
    pub(super) fn fail_values(&mut self, error: &ClientError) {
        let of_values = |_: &u64, pending: &mut Pending| matches!(pending.wants, Wants::Value(_));
        for (_, pending) in self.pending.extract_if(of_values) {
            pending.end(Err(error.clone()));
        }
    }

    /// Fails all of them: the connection has ended.
    pub(super) fn fail_all(&mut self, error: &ClientError) {
        for (_, pending) in std::mem::take(&mut self.pending) {
            pending.end(Err(error.clone()));
        }
    }
}

impl Pending {
    fn end(self, answer: Answer) {
        if let Some(uploads) = self.uploads {
            uploads.cancel();
        }
        match self.wants {
            // Who asked may be gone.
            Wants::Value(answered) => drop(answered.send(answer)),
            Wants::Stream(items) => items.end(answer.err()),
        }
    }
}
