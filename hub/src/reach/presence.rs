//! Who is present in which group, on all servers, and what changes: on top of membership, which knows
//! connections and this server alone.
//!
//! Each server tells the others of its own; its beats say how much it has told, so that what was missed is
//! noticed and asked for. Begin with [`roll`], the machine.

pub(crate) mod roll;

use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use raw_ws::sync::Mutex;
use tokio::{
    sync::{Notify, broadcast},
    time::{Instant, sleep_until},
};

use crate::reach::{
    cluster::{Cluster, notes::Note},
    live::Live,
    presence::roll::{Change, Known, Place, Roll},
};

/// Changes that may wait for a watcher.
const MAX_WAITING: usize = 4096;

/// Who is present in the groups of a hub, on all its servers. See [`Hub::presence`](crate::Hub::presence).
///
/// Somebody is a user by its identifier, on however many connections; a connection without a user is
/// itself. Whoever has no connection left in a group has left it, once that is so for longer than a
/// reconnect takes.
#[derive(Clone)]
pub struct Presence {
    state: Arc<Attendance>,
}

/// Somebody is in a group, or no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PresenceEvent {
    /// The group.
    pub group: Arc<str>,
    /// Who: the identifier of a user, or a connection's id where it has no user.
    pub who: Arc<str>,
    /// Whether they have joined it, or left it.
    pub kind: PresenceKind,
}

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PresenceKind {
    /// They have joined.
    Joined,
    /// They have left.
    Left,
}

/// The changes of who is present, as they become known to this server.
#[derive(Debug)]
pub struct PresenceEvents {
    events: broadcast::Receiver<PresenceEvent>,
}

/// More has happened than was read in time: [`Presence::members`] says how it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PresenceLagged;

impl fmt::Display for PresenceLagged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("changes of presence were not read in time, and are lost")
    }
}

impl std::error::Error for PresenceLagged {}

/// What a hub keeps of it.
pub(crate) struct Attendance {
    roll: Mutex<Roll>,
    events: broadcast::Sender<PresenceEvent>,
    /// Somebody is leaving: there is something to wait for.
    leaves: Arc<Notify>,
}

impl Presence {
    pub(crate) fn new(state: Arc<Attendance>) -> Self {
        Self { state }
    }

    /// Who is in a group, in alphabetical order: at once, as this server knows it by what the others tell.
    pub fn members(&self, group: &str) -> Vec<Arc<str>> {
        self.state.roll.lock().members(group)
    }

    /// What changes from here on, in all groups. Each server tells it on its own: to tell clients, send
    /// to those of this server, [`Clients::here`](crate::Clients::here).
    pub fn events(&self) -> PresenceEvents {
        PresenceEvents {
            events: self.state.events.subscribe(),
        }
    }
}

impl PresenceEvents {
    /// The next change; `None` when the hub is gone.
    ///
    /// # Errors
    /// [`PresenceLagged`] when more than 4,096 have not been read.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn next(&mut self) -> Option<Result<PresenceEvent, PresenceLagged>> {
        match self.events.recv().await {
            Ok(event) => Some(Ok(event)),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(Err(PresenceLagged)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

impl fmt::Debug for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presence").finish_non_exhaustive()
    }
}

impl Attendance {
    pub(crate) fn new(debounce: Duration) -> Arc<Self> {
        let (events, _) = broadcast::channel(MAX_WAITING);
        let this = Arc::new(Self {
            roll: Mutex::new(Roll::new(debounce)),
            events,
            leaves: Arc::default(),
        });
        tokio::spawn(keep(Arc::downgrade(&this), this.leaves.clone()));
        this
    }

    /// A connection has joined a group.
    pub(crate) fn joined(&self, cluster: Option<&Arc<Cluster>>, live: &Live, group: &Arc<str>) {
        let place = place_of(live, group);
        self.change(|roll| {
            let version = roll.join(&place);
            tell(cluster, version, place, true);
        });
    }

    /// It has left it.
    pub(crate) fn left(&self, cluster: Option<&Arc<Cluster>>, live: &Live, group: &Arc<str>) {
        let place = place_of(live, group);
        self.change(|roll| {
            let version = roll.leave(&place, now());
            tell(cluster, version, place, false);
        });
    }

    /// Another server tells of a change; whether all of it is known.
    pub(crate) fn changed(
        &self,
        server: &str,
        version: u64,
        place: &Place,
        is_there: bool,
    ) -> Known {
        self.change(|roll| roll.changed(server, version, place, is_there, now()))
    }

    /// Another server tells all.
    pub(crate) fn whole(&self, server: &str, version: u64, members: Vec<Place>) {
        self.change(|roll| roll.whole(server, version, members, now()));
    }

    pub(crate) fn has_version(&self, server: &str, version: u64) -> Known {
        self.roll.lock().has_version(server, version)
    }

    /// All who are here.
    pub(crate) fn here(&self) -> (u64, Vec<Place>) {
        self.roll.lock().here()
    }

    /// A server is gone, and was heard last so long ago.
    pub(crate) fn gone(&self, server: &str, silent_for: Duration) {
        let now = now();
        let heard = now.checked_sub(silent_for).unwrap_or(now);
        self.change(|roll| roll.gone(server, heard));
    }

    fn change<R>(&self, change: impl FnOnce(&mut Roll) -> R) -> R {
        let mut roll = self.roll.lock();
        let deadline = roll.next_deadline();
        let result = change(&mut roll);
        self.say(&mut roll);
        if roll.next_deadline() != deadline {
            self.leaves.notify_one();
        }
        result
    }

    /// Says what has become known, in order.
    fn say(&self, roll: &mut Roll) {
        for Change { place, is_there } in roll.take_changes(now()) {
            let (group, who) = place;
            let kind = if is_there {
                PresenceKind::Joined
            } else {
                PresenceKind::Left
            };
            // Nobody need watch.
            let _ = self.events.send(PresenceEvent { group, who, kind });
        }
    }
}

/// Says who has been away for long enough.
async fn keep(attendance: Weak<Attendance>, leaves: Arc<Notify>) {
    loop {
        let deadline = {
            let Some(attendance) = attendance.upgrade() else {
                return;
            };
            let mut roll = attendance.roll.lock();
            attendance.say(&mut roll);
            roll.next_deadline()
        };
        // Now and then, to see whether the hub is still there.
        let at_last = Instant::now() + Duration::from_secs(60);
        let until = deadline.map_or(at_last, Instant::from);
        tokio::select! {
            () = sleep_until(until) => {}
            () = leaves.notified() => {}
        }
    }
}

/// Tells the other servers.
fn tell(cluster: Option<&Arc<Cluster>>, version: Option<u64>, place: Place, is_there: bool) {
    if let (Some(cluster), Some(version)) = (cluster, version) {
        cluster.set_presence(version);
        cluster.write_to_all(&Note::Presence {
            from: cluster.name().to_owned(),
            version,
            place,
            is_there,
        });
    }
}

fn place_of(live: &Live, group: &Arc<str>) -> Place {
    let who = match &live.user_identifier {
        Some(user) => user.clone(),
        None => live.id.as_str().into(),
    };
    (group.clone(), who)
}

fn now() -> std::time::Instant {
    raw_ws::clock::now()
}
