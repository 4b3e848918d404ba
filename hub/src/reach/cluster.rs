//! What makes the servers of a hub one: what each publishes for the others, and what it is waiting for
//! from them.
//!
//! The names and bytes are those of ASP.NET Core's Redis backplane, whatever carries them, so that its
//! servers may be among them (`SPEC.md`, section 24). What comes from the others is taken in by
//! [`arrivals`](crate::reach::arrivals).

pub(crate) mod audit;
pub(crate) mod channels;
pub(crate) mod health;
pub(crate) mod ledger;
pub(crate) mod notes;
pub(crate) mod payloads;
pub(crate) mod questions;
mod touch;

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use raw_ws::{clock::now, sync::Mutex};
use tokio::{
    runtime::Handle,
    sync::{Notify, oneshot},
    time::timeout,
};

use crate::{
    backplanes::{Arrivals, Backplane, Link, Publication, PublishError},
    error::{HubError, Result},
    events,
    identity::connection_id::ConnectionId,
    protocol::{
        Protocol,
        message::{Completion, HubMessage},
    },
    reach::cluster::{
        audit::Auditor,
        channels::Channels,
        health::Health,
        ledger::{Ledger, Origin, digest},
        payloads::{Action, GroupCommand},
        questions::Questions,
    },
};

/// How long a new connection waits until the backplane knows of it, at most.
const PATIENCE: Duration = Duration::from_secs(5);

/// One server among those of its hub.
pub(crate) struct Cluster {
    /// Its name among them.
    server: String,
    pub(crate) channels: Channels,
    /// Set as it is made.
    link: OnceLock<Arc<dyn Link>>,
    /// What is published and what comes. Locked while something is published: the order is the same in
    /// both.
    books: Mutex<Books>,
    /// The channels that it subscribes to.
    subscribed: Mutex<HashMap<Box<str>, Subscribed>>,
    health: Mutex<Health>,
    commands: Mutex<Commands>,
    questions: Questions,
    /// How many changes of presence it has told of.
    presence: AtomicU64,
    /// Told when there is something that is to come back.
    expects: Arc<Notify>,
    /// For what is done after what comes, which may come from any thread.
    runtime: Handle,
}

#[derive(Default)]
struct Books {
    ledger: Ledger,
    auditor: Auditor,
    /// A note to itself is on its way, which settles the ledger.
    is_marked: bool,
}

struct Subscribed {
    /// For how many connections.
    connections: usize,
    since: Instant,
}

/// The commands to other servers that are not acknowledged yet.
#[derive(Default)]
struct Commands {
    last_id: i64,
    waiting: HashMap<i64, oneshot::Sender<()>>,
}

/// A command whose acknowledgement is waited for; forgotten when dropped.
struct Waiting<'a> {
    id: i64,
    acknowledged: oneshot::Receiver<()>,
    commands: &'a Mutex<Commands>,
}

impl Cluster {
    /// Before it has [joined](Self::join).
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[track_caller]
    pub(crate) fn new(backplane: &dyn Backplane) -> Arc<Self> {
        let server = server_name();
        Arc::new(Self {
            channels: Channels::new(backplane.channel_prefix(), &server),
            server,
            link: OnceLock::new(),
            books: Mutex::default(),
            subscribed: Mutex::default(),
            health: Mutex::default(),
            commands: Mutex::default(),
            questions: Questions::default(),
            presence: AtomicU64::new(0),
            expects: Arc::default(),
            runtime: Handle::current(),
        })
    }

    /// Joins the others (RD-03).
    pub(crate) fn join(&self, backplane: &dyn Backplane, arrivals: Arrivals) {
        self.link.get_or_init(|| backplane.join(arrivals));
        let Channels {
            all,
            groups,
            acknowledgements,
            answers,
            notes,
            own_notes,
            ..
        } = &self.channels;
        for channel in [all, groups, acknowledgements, answers, notes, own_notes] {
            self.enter(channel);
        }
        self.greet();
    }

    /// It has told of so many changes of presence.
    pub(crate) fn set_presence(&self, version: u64) {
        self.presence.store(version, Ordering::Release);
    }

    /// What tells of messages that are to come back.
    pub(crate) fn expects(&self) -> Arc<Notify> {
        self.expects.clone()
    }

    /// The end of its name, which no other server has: tokens that it gives out have it too.
    pub(crate) fn id(&self) -> &str {
        let end = self.server.rsplit_once('_');
        end.map_or(&*self.server, |(_, id)| id)
    }

    /// What this server is called among the others.
    pub(crate) fn name(&self) -> &str {
        &self.server
    }

    fn link(&self) -> &dyn Link {
        self.link
            .get()
            .expect("it has joined as it was made")
            .as_ref()
    }

    /// One more of this server's connections wants what is published on a channel.
    pub(crate) fn enter(&self, channel: &str) {
        let mut subscribed = self.subscribed.lock();
        match subscribed.get_mut(channel) {
            Some(known) => known.connections += 1,
            None => {
                let first = Subscribed {
                    connections: 1,
                    since: now(),
                };
                subscribed.insert(channel.into(), first);
                // Under the lock: what is said last is meant.
                self.link().subscribe(channel);
            }
        }
    }

    /// One less does.
    pub(crate) fn leave(&self, channel: &str) {
        let mut subscribed = self.subscribed.lock();
        if let Some(known) = subscribed.get_mut(channel) {
            known.connections -= 1;
            if known.connections == 0 {
                subscribed.remove(channel);
                self.link().unsubscribe(channel);
            }
        }
    }

    /// Waits until what has been entered so far has taken effect; not where the backplane is away, and
    /// not for ever.
    pub(crate) async fn settled(&self) {
        let settled = self.link().settled();
        let _ = timeout(PATIENCE, settled).await;
    }

