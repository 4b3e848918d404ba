//! Membership: joining and leaving groups, and who is where.

use std::sync::Arc;

use crate::{
    error::Result,
    identity::connection_id::ConnectionId,
    reach::{live::Live, registry::Registry},
};

/// Membership of groups: to change it, and to ask. A group exists while it has members; a
/// connection that ends has left all its groups (API-07).
#[derive(Clone)]
pub struct Groups {
    registry: Arc<Registry>,
    caller: Option<Arc<Live>>,
}

impl Groups {
    pub(crate) fn new(registry: Arc<Registry>, caller: Option<Arc<Live>>) -> Self {
        Self { registry, caller }
    }

    /// Puts the caller into a group. Nothing happens when there is no caller, or it is in it.
    ///
    /// # Errors
    /// When the connection is in
    /// [`maximum_groups_per_connection`](crate::HubOptions) groups already, or the name is longer
    /// than `maximum_group_name_length`.
    pub fn join(&self, group: &str) -> Result<()> {
        match &self.caller {
            Some(live) => self.registry.join(&live.id, group),
            None => Ok(()),
        }
    }

    /// Takes the caller out of a group.
    pub fn leave(&self, group: &str) {
        if let Some(live) = &self.caller {
            self.registry.leave(&live.id, group);
        }
    }

    /// The groups of the caller, in the order in which it joined them; in what runs on disconnect
    /// those it was in until then.
    pub fn mine(&self) -> Vec<String> {
        let caller = self.caller.as_ref();
        caller.map_or_else(Vec::new, |live| self.registry.groups_joined(live))
    }

    /// Puts any connection into a group. An unknown one is nobody.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub fn add(&self, connection: impl Into<ConnectionId>, group: &str) -> Result<()> {
        self.registry.join(&connection.into(), group)
    }

    /// Takes any connection out of a group.
    pub fn remove(&self, connection: impl Into<ConnectionId>, group: &str) {
        self.registry.leave(&connection.into(), group);
    }

    /// The connections of a group, in no order.
    pub fn members(&self, group: &str) -> Vec<ConnectionId> {
        self.registry.members(group)
    }

    /// The groups of a connection, in the order in which it joined them.
    pub fn of(&self, connection: impl Into<ConnectionId>) -> Vec<String> {
        self.registry.groups_of(&connection.into())
    }

    /// The connections of a user, in no order.
    pub fn connections_of_user(&self, user: &str) -> Vec<ConnectionId> {
        self.registry.connections_of(user)
    }

    /// Everybody who is connected to the hub, in no order.
    pub fn everybody(&self) -> Vec<ConnectionId> {
        let all = self.registry.all();
        all.iter().map(|live| live.id.clone()).collect()
    }
}

impl std::fmt::Debug for Groups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Groups").finish_non_exhaustive()
    }
}
