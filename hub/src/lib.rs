#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

// In reading order, lowest first; `tests/suite/layering.rs` holds who may name whom.
mod connection_id;
mod error;
mod message;
mod names;
mod query;
mod request;
mod user;
mod wire_types;

pub mod protocol;

mod dotnet;
mod options;

mod events;
mod session;

mod client_results;
mod live;
mod stopping;
mod uploads;

mod arguments;
mod call;
mod registry;
mod reply;

mod clients;
mod goodbye;
mod groups;

mod context;

mod filter;
mod handle;
mod method;

mod dispatch;

mod hub;
mod running;
mod transport;

mod tokens;

mod connection;
mod negotiate;

mod endpoint;

pub use arguments::{Argument, Arguments, BindError};
pub use clients::{Client, Clients};
pub use connection_id::ConnectionId;
pub use context::Context;
pub use dispatch::{Fallible, IntoItems, Optional, Plain, RawArguments};
pub use endpoint::ignore_path_case;
pub use error::{HubError, Result};
pub use filter::{Call, Filter, Next};
pub use groups::Groups;
pub use handle::HubHandle;
pub use hub::Hub;
pub use message::{Completion, HubMessage, Invocation};
pub use method::{ArgumentList, Method};
pub use options::HubOptions;
pub use raw_ws::Origins;
pub use reply::Reply;
pub use request::{Request, Transport};
pub use uploads::UploadStream;
pub use user::{Challenge, User};
pub use wire_types::{Binary, Enumeration, Timestamp, TimestampError};

#[doc(hidden)]
pub use serde;
