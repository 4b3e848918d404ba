//! The calls of a connection: begun, stepped, answered, cancelled.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use bytestring::ByteString;
use futures_util::FutureExt as _;

use super::{
    Connection, now,
    refusals::{CallRefusal, failed},
};
use crate::{
    error::HubError,
    events,
    methods::{
        arguments::{Arguments, BindError},
        dispatch::{Dispatch, MethodName, RawArguments},
        filter::{Call, Running},
        reply::Reply,
        running::{CallEnd, RunningCall, RunningCalls, Step, panicked},
        uploads::Upload,
    },
    protocol::{
        Protocol, ProtocolError,
        message::{Completion, Invocation},
    },
    reach::call::CallHandle,
    session::{CallKind, End, StreamKey},
    transport::Duplex,
};

/// What waits for its turn: a call, or the refusal of one.
pub(super) enum Waiting {
    Call(RunningCall),
    Refused(Option<ByteString>, CallRefusal),
}

/// Why a call is not begun, and with that when it is answered.
enum Denied {
    /// It is no call of any method: as it is read.
    Unbound(CallRefusal),
    /// The method does not take it. One that `takes_turn` is answered behind the calls that came
    /// before it, like one that runs (OR-03).
    Refused {
        refusal: CallRefusal,
        takes_turn: bool,
    },
}

impl From<CallRefusal> for Denied {
    fn from(refusal: CallRefusal) -> Self {
        Self::Unbound(refusal)
    }
}

/// A call that may run, and the uploads it will read.
struct Bound {
    method: Running<Reply>,
    name: MethodName,
    handle: Arc<CallHandle>,
    uploads: Vec<Arc<Upload>>,
}

impl<S: Send + Sync + 'static, T: Duplex> Connection<'_, S, T> {
    /// A call came: it is refused, begun, or has to wait for its turn.
    pub(super) fn begin(&mut self, invocation: Invocation, kind: CallKind, cx: &mut Context<'_>) {
        let Invocation {
            invocation_id,
            target,
            arguments,
            stream_ids,
        } = invocation;
        let bound = match self.bind(&target, arguments, kind, stream_ids.len()) {
            Ok(bound) => bound,
            Err(Denied::Refused {
                refusal,
                takes_turn: true,
            }) if !self.session.has_free_slot() => {
                let refusal = refusal.of(self.declared(&target));
                return self.wait(Waiting::Refused(invocation_id, refusal));
            }
            Err(Denied::Refused { refusal, .. } | Denied::Unbound(refusal)) => {
                let refusal = refusal.of(self.declared(&target));
                return self.refuse(invocation_id, refusal);
            }
        };
        let Bound {
            method,
            name,
            handle,
            uploads,
        } = bound;
        let mut call = match self.session.begin(invocation_id, kind, stream_ids) {
            Ok(call) => call,
            Err((refused, invocation_id)) => {
                let refusal = CallRefusal::of_ids(self.hub.dispatch.name(&name), refused);
                let refusal = refusal.of(self.declared(&target));
                return self.refuse(invocation_id, refusal);
            }
        };
        let may_run = self.session.may_run(&mut call);
        let running = RunningCall::new(call, name, handle, uploads, method);
        if may_run {
            self.start(running, cx);
        } else {
            self.wait(Waiting::Call(running));
        }
    }

    /// What stands behind the arguments of a call cannot be read. If those cannot be bound either,
    /// it is not read (M-07).
    pub(super) fn begin_broken(
        &mut self,
        (invocation, kind, fault): (Invocation, CallKind, ProtocolError),
    ) -> Option<End> {
        match self.bind(&invocation.target, invocation.arguments, kind, 0) {
            Err(Denied::Unbound(refusal)) => {
                let refusal = refusal.of(self.declared(&invocation.target));
                self.refuse(invocation.invocation_id, refusal);
                None
            }
            Ok(_) | Err(Denied::Refused { .. }) => Some(self.session.end(End::Protocol(fault))),
        }
    }

    /// OR-02: everything behind it waits too.
    fn wait(&mut self, waiting: Waiting) {
        self.session.hold();
        self.waiting = Some(Box::new(waiting));
    }

    fn refuse(&mut self, invocation_id: Option<ByteString>, refusal: CallRefusal) {
        let method = refusal.method.as_deref();
        events::call_refused(method, refusal.why, refusal.misfit.as_ref());
        let completion = Completion::Error(refusal.text.into());
        self.session.refuse(invocation_id, completion);
    }

    /// The name of a method as it is declared.
    fn declared(&self, target: &str) -> Option<Arc<str>> {
        let entry = self.hub.dispatch.find(target)?;
        Some(entry.name.clone())
    }

