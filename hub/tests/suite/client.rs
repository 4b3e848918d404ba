//! The crate's own client, in memory and in tokio's paused time: what its documentation promises
//! beside what `examples/client_check` asks of it.

mod bounds;
mod cancelling;
mod coming_back;
mod negotiation;
mod tokens;

use std::{
    future::{Future, poll_fn, ready},
    io,
    pin::pin,
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

use hub::{
    Hub,
    client::{Event, Events, HubConnection, HubConnectionBuilder},
};
use tokio::{io::copy_bidirectional, sync::mpsc, task::AbortHandle};

use crate::live::Server;

/// A server, and a network before it that can be cut.
#[derive(Clone)]
struct Site {
    server: Server,
    network: Arc<Mutex<Network>>,
}

#[derive(Default)]
struct Network {
    is_down: bool,
    connections: Vec<AbortHandle>,
}

impl Site {
    fn start<S: Send + Sync + 'static>(hub: Hub<S>) -> Self {
        Self::of(Server::start(hub))
    }

    fn of(server: Server) -> Self {
        Self {
            server,
            network: Arc::default(),
        }
    }

    fn builder(&self) -> HubConnectionBuilder {
        self.builder_at("/hub")
    }

    fn builder_at(&self, target: &str) -> HubConnectionBuilder {
        let site = self.clone();
        HubConnection::builder(format!("http://hub{target}")).sockets(move || ready(site.open()))
    }

    fn open(&self) -> io::Result<tokio::io::DuplexStream> {
        let mut network = self.network.lock().expect("nobody panicked");
        if network.is_down {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (near, mut link) = tokio::io::duplex(16 * 1024);
        let mut far = self.server.socket();
        let carries = tokio::spawn(async move { copy_bidirectional(&mut link, &mut far).await });
        network.connections.push(carries.abort_handle());
        Ok(near)
    }

    /// Cuts all connections there are.
    fn cut(&self) {
        let mut network = self.network.lock().expect("nobody panicked");
        for connection in network.connections.drain(..) {
            connection.abort();
        }
    }

    /// Cuts them, and refuses others until it is up again.
    fn set_down(&self, is_down: bool) {
        self.network.lock().expect("nobody panicked").is_down = is_down;
        if is_down {
            self.cut();
        }
    }
}

/// What a client is told by `method`.
fn told<T: serde::de::DeserializeOwned + Send + 'static>(
    builder: HubConnectionBuilder,
    method: &str,
) -> (HubConnectionBuilder, mpsc::UnboundedReceiver<T>) {
    let (tell, told) = mpsc::unbounded_channel();
    let handler = move |value: T| {
        let _ = tell.send(value);
        ready(())
    };
    (builder.on(method, handler), told)
}

/// Polls something once, and drops it.
async fn polled_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        Poll::Ready(match future.as_mut().poll(cx) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        })
    })
    .await
}

/// The next event that is meant.
async fn event<T>(events: &mut Events, mut is_it: impl FnMut(Event) -> Option<T>) -> T {
    while let Some(event) = events.next().await {
        if let Some(meant) = is_it(event) {
            return meant;
        }
    }
    panic!("it never came");
}

async fn disconnected(events: &mut Events) -> Option<hub::client::ClientError> {
    event(events, |event| match event {
        Event::Disconnected { error } => Some(error),
        _ => None,
    })
    .await
}

async fn connected(events: &mut Events) {
    event(events, |event| {
        matches!(event, Event::Connected { .. }).then_some(())
    })
    .await;
}

const SECOND: Duration = Duration::from_secs(1);
