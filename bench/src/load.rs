//! The load: one thread and one epoll for any number of connections, so lean that the server is
//! what runs out first.
//!
//! Every message is the same masked frame, prepared once; what comes back is counted by reading
//! frame headers and skipping payloads (by comparing them, where a hub answers). The loop is closed: a
//! connection sends a message when one of its own has come back, so the number in flight is fixed and
//! nothing queues up unseen. [`Work::run_at`] opens it: messages leave when they are due.

mod connect;
mod connection;
mod connections;
mod content;
mod dialect;
mod echo;
mod fan_out;
mod flood;
mod http;
mod hub;
mod idle;
mod measurement;
mod open_loop;
mod polling;
mod posting;
mod replies;
mod rounds;
mod slow;
mod socket_io;
mod stream;
mod target;
mod traffic;
mod web_socket;

pub use self::{
    connect::connect,
    dialect::Dialect,
    echo::echo,
    fan_out::fan_out,
    flood::{Flood, FloodLoad, flood},
    hub::{HubProtocol, LARGEST_TEXT, hub_text},
    idle::{IdleMemory, held, idle},
    measurement::{Bottleneck, Measurement, Observer, OpenLoop, Window},
    polling::polling,
    replies::masked_frame,
    rounds::Rounds,
    slow::{Peak, Slow, SlowLoad, slow},
    stream::{items, stream, upload},
    target::{Opening, Target, Transport},
    traffic::{Traffic, Work},
};