    /// IN-12: arguments, then whether the caller may, then the method's kind, then its streams.
    fn bind(
        &mut self,
        target: &ByteString,
        arguments: Bytes,
        kind: CallKind,
        streams: usize,
    ) -> Result<Bound, Denied> {
        let encoding = self.live.encoding;
        let spare = self.spare_handle.take();
        let handle = spare.unwrap_or_else(|| CallHandle::new(self.live.clone()));
        let method_cx = self.cx(handle.clone());
        let dispatch = &self.hub.dispatch;
        let Some(entry) = dispatch.find(target) else {
            let bound = self.bind_fallback(target, arguments, kind, streams, handle);
            return bound.map_err(Denied::from);
        };
        // IN-13: as declared, but for streams in MessagePack.
        let is_quoted = kind == CallKind::Stream && encoding.protocol != Protocol::Json;
        let name: &str = if is_quoted { target } else { &entry.name };
        let detail = self.session.options().detail();
        let uploads: Vec<_> = (0..entry.streams)
            .map(|_| Upload::new(self.uploads.clone()))
            .collect();
        let arguments = Arguments::new(encoding, arguments, uploads.clone(), detail);
        // A policy of the hub's may panic, and a type of its as it is decoded.
        let bind = AssertUnwindSafe(|| {
            let is_allowed = Dispatch::allows(entry, &method_cx);
            let method = dispatch.bind(entry, method_cx, arguments)?;
            Ok((is_allowed, method))
        });
        let (is_allowed, method) = catch_unwind(bind)
            .map_err(|panic| CallRefusal::panicked(name, &panicked(&*panic), detail))?
            .map_err(|error: BindError| CallRefusal::unbound(name, &error, detail))?;
        let refusal = if !is_allowed {
            CallRefusal::unauthorized(name)
        } else if kind != entry.kind {
            CallRefusal::of_kind(name, entry.kind)
        } else if streams != entry.streams {
            CallRefusal::wrong_streams(name, streams, entry.streams)
        } else {
            let name = if is_quoted {
                MethodName::Quoted(name.into())
            } else {
                entry.declared()
            };
            return Ok(Bound {
                method,
                name,
                handle,
                uploads,
            });
        };
        Err(Denied::Refused {
            refusal,
            takes_turn: kind == CallKind::Plain && entry.streams == 0,
        })
    }

    fn bind_fallback(
        &self,
        target: &ByteString,
        arguments: Bytes,
        kind: CallKind,
        streams: usize,
        handle: Arc<CallHandle>,
    ) -> Result<Bound, CallRefusal> {
        let fallback = self
            .hub
            .dispatch
            .find_fallback()
            .filter(|_| kind == CallKind::Plain);
        let Some(fallback) = fallback else {
            return Err(CallRefusal::unknown(target));
        };
        let detail = self.session.options().detail();
        let name: Arc<str> = Arc::from(&**target);
        if streams > 0 {
            return Err(CallRefusal::wrong_streams(&name, streams, 0));
        }
        let encoding = self.live.encoding;
        let elements = encoding
            .elements(arguments)
            .map_err(|error| CallRefusal::unbound(&name, &BindError::Malformed(error), detail))?;
        let cx = self.cx(handle.clone());
        let method = fallback(cx.clone(), target.clone(), RawArguments(elements));
        let filters = &self.hub.dispatch.filters;
        let method = if filters.is_empty() {
            method
        } else {
            filters.around_call(&Call::new(cx, name.clone()), method)
        };
        Ok(Bound {
            method,
            name: MethodName::Quoted(name),
            handle,
            uploads: Vec::new(),
        })
    }

    /// Runs a call as far as it goes without waiting; most are done then.
    fn start(&mut self, mut running: RunningCall, cx: &mut Context<'_>) {
        // What it sends must follow what was answered before it.
        self.write_outgoing();
        match running.poll(cx) {
            Poll::Ready(Step::Item(item)) => {
                self.session.item(&running.call, item);
                self.session.keep(&mut running.call);
                self.running.push(running);
            }
            Poll::Ready(Step::Ended(end)) => self.finish(running, end),
            Poll::Pending => {
                self.session.keep(&mut running.call);
                // It is polled again there, with a waker of its own.
                self.running.push(running);
            }
        }
    }

    /// Starts the call that waits, if it is its turn now.
    pub(super) fn start_waiting(&mut self, cx: &mut Context<'_>) {
        let Some(mut waiting) = self.waiting.take() else {
            return;
        };
        for running in self.running.iter_mut() {
            if running.handle.has_released_slot() {
                // It waits for its client, and the client for others perhaps (CR-07).
                self.session.release_slot(&mut running.call);
            }
        }
        let has_its_turn = match &mut *waiting {
            Waiting::Call(running) => self.session.may_run(&mut running.call),
            Waiting::Refused(..) => self.session.has_free_slot(),
        };
        if !has_its_turn {
            self.waiting = Some(waiting);
            return;
        }
        self.session.go_on(self.now);
        match *waiting {
            Waiting::Call(running) => self.start(running, cx),
            Waiting::Refused(invocation_id, refusal) => self.refuse(invocation_id, refusal),
        }
    }

    pub(super) fn handle_step(&mut self, place: usize, step: Step) {
        match step {
            Step::Item(item) => self.session.item(&self.running.at(place).call, item),
            Step::Ended(end) => {
                let running = self.running.take(place);
                self.finish(running, end);
            }
        }
    }

