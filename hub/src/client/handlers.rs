//! What the server may call: functions by name, run one after the other as the calls came.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use futures_util::FutureExt as _;
use raw_ws::sync::RwLock;
use serde::Serialize;

use crate::{
    error::{ErrorDetail, HubError, Result},
    methods::{
        arguments::{Arguments, BindError},
        method::{ArgumentList, OwnedParameters},
        running::panicked,
    },
    protocol::{Encoding, message::Invocation},
};

/// What a handler gave the server: nothing, or an encoded result.
pub(super) type Given = Result<Option<Bytes>>;

type Running = Pin<Box<dyn Future<Output = Given> + Send>>;

type Run = dyn Fn(Encoding, Arguments) -> std::result::Result<Running, BindError> + Send + Sync;

/// A function that the server may call: one parameter for each argument, up to ten.
///
/// Implemented for every function and closure of that shape; never implemented by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler",
    label = "not an `async` function of owned arguments",
    note = "write `async |a: A, b: B| …`; for a result `async |a: A| -> hub::Result<R>` …"
)]
pub trait Handler<Args>: Send + Sync + 'static {
    /// What it returns: a future.
    type Output;

    #[doc(hidden)]
    fn handle(&self, args: Args) -> Self::Output;
}

/// What a handler does: a future of nothing, or of a [`Result`](crate::Result) that the server may
/// have asked for.
#[diagnostic::on_unimplemented(
    message = "a handler is `async`, and gives nothing or a `hub::Result<_>`; this one gives `{Self}`",
    label = "neither nothing nor a `hub::Result`"
)]
pub trait Handled<Kind>: Send + 'static {
    #[doc(hidden)]
    fn given(self, encoding: Encoding) -> impl Future<Output = Given> + Send;
}

/// Marks a handler that gives nothing.
#[derive(Debug)]
#[expect(unnameable_types, reason = "it is inferred")]
pub enum Nothing {}

/// Marks a handler that gives a result.
#[derive(Debug)]
#[expect(unnameable_types, reason = "it is inferred")]
pub enum Something {}

#[diagnostic::do_not_recommend]
impl<F: Future<Output = ()> + Send + 'static> Handled<Nothing> for F {
    async fn given(self, _: Encoding) -> Given {
        self.await;
        Ok(None)
    }
}

#[diagnostic::do_not_recommend]
impl<F, R> Handled<(Something, R)> for F
where
    F: Future<Output = Result<R>> + Send + 'static,
    R: Serialize,
{
    async fn given(self, encoding: Encoding) -> Given {
        // The value need not be `Send`, so it is gone before the next await.
        Ok(Some(encoding.encode(&self.await?)?))
    }
}

macro_rules! handlers {
    ($($($arg:ident)*;)+) => {$(
        #[allow(non_snake_case)] // the parameters are named as their types
        impl<F, Out, $($arg,)*> Handler<($($arg,)*)> for F
        where
            F: Fn($($arg,)*) -> Out + Send + Sync + 'static,
        {
            type Output = Out;
            fn handle(&self, ($($arg,)*): ($($arg,)*)) -> Out {
                self($($arg,)*)
            }
        }
    )+};
}

handlers! {
    ;
    A;
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E G;
    A B C D E G H;
    A B C D E G H I;
    A B C D E G H I J;
    A B C D E G H I J K;
}

/// The handlers of a connection, by name without regard to case.
#[derive(Default)]
pub(super) struct Handlers {
    by_name: RwLock<HashMap<Box<str>, Vec<Entry>>>,
    next: AtomicU64,
}

#[derive(Clone)]
struct Entry {
    id: u64,
    run: Arc<Run>,
}

impl Handlers {
    /// Adds one behind those that the name has.
    #[track_caller]
    pub(super) fn add<H, Args, Kinds, K>(&self, name: &str, handler: H) -> u64
    where
        H: Handler<Args>,
        H::Output: Handled<K>,
        Args: ArgumentList + OwnedParameters<Kinds>,
    {
        assert!(
            Args::STREAMS == 0,
            "the handler of `{name}` takes a stream: servers send none with their calls"
        );
        let run: Arc<Run> = Arc::new(move |encoding, arguments| {
            let args = Args::bind(arguments)?;
            let handled = handler.handle(args);
            Ok(Box::pin(async move { handled.given(encoding).await }))
        });
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut by_name = self.by_name.write();
        by_name
            .entry(name.to_lowercase().into())
            .or_default()
            .push(Entry { id, run });
        id
    }

    fn remove(&self, name: &str, id: u64) {
        let name = name.to_lowercase();
        let mut by_name = self.by_name.write();
        if let Some(entries) = by_name.get_mut(&*name) {
            entries.retain(|entry| entry.id != id);
            if entries.is_empty() {
                by_name.remove(&*name);
            }
        }
    }

    fn named(&self, name: &str) -> Vec<Entry> {
        let by_name = self.by_name.read();
        by_name
            .get(&*name.to_lowercase())
            .cloned()
            .unwrap_or_default()
    }

    /// Runs those of one call, one after the other; `report` is told of each that fails. What they
    /// gave; `None` where there are none.
    pub(super) async fn run(
        &self,
        encoding: Encoding,
        call: &Invocation,
        mut report: impl FnMut(&HubError),
    ) -> Option<Vec<Given>> {
        let entries = self.named(&call.target);
        if entries.is_empty() {
            return None;
        }
        let mut given = Vec::with_capacity(entries.len());
        for entry in entries {
            let arguments = Arguments::new(
                encoding,
                call.arguments.clone(),
                Vec::new(),
                ErrorDetail::Full,
            );
            // Its first lines run before there is a future.
            let run = AssertUnwindSafe(async move {
                match (entry.run)(encoding, arguments) {
                    Ok(running) => running.await,
                    Err(misfit) => Err(unfit(&misfit)),
                }
            });
            let gave = run.catch_unwind().await;
            let gave = gave.unwrap_or_else(|panic| Err(panicked(&*panic)));
            if let Err(error) = &gave {
                report(error);
            }
            given.push(gave);
        }
        Some(given)
    }
}

fn unfit(misfit: &BindError) -> HubError {
    HubError::new(match misfit {
        BindError::Type {
            position,
            wanted,
            found,
        } => format!("argument {position} is {found}, and its handler takes {wanted}"),
        BindError::Count { provided, expected } => {
            format!("{provided} argument(s), and its handler takes {expected}")
        }
        other => other.to_string(),
    })
}

/// A handler that was added to a connection, to be removed; dropped, it stays.
pub struct Registration {
    pub(super) handlers: Weak<Handlers>,
    pub(super) name: Box<str>,
    pub(super) id: u64,
}

impl Registration {
    /// Removes the handler: calls that come from here on do not reach it.
    pub fn remove(self) {
        if let Some(handlers) = self.handlers.upgrade() {
            handlers.remove(&self.name, self.id);
        }
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
