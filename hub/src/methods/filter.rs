//! Filters: code around every call, and around connecting and disconnecting (HB-08).

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use crate::{
    error::Result,
    methods::{context::Context, reply::Reply},
};

pub(crate) type Running<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// Code around the calls of a hub, as ASP.NET Core's hub filters: it sees every call whose
/// arguments fit, may measure it, refuse it, or put another result in place of its own.
///
/// Filters run in the order in which they were added, the first outermost. What a filter does not
/// write itself passes through.
///
/// ```
/// use hub::{Call, Filter, HubError, Next, Reply};
/// struct Polite;
/// impl<S: Send + Sync + 'static> Filter<S> for Polite {
///     async fn invoke(&self, call: Call<S>, next: Next<Reply>) -> hub::Result<Reply> {
///         if call.method() == "Shout" {
///             return Err(HubError::new("not here"));
///         }
///         next.run().await
///     }
/// }
/// let _: hub::Hub = hub::Hub::new(()).filter(Polite);
/// ```
pub trait Filter<S>: Send + Sync + 'static {
    /// Around a call.
    fn invoke(&self, call: Call<S>, next: Next<Reply>) -> impl Future<Output = Result<Reply>> + Send
    where
        S: Send + Sync + 'static,
    {
        let _ = call;
        next.run()
    }

    /// Around connecting. An error refuses the connection (CL-01).
    fn connected(&self, cx: Context<S>, next: Next<()>) -> impl Future<Output = Result<()>> + Send
    where
        S: Send + Sync + 'static,
    {
        let _ = cx;
        next.run()
    }

    /// Around disconnecting.
    fn disconnected(
        &self,
        cx: Context<S>,
        next: Next<()>,
    ) -> impl Future<Output = Result<()>> + Send
    where
        S: Send + Sync + 'static,
    {
        let _ = cx;
        next.run()
    }
}

/// A call on its way through the filters.
pub struct Call<S> {
    cx: Context<S>,
    method: Arc<str>,
}

impl<S> Call<S> {
    pub(crate) fn new(cx: Context<S>, method: Arc<str>) -> Self {
        Self { cx, method }
    }

    /// The method's name, as the hub declares it.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// What the method will be given.
    pub fn context(&self) -> &Context<S> {
        &self.cx
    }
}

impl<S> Clone for Call<S> {
    fn clone(&self) -> Self {
        Self::new(self.cx.clone(), self.method.clone())
    }
}

impl<S> fmt::Debug for Call<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

/// What comes behind a filter: the next one, and in the end the method.
#[must_use = "without `run` the method is not called"]
pub struct Next<T>(Running<T>);

impl<T> Next<T> {
    /// Goes on.
    ///
    /// # Errors
    /// What the method, or a filter behind this one, failed with.
    pub async fn run(self) -> Result<T> {
        self.0.await
    }
}

impl<T> fmt::Debug for Next<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next").finish_non_exhaustive()
    }
}

/// The filters of a hub, first outermost.
pub(crate) struct Filters<S>(Vec<Arc<dyn Erased<S>>>);

impl<S: Send + Sync + 'static> Filters<S> {
    pub(crate) fn add(&mut self, filter: impl Filter<S>) {
        self.0.push(Arc::new(filter));
    }

    pub(crate) fn around_call(&self, call: &Call<S>, method: Running<Reply>) -> Running<Reply> {
        self.fold(method, |filter, next| filter.invoke(call.clone(), next))
    }

    pub(crate) fn around_connected(&self, cx: &Context<S>, then: Running<()>) -> Running<()> {
        self.fold(then, |filter, next| filter.connected(cx.clone(), next))
    }

    pub(crate) fn around_disconnected(&self, cx: &Context<S>, then: Running<()>) -> Running<()> {
        self.fold(then, |filter, next| filter.disconnected(cx.clone(), next))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn fold<T>(
        &self,
        inner: Running<T>,
        wrap: impl Fn(Arc<dyn Erased<S>>, Next<T>) -> Running<T>,
    ) -> Running<T> {
        let outwards = self.0.iter().rev();
        outwards.fold(inner, |inner, filter| wrap(filter.clone(), Next(inner)))
    }
}

impl<S> Default for Filters<S> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// A filter whose futures are boxed, so that different ones fit in one list.
trait Erased<S>: Send + Sync {
    fn invoke(self: Arc<Self>, call: Call<S>, next: Next<Reply>) -> Running<Reply>;
    fn connected(self: Arc<Self>, cx: Context<S>, next: Next<()>) -> Running<()>;
    fn disconnected(self: Arc<Self>, cx: Context<S>, next: Next<()>) -> Running<()>;
}

impl<S: Send + Sync + 'static, F: Filter<S>> Erased<S> for F {
    fn invoke(self: Arc<Self>, call: Call<S>, next: Next<Reply>) -> Running<Reply> {
        Box::pin(async move { Filter::invoke(&*self, call, next).await })
    }

    fn connected(self: Arc<Self>, cx: Context<S>, next: Next<()>) -> Running<()> {
        Box::pin(async move { Filter::connected(&*self, cx, next).await })
    }

    fn disconnected(self: Arc<Self>, cx: Context<S>, next: Next<()>) -> Running<()> {
        Box::pin(async move { Filter::disconnected(&*self, cx, next).await })
    }
}
