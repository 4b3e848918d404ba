//! Negotiated connections by their secret tokens (spec section 2).

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    identity::{
        connection_id::{ConnectionId, ConnectionToken},
        request::Transport,
    },
    options::HubOptions,
    transport::{
        long_polling::Polls,
        posts::{Posts, UnusedBytes},
        stateful::{Refused, Reservation, Seat},
    },
};

/// Those of one hub. A token that nobody uses dies after `disconnect_timeout`, and there are never
/// more than `max_unused_connections` of them (C-05).
pub(crate) struct Tokens {
    table: Mutex<Table>,
    options: Arc<HubOptions>,
    unused_bytes: Arc<UnusedBytes>,
}

#[derive(Default)]
struct Table {
    by_token: HashMap<ConnectionToken, Negotiated>,
    /// In the order in which they die. Ordered, so that one that is used is taken out without a
    /// look at the ten thousand that wait beside it.
    unused: BTreeMap<Dies, ConnectionToken>,
    next: u64,
}

/// When an unused token dies, and its number among those that die with it.
type Dies = (Instant, u64);

struct Negotiated {
    id: ConnectionId,
    /// Its place among the unused.
    dies: Option<Dies>,
    /// Whose it is; once known, no other user's request reaches it.
    user: Option<Arc<str>>,
    /// Stateful reconnect was granted to it (SR-01).
    is_stateful: bool,
    /// Fixed by the first GET (C-07).
    used_as: Option<Used>,
    /// Made with the first POST, or by a transport that needs them.
    posts: Option<Arc<Posts>>,
}

#[derive(Clone)]
enum Used {
    /// With a place for the next socket, where another may follow (SR-07).
    WebSockets(Option<Arc<Seat>>),
    ServerSentEvents,
    LongPolling(Arc<Polls>),
}

/// Why a token does not lead to a connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotFound {
    /// Nobody has it, or it has died (C-11).
    Unknown,
    /// Its connection uses another transport (C-07).
    OtherTransport,
    /// Its connection is in use (C-12).
    Active,
    /// Its connection belongs to another user.
    OtherUser,
    /// Its connection was resumed too often (row 190).
    TooOften,
}

/// Who presents a token, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Presented<'a> {
    pub(crate) token: &'a ConnectionToken,
    pub(crate) user: Option<&'a Arc<str>>,
    pub(crate) now: Instant,
}

/// What a GET has found.
pub(crate) enum Found {
    /// A connection that was unused until now.
    Unused(Unused),
    /// A connection that is polled (LP-03).
    Polled(ConnectionId, Arc<Polls>),
    /// A connection that goes on with another WebSocket (SR-07).
    Resumed(Reservation),
}

/// What a connection comes with.
pub(crate) struct Unused {
    pub(crate) id: ConnectionId,
    /// Always there for a transport that needs them.
    pub(crate) posts: Option<Arc<Posts>>,
    /// There for long polling.
    pub(crate) polls: Option<Arc<Polls>>,
    /// Stateful reconnect was granted to it (SR-01).
    pub(crate) is_stateful: bool,
    /// There for WebSockets where it was.
    pub(crate) seat: Option<Arc<Seat>>,
}

impl Tokens {
    pub(crate) fn new(options: Arc<HubOptions>) -> Self {
        Self {
            table: Mutex::default(),
            options,
            unused_bytes: Arc::default(),
        }
    }

    /// A new connection, to be used soon; `None` when too many wait already.
    pub(crate) fn add(
        &self,
        id: ConnectionId,
        user: Option<Arc<str>>,
        token: ConnectionToken,
        is_stateful: bool,
        now: Instant,
    ) -> Option<()> {
        let mut table = self.table(now);
        if table.unused.len() >= self.options.max_unused_connections {
            return None;
        }
        table.next += 1;
        let dies = (now + self.unused_for(), table.next);
        table.unused.insert(dies, token.clone());
        let negotiated = Negotiated {
            id,
            dies: Some(dies),
            user,
            is_stateful,
            used_as: None,
            posts: None,
        };
        table.by_token.insert(token, negotiated);
        Some(())
    }

    /// A new connection that is in use already: it came without negotiation (WS-01).
    pub(crate) fn add_in_use(&self, id: ConnectionId, token: ConnectionToken) {
        let negotiated = Negotiated {
            id,
            dies: None,
            user: None, // nothing else presents it
            is_stateful: false,
            used_as: Some(Used::WebSockets(None)),
            posts: None,
        };
        self.lock().by_token.insert(token, negotiated);
    }

    /// Whether somebody has the token, and as what it is used.
    pub(crate) fn look(&self, presented: Presented<'_>) -> Result<Option<Transport>, NotFound> {
        let mut table = self.table(presented.now);
        let negotiated = find(&mut table.by_token, presented)?;
        Ok(negotiated.used_as.as_ref().map(Used::transport))
    }

