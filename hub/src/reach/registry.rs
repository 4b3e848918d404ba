//! Who is connected, who is where, and the way to reach them: every send of a hub goes through
//! here, and fan-out through `raw_ws::Topics`.

use std::{
    collections::HashSet,
    hash::Hash,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use raw_ws::{PreparedMessage, Sender, Topics};

use crate::{
    error::{HubError, Result},
    identity::connection_id::ConnectionId,
    options::HubOptions,
    protocol::Protocol,
    reach::{
        client_results::ClientResults,
        cluster::{Cluster, channels::Channels, health::Gap, payloads},
        connections::Connections,
        live::Live,
        presence::Attendance,
        stopping::Stopping,
        tokens_elsewhere::Paths,
    },
};

/// The connections of one hub.
pub(crate) struct Registry {
    pub(crate) options: Arc<HubOptions>,
    pub(crate) results: ClientResults,
    connections: Connections,
    /// One for each protocol, as their connections get different bytes.
    topics: [Topics<Topic>; Protocol::ALL.len()],
    pub(crate) stopping: Stopping,
    /// The other servers of the hub; empty where it is alone.
    cluster: OnceLock<Arc<Cluster>>,
    on_gap: OnceLock<OnGap>,
    /// Who is present; empty where nobody wants to know.
    attendance: OnceLock<Arc<Attendance>>,
    /// Where it is, for tokens that come to another server.
    pub(crate) paths: Paths,
}

/// What the application has run when messages of other servers may have been missed.
pub(crate) type OnGap = Box<dyn Fn(Gap) + Send + Sync>;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Topic {
    All,
    Group(Arc<str>),
    User(Arc<str>),
}

/// Whom a message is for (API-01).
#[derive(Debug, Clone)]
pub(crate) enum Selection {
    All,
    AllExcept(Vec<ConnectionId>),
    Connection(ConnectionId),
    Connections(Vec<ConnectionId>),
    Group(Arc<str>),
    Groups(Vec<Arc<str>>),
    GroupExcept(Arc<str>, Vec<ConnectionId>),
    User(Arc<str>),
    Users(Vec<Arc<str>>),
}

/// How far a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// To all servers of the hub.
    Everywhere,
    /// To the clients of this one.
    Here,
}

/// A message on its way to many: encoded when the first receiver of a protocol is found, once.
pub(crate) struct Encoded<F> {
    encode: F,
    messages: [Option<PreparedMessage>; Protocol::ALL.len()],
    max_size: usize,
}

impl<F: FnMut(Protocol) -> Result<PreparedMessage>> Encoded<F> {
    pub(crate) fn new(options: &HubOptions, encode: F) -> Self {
        Self {
            encode,
            messages: Protocol::ALL.map(|_| None),
            max_size: options.max_queued_bytes,
        }
    }

    /// For other servers: in every protocol that the hub has, as nobody knows what their clients speak
    /// (RD-04).
    pub(crate) fn for_others(
        &mut self,
        options: &HubOptions,
        except: &[ConnectionId],
        answer_to: Option<(&str, &str)>,
    ) -> Result<Bytes> {
        let known = |protocol: &Protocol| options.supported_protocols.contains(protocol);
        let protocols = Protocol::ALL.into_iter().filter(known);
        for protocol in protocols.clone() {
            self.for_protocol(protocol)?;
        }
        let messages = protocols.filter_map(|protocol| {
            let message = self.messages[protocol as usize].as_ref()?;
            Some((protocol, message.payload()))
        });
        Ok(payloads::invocation(
            except,
            &messages.collect::<Vec<_>>(),
            answer_to,
        ))
    }

    fn for_protocol(&mut self, protocol: Protocol) -> Result<&PreparedMessage> {
        let message = &mut self.messages[protocol as usize];
        if message.is_none() {
            let encoded = (self.encode)(protocol)?;
            if encoded.len() > self.max_size {
                return Err(HubError::hidden(
                    "InvalidOperationException",
                    "the message is larger than max_queued_bytes",
                ));
            }
            *message = Some(encoded);
        }
        Ok(message.as_ref().expect("it was encoded above"))
    }
}

