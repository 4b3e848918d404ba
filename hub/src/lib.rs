#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

// In reading order, lowest first; `tests/suite/layering.rs` holds who may name whom.
mod counted;
mod error;
mod inbox;
pub mod protocol;
mod values;

mod identity;

#[cfg(feature = "jwt")]
#[cfg_attr(docsrs, doc(cfg(feature = "jwt")))]
pub mod jwt;

mod events;
mod options;

mod session;

mod reach;
mod transport;

mod methods;

mod connection;

#[cfg(feature = "client")]
#[cfg_attr(docsrs, doc(cfg(feature = "client")))]
pub mod client;

mod endpoint;

#[cfg(feature = "testing")]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub mod testing;

pub use endpoint::{RawConnections, ignore_path_case};
pub use error::{HubError, Result};
pub use identity::{
    connection_id::ConnectionId,
    request::{Request, Transport},
    user::{Challenge, User},
};
pub use methods::{
    arguments::{Argument, Arguments, BindError},
    context::Context,
    dispatch::{IntoItems, RawArguments},
    filter::{Call, Filter, Next},
    handle::HubHandle,
    hub::Hub,
    method::{Answer, ArgumentList, Method},
    raw::RawConnection,
    reply::Reply,
    uploads::UploadStream,
};
pub use options::{EndpointOptions, HubOptions};
pub use protocol::{
    Names, Protocol,
    message::{Completion, HubMessage, Invocation},
};
pub use raw_ws::Origins;
pub use reach::{
    clients::{Client, Clients},
    groups::Groups,
};
pub use values::wire_types::{Binary, Enumeration, Timestamp, TimestampError};

/// What this crate's macros write, and its compile errors may name.
#[doc(hidden)]
pub mod __private {
    pub use serde;

    pub use crate::methods::{
        dispatch::{Awaited, Fallible, Optional, Plain},
        method::{
            Owned, OwnedParameters, ParametersAreOwnedWriteStringForStrAndVecForSlice, Whatever,
        },
    };
    pub use crate::reach::clients::{IsOne, Sends};
}
