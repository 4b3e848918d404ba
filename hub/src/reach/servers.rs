//! The servers of a hub, seen from one of them.

use std::{collections::HashSet, fmt, time::SystemTime};

use crate::{
    identity::connection_id::ConnectionId,
    reach::{cluster::notes::Question, hold::Hold, in_touch},
};

/// The servers of the hub: this one, and those that it is one with through a
/// [backplane](crate::Hub::backplane). To ask all of them who is where: what
/// [`Groups`](crate::Groups) says at once is of this server alone.
///
/// An answer is as good as the servers that gave it: each is asked, and waited for for a second.
///
/// ```
/// use hub::{Hub, backplane::InProcess};
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let between = InProcess::new();
/// let one: Hub = Hub::new(()).backplane(between.clone());
/// let other: Hub = Hub::new(()).backplane(between);
///
/// let online = one.handle().servers().connections().await;
/// assert_eq!((online.value, online.servers, online.is_partial()), (0, 2, false));
/// # });
/// ```
#[derive(Clone)]
pub struct Servers {
    registry: Hold,
}

/// What the servers of a hub have answered together.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Everywhere<T> {
    /// The answer, as far as it is known.
    pub value: T,
    /// When it was asked: it may be otherwise by now.
    pub as_of: SystemTime,
    /// How many servers have answered, this one among them.
    pub servers: usize,
    /// How many have not: they are away or too slow, or cannot, as servers of ASP.NET Core. One at
    /// least where the backplane is away.
    pub silent: usize,
}

impl<T> Everywhere<T> {
    /// Whether there may be more than `value` says.
    pub fn is_partial(&self) -> bool {
        self.silent > 0
    }
}

impl Servers {
    pub(crate) fn new(registry: Hold) -> Self {
        Self { registry }
    }

    /// Whether this server is the only one, as the hub has no backplane.
    ///
    /// ```
    /// let chat: hub::Hub = hub::Hub::new(());
    /// assert!(chat.handle().servers().is_alone());
    /// ```
    pub fn is_alone(&self) -> bool {
        self.registry.cluster().is_none()
    }

    /// Whether the other servers are in reach, as far as can be known: what this one publishes has come
    /// back within the last three seconds. Always where it is alone. For a readiness probe: a server that
    /// is not ready goes on serving its clients.
    pub fn are_ready(&self) -> bool {
        self.registry
            .cluster()
            .is_none_or(|cluster| cluster.is_ready())
    }

    /// The connections of a group, on all servers, in no order.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn members(&self, group: &str) -> Everywhere<Vec<ConnectionId>> {
        self.connections_by(Question::Members(group.to_owned()))
            .await
    }

    /// The connections of a user, on all servers, in no order.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn connections_of_user(&self, user: &str) -> Everywhere<Vec<ConnectionId>> {
        self.connections_by(Question::ConnectionsOf(user.to_owned()))
            .await
    }

    /// Everybody who is connected to the hub, on all servers, in no order.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn everybody(&self) -> Everywhere<Vec<ConnectionId>> {
        self.connections_by(Question::Everybody).await
    }

    /// How many connections the hub has, on all servers.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn connections(&self) -> Everywhere<usize> {
        let counts = |counts: Vec<String>| {
            counts
                .iter()
                .filter_map(|count| count.parse::<usize>().ok())
                .sum()
        };
        self.ask(Question::Count).await.map(counts)
    }

    async fn connections_by(&self, question: Question) -> Everywhere<Vec<ConnectionId>> {
        let ids = |ids: Vec<String>| {
            // One that has just moved may be known to two.
            let ids: HashSet<String> = ids.into_iter().collect();
            ids.into_iter().map(ConnectionId::from).collect()
        };
        self.ask(question).await.map(ids)
    }

    async fn ask(&self, question: Question) -> Everywhere<Vec<String>> {
        let as_of = SystemTime::now();
        let mut value = in_touch::answer(&self.registry, &question);
        let mut servers = 1;
        let mut silent = 0;
        if let Some(cluster) = self.registry.cluster() {
            let others = cluster.ask(question).await;
            servers += others.answers.len();
            silent = others.silent;
            value.extend(others.answers.into_iter().flatten());
        }
        Everywhere {
            value,
            as_of,
            servers,
            silent,
        }
    }
}

impl<T> Everywhere<T> {
    fn map<U>(self, map: impl FnOnce(T) -> U) -> Everywhere<U> {
        let Self {
            value,
            as_of,
            servers,
            silent,
        } = self;
        Everywhere {
            value: map(value),
            as_of,
            servers,
            silent,
        }
    }
}

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Servers")
            .field("is_alone", &self.is_alone())
            .finish_non_exhaustive()
    }
}
