//! What layers of an app have put into a request, apart from what its server did.

use http::Extensions;
use hyper::upgrade::OnUpgrade;

use crate::{
    extensions::{ack_deadline::AckDeadline, body_limit::BodyLimit, remote::Remote},
    outbound::connections::Connections,
    stream::upgraded::Takeover,
};

/// Takes out what a server put in: who keeps the rest would keep hold of its socket otherwise. Not a
/// part of the API: `hub` keeps the rest.
#[doc(hidden)]
pub fn __of_layers(mut extensions: Extensions) -> Extensions {
    macro_rules! remove {
        ($($Type:ty,)*) => {$( extensions.remove::<$Type>(); )*};
    }
    remove! {
        OnUpgrade, Remote, Connections, Takeover, AckDeadline, BodyLimit,
    }
    extensions
}