    /// A call has ended: the client is told, exactly once.
    fn finish(&mut self, running: RunningCall, end: CallEnd) {
        // CL-04: what ended the connection is not answered.
        if self.live.asked().is_some() {
            return;
        }
        let detail = self.session.options().detail();
        let (call, name, handle) = running.into_parts();
        let name = self.hub.dispatch.name(&name);
        let completion = match end {
            // Nothing is a result too: `null` (IN-07, IN-08).
            CallEnd::Value(value) => {
                self.session.complete_with(&call, &value);
                self.spare_handle = CallHandle::reuse(handle);
                return;
            }
            // The items were the result (ST-01).
            CallEnd::StreamEnded => Completion::Void,
            // What is not meant for the client is not told (IN-06).
            CallEnd::Failed(error) => {
                events::method_failed(name, &error);
                Completion::Error(failed(name, &error, detail).into())
            }
            // `None` where a stream was to be (ST-04).
            CallEnd::NoStream(method) => Completion::Error(
                format!("The value returned by the streaming method '{method}' is not a ChannelReader<> or IAsyncEnumerable<>.").into(),
            ),
            // The items that came before stay (ST-03).
            CallEnd::StreamFailed(error) => {
                events::method_failed(name, &error);
                let generic = "An error occurred on the server while streaming results.";
                Completion::Error(error.for_client(generic, detail).into())
            }
        };
        self.session.complete(call, completion);
        self.spare_handle = CallHandle::reuse(handle);
    }

    pub(super) fn upload_item(&mut self, stream: StreamKey, item: &Bytes) {
        if let Some(upload) = self.upload(stream) {
            upload.push(item);
        }
    }

    pub(super) fn upload_end(&mut self, stream: StreamKey, error: Option<ByteString>) {
        if let Some(upload) = self.upload(stream) {
            // An error of the client's fails the reader (UP-02).
            upload.end(error.map(|text| HubError::new(text.to_string())));
        }
    }

    /// The client has answered a call of ours, or one that nobody has made (CR-10).
    pub(super) fn client_result(
        &mut self,
        invocation_id: &ByteString,
        completion: Completion,
    ) -> Option<End> {
        let protocol = self.live.encoding.protocol;
        let results = &self.hub.registry.results;
        let answered = results.answer(&self.live.id, invocation_id, completion, protocol);
        let fault = answered.err()?;
        Some(self.session.end(End::Protocol(fault)))
    }

    /// ST-06: a stream is dropped, whatever it is doing; a plain method is told (ST-07).
    pub(super) fn cancel(&mut self, key: u64) {
        if let Some(Waiting::Call(waiting)) = self.waiting.as_deref()
            && waiting.call.key == key
        {
            waiting.handle.cancel();
        }
        let Some(place) = self.running.find(key) else {
            return;
        };
        let running = self.running.at(place);
        running.handle.cancel();
        if running.call.kind == CallKind::Stream {
            // What it says as it is dropped follows what was said before.
            self.write_outgoing();
            let call = self.running.take(place).into_call();
            self.session.complete(call, Completion::Void);
        }
    }

    fn upload(&mut self, stream: StreamKey) -> Option<Arc<Upload>> {
        let place = self.running.find(stream.call)?;
        let uploads = &self.running.at(place).uploads;
        uploads.get(usize::from(stream.position)).cloned()
    }

    pub(super) fn uploads_are_full(&mut self, cx: &mut Context<'_>) -> bool {
        let is_full = self.uploads.is_used_up(cx);
        if !is_full {
            self.uploads_stuck_since = None;
        } else if self.uploads_stuck_since.is_none() {
            self.uploads_stuck_since = Some(now());
        }
        is_full
    }

    /// uploads that nobody reads must not stop the connection for good: the fullest ends.
    pub(super) fn end_stuck_upload(&mut self) {
        let patience = self.session.options().endpoint.transport_send_timeout;
        let is_stuck = self
            .uploads_stuck_since
            .is_some_and(|since| now().duration_since(since) >= patience);
        if !is_stuck {
            return;
        }
        self.uploads_stuck_since = None;
        if !self.uploads.is_full() {
            return; // nobody looked since
        }
        let uploads = self.running.iter_mut().flat_map(|running| &running.uploads);
        if let Some(fullest) = uploads.max_by_key(|upload| upload.waiting()) {
            events::upload_stuck();
            fullest.fail(HubError::new("The stream was not read in time."));
        }
    }

    /// The connection is over: streams end, plain methods that have begun run on without it.
    pub(super) fn drop_calls(&mut self) {
        self.waiting = None;
        for running in self.running.iter_mut() {
            for upload in &running.uploads {
                // Whoever reads it learns that the rest will not come (UP-08).
                let text = "The underlying connection was closed.";
                upload.fail(HubError::hidden("OperationCanceledException", text));
            }
        }
        let methods = std::mem::take::<RunningCalls>(&mut self.running).into_methods();
        if !methods.is_empty() {
            let alone = |method| AssertUnwindSafe::<Running<Reply>>(method).catch_unwind();
            let methods = methods.into_iter().map(alone);
            tokio::spawn(futures_util::future::join_all(methods));
        }
    }
}
