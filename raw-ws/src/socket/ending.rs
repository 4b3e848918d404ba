//! How a connection ends: with a last word if there is one to say, and without waiting for it.

use std::{future::poll_fn, time::Duration};

use bytes::BytesMut;
use tokio::time::timeout;

use super::Inner;
use crate::{
    events,
    proto::{State, buffers::Holding},
    stream::{
        farewell::farewell,
        tcp,
        upgraded::{ByteStream, socket_of},
    },
    vocabulary::{
        close::{CloseCode, CloseFrame},
        error::{CapacityError, Error},
    },
};

/// How long a dropped connection waits for the result of its handler, which decides what to say.
const ENDING_WITHIN: Duration = Duration::from_millis(500);

impl<S: ByteStream> Inner<S> {
    /// The connection has failed.
    pub(super) fn over(&mut self, error: Error) -> Error {
        match error.close_code() {
            Some(code) => {
                events::failed(code.as_u16());
                self.say_goodbye();
            }
            None => {
                if let Error::Capacity(CapacityError::SlowConsumer) = error
                    && let Some(socket) = self.io.as_ref().and_then(socket_of)
                {
                    tcp::forget_at_close(socket);
                }
                let _ = self.proto.handle_eof();
                self.end(false, &mut BytesMut::new());
                self.io = None;
            }
        }
        error
    }

    /// Leaves the last bytes and the end of the stream to a task of their own. A peer that is
    /// still sending would answer a plain close with a reset, and lose the Close it has not read.
    pub(super) fn say_goodbye(&mut self) {
        let is_open = self.proto.state() == State::Open;
        let mut last_bytes = BytesMut::new();
        self.end(self.proto.state() != State::Closed, &mut last_bytes);
        self.proto.transmit_into(&mut last_bytes);
        let Some(io) = self.io.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let (outbound, masking_key) = (self.outbound.clone(), self.outbound.encoding().masking_key);
        let write_within = self.proto.config().close_timeout;
        runtime.spawn(async move {
            if is_open {
                // A handler that goes on without its connection must not keep it open.
                let ending = poll_fn(|cx| outbound.poll_ending(cx));
                let code = timeout(ENDING_WITHIN, ending)
                    .await
                    .unwrap_or(CloseCode::NORMAL);
                CloseFrame::fixed(code, "").encode(masking_key, &mut last_bytes);
            }
            drop(outbound);
            farewell(io, last_bytes, write_within).await;
        });
    }

    fn end(&mut self, queue_is_wanted: bool, unsent: &mut BytesMut) {
        self.outbound.end(&mut self.proto, queue_is_wanted, unsent);
        self.input = BytesMut::new();
        self.holding = Holding::default();
        self.alarm.rest();
    }
}

impl<S: ByteStream> Drop for Inner<S> {
    fn drop(&mut self) {
        events::ended();
        if self.io.is_some() {
            self.say_goodbye();
        }
    }
}