impl Registry {
    pub(crate) fn new(options: Arc<HubOptions>) -> Arc<Self> {
        Arc::new(Self {
            options,
            results: ClientResults::default(),
            connections: Connections::default(),
            topics: Protocol::ALL.map(|_| Topics::new()),
            stopping: Stopping::default(),
            cluster: OnceLock::new(),
            on_gap: OnceLock::new(),
            attendance: OnceLock::new(),
            paths: Paths::default(),
        })
    }

    /// The other servers of the hub; `None` where it is alone.
    pub(crate) fn cluster(&self) -> Option<&Arc<Cluster>> {
        self.cluster.get()
    }

    /// Says which they are; at most once.
    pub(crate) fn set_cluster(
        &self,
        cluster: Arc<Cluster>,
    ) -> std::result::Result<(), Arc<Cluster>> {
        self.cluster.set(cluster)
    }

    /// Who is present, as far as anybody wants to know.
    pub(crate) fn attendance(&self) -> Option<&Arc<Attendance>> {
        self.attendance.get()
    }

    /// From here on somebody wants to know; at most once.
    pub(crate) fn set_attendance(
        &self,
        attendance: Arc<Attendance>,
    ) -> std::result::Result<(), Arc<Attendance>> {
        self.attendance.set(attendance)
    }

    /// Says whom to tell of gaps; at most once.
    pub(crate) fn set_on_gap(&self, on_gap: OnGap) -> std::result::Result<(), OnGap> {
        self.on_gap.set(on_gap)
    }

    /// Messages of other servers may have been missed. A panic of the application is its own.
    pub(crate) fn tell_gap(&self, gap: Gap) {
        if let Some(on_gap) = self.on_gap.get() {
            let _ = catch_unwind(AssertUnwindSafe(|| on_gap(gap)));
        }
    }

    /// Makes a connection reachable.
    pub(crate) fn add(&self, live: &Arc<Live>) {
        self.connections.add(live);
        let topics = self.topics_of(live);
        topics.subscribe(Topic::All, &live.sender);
        if let Some(user) = &live.user_identifier {
            topics.subscribe(Topic::User(user.clone()), &live.sender);
        }
        if let Some(cluster) = self.cluster() {
            for channel in channels_of(&cluster.channels, live) {
                cluster.enter(&channel);
            }
        }
    }

    /// Forgets a connection (API-09).
    pub(crate) fn remove(&self, live: &Live) {
        let was_here = self.connections.remove(live);
        let topics = self.topics_of(live);
        live.groups().is_over = true;
        for topic in topics.topics_of(&live.sender) {
            topics.unsubscribe(&topic, &live.sender);
        }
        if let Some(cluster) = self.cluster()
            && was_here
        {
            for channel in channels_of(&cluster.channels, live) {
                cluster.leave(&channel);
            }
            for group in &live.groups().names {
                cluster.leave(&cluster.channels.group(group));
            }
        }
        if let Some(attendance) = self.attendance()
            && was_here
        {
            let groups = live.groups().names.clone();
            for group in &groups {
                attendance.left(self.cluster(), live, group);
            }
        }
        self.results.fail_all_of(&live.id);
    }

    pub(crate) fn find(&self, id: &str) -> Option<Arc<Live>> {
        self.connections.find(id)
    }

    /// Everybody who is connected.
    pub(crate) fn all(&self) -> Vec<Arc<Live>> {
        self.connections.all()
    }

    pub(crate) fn len(&self) -> usize {
        self.connections.len()
    }

    /// Puts a connection into a group; one that has ended stays out (API-07, API-09).
    pub(crate) fn join(&self, id: &str, group: &str) -> Result<()> {
        let Some(live) = self.find(id) else {
            return Ok(());
        };
        let longest = self.options.maximum_group_name_length;
        if group.len() > longest {
            return Err(HubError::new(format!(
                "The name of a group may have {longest} bytes."
            )));
        }
        let mut joined = live.groups();
        if joined.is_over || joined.names.iter().any(|name| **name == *group) {
            return Ok(());
        }
        let limit = self.options.maximum_groups_per_connection;
        if joined.names.len() >= limit {
            return Err(HubError::new(format!(
                "A connection may be in {limit} groups."
            )));
        }
        let name: Arc<str> = group.into();
        joined.names.push(name.clone());
        self.topics_of(&live)
            .subscribe(Topic::Group(name.clone()), &live.sender);
        if let Some(attendance) = self.attendance() {
            attendance.joined(self.cluster(), &live, &name);
        }
        if let Some(cluster) = self.cluster() {
            cluster.enter(&cluster.channels.group(group));
        }
        Ok(())
    }

