//! What a user writes against: the hub, its methods, and what a method is given.
//!
//! It may import `reach`, which sends, and `session`, whose calls it runs; never a transport or a
//! request's answer. [`hub`] is where a user begins, [`dispatch`] where a call finds its method, and
//! the next floor is [`connection`](crate::connection), which runs them.

pub(crate) mod arguments;
pub(crate) mod context;
pub(crate) mod dispatch;
pub(crate) mod filter;
pub(crate) mod handle;
pub(crate) mod hub;
pub(crate) mod method;
pub(crate) mod raw;
pub(crate) mod reply;
pub(crate) mod running;
pub(crate) mod uploads;

use sealed::Seal;

mod sealed {
    /// A required method that takes this can be written here alone: traits with one may grow, since
    /// nobody else implements them.
    #[derive(Debug)]
    #[expect(unnameable_types, reason = "nobody else is to name it")]
    pub struct Seal;
}
