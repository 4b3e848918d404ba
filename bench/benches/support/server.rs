//! A server on a thread of its own, in the process of its client.

use std::{
    io,
    net::SocketAddr,
    thread::{self, JoinHandle},
};

use bench::peers::Peer;
use tokio::{net::TcpListener, runtime, sync::oneshot};

/// A server that runs until it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts a server on a single-threaded runtime that never sleeps, and a free
    /// port.
    pub(crate) fn start(peer: &'static dyn Peer) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("a runtime with I/O");
                tokio::spawn(stay_awake());
                tokio::select! {
                    ended = peer.serve(listener) => panic!("the server ended: {ended:?}"),
                    _ = stopped => {}
                }
            });
        });
        Ok(Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Keeps a runtime from sleeping: on a virtual machine, waking a core may take ten times as long as
/// what is measured.
async fn stay_awake() {
    loop {
        tokio::task::yield_now().await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has said on stderr why it panicked.
            let _ = thread.join();
        }
    }
}
