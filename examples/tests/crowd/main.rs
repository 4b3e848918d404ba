//! Many clients at once, behind real proxies and in front of a server started without a flag. A
//! program of its own, which runs when the others have ended: beside so many nobody could say when
//! something happens.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a test may tell")]

#[path = "../suite/children.rs"]
#[allow(dead_code, reason = "the suite uses more")]
mod children;
mod deploy;
#[path = "../suite/peers.rs"]
#[allow(dead_code, reason = "the suite uses more")]
mod peers;
mod rounds;
#[path = "../suite/skip.rs"]
mod skip;
mod ten_thousand;
