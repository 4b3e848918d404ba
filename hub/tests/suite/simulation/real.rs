//! The crate's own client, whose sockets are lost.

use std::{
    future::{poll_fn, ready},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
    task::Poll,
    time::Duration,
};

use hub::{
    Transport,
    client::{ClientError, Event, HubConnection},
};
use tokio::{sync::Notify, time::sleep};

use super::{
    history::{History, Seen},
    network,
    random::Random,
};
use crate::live::Server;

pub(crate) struct RealClient {
    pub(crate) number: usize,
    pub(crate) server: Server,
    pub(crate) random: Random,
    pub(crate) history: Arc<Mutex<History>>,
    /// Sockets that will fail, before the network is kind.
    pub(crate) faults: u32,
    /// Calls it has yet to make.
    pub(crate) calls: u64,
}

/// What decides whether the next socket fails.
struct Fate {
    faults: AtomicU32,
    /// The hub handshake is done: before it nothing is resumed.
    is_open: AtomicBool,
    /// Lets the first socket fail.
    first: Arc<Notify>,
}

impl Fate {
    fn may_fail(&self, socket: &Notify) {
        if self.faults.load(SeqCst) > 0 {
            self.faults.fetch_sub(1, SeqCst);
            socket.notify_one();
        }
    }
}

impl RealClient {
    /// Goes on until it is dropped.
    pub(crate) async fn run(mut self) {
        let fate = Arc::new(Fate {
            faults: AtomicU32::new(self.faults),
            is_open: AtomicBool::new(false),
            first: Arc::default(),
        });
        let hub = match self.connect(&fate).await {
            Ok(hub) => hub,
            Err(error) => {
                return seen(&self.history, self.number, |it| {
                    it.faults.push(error.to_string())
                });
            }
        };
        fate.is_open.store(true, SeqCst);
        fate.may_fail(&fate.first);
        self.call(&hub, "Join", None).await;
        while self.calls > 0 {
            sleep(self.random.millis(120)).await;
            for _ in 0..=self.random.below(3).min(self.calls - 1) {
                self.calls -= 1;
                let number = {
                    let mut history = self.history.lock().expect("nobody panicked");
                    let called = &mut history.clients[self.number].called;
                    let number = called.len() as u64;
                    called.push(number);
                    number
                };
                self.call(&hub, "Note", Some(number)).await;
            }
        }
        // The connection is there as long as this is.
        std::future::pending::<()>().await;
    }

    async fn connect(&mut self, fate: &Arc<Fate>) -> Result<HubConnection, ClientError> {
        let sockets = {
            let (server, fate) = (self.server.clone(), fate.clone());
            let random = Mutex::new(self.random.fork());
            move || {
                let fails = if fate.is_open.load(SeqCst) {
                    let fails = Arc::new(Notify::new());
                    fate.may_fail(&fails);
                    fails
                } else {
                    fate.first.clone()
                };
                let mut random = random.lock().expect("nobody panicked");
                ready(Ok(network::socket(&server, &mut random, fails)))
            }
        };
        let builder = HubConnection::builder("http://hub/hub")
            .sockets(sockets)
            .transports([Transport::WebSockets])
            .stateful_reconnect()
            .resume_within(Duration::from_secs(60))
            .on("Told", self.hears(|seen| &mut seen.told))
            .on("News", self.hears_news(|seen| &mut seen.news))
            .on("GroupNews", self.hears_news(|seen| &mut seen.group_news));
        let (mut events, number, history) = (builder.events(), self.number, self.history.clone());
        tokio::spawn(async move {
            while let Some(event) = events.next().await {
                seen(&history, number, |it| match event {
                    Event::Resumed => it.resumes += 1,
                    Event::Connecting
                    | Event::Connected { .. }
                    | Event::Reconnecting {
                        is_stateful: true, ..
                    } => {}
                    // At the end of the run, when its last handle is dropped.
                    Event::Disconnected { error: None } => {}
                    other => it.faults.push(format!("{other:?}")),
                });
            }
        });
        builder.connect().await
    }

    fn hears(
        &self,
        list: fn(&mut Seen) -> &mut Vec<u64>,
    ) -> impl Fn(u64) -> std::future::Ready<()> + use<> {
        let (history, number) = (self.history.clone(), self.number);
        move |heard| {
            seen(&history, number, |it| list(it).push(heard));
            ready(())
        }
    }

    fn hears_news(
        &self,
        list: fn(&mut Seen) -> &mut Vec<u64>,
    ) -> impl Fn(u64, String) -> std::future::Ready<()> + use<> {
        let hears = self.hears(list);
        move |heard, _| hears(heard)
    }

    /// Calls, and does not wait for the answer: it is noted when it comes.
    async fn call(&self, hub: &HubConnection, method: &'static str, note: Option<u64>) {
        let (hub, history, number) = (hub.clone(), self.history.clone(), self.number);
        let mut call = Box::pin(async move {
            let answer = match note {
                None => hub.invoke::<()>(method, ()).await,
                Some(note) => hub.invoke::<()>(method, (number, note)).await,
            };
            seen(&history, number, |it| match (answer, note) {
                (Ok(()), Some(note)) => it.answered.push(note),
                (Ok(()), None) => {}
                (Err(error), _) => it.faults.push(error.to_string()),
            });
        });
        // Sent now, before the next; what cannot be sent fails now.
        let polled = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await;
        if polled.is_pending() {
            tokio::spawn(call);
        }
    }
}

fn seen(history: &Mutex<History>, number: usize, change: impl FnOnce(&mut Seen)) {
    change(&mut history.lock().expect("nobody panicked").clients[number]);
}
