//! A client of SignalR servers, ours and others: calls and streams both ways, over WebSockets,
//! server-sent events or long polling, in JSON or MessagePack, and back again when the connection is
//! lost.
//!
//! ```
//! use futures_util::{TryStreamExt as _, stream};
//! use hub::{Context, Hub, UploadStream, client::upload, testing::TestServer};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! let hub = Hub::new(())
//!     .method("Join", async |cx: Context, room: String| {
//!         cx.groups().join(&room)?;
//!         cx.caller().send("Welcome", (format!("This is {room}."),))
//!     })
//!     .method("Sum", async |_: Context, numbers: UploadStream<i64>| {
//!         numbers.try_fold(0, async |sum, number| Ok(sum + number)).await
//!     })
//!     .stream("Countdown", |_: Context, from: u32| stream::iter((0..=from).rev().map(Ok)));
//! let server = TestServer::new(hub.router("/chat")); // for others: HubConnection::builder(url)
//!
//! let chat = server
//!     .hub_connection("/chat")
//!     .on("Welcome", async |text: String| assert_eq!(text, "This is lobby."))
//!     .connect()
//!     .await?;
//! let () = chat.invoke("Join", ("lobby",)).await?;
//! let sum: i64 = chat.invoke("Sum", (upload(stream::iter(1..=4)),)).await?;
//! assert_eq!(sum, 10);
//! let countdown = chat.stream::<u32>("Countdown", (3,)).await?;
//! assert_eq!(countdown.try_collect::<Vec<_>>().await?, [3, 2, 1, 0]);
//! chat.stop().await;
//! # Ok(())
//! # }
//! ```

// The top floor beside `endpoint`: of the server it knows the protocol, and how parameters are bound.
// Begin with `connection`, one connection's life; its machine is `session`.

mod arguments;
mod builder;
mod calls;
mod connect;
mod connection;
mod error;
mod event;
mod handlers;
mod hub_connection;
mod inbound;
mod items;
mod negotiate;
mod refresh;
mod requests;
mod retry;
mod session;
mod shared;
mod socket;
mod uploads;
mod web;

pub use arguments::{InvokeArgument, InvokeArguments, Upload, try_upload, upload};
pub use builder::{HubConnectionBuilder, IntoToken};
pub use error::ClientError;
pub use event::{Event, Events};
pub use handlers::{Handled, Handler, Registration};
pub use hub_connection::HubConnection;
pub use items::ItemStream;
pub use retry::{Attempt, Backoff, Delays, RetryPolicy};
pub use shared::ConnectionState;
