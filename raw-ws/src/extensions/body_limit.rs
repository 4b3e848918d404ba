//! What a request's body may hold, as the handler of the request has it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// What a request's body may hold. Under [`serve`](crate::serve()) it is in the extensions of every
/// request that has a body, with `ServeConfig::max_body_size`; a handler for larger ones, or
/// smaller ones, sets it before it reads.
///
/// ```
/// # #[cfg(feature = "axum")] {
/// use axum::{Extension, Router, extract::{DefaultBodyLimit, Request}, routing::post};
/// use futures_util::StreamExt as _;
/// use raw_ws::BodyLimit;
///
/// async fn upload(Extension(limit): Extension<BodyLimit>, request: Request) -> String {
///     limit.set(1 << 30);
///     let mut pieces = request.into_body().into_data_stream();
///     let mut bytes = 0;
///     while let Some(Ok(piece)) = pieces.next().await {
///         bytes += piece.len();
///     }
///     bytes.to_string()
/// }
///
/// // axum's extractors that take a body whole have a limit of their own: `DefaultBodyLimit`.
/// let app: Router = Router::new().route("/upload", post(upload));
/// # let _ = DefaultBodyLimit::disable();
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct BodyLimit(Arc<AtomicU64>);

impl BodyLimit {
    /// So many bytes, until somebody says otherwise.
    pub fn new(bytes: u64) -> Self {
        Self(Arc::new(bytes.into()))
    }

    /// Sets the limit, in bytes. What has been read counts.
    pub fn set(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }

    /// The limit, in bytes.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