    pub(crate) fn leave(&self, id: &str, group: &str) {
        if let Some(live) = self.find(id) {
            let mut joined = live.groups();
            let before = joined.names.len();
            joined.names.retain(|name| **name != *group);
            let was_in = joined.names.len() < before;
            self.topics_of(&live)
                .unsubscribe(&Topic::Group(group.into()), &live.sender);
            if !was_in || joined.is_over {
                return;
            }
            if let Some(cluster) = self.cluster() {
                cluster.leave(&cluster.channels.group(group));
            }
            if let Some(attendance) = self.attendance() {
                attendance.left(self.cluster(), &live, &group.into());
            }
        }
    }

    /// The connections of a group.
    pub(crate) fn members(&self, group: &str) -> Vec<ConnectionId> {
        self.subscribers(&Topic::Group(group.into()))
    }

    /// The connections of a user.
    pub(crate) fn connections_of(&self, user: &str) -> Vec<ConnectionId> {
        self.subscribers(&Topic::User(user.into()))
    }

    /// The groups of a connection that lives.
    pub(crate) fn groups_of(&self, id: &str) -> Vec<String> {
        let live = self.find(id);
        live.map_or_else(Vec::new, |live| self.groups_joined(&live))
    }

    /// The groups of a connection; those it was in at its end, once it is over.
    pub(crate) fn groups_joined(&self, live: &Live) -> Vec<String> {
        let names = &live.groups().names;
        names.iter().map(|name| name.as_ref().to_owned()).collect()
    }

    /// Sends to everybody selected, on whichever server. Never waits: who does not read is cut, and
    /// nobody else notices.
    pub(crate) fn send(
        &self,
        to: &Selection,
        reach: Reach,
        encode: impl FnMut(Protocol) -> Result<PreparedMessage>,
    ) -> Result<()> {
        let mut message = Encoded::new(&self.options, encode);
        let (Reach::Everywhere, Some(cluster)) = (reach, self.cluster()) else {
            return self.send_here(to, &mut message);
        };
        if let Selection::Connection(id) = to
            && self.find(id).is_some()
        {
            return self.send_to(id, &mut message); // RD-06: nobody else has it
        }
        // First, so that what cannot be encoded reaches nobody.
        let payload = message.for_others(&self.options, to.except(), None)?;
        self.send_here(to, &mut message)?;
        to.channels(&cluster.channels)
            .into_iter()
            .try_for_each(|channel| cluster.publish(channel, payload.clone()))
    }

    /// Sends to everybody selected who is connected to this server.
    fn send_here(
        &self,
        to: &Selection,
        message: &mut Encoded<impl FnMut(Protocol) -> Result<PreparedMessage>>,
    ) -> Result<()> {
        match to {
            Selection::All => self.publish(&Topic::All, message, &[]),
            Selection::AllExcept(ids) => self.publish(&Topic::All, message, ids),
            Selection::Connection(id) => self.send_to(id, message),
            // API-04: once each.
            Selection::Connections(ids) => {
                once_each(ids).try_for_each(|id| self.send_to(id, message))
            }
            Selection::Group(group) => self.publish(&Topic::Group(group.clone()), message, &[]),
            // API-04: once for each group.
            Selection::Groups(groups) => groups
                .iter()
                .try_for_each(|group| self.publish(&Topic::Group(group.clone()), message, &[])),
            Selection::GroupExcept(group, ids) => {
                self.publish(&Topic::Group(group.clone()), message, ids)
            }
            Selection::User(user) => self.publish(&Topic::User(user.clone()), message, &[]),
            Selection::Users(users) => once_each(users)
                .try_for_each(|user| self.publish(&Topic::User(user.clone()), message, &[])),
        }
    }

