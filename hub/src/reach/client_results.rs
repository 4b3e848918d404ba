//! Calls of the server to one client, waiting for their answers (`SPEC.md`, section 14).

use std::{collections::HashMap, sync::Arc};

use bytestring::ByteString;
use raw_ws::sync::Mutex;
use tokio::sync::oneshot;

use crate::{
    identity::connection_id::{ConnectionId, random_name},
    protocol::{Protocol, ProtocolError, message::Completion},
    reach::cluster::Cluster,
};

/// Those of one hub.
#[derive(Default)]
pub(crate) struct ClientResults(Mutex<Pending>);

#[derive(Default)]
struct Pending {
    next_id: u64,
    calls: HashMap<ByteString, Call>,
}

struct Call {
    connection: ConnectionId,
    asked_by: Asker,
}

/// Who wants the answer.
enum Asker {
    /// A method of this server.
    Here(oneshot::Sender<Answer>),
    /// Another server, which has asked a client of this one (RD-09).
    Server {
        cluster: Arc<Cluster>,
        /// Where it wants it.
        channel: Arc<str>,
        /// What the client speaks.
        protocol: Protocol,
    },
}

/// What a client has answered, and in which protocol.
pub(crate) type Answer = (Protocol, Completion);

/// A call that waits; forgotten when dropped.
pub(crate) struct WaitingCall<'a> {
    pub(crate) invocation_id: ByteString,
    /// Fails when the connection ends.
    pub(crate) answer: oneshot::Receiver<Answer>,
    results: &'a ClientResults,
}

impl ClientResults {
    /// A call of a client of this server.
    pub(crate) fn begin(&self, connection: &ConnectionId) -> WaitingCall<'_> {
        let mut pending = self.0.lock();
        pending.next_id += 1;
        // CR-02, UP-10: `s` keeps them apart from the ids of streams.
        let invocation_id = format!("s{}", pending.next_id);
        drop(pending);
        self.wait(connection, invocation_id.into())
    }

    /// A call of a client of another server. Its id is like no other server's (CR-02).
    pub(crate) fn begin_elsewhere(&self, connection: &ConnectionId) -> WaitingCall<'_> {
        self.wait(connection, random_name().into())
    }

    fn wait(&self, connection: &ConnectionId, invocation_id: ByteString) -> WaitingCall<'_> {
        let (answer, receiver) = oneshot::channel();
        let call = Call {
            connection: connection.clone(),
            asked_by: Asker::Here(answer),
        };
        self.0.lock().calls.insert(invocation_id.clone(), call);
        WaitingCall {
            invocation_id,
            answer: receiver,
            results: self,
        }
    }

    /// Another server asks a client of this one, and wants its answer on a channel.
    pub(crate) fn asked_by_server(
        &self,
        cluster: &Arc<Cluster>,
        connection: &ConnectionId,
        protocol: Protocol,
        invocation_id: &str,
        channel: &str,
    ) {
        let call = Call {
            connection: connection.clone(),
            asked_by: Asker::Server {
                cluster: cluster.clone(),
                channel: channel.into(),
                protocol,
            },
        };
        self.0.lock().calls.insert(invocation_id.into(), call);
    }

    /// Another server's client has answered. One that nobody waits for is ignored.
    pub(crate) fn answer_from_elsewhere(&self, invocation_id: &str, answer: Answer) {
        let mut pending = self.0.lock();
        let is_here = |call: &Call| matches!(call.asked_by, Asker::Here(_));
        if pending.calls.get(invocation_id).is_some_and(is_here)
            && let Some(call) = pending.calls.remove(invocation_id)
        {
            call.asked_by.tell(invocation_id, answer);
        }
    }

    /// Takes a client's answer, in this protocol. One that nobody waits for is ignored (CR-05).
    ///
    /// # Errors
    /// When another connection was asked (CR-10), or the end of an answer to nobody cannot be found.
    pub(crate) fn answer(
        &self,
        connection: &ConnectionId,
        invocation_id: &ByteString,
        completion: Completion,
        protocol: Protocol,
    ) -> Result<(), ProtocolError> {
        let mut pending = self.0.lock();
        match pending.calls.get(invocation_id) {
            None => match completion {
                Completion::Result(result) => protocol.unskippable(&result).map_or(Ok(()), Err),
                Completion::Error(_) | Completion::Void => Ok(()),
            },
            Some(call) if call.connection != *connection => Err(ProtocolError::new(
                "InvalidOperationException",
                format!(
                    "Connection ID '{connection}' is not valid for invocation ID '{invocation_id}'."
                ),
            )),
            Some(_) => {
                let call = pending.calls.remove(invocation_id);
                drop(pending);
                if let Some(call) = call {
                    call.asked_by.tell(invocation_id, (protocol, completion));
                }
                Ok(())
            }
        }
    }

    /// The connection has ended: nobody will answer (CL-16). Another server that has asked is told so
    /// (RD-09).
    pub(crate) fn fail_all_of(&self, connection: &ConnectionId) {
        let is_its = |_: &ByteString, call: &mut Call| call.connection == *connection;
        let failed: Vec<_> = self.0.lock().calls.extract_if(is_its).collect();
        for (invocation_id, call) in failed {
            if let Asker::Server { protocol, .. } = call.asked_by {
                let gone = Completion::Error("Connection disconnected.".into());
                call.asked_by.tell(&invocation_id, (protocol, gone));
            }
        }
    }
}

impl Asker {
    fn tell(self, invocation_id: &str, answer: Answer) {
        match self {
            // Who asked may wait no longer.
            Self::Here(asked) => drop(asked.send(answer)),
            Self::Server {
                cluster, channel, ..
            } => cluster.pass_answer_on(channel, invocation_id, answer),
        }
    }
}

impl Drop for WaitingCall<'_> {
    fn drop(&mut self) {
        self.results.0.lock().calls.remove(&self.invocation_id);
    }
}
