//! Our hub, in the few lines that its users write.

use std::sync::LazyLock;

use axum::Router;
use futures_util::{StreamExt as _, stream};
use hub::{Context, UploadStream};
use tokio::net::TcpListener;

use super::{Endpoint, Peer, Serving};
use crate::load::{Dialect, LARGEST_TEXT, Work, hub_text};

/// Ours: a SignalR hub at `/bench`. All limits and deadlines are on, as they are by default.
pub struct Hub;

impl Hub {
    /// Its app, without the server below.
    pub fn app() -> Router {
        hub::Hub::new(())
            .method("Echo", async |_: Context, text: String| Ok(text))
            .method("Join", async |cx: Context, group: String| {
                cx.groups().join(&group)
            })
            .method("Leave", async |cx: Context, group: String| {
                cx.groups().leave(&group);
                hub::Result::Ok(())
            })
            .method(
                "Broadcast",
                async |cx: Context, group: String, text: String| {
                    cx.group(&group).send("Received", (text,))
                },
            )
            .stream("Texts", |_: Context, count: usize, size: usize| {
                let text = &LETTERS[..size.min(LARGEST_TEXT)];
                stream::iter(0..count).map(move |_| hub::Result::Ok(text))
            })
            .stream("Items", |_: Context, count: u32| {
                stream::iter((0..count).map(hub::Result::Ok))
            })
            .method("Sum", async |_: Context, mut numbers: UploadStream<i64>| {
                let mut sum = 0;
                while let Some(number) = numbers.next().await {
                    sum += number?;
                }
                hub::Result::Ok(sum)
            })
            .method(
                "Count",
                async |_: Context, mut texts: UploadStream<String>| {
                    let mut came = 0;
                    while let Some(text) = texts.next().await {
                        text?;
                        came += 1;
                    }
                    hub::Result::Ok(came)
                },
            )
            .router("/bench")
    }
}

impl Peer for Hub {
    fn name(&self) -> &'static str {
        "hub"
    }

    fn about(&self) -> &'static str {
        "ours: a SignalR hub at /bench"
    }

    fn endpoint(&self, _: Work, dialect: Dialect) -> Option<Endpoint> {
        matches!(dialect, Dialect::Hub(_)).then_some(Endpoint::WebSocket("/bench"))
    }

    fn serve(&self, listener: TcpListener) -> Serving {
        Box::pin(async { raw_ws::serve(listener, Self::app()).await })
    }
}

static LETTERS: LazyLock<String> = LazyLock::new(|| hub_text(LARGEST_TEXT));