    /// Publishes, without waiting.
    ///
    /// # Errors
    /// When too much waits for a backplane that is away.
    pub(crate) fn publish(&self, channel: impl Into<Arc<str>>, payload: Bytes) -> Result<()> {
        self.hand_over(Publication::new(channel, payload))
    }

    /// The same, and how many servers it has reached; an error where that is not known.
    pub(crate) fn publish_counted(
        &self,
        channel: impl Into<Arc<str>>,
        payload: Bytes,
    ) -> Result<oneshot::Receiver<u64>> {
        let (reached, count) = oneshot::channel();
        let mut publication = Publication::new(channel, payload);
        publication.reached = Some(reached);
        self.hand_over(publication)?;
        Ok(count)
    }

    fn hand_over(&self, publication: Publication) -> Result<()> {
        let comes_back = self.subscribed.lock().contains_key(&*publication.channel);
        let Books { ledger, .. } = &mut *self.books.lock();
        let is_first = ledger.oldest_expected().is_none();
        let Publication {
            channel, payload, ..
        } = &publication;
        ledger.publishes(channel, payload, comes_back, now());
        if let Err(error) = self.link().publish(publication) {
            ledger.was_refused();
            return Err(refused(error, self.channels.prefix()));
        }
        if comes_back && is_first {
            self.expects.notify_one();
        }
        Ok(())
    }

    /// Whose a message is that has come.
    pub(crate) fn origin(&self, channel: &str, payload: &[u8]) -> Origin {
        let digest = digest(channel, payload);
        let Books {
            ledger, auditor, ..
        } = &mut *self.books.lock();
        let origin = ledger.arrives(digest);
        if origin == Origin::Elsewhere {
            auditor.receives(digest);
        }
        origin
    }

    /// Has the server of a connection put it into a group or take it out, whichever server that is
    /// (RD-07).
    pub(crate) fn change_group(
        &self,
        action: Action,
        group: &str,
        connection: &ConnectionId,
    ) -> Result<()> {
        let id = self.next_command();
        self.publish_command(id, action, group, connection)
    }

    /// The same, and waits until it has done so.
    ///
    /// # Errors
    /// When nobody says so in time: that server is away, or no server has the connection.
    pub(crate) async fn change_group_acknowledged(
        &self,
        action: Action,
        group: &str,
        connection: &ConnectionId,
        deadline: Duration,
    ) -> Result<()> {
        let mut waiting = self.await_acknowledgement();
        self.publish_command(waiting.id, action, group, connection)?;
        match timeout(deadline, &mut waiting.acknowledged).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(HubError::hidden(
                "OperationCanceledException",
                format!("no server has said that it has changed the groups of '{connection}'"),
            )),
        }
    }

    /// Tells the server that has asked a client of this one what it has answered (RD-09).
    pub(crate) fn pass_answer_on(
        &self,
        channel: Arc<str>,
        invocation_id: &str,
        (protocol, completion): (Protocol, Completion),
    ) {
        let mut framed = BytesMut::new();
        let completion = HubMessage::Completion {
            invocation_id: invocation_id.into(),
            completion,
        };
        protocol.encode(&completion, &mut framed);
        // Refused, the server that waits is told nothing, and its deadline passes.
        let _ = self.publish(channel, payloads::answer(protocol, &framed));
    }

    /// Acknowledges what another server wanted, once it has taken effect here.
    pub(crate) fn acknowledge(self: &Arc<Self>, server: &str, id: i64) {
        let channel = self.channels.acknowledgements_of(server);
        let this = self.clone();
        self.runtime.spawn(async move {
            this.settled().await;
            // Refused, the deadline of who waits passes.
            let _ = this.publish(channel, payloads::acknowledgement(id));
        });
    }

    /// Another server has done what it was told.
    pub(crate) fn acknowledged(&self, id: i64) {
        if let Some(waiting) = self.commands.lock().waiting.remove(&id) {
            // Who waited may have gone.
            let _ = waiting.send(());
        }
    }

    fn publish_command(
        &self,
        id: i64,
        action: Action,
        group: &str,
        connection: &ConnectionId,
    ) -> Result<()> {
        let command = GroupCommand {
            id,
            server: &self.server,
            action,
            group,
            connection,
        };
        let payload = payloads::group_command(&command);
        self.publish(self.channels.groups.clone(), payload)
    }

    fn next_command(&self) -> i64 {
        let mut commands = self.commands.lock();
        commands.last_id += 1;
        commands.last_id
    }

    fn await_acknowledgement(&self) -> Waiting<'_> {
        let id = self.next_command();
        let (done, acknowledged) = oneshot::channel();
        self.commands.lock().waiting.insert(id, done);
        Waiting {
            id,
            acknowledged,
            commands: &self.commands,
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.commands.lock().waiting.remove(&self.id);
    }
}

fn refused(error: PublishError, hub: &str) -> HubError {
    events::publication_refused(hub);
    let text = format!("{error}; clients of this server have got what they were sent");
    HubError::hidden("IOException", text)
}

/// `<machine>_<32 hexadecimal digits>`, another one for each hub (RD-02).
fn server_name() -> String {
    let machine = ["HOSTNAME", "COMPUTERNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok())
        .or_else(|| std::fs::read_to_string("/proc/sys/kernel/hostname").ok())
        .unwrap_or_default();
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let machine: String = machine.trim().chars().filter(is_plain).collect();
    let machine = if machine.is_empty() {
        "server"
    } else {
        &machine
    };
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    format!("{machine}_{:032x}", u128::from_be_bytes(bytes))
}
