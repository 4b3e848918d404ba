//! What comes from the other servers of a hub, taken in.
//!
//! Nothing here waits, and nothing that comes does harm: what cannot be read is skipped (RD-04).

use std::sync::{
    Arc, Weak,
    atomic::{AtomicU32, Ordering},
};

use bytes::Bytes;
use raw_ws::{MessageKind, PreparedMessage};

use crate::{
    backplanes::{Arrivals, Arriving, Backplane},
    events,
    identity::connection_id::ConnectionId,
    protocol::{Frames, Protocol, TransferFormat, message::HubMessage},
    reach::{
        cluster::{
            Cluster,
            channels::Kind,
            ledger::Origin,
            notes::Note,
            payloads::{self, Action, GroupCommand, Invocation, Messages},
        },
        in_touch,
        live::{Command, Live},
        registry::{Registry, Topic},
    },
};

/// Joins the other servers of a hub.
///
/// # Errors
/// When it has joined some already.
#[track_caller]
pub(crate) fn join(registry: &Arc<Registry>, backplane: &dyn Backplane) -> Result<(), ()> {
    events::backplane_begins(backplane.channel_prefix());
    let cluster = Cluster::new(backplane);
    registry.set_cluster(cluster.clone()).map_err(drop)?;
    let taken_in = TakenIn {
        registry: Arc::downgrade(registry),
        taken_in: AtomicU32::new(0),
    };
    cluster.join(backplane, Arrivals::new(Arc::new(taken_in)));
    tokio::spawn(in_touch::keep(Arc::downgrade(registry), cluster.expects()));
    Ok(())
}

/// Messages taken in before what they are to clients is written: who reads has had a chance to by then,
/// however many come in one go.
const AT_ONCE: u32 = 100;

/// Takes in what comes for a hub, as long as there is one.
struct TakenIn {
    registry: Weak<Registry>,
    /// Since clients were last written to.
    taken_in: AtomicU32,
}

impl Arriving for TakenIn {
    fn message(&self, channel: &str, payload: Bytes) {
        self.with(|registry, cluster| {
            let Some(kind) = cluster.channels.kind(channel) else {
                return;
            };
            let is_read = match kind {
                Kind::Note => {
                    Note::decode(&payload).map(|note| in_touch::read(registry, cluster, note))
                }
                // What this server has sent itself has arrived here already.
                _ if cluster.origin(channel, &payload) == Origin::Here => Some(()),
                _ => take_in(registry, cluster, &kind, &payload),
            };
            if is_read.is_none() {
                events::unreadable_arrival();
            }
            if self.taken_in.fetch_add(1, Ordering::Relaxed) >= AT_ONCE {
                self.taken_in.store(0, Ordering::Relaxed);
                registry.flush();
            }
        });
    }

    fn interrupted(&self) {
        self.with(|_, cluster| cluster.interrupted());
    }

    fn doubtful(&self) {
        self.with(|_, cluster| cluster.doubts());
    }

    fn resumed(&self) {
        events::backplane_joined();
        self.with(|_, cluster| cluster.resumed());
    }
}

impl TakenIn {
    fn with(&self, take_in: impl FnOnce(&Registry, &Arc<Cluster>)) {
        if let Some(registry) = self.registry.upgrade()
            && let Some(cluster) = registry.cluster()
        {
            take_in(&registry, cluster);
        }
    }
}

/// `None` for what cannot be read.
fn take_in(
    registry: &Registry,
    cluster: &Arc<Cluster>,
    kind: &Kind<'_>,
    payload: &Bytes,
) -> Option<()> {
    let topic = match kind {
        Kind::All => Topic::All,
        Kind::Group(name) => Topic::Group((*name).into()),
        Kind::User(identifier) => Topic::User((*identifier).into()),
        Kind::Connection(id) => {
            let invocation = payloads::read_invocation(payload)?;
            if let Some(live) = registry.find(id) {
                bring_to(registry, cluster, &live, &invocation);
            }
            return Some(());
        }
        Kind::GroupCommand => {
            let command = payloads::read_group_command(payload)?;
            change_group(registry, cluster, &command);
            return Some(());
        }
        Kind::Acknowledgement => {
            cluster.acknowledged(payloads::read_acknowledgement(payload)?);
            return Some(());
        }
        Kind::Note => return Some(()),
        Kind::Answer => {
            let (protocol, framed) = payloads::read_answer(payload)?;
            return answered(registry, protocol, framed);
        }
    };
    let Invocation {
        except, messages, ..
    } = payloads::read_invocation(payload)?;
    let except: Vec<ConnectionId> = except.into_iter().map(Into::into).collect();
    let messages = Protocol::ALL.map(|protocol| prepare(protocol, &messages));
    for live in registry.bring(&topic, &messages, &except) {
        live.command(Command::CannotBeSentTo);
    }
    Some(())
}

/// A message for one connection, which may have to answer.
fn bring_to(registry: &Registry, cluster: &Arc<Cluster>, live: &Live, invocation: &Invocation<'_>) {
    let protocol = live.encoding.protocol;
    let Some(message) = prepare(protocol, &invocation.messages) else {
        return live.command(Command::CannotBeSentTo);
    };
    if let Some((invocation_id, channel)) = invocation.answer_to {
        let results = &registry.results;
        results.asked_by_server(cluster, &live.id, protocol, invocation_id, channel);
        if registry.find(&live.id).is_none() {
            results.fail_all_of(&live.id); // between the two: nobody would tell it
        }
    }
    // CL-12: who is leaving gets nothing.
    let _ = live.sender.send_prepared(&message);
}

/// The message in a protocol; `None` where it is not in it, or not as that must be.
fn prepare(protocol: Protocol, messages: &Messages) -> Option<PreparedMessage> {
    let message = messages.get(protocol)?;
    let kind = match protocol.transfer_format() {
        TransferFormat::Text => MessageKind::Text,
        TransferFormat::Binary => MessageKind::Binary,
    };
    if kind == MessageKind::Text && str::from_utf8(message).is_err() {
        return None;
    }
    Some(PreparedMessage::written(kind, |frame| {
        frame.extend_from_slice(message);
    }))
}

/// Does what another server wants of a connection of this one, and says so (RD-07). A connection that is
/// not here is another's.
fn change_group(registry: &Registry, cluster: &Arc<Cluster>, command: &GroupCommand<'_>) {
    if registry.find(command.connection).is_none() {
        return;
    }
    match command.action {
        // A limit of this server: the one that asked waits in vain.
        Action::Add if registry.join(command.connection, command.group).is_err() => return,
        Action::Add => {}
        Action::Remove => registry.leave(command.connection, command.group),
    }
    cluster.acknowledge(command.server, command.id);
}

fn answered(registry: &Registry, protocol: Protocol, framed: Bytes) -> Option<()> {
    let mut frames = Frames::default();
    frames.push(framed);
    let record = frames.next(protocol, None).ok()??;
    match protocol.decode(&record).ok()?? {
        HubMessage::Completion {
            invocation_id,
            completion,
        } => registry
            .results
            .answer_from_elsewhere(&invocation_id, (protocol, completion)),
        _ => return None,
    }
    Some(())
}
