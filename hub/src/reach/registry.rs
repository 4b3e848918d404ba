//! Who is connected, who is where, and the way to reach them: every send of a hub goes through
//! here, and fan-out through `raw_ws::Topics`.

use std::{collections::HashMap, sync::Arc};

use raw_ws::{PreparedMessage, Sender, Topics, sync::RwLock};

use crate::{
    error::{HubError, Result},
    identity::connection_id::ConnectionId,
    options::HubOptions,
    protocol::Protocol,
    reach::{client_results::ClientResults, live::Live, stopping::Stopping},
};

/// The connections of one hub.
pub(crate) struct Registry {
    pub(crate) options: Arc<HubOptions>,
    pub(crate) results: ClientResults,
    connections: RwLock<Connections>,
    /// One for each protocol, as their connections get different bytes.
    topics: [Topics<Topic>; Protocol::ALL.len()],
    pub(crate) stopping: Stopping,
}

#[derive(Default)]
struct Connections {
    by_id: HashMap<ConnectionId, Arc<Live>>,
    by_sender: HashMap<u64, ConnectionId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Topic {
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

/// A message on its way to many: encoded when the first receiver of a protocol is found, once.
pub(crate) struct Encoded<F> {
    encode: F,
    messages: [Option<PreparedMessage>; Protocol::ALL.len()],
    max_size: usize,
}

impl<F: FnMut(Protocol) -> Result<PreparedMessage>> Encoded<F> {
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
            connections: RwLock::default(),
            topics: Protocol::ALL.map(|_| Topics::new()),
            stopping: Stopping::default(),
        })
    }

    /// Makes a connection reachable.
    pub(crate) fn add(&self, live: &Arc<Live>) {
        let mut connections = self.connections.write();
        connections.by_id.insert(live.id.clone(), live.clone());
        connections
            .by_sender
            .insert(live.sender.id(), live.id.clone());
        drop(connections);
        let topics = self.topics_of(live);
        topics.subscribe(Topic::All, &live.sender);
        if let Some(user) = &live.user_identifier {
            topics.subscribe(Topic::User(user.clone()), &live.sender);
        }
    }

    /// Forgets a connection (API-09).
    pub(crate) fn remove(&self, live: &Live) {
        let mut connections = self.connections.write();
        connections.by_id.remove(&live.id);
        connections.by_sender.remove(&live.sender.id());
        drop(connections);
        let topics = self.topics_of(live);
        live.groups().is_over = true;
        for topic in topics.topics_of(&live.sender) {
            topics.unsubscribe(&topic, &live.sender);
        }
        self.results.fail_all_of(&live.id);
    }

    pub(crate) fn find(&self, id: &str) -> Option<Arc<Live>> {
        self.connections.read().by_id.get(id).cloned()
    }

    /// Everybody who is connected.
    pub(crate) fn all(&self) -> Vec<Arc<Live>> {
        self.connections.read().by_id.values().cloned().collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.connections.read().by_id.len()
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
            .subscribe(Topic::Group(name), &live.sender);
        Ok(())
    }

    pub(crate) fn leave(&self, id: &str, group: &str) {
        if let Some(live) = self.find(id) {
            let mut joined = live.groups();
            joined.names.retain(|name| **name != *group);
            self.topics_of(&live)
                .unsubscribe(&Topic::Group(group.into()), &live.sender);
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

    /// Sends to everybody selected. Never waits: who does not read is cut, and nobody else notices.
    pub(crate) fn send(
        &self,
        to: &Selection,
        encode: impl FnMut(Protocol) -> Result<PreparedMessage>,
    ) -> Result<()> {
        let mut message = Encoded {
            encode,
            messages: Protocol::ALL.map(|_| None),
            max_size: self.options.max_queued_bytes,
        };
        match to {
            Selection::All => self.publish(&Topic::All, &mut message, &[]),
            Selection::AllExcept(ids) => self.publish(&Topic::All, &mut message, ids),
            Selection::Connection(id) => self.send_to(id, &mut message),
            Selection::Connections(ids) => {
                // API-04: once each.
                let mut ids: Vec<_> = ids.iter().collect();
                ids.sort_unstable();
                ids.dedup();
                ids.into_iter()
                    .try_for_each(|id| self.send_to(id, &mut message))
            }
            Selection::Group(group) => {
                self.publish(&Topic::Group(group.clone()), &mut message, &[])
            }
            // API-04: once for each group.
            Selection::Groups(groups) => groups.iter().try_for_each(|group| {
                self.publish(&Topic::Group(group.clone()), &mut message, &[])
            }),
            Selection::GroupExcept(group, ids) => {
                self.publish(&Topic::Group(group.clone()), &mut message, ids)
            }
            Selection::User(user) => self.publish(&Topic::User(user.clone()), &mut message, &[]),
            Selection::Users(users) => {
                let mut users: Vec<_> = users.iter().collect();
                users.sort_unstable();
                users.dedup();
                users.into_iter().try_for_each(|user| {
                    self.publish(&Topic::User(user.clone()), &mut message, &[])
                })
            }
        }
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
        if ids.is_empty() {
            return Vec::new();
        }
        let connections = self.connections.read();
        let known = ids.iter().filter_map(|id| connections.by_id.get(id));
        known.map(|live| live.sender.id()).collect()
    }

    fn subscribers(&self, topic: &Topic) -> Vec<ConnectionId> {
        let senders: Vec<Sender> = self
            .topics
            .iter()
            .flat_map(|topics| topics.senders(topic))
            .collect();
        let connections = self.connections.read();
        let known = senders
            .iter()
            .filter_map(|sender| connections.by_sender.get(&sender.id()));
        known.cloned().collect()
    }

    fn topics_of(&self, live: &Live) -> &Topics<Topic> {
        &self.topics[live.encoding.protocol as usize]
    }
}
