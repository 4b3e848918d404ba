//! Membership: joining and leaving groups, and who is where.

use std::sync::Arc;

use crate::{
    error::Result,
    identity::connection_id::ConnectionId,
    reach::{
        cluster::{Cluster, payloads::Action},
        hold::Hold,
        live::Live,
    },
};

/// Membership of groups: to change it, and to ask. A group exists while it has members; a
/// connection that ends has left all its groups (API-07).
#[derive(Clone)]
pub struct Groups {
    registry: Hold,
    caller: Option<Arc<Live>>,
}

impl Groups {
    pub(crate) fn new(registry: Hold, caller: Option<Arc<Live>>) -> Self {
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

    /// Puts the caller into a group, and waits until other servers reach it there: what any of them
    /// sends to the group from then on arrives. Without a [backplane](crate::Hub::backplane), or where it
    /// is away, nothing is waited for.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    ///
    /// # Cancel safety
    /// When the future is dropped the caller has joined all the same.
    pub async fn join_and_wait(&self, group: &str) -> Result<()> {
        self.join(group)?;
        self.settled().await;
        Ok(())
    }

    /// Puts any connection into a group. An unknown one is nobody.
    ///
    /// One of this server is in it when this returns, and gets what this server sends to it; what other
    /// servers send reaches it shortly after. One of another server is put into it shortly after, if that
    /// server is there: nobody says whether it was. [`add_and_wait`](Self::add_and_wait) does.
    ///
    /// # Errors
    /// As [`join`](Self::join); and when too much waits for a backplane that is away.
    pub fn add(&self, connection: impl Into<ConnectionId>, group: &str) -> Result<()> {
        let connection = connection.into();
        match self.elsewhere(&connection) {
            Some(cluster) => cluster.change_group(Action::Add, group, &connection),
            None => self.registry.join(&connection, group),
        }
    }

    /// Puts any connection into a group, and waits until it is in it and every server reaches it there
    /// (RD-07).
    ///
    /// # Errors
    /// As [`add`](Self::add). And when the server that has it does not say so within
    /// [`client_result_timeout`](crate::HubOptions), 30 s by default: nobody has it, it is in too many
    /// groups there, its server or the backplane is away.
    ///
    /// # Cancel safety
    /// When the future is dropped the connection is put into the group all the same.
    pub async fn add_and_wait(
        &self,
        connection: impl Into<ConnectionId>,
        group: &str,
    ) -> Result<()> {
        let connection = connection.into();
        if let Some(cluster) = self.elsewhere(&connection) {
            return self.command(cluster, Action::Add, group, &connection).await;
        }
        self.registry.join(&connection, group)?;
        self.settled().await;
        Ok(())
    }

    /// Takes any connection out of a group. An unknown one is nobody; one of another server is taken out
    /// shortly after.
    ///
    /// # Errors
    /// When too much waits for a backplane that is away; never without one.
    pub fn remove(&self, connection: impl Into<ConnectionId>, group: &str) -> Result<()> {
        let connection = connection.into();
        match self.elsewhere(&connection) {
            Some(cluster) => cluster.change_group(Action::Remove, group, &connection),
            None => {
                self.registry.leave(&connection, group);
                Ok(())
            }
        }
    }

    /// Takes any connection out of a group, and waits until it is.
    ///
    /// # Errors
    /// As [`add_and_wait`](Self::add_and_wait).
    ///
    /// # Cancel safety
    /// When the future is dropped the connection is taken out all the same.
    pub async fn remove_and_wait(
        &self,
        connection: impl Into<ConnectionId>,
        group: &str,
    ) -> Result<()> {
        let connection = connection.into();
        if let Some(cluster) = self.elsewhere(&connection) {
            return self
                .command(cluster, Action::Remove, group, &connection)
                .await;
        }
        self.registry.leave(&connection, group);
        Ok(())
    }

    /// The other servers, where one of them may have a connection: this one has not.
    fn elsewhere(&self, connection: &ConnectionId) -> Option<&Arc<Cluster>> {
        let cluster = self.registry.cluster()?;
        self.registry.find(connection).is_none().then_some(cluster)
    }

    async fn command(
        &self,
        cluster: &Cluster,
        action: Action,
        group: &str,
        connection: &ConnectionId,
    ) -> Result<()> {
        let deadline = self.registry.options.client_result_timeout;
        cluster
            .change_group_acknowledged(action, group, connection, deadline)
            .await
    }

    async fn settled(&self) {
        if let Some(cluster) = self.registry.cluster() {
            cluster.settled().await;
        }
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
