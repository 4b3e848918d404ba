//! Our hub, in the few lines that its users write.

use std::io;

use hub::{Context, Hub};
use tokio::net::TcpListener;

/// Serves the methods that the benchmarks call at `/bench`. All limits and deadlines are on, as
/// they are by default.
pub(crate) async fn serve(listener: TcpListener) -> io::Result<()> {
    let hub: Hub = Hub::new(())
        .method("Echo", async |_: Context, text: String| Ok(text))
        .method("Join", async |cx: Context, group: String| {
            cx.groups().join(&group)
        })
        .method(
            "Broadcast",
            async |cx: Context, group: String, text: String| {
                cx.group(&group).send("Received", (text,))
            },
        );
    raw_ws::serve(listener, hub.router("/bench")).await
}
