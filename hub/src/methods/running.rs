//! The calls of one connection that are under way, all polled by its one task.

use std::{
    any::Any,
    future,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use bytes::Bytes;
use futures_util::{stream, task::AtomicWaker};

use crate::{
    error::HubError,
    methods::{
        dispatch::MethodName,
        filter::Running,
        reply::{Items, Reply, ReplyKind},
        uploads::Upload,
    },
    protocol::EncodedForNow,
    reach::call::CallHandle,
    session::ActiveCall,
};

/// Steps that all calls of a connection take together before it reads again.
const STEPS_AT_A_TIME: u32 = 32;

/// A call that has begun.
pub(crate) struct RunningCall {
    pub(crate) call: ActiveCall,
    name: MethodName,
    pub(crate) handle: Arc<CallHandle>,
    /// Those the client sends, by position.
    pub(crate) uploads: Vec<Arc<Upload>>,
    work: Work,
}

enum Work {
    Method(Contained<Running<Reply>>),
    Stream(Contained<Items>),
}

/// Something of the hub's, whose panic while it is dropped reaches nobody.
struct Contained<T: Spent>(T);

/// What can be taken out of its place.
trait Spent {
    /// What stands there from then on, and does nothing.
    fn spent() -> Self;
}

impl Spent for Running<Reply> {
    fn spent() -> Self {
        Box::pin(future::pending())
    }
}

impl Spent for Items {
    fn spent() -> Self {
        Box::pin(stream::pending())
    }
}

impl<T: Spent> Contained<T> {
    fn take(&mut self) -> T {
        std::mem::replace(&mut self.0, T::spent())
    }
}

impl<T: Spent> Drop for Contained<T> {
    fn drop(&mut self) {
        let value = self.take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(value)));
    }
}

/// What a call has come to.
pub(crate) enum Step {
    /// An item of its stream, and it goes on.
    Item(Bytes),
    Ended(CallEnd),
}

/// How a call has ended.
pub(crate) enum CallEnd {
    Value(EncodedForNow),
    Failed(HubError),
    StreamEnded,
    /// It failed while it streamed (ST-03).
    StreamFailed(HubError),
    /// There is no stream (ST-04).
    NoStream(Arc<str>),
}

impl RunningCall {
    pub(crate) fn new(
        call: ActiveCall,
        name: MethodName,
        handle: Arc<CallHandle>,
        uploads: Vec<Arc<Upload>>,
        method: Running<Reply>,
    ) -> Self {
        Self {
            call,
            name,
            handle,
            uploads,
            work: Work::Method(Contained(method)),
        }
    }

    /// Stops the call where it is.
    pub(crate) fn into_call(self) -> ActiveCall {
        self.call
    }

    /// The call is over: what it was made of, its method dropped.
    pub(crate) fn into_parts(self) -> (ActiveCall, MethodName, Arc<CallHandle>) {
        (self.call, self.name, self.handle)
    }

    /// Goes on with the call. A panic is an error like any other: it must not take the connection
    /// with it.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        loop {
            match &mut self.work {
                Work::Method(method) => {
                    let polled = catch_unwind(AssertUnwindSafe(|| method.0.as_mut().poll(cx)));
                    let reply =
                        match polled.unwrap_or_else(|panic| Poll::Ready(Err(panicked(&*panic)))) {
                            Poll::Ready(reply) => reply,
                            Poll::Pending => return Poll::Pending,
                        };
                    let end = match reply.map(|reply| reply.kind) {
                        Ok(ReplyKind::Stream(items)) => {
                            self.work = Work::Stream(Contained(items));
                            continue;
                        }
                        Ok(ReplyKind::Value(value)) => CallEnd::Value(value),
                        Ok(ReplyKind::NoStream(method)) => CallEnd::NoStream(method),
                        Err(error) => CallEnd::Failed(error),
                    };
                    return Poll::Ready(Step::Ended(end));
                }
                Work::Stream(items) => {
                    let polled = catch_unwind(AssertUnwindSafe(|| items.0.as_mut().poll_next(cx)));
                    let item =
                        polled.unwrap_or_else(|panic| Poll::Ready(Some(Err(panicked(&*panic)))));
                    return item.map(|item| match item {
                        Some(Ok(item)) => Step::Item(item),
                        Some(Err(error)) => Step::Ended(CallEnd::StreamFailed(error)),
                        None => Step::Ended(CallEnd::StreamEnded),
                    });
                }
            }
        }
    }
}

/// A panic of the hub's code as an error.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> HubError {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    HubError::hidden(
        "Panic",
        text.unwrap_or_else(|| "the method panicked".to_owned()),
    )
}

/// Calls that wait for something, polled when that something wakes them.
#[derive(Default)]
pub(crate) struct RunningCalls {
    slots: Vec<Slot>,
    /// Whose turn it is: streams that always have an item must not hold up the others.
    turn: usize,
    /// Taken since the task last did something else.
    steps: u32,
    task: Arc<AtomicWaker>,
}

struct Slot {
    running: RunningCall,
    signal: Arc<Signal>,
}

/// Wakes the connection's task, and says for which call.
struct Signal {
    is_ready: AtomicBool,
    task: Arc<AtomicWaker>,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_ready.swap(true, Ordering::AcqRel) {
            self.task.wake();
        }
    }
}

impl RunningCalls {
    /// Takes a call in. It is polled at the next [`poll_next`](Self::poll_next).
    pub(crate) fn push(&mut self, running: RunningCall) {
        let signal = Arc::new(Signal {
            is_ready: AtomicBool::new(true),
            task: self.task.clone(),
        });
        self.slots.push(Slot { running, signal });
    }

    /// The next step of any call, each in its turn.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<(usize, Step)> {
        if self.slots.is_empty() {
            return Poll::Pending;
        }
        if self.steps == STEPS_AT_A_TIME {
            self.steps = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.task.register(cx.waker());
        let count = self.slots.len();
        for offset in 0..count {
            let place = (self.turn + offset) % count;
            let slot = &mut self.slots[place];
            if !slot.signal.is_ready.swap(false, Ordering::AcqRel) {
                continue;
            }
            let waker = Waker::from(slot.signal.clone());
            if let Poll::Ready(step) = slot.running.poll(&mut Context::from_waker(&waker)) {
                // There may be more: it has not asked to be woken.
                slot.signal.is_ready.store(true, Ordering::Release);
                self.turn = place + 1;
                self.steps += 1;
                return Poll::Ready((place, step));
            }
        }
        self.steps = 0;
        Poll::Pending
    }

    pub(crate) fn at(&mut self, place: usize) -> &mut RunningCall {
        &mut self.slots[place].running
    }

    pub(crate) fn take(&mut self, place: usize) -> RunningCall {
        let running = self.slots.swap_remove(place).running;
        if self.slots.is_empty() {
            self.slots = Vec::new();
        }
        running
    }

    /// The place of a call by its key.
    pub(crate) fn find(&self, key: u64) -> Option<usize> {
        self.slots
            .iter()
            .position(|slot| slot.running.call.key == key)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut RunningCall> {
        self.slots.iter_mut().map(|slot| &mut slot.running)
    }

    /// Plain calls that still run, to be run to their end elsewhere.
    pub(crate) fn into_methods(self) -> Vec<Running<Reply>> {
        let methods = self
            .slots
            .into_iter()
            .filter_map(|slot| match slot.running.work {
                Work::Method(mut method) => Some(method.take()),
                Work::Stream(_) => None,
            });
        methods.collect()
    }
}
