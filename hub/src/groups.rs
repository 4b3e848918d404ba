//! Membership: joining and leaving groups, and who is where.

use std::sync::Arc;

use crate::{connection_id::ConnectionId, error::Result, registry::Registry};

/// Membership of groups: to change it, and to ask. A group exists while it has members; a
/// connection that ends has left all its groups (API-07).
#[derive(Clone)]
pub struct Groups {
    registry: Arc<Registry>,
    caller: Option<ConnectionId>,
}

impl Groups {
    pub(crate) fn new(registry: Arc<Registry>, caller: Option<ConnectionId>) -> Self {
        Self { registry, caller }
    }

    /// Puts the caller into a group. Nothing happens when there is no caller, or it is in it.
    ///
    /// # Errors
    /// When the connection is in
    /// [`maximum_groups_per_connection`](crate::HubOptions) groups already.
    pub fn join(&self, group: &str) -> Result<()> {
        match &self.caller {
            Some(id) => self.registry.join(id, group),
            None => Ok(()),
        }
    }

    /// Takes the caller out of a group.
    pub fn leave(&self, group: &str) {
        if let Some(id) = &self.caller {
            self.registry.leave(id, group);
        }
    }

    /// Puts any connection into a group. An unknown one is nobody.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub fn add(&self, connection_id: &str, group: &str) -> Result<()> {
        self.registry.join(connection_id, group)
    }

    /// Takes any connection out of a group.
    pub fn remove(&self, connection_id: &str, group: &str) {
        self.registry.leave(connection_id, group);
    }

    /// The connections of a group, in no order.
    pub fn members(&self, group: &str) -> Vec<ConnectionId> {
        self.registry.members(group)
    }

    /// The groups of a connection, in the order in which it joined them.
    pub fn of(&self, connection_id: &str) -> Vec<String> {
        self.registry.groups_of(connection_id)
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