    /// Takes the connection into use, or finds the polls of one that is (C-08).
    pub(crate) fn connect(
        &self,
        presented: Presented<'_>,
        transport: Transport,
    ) -> Result<Found, NotFound> {
        let mut table = self.table(presented.now);
        let table = &mut *table;
        let negotiated = find(&mut table.by_token, presented)?;
        match &negotiated.used_as {
            Some(used) if used.transport() != transport => return Err(NotFound::OtherTransport),
            Some(Used::LongPolling(polls)) => {
                return Ok(Found::Polled(negotiated.id.clone(), polls.clone()));
            }
            // SR-13, never 409 for a socket that only looks alive. Its user was checked above.
            Some(Used::WebSockets(Some(seat))) => {
                return match seat.reserve(presented.now) {
                    Ok(reservation) => Ok(Found::Resumed(reservation)),
                    Err(Refused::Taken) => Err(NotFound::Active),
                    Err(Refused::TooOften) => Err(NotFound::TooOften),
                };
            }
            Some(_) => return Err(NotFound::Active),
            None => {}
        }
        if let Some(dies) = negotiated.dies.take() {
            table.unused.remove(&dies);
        }
        let used = match transport {
            Transport::WebSockets => {
                Used::WebSockets(negotiated.is_stateful.then(Arc::<Seat>::default))
            }
            Transport::ServerSentEvents => Used::ServerSentEvents,
            Transport::LongPolling => Used::LongPolling(Arc::new(Polls::new(&self.options))),
        };
        let polls = used.polls().cloned();
        let seat = used.seat().cloned();
        let posts = match transport {
            // P-06: it needs none, and gets what came before.
            Transport::WebSockets => negotiated.posts.take(),
            _ => Some(self.posts_of(negotiated)),
        };
        negotiated.used_as = Some(used);
        negotiated.user = presented.user.cloned();
        let id = negotiated.id.clone();
        Ok(Found::Unused(Unused {
            id,
            posts,
            polls,
            is_stateful: negotiated.is_stateful,
            seat,
        }))
    }

    /// The POSTs of a connection, and when it dies if it stays unused (P-05).
    pub(crate) fn posts(
        &self,
        presented: Presented<'_>,
    ) -> Result<(Arc<Posts>, Option<Instant>), NotFound> {
        let mut table = self.table(presented.now);
        let negotiated = find(&mut table.by_token, presented)?;
        if let Some(Used::WebSockets(_)) = negotiated.used_as {
            return Err(NotFound::OtherTransport);
        }
        let is_unused = negotiated.used_as.is_none();
        let dies = is_unused.then(|| presented.now + self.unused_for());
        Ok((self.posts_of(negotiated), dies))
    }

    /// The connection behind a token.
    pub(crate) fn owner(&self, presented: Presented<'_>) -> Result<ConnectionId, NotFound> {
        let mut table = self.table(presented.now);
        Ok(find(&mut table.by_token, presented)?.id.clone())
    }

    /// Ends a connection that is polled (LP-12, LP-13).
    pub(crate) fn delete(&self, presented: Presented<'_>) -> Result<(), NotFound> {
        let mut table = self.table(presented.now);
        let negotiated = find(&mut table.by_token, presented)?;
        let polls = negotiated.used_as.as_ref().and_then(Used::polls).cloned();
        let polls = polls.ok_or(NotFound::OtherTransport)?;
        table.by_token.remove(presented.token);
        polls.delete();
        Ok(())
    }

    /// The connection is over.
    pub(crate) fn remove(&self, token: &ConnectionToken) {
        self.lock().by_token.remove(token);
    }

    /// Drops what has died.
    pub(crate) fn expire(&self, now: Instant) {
        drop(self.table(now));
    }

    fn unused_for(&self) -> Duration {
        self.options.disconnect_timeout
    }

    fn posts_of(&self, negotiated: &mut Negotiated) -> Arc<Posts> {
        let posts = negotiated.posts.get_or_insert_with(|| {
            let limit = self.options.application_max_buffer_size;
            Arc::new(Posts::new(limit, self.unused_bytes.clone()))
        });
        posts.clone()
    }

    /// The table, without what has died.
    fn table(&self, now: Instant) -> MutexGuard<'_, Table> {
        let mut table = self.lock();
        table.expire(now);
        table
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Used {
    fn transport(&self) -> Transport {
        match self {
            Self::WebSockets(_) => Transport::WebSockets,
            Self::ServerSentEvents => Transport::ServerSentEvents,
            Self::LongPolling(_) => Transport::LongPolling,
        }
    }

    fn polls(&self) -> Option<&Arc<Polls>> {
        match self {
            Self::LongPolling(polls) => Some(polls),
            Self::WebSockets(_) | Self::ServerSentEvents => None,
        }
    }

    fn seat(&self) -> Option<&Arc<Seat>> {
        match self {
            Self::WebSockets(seat) => seat.as_ref(),
            Self::ServerSentEvents | Self::LongPolling(_) => None,
        }
    }
}

fn find<'t>(
    by_token: &'t mut HashMap<ConnectionToken, Negotiated>,
    presented: Presented<'_>,
) -> Result<&'t mut Negotiated, NotFound> {
    let negotiated = by_token.get_mut(presented.token).ok_or(NotFound::Unknown)?;
    match &negotiated.user {
        Some(user) if presented.user != Some(user) => Err(NotFound::OtherUser),
        _ => Ok(negotiated),
    }
}

