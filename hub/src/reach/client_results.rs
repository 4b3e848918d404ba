//! Calls of the server to one client, waiting for their answers (`SPEC.md`, section 14).

use std::collections::HashMap;

use bytestring::ByteString;
use raw_ws::sync::Mutex;
use tokio::sync::oneshot;

use crate::{
    identity::connection_id::ConnectionId,
    protocol::{Protocol, ProtocolError, message::Completion},
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
    answer: oneshot::Sender<Completion>,
}

/// A call that waits; forgotten when dropped.
pub(crate) struct WaitingCall<'a> {
    pub(crate) invocation_id: ByteString,
    /// Fails when the connection ends.
    pub(crate) answer: oneshot::Receiver<Completion>,
    results: &'a ClientResults,
}

impl ClientResults {
    pub(crate) fn begin(&self, connection: &ConnectionId) -> WaitingCall<'_> {
        let (answer, receiver) = oneshot::channel();
        let mut pending = self.0.lock();
        pending.next_id += 1;
        // CR-02, UP-10: `s` keeps them apart from the ids of streams.
        let invocation_id = ByteString::from(format!("s{}", pending.next_id));
        let connection = connection.clone();
        pending
            .calls
            .insert(invocation_id.clone(), Call { connection, answer });
        WaitingCall {
            invocation_id,
            answer: receiver,
            results: self,
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
                if let Some(call) = pending.calls.remove(invocation_id) {
                    let _ = call.answer.send(completion);
                }
                Ok(())
            }
        }
    }

    /// The connection has ended: nobody will answer (CL-16).
    pub(crate) fn fail_all_of(&self, connection: &ConnectionId) {
        self.0
            .lock()
            .calls
            .retain(|_, call| call.connection != *connection);
    }
}

impl Drop for WaitingCall<'_> {
    fn drop(&mut self) {
        self.results.0.lock().calls.remove(&self.invocation_id);
    }
}
