//! The load against servers in this process, and what it says when they misbehave.

use std::{
    net::SocketAddr,
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, mpsc},
    thread,
};

use bench::peers::Peer;

mod load;
mod open_loop;
mod polling;
mod transports;

/// The process: who waits until it is quiet must have it alone.
static PROCESS: RwLock<()> = RwLock::new(());

fn beside_others() -> RwLockReadGuard<'static, ()> {
    PROCESS.read().unwrap_or_else(PoisonError::into_inner)
}

/// Serves on a thread of its own, until the test's process ends.
fn serve(peer: &'static dyn Peer) -> SocketAddr {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = raw_ws::listen("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            peer.serve(listener).await.unwrap();
        });
    });
    told.recv().unwrap()
}

fn alone() -> RwLockWriteGuard<'static, ()> {
    PROCESS.write().unwrap_or_else(PoisonError::into_inner)
}
