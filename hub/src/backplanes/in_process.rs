//! Servers that are hubs of one process.

use std::{collections::HashMap, fmt, sync::Arc};

use bytes::Bytes;
use futures_util::future::{BoxFuture, ready};
use raw_ws::sync::Mutex;
use tokio::sync::mpsc;

use super::{Arrivals, Away, Backplane, Link, Publication, PublishError};

/// Messages that may wait for a hub of the same process.
const MAX_WAITING: usize = 64 * 1024;

/// Joins hubs of one process, as if each were a server of its own: for tests of what holds across
/// servers, and for hubs at several ports. Clones are the same backplane. It loses nothing.
///
/// A hub without a backplane is as if it were alone on one of these.
#[derive(Clone, Default)]
pub struct InProcess {
    prefix: Arc<str>,
    between: Arc<Mutex<Between>>,
}

#[derive(Default)]
struct Between {
    next_id: u64,
    channels: HashMap<Arc<str>, Vec<Member>>,
}

#[derive(Clone)]
struct Member {
    id: u64,
    /// What its task hands on, one after the other.
    messages: mpsc::Sender<(Arc<str>, Bytes)>,
}

impl InProcess {
    /// A backplane that nobody has joined.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Backplane for InProcess {
    fn channel_prefix(&self) -> &str {
        &self.prefix
    }

    fn join(&self, arrivals: Arrivals) -> Arc<dyn Link> {
        let (messages, mut waiting) = mpsc::channel::<(Arc<str>, Bytes)>(MAX_WAITING);
        tokio::spawn(async move {
            arrivals.resumed();
            while let Some((channel, payload)) = waiting.recv().await {
                arrivals.message(&channel, payload);
            }
        });
        let mut between = self.between.lock();
        between.next_id += 1;
        let id = between.next_id;
        Arc::new(Joined {
            member: Member { id, messages },
            between: self.between.clone(),
        })
    }
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcess").finish_non_exhaustive()
    }
}

struct Joined {
    member: Member,
    between: Arc<Mutex<Between>>,
}

impl Link for Joined {
    fn publish(&self, publication: Publication) -> Result<(), PublishError> {
        let Publication {
            channel,
            payload,
            reached,
            ..
        } = publication;
        // The lock is held to the end: everybody sees the same order.
        let between = self.between.lock();
        let members = between
            .channels
            .get(&channel)
            .map_or(&[][..], Vec::as_slice);
        let is_full = |member: &Member| member.messages.capacity() == 0;
        if members.iter().any(is_full) {
            let waiting = MAX_WAITING;
            return Err(PublishError { waiting });
        }
        for member in members {
            // One that is just leaving needs it no more.
            let _ = member.messages.try_send((channel.clone(), payload.clone()));
        }
        if let Some(reached) = reached {
            let _ = reached.send(members.len() as u64);
        }
        Ok(())
    }

    fn subscribe(&self, channel: &str) {
        let mut between = self.between.lock();
        let members = between.channels.entry(channel.into()).or_default();
        if members.iter().all(|member| member.id != self.member.id) {
            members.push(self.member.clone());
        }
    }

    fn unsubscribe(&self, channel: &str) {
        let mut between = self.between.lock();
        if let Some(members) = between.channels.get_mut(channel) {
            members.retain(|member| member.id != self.member.id);
            if members.is_empty() {
                between.channels.remove(channel);
            }
        }
    }

    fn settled(&self) -> BoxFuture<'static, Result<(), Away>> {
        Box::pin(ready(Ok(())))
    }

    fn subscribers(&self, channel: &str) -> BoxFuture<'static, Option<u64>> {
        let between = self.between.lock();
        let count = between.channels.get(channel).map_or(0, Vec::len);
        Box::pin(ready(Some(count as u64)))
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        let mut between = self.between.lock();
        between.channels.retain(|_, members| {
            members.retain(|member| member.id != self.member.id);
            !members.is_empty()
        });
    }
}