    /// Brings what another server sends to those of a topic who are here. Gives those whose protocol it
    /// is not in.
    pub(crate) fn bring(
        &self,
        topic: &Topic,
        messages: &[Option<PreparedMessage>; Protocol::ALL.len()],
        except: &[ConnectionId],
    ) -> Vec<Arc<Live>> {
        let except = self.senders_of(except);
        let mut left_out = Vec::new();
        for (topics, message) in self.topics.iter().zip(messages) {
            let is_meant = |sender: &Sender| !except.contains(&sender.id());
            match message {
                Some(message) => {
                    topics.publish_if(topic, message, is_meant);
                }
                None => left_out.extend(topics.senders(topic).into_iter().filter(is_meant)),
            }
        }
        let known = left_out.iter();
        known
            .filter_map(|sender| self.connections.of_sender(sender.id()))
            .collect()
    }

    /// Writes what was sent to topics so far.
    pub(crate) fn flush(&self) {
        self.topics.iter().for_each(Topics::flush);
    }

    fn send_to(
        &self,
        id: &ConnectionId,
        message: &mut Encoded<impl FnMut(Protocol) -> Result<PreparedMessage>>,
    ) -> Result<()> {
        // API-03: nobody of that name, nothing happens.
        if let Some(live) = self.find(id) {
            let message = message.for_protocol(live.encoding.protocol)?;
            // CL-12: who is leaving gets nothing, and that is no error of the sender's.
            let _ = live.sender.send_prepared(message);
        }
        Ok(())
    }

    fn publish(
        &self,
        topic: &Topic,
        message: &mut Encoded<impl FnMut(Protocol) -> Result<PreparedMessage>>,
        except: &[ConnectionId],
    ) -> Result<()> {
        let except = self.senders_of(except);
        for (protocol, topics) in Protocol::ALL.into_iter().zip(&self.topics) {
            if topics.subscribers(topic) == 0 {
                continue;
            }
            let message = message.for_protocol(protocol)?;
            match except.as_slice() {
                [] => topics.publish(topic, message),
                except => {
                    topics.publish_if(topic, message, |sender| !except.contains(&sender.id()))
                }
            };
        }
        Ok(())
    }

    fn senders_of(&self, ids: &[ConnectionId]) -> Vec<u64> {
        let known = ids.iter().filter_map(|id| self.find(id));
        known.map(|live| live.sender.id()).collect()
    }

    fn subscribers(&self, topic: &Topic) -> Vec<ConnectionId> {
        let senders = self.topics.iter().flat_map(|topics| topics.senders(topic));
        senders
            .filter_map(|sender| self.connections.of_sender(sender.id()))
            .map(|live| live.id.clone())
            .collect()
    }

    fn topics_of(&self, live: &Live) -> &Topics<Topic> {
        &self.topics[live.encoding.protocol as usize]
    }
}

impl Selection {
    /// Who of those selected gets nothing.
    fn except(&self) -> &[ConnectionId] {
        match self {
            Self::AllExcept(ids) | Self::GroupExcept(_, ids) => ids,
            _ => &[],
        }
    }

    /// The channels on which other servers listen for it, and this one too: as there, each connection of
    /// a list has its own, and names that are empty have none (RD-06).
    fn channels(&self, channels: &Channels) -> Vec<Arc<str>> {
        let named = |name: &&Arc<str>| !name.is_empty();
        match self {
            Self::All | Self::AllExcept(_) => vec![channels.all.clone()],
            Self::Connection(id) => vec![channels.connection(id).into()],
            Self::Connections(ids) => once_each(ids)
                .map(|id| channels.connection(id).into())
                .collect(),
            Self::Group(group) | Self::GroupExcept(group, _) => vec![channels.group(group).into()],
            Self::Groups(groups) => groups
                .iter()
                .filter(named)
                .map(|group| channels.group(group).into())
                .collect(),
            Self::User(user) => vec![channels.user(user).into()],
            Self::Users(users) => once_each(users)
                .filter(named)
                .map(|user| channels.user(user).into())
                .collect(),
        }
    }
}

/// The channels of a connection itself: its own, and its user's.
fn channels_of(channels: &Channels, live: &Live) -> impl Iterator<Item = String> {
    let user = live.user_identifier.as_ref();
    let of_user = user.map(|user| channels.user(user));
    [channels.connection(&live.id)].into_iter().chain(of_user)
}

/// Each item at its first place.
fn once_each<T: Eq + Hash>(items: &[T]) -> impl Iterator<Item = &T> {
    let mut seen = HashSet::with_capacity(items.len());
    items.iter().filter(move |item| seen.insert(*item))
}