impl Table {
    fn expire(&mut self, now: Instant) {
        while let Some(first) = self.unused.first_entry()
            && first.key().0 <= now
        {
            let token = first.remove();
            if let Some(negotiated) = self.by_token.remove(&token)
                && let Some(posts) = negotiated.posts
            {
                posts.dispose(); // P-08
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> (Tokens, ConnectionToken, Instant) {
        let tokens = Tokens::new(Arc::new(HubOptions::new().max_unused_connections(2)));
        let (token, now) = (ConnectionToken::random(), Instant::now());
        tokens
            .add(ConnectionId::random(), None, token.clone(), false, now)
            .unwrap();
        (tokens, token, now)
    }

    #[test]
    fn c_05_an_unused_token_dies() {
        let (tokens, token, now) = tokens();
        let look = |at| tokens.look(by(None, &token, at));
        assert_eq!(look(now + Duration::from_millis(14_999)), Ok(None));
        let at_last = now + Duration::from_secs(15);
        assert_eq!(look(at_last), Err(NotFound::Unknown));
        assert!(tokens.lock().by_token.is_empty());
    }

    #[test]
    fn c_12_a_token_is_used_once_at_a_time_and_does_not_die_meanwhile() {
        let (tokens, token, now) = tokens();
        let connect = |transport, at| tokens.connect(by(None, &token, at), transport).err();
        assert_eq!(connect(Transport::ServerSentEvents, now), None);
        let later = now + Duration::from_secs(60);
        let again = connect(Transport::ServerSentEvents, later);
        assert_eq!(again, Some(NotFound::Active));
        for other in [Transport::WebSockets, Transport::LongPolling] {
            let other = connect(other, later);
            assert_eq!(other, Some(NotFound::OtherTransport)); // C-07 before C-12: C-08
        }
        tokens.remove(&token);
        let look = tokens.look(by(None, &token, later));
        assert_eq!(look, Err(NotFound::Unknown));
    }

    #[test]
    fn a_token_is_good_for_its_user_alone() {
        let (tokens, _, now) = tokens();
        let (ann, bob) = (Arc::from("ann"), Arc::from("bob"));
        let token = ConnectionToken::random();
        let id = ConnectionId::random();
        tokens.add(id, Some(Arc::clone(&ann)), token.clone(), false, now);
        for other in [None, Some(&bob)] {
            let presented = by(other, &token, now);
            let connected = tokens.connect(presented, Transport::LongPolling).err();
            assert_eq!(connected, Some(NotFound::OtherUser));
            assert_eq!(tokens.posts(presented).err(), Some(NotFound::OtherUser));
            assert_eq!(tokens.delete(presented).err(), Some(NotFound::OtherUser));
        }
        let presented = by(Some(&ann), &token, now);
        let connected = tokens.connect(presented, Transport::LongPolling).err();
        assert_eq!(connected, None);
    }

    #[test]
    fn who_connects_first_has_a_token_that_nobody_negotiated() {
        let (tokens, token, now) = tokens();
        let (ann, bob) = (Arc::from("ann"), Arc::from("bob"));
        let connect = |user| {
            let connected = tokens.connect(by(Some(user), &token, now), Transport::LongPolling);
            connected.err()
        };
        assert_eq!(connect(&ann), None);
        assert_eq!(connect(&bob), Some(NotFound::OtherUser));
    }

    fn by<'a>(
        user: Option<&'a Arc<str>>,
        token: &'a ConnectionToken,
        now: Instant,
    ) -> Presented<'a> {
        Presented { token, user, now }
    }

    #[test]
    fn row_145_a_token_in_use_makes_room_and_does_not_die() {
        let (tokens, token, now) = tokens();
        let add = || {
            let (id, token) = (ConnectionId::random(), ConnectionToken::random());
            tokens.add(id, None, token, false, now)
        };
        assert!(add().is_some());
        assert!(add().is_none());
        let connected = tokens.connect(by(None, &token, now), Transport::LongPolling);
        assert!(connected.is_ok());
        assert!(add().is_some());
        assert!(add().is_none());
        let later = now + Duration::from_secs(60);
        let in_use = Some(Transport::LongPolling);
        assert_eq!(tokens.look(by(None, &token, later)), Ok(in_use));
        assert_eq!(tokens.lock().by_token.len(), 1, "the two others");
    }

    #[test]
    fn row_145_unused_tokens_are_capped_and_die() {
        let (tokens, _, now) = tokens();
        let add = |at| {
            let (id, token) = (ConnectionId::random(), ConnectionToken::random());
            tokens.add(id, None, token, false, at)
        };
        assert!(add(now).is_some());
        assert!(add(now).is_none());
        assert!(add(now + Duration::from_secs(15)).is_some());
    }
}
