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

mod backplanes;

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

/// Many servers as one: what carries messages between the servers of a hub.
///
/// [`Hub::backplane`](crate::Hub::backplane) joins a hub to the others; the README says what holds
/// across servers, and what does not. [`Redis`](backplane::Redis) is for production,
/// [`InProcess`](backplane::InProcess) for tests; [`Backplane`](backplane::Backplane) is how to write
/// another, and the conformance suite how to test it.
pub mod backplane {
    #[cfg(feature = "redis")]
    #[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
    pub use crate::backplanes::redis::{Redis, RedisBackplane, RedisConnectError, RedisOptions};
    pub use crate::backplanes::{
        Arrivals, Away, Backplane, Link, Publication, PublishError, in_process::InProcess,
    };
    pub use crate::reach::cluster::health::Gap;
    #[cfg(feature = "testing")]
    #[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
    pub use crate::testing::conformance::conformance;
}

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
    presence::{Presence, PresenceEvent, PresenceEvents, PresenceKind, PresenceLagged},
    servers::{Everywhere, Servers},
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
