//! Negotiated connections by their secret tokens (`SPEC.md`, section 2).

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, MutexGuard},
    time::Instant,
};

use bytes::Bytes;
use raw_ws::sync::Mutex;

use crate::{
    identity::connection_id::{ConnectionId, ConnectionToken},
    options::HubOptions,
    reach::tokens_elsewhere::{self, Given},
    session::Reconnect,
    transport::{
        long_polling::Polls,
        posts::{Posts, UnusedBytes},
        stateful::{NoSeat, Reservation, Seat},
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
    /// Whose it is; once known, no other user's request reaches it.
    user_identifier: Option<Arc<str>>,
    reconnect: Reconnect,
    use_: Use,
}

/// What a connection is used as; fixed by the first GET (C-07).
enum Use {
    /// Nothing yet.
    Unused {
        dies: Dies,
        /// Made with the first POST.
        posts: Option<Arc<Posts>>,
    },
    /// With a place for the next socket, where another may follow (SR-07).
    WebSockets(Option<Arc<Seat>>),
    ServerSentEvents(Arc<Posts>),
    LongPolling(Arc<Posts>, Arc<Polls>),
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
    pub(crate) user_identifier: Option<&'a Arc<str>>,
    pub(crate) now: Instant,
}

/// What the request for a connection asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asks {
    /// That it begins.
    ToBegin,
    /// That it goes on.
    ToGoOn,
}

/// What a WebSocket is for.
pub(crate) enum Socket {
    New(NewSocket),
    /// The connection goes on with it (SR-07).
    Next(Reservation),
}

/// The first WebSocket of a connection.
pub(crate) struct NewSocket {
    pub(crate) id: ConnectionId,
    /// What came before it (P-05).
    pub(crate) first: Bytes,
    /// The place for the next one, where another may follow (SR-07).
    pub(crate) seat: Option<Arc<Seat>>,
}

/// What an event stream is for.
pub(crate) struct NewStream {
    pub(crate) id: ConnectionId,
    pub(crate) posts: Arc<Posts>,
    pub(crate) reconnect: Reconnect,
}

/// What a poll is for.
pub(crate) enum Poll {
    /// It begins the connection (LP-01).
    First {
        id: ConnectionId,
        posts: Arc<Posts>,
        polls: Arc<Polls>,
        reconnect: Reconnect,
    },
    /// It is answered with messages (LP-03).
    Later(ConnectionId, Arc<Polls>),
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
        user_identifier: Option<Arc<str>>,
        token: ConnectionToken,
        reconnect: Reconnect,
        now: Instant,
    ) -> Option<()> {
        let mut table = self.table(now);
        if table.unused.len() >= self.options.endpoint.max_unused_connections {
            return None;
        }
        table.next += 1;
        let dies = (now + self.options.endpoint.disconnect_timeout, table.next);
        table.unused.insert(dies, token.clone());
        let negotiated = Negotiated {
            id,
            user_identifier,
            reconnect,
            use_: Use::Unused { dies, posts: None },
        };
        table.by_token.insert(token, negotiated);
        Some(())
    }

    /// Whether a token is one of these.
    pub(crate) fn has(&self, token: &ConnectionToken) -> bool {
        self.table.lock().by_token.contains_key(token)
    }

    /// Takes a connection out that is not in use, and to which nothing was sent: it is another server's.
    pub(crate) fn take_unused(&self, token: &ConnectionToken, now: Instant) -> Given {
        let mut table = self.table(now);
        let dies = match table.by_token.get(token).map(|negotiated| &negotiated.use_) {
            Some(Use::Unused { dies, posts: None }) => *dies,
            Some(_) => return Given::InUse,
            None => return Given::Unknown,
        };
        table.unused.remove(&dies);
        match table.by_token.remove(token) {
            Some(negotiated) => Given::Away(tokens_elsewhere::Negotiated {
                id: negotiated.id,
                user_identifier: negotiated.user_identifier,
                is_stateful: negotiated.reconnect == Reconnect::Stateful,
            }),
            None => Given::Unknown,
        }
    }

    /// A new connection that is in use already: it came without negotiation, and its token is its id
    /// (WS-01).
    pub(crate) fn add_socket(&self) -> (ConnectionToken, NewSocket) {
        let id = ConnectionId::random();
        let token = ConnectionToken::presented(&id);
        let negotiated = Negotiated {
            id: id.clone(),
            user_identifier: None, // nothing else presents it
            reconnect: Reconnect::Anew,
            use_: Use::WebSockets(None),
        };
        self.table.lock().by_token.insert(token.clone(), negotiated);
        let first = Bytes::new();
        let seat = None;
        (token, NewSocket { id, first, seat })
    }

    /// The connection that a WebSocket is for, from now on in use. Who presents the token `may` be
    /// refused: that is asked once it is known, and before it is taken (C-08).
    pub(crate) fn web_socket<E: From<NotFound>>(
        &self,
        presented: Presented<'_>,
        may: impl FnOnce(Asks) -> Result<(), E>,
    ) -> Result<Socket, E> {
        let mut table = self.table(presented.now);
        let (negotiated, unused) = table.present(presented, may)?;
        match &mut negotiated.use_ {
            Use::Unused { dies, posts } => {
                unused.remove(dies);
                // P-06: it needs none, and gets what came before.
                let first = posts
                    .take()
                    .map_or_else(Bytes::new, |posts| posts.take_all());
                let seat = match negotiated.reconnect {
                    Reconnect::Stateful => Some(Arc::<Seat>::default()),
                    Reconnect::Anew => None,
                };
                let id = negotiated.begin(presented, Use::WebSockets(seat.clone()));
                Ok(Socket::New(NewSocket { id, first, seat }))
            }
            // SR-13, never 409 for a socket that only looks alive. Its user was checked above.
            Use::WebSockets(Some(seat)) => match seat.reserve(presented.now) {
                Ok(reservation) => Ok(Socket::Next(reservation)),
                Err(NoSeat::Taken) => Err(NotFound::Active.into()),
                Err(NoSeat::TooOften) => Err(NotFound::TooOften.into()),
            },
            Use::WebSockets(None) => Err(NotFound::Active.into()),
            Use::ServerSentEvents(_) | Use::LongPolling(..) => Err(NotFound::OtherTransport.into()),
        }
    }

    /// The same for an event stream.
    pub(crate) fn event_stream<E: From<NotFound>>(
        &self,
        presented: Presented<'_>,
        may: impl FnOnce(Asks) -> Result<(), E>,
    ) -> Result<NewStream, E> {
        let mut table = self.table(presented.now);
        let (negotiated, unused) = table.present(presented, may)?;
        match &mut negotiated.use_ {
            Use::Unused { dies, posts } => {
                unused.remove(dies);
                let posts = self.posts_in(posts);
                let id = negotiated.begin(presented, Use::ServerSentEvents(posts.clone()));
                let reconnect = negotiated.reconnect;
                Ok(NewStream {
                    id,
                    posts,
                    reconnect,
                })
            }
            Use::ServerSentEvents(_) => Err(NotFound::Active.into()),
            Use::WebSockets(_) | Use::LongPolling(..) => Err(NotFound::OtherTransport.into()),
        }
    }

    /// The same for a poll, of which many follow each other.
    pub(crate) fn poll<E: From<NotFound>>(
        &self,
        presented: Presented<'_>,
        may: impl FnOnce(Asks) -> Result<(), E>,
    ) -> Result<Poll, E> {
        let mut table = self.table(presented.now);
        let (negotiated, unused) = table.present(presented, may)?;
        match &mut negotiated.use_ {
            Use::Unused { dies, posts } => {
                unused.remove(dies);
                let posts = self.posts_in(posts);
                let polls = Arc::new(Polls::new(&self.options));
                let use_ = Use::LongPolling(posts.clone(), polls.clone());
                let id = negotiated.begin(presented, use_);
                let reconnect = negotiated.reconnect;
                Ok(Poll::First {
                    id,
                    posts,
                    polls,
                    reconnect,
                })
            }
            Use::LongPolling(_, polls) => Ok(Poll::Later(negotiated.id.clone(), polls.clone())),
            Use::WebSockets(_) | Use::ServerSentEvents(_) => Err(NotFound::OtherTransport.into()),
        }
    }

    /// The POSTs of a connection, and when it dies if it stays unused (P-05).
    pub(crate) fn posts(
        &self,
        presented: Presented<'_>,
    ) -> Result<(Arc<Posts>, Option<Instant>), NotFound> {
        let mut table = self.table(presented.now);
        match &mut find(&mut table.by_token, presented)?.use_ {
            Use::Unused { dies, posts } => Ok((self.posts_in(posts), Some(dies.0))),
            Use::ServerSentEvents(posts) | Use::LongPolling(posts, _) => Ok((posts.clone(), None)),
            Use::WebSockets(_) => Err(NotFound::OtherTransport),
        }
    }

    /// The connection behind a token.
    pub(crate) fn owner(&self, presented: Presented<'_>) -> Result<ConnectionId, NotFound> {
        let mut table = self.table(presented.now);
        Ok(find(&mut table.by_token, presented)?.id.clone())
    }

    /// Ends a connection that is polled (LP-12, LP-13).
    pub(crate) fn delete(&self, presented: Presented<'_>) -> Result<(), NotFound> {
        let mut table = self.table(presented.now);
        match &find(&mut table.by_token, presented)?.use_ {
            Use::LongPolling(_, polls) => polls.delete(),
            Use::Unused { .. } | Use::WebSockets(_) | Use::ServerSentEvents(_) => {
                return Err(NotFound::OtherTransport);
            }
        }
        table.by_token.remove(presented.token);
        Ok(())
    }

    /// The connection is over.
    pub(crate) fn remove(&self, token: &ConnectionToken) {
        self.table.lock().by_token.remove(token);
    }

    /// Drops what has died.
    pub(crate) fn expire(&self, now: Instant) {
        drop(self.table(now));
    }

    fn posts_in(&self, place: &mut Option<Arc<Posts>>) -> Arc<Posts> {
        let posts = place.get_or_insert_with(|| {
            let limit = self.options.endpoint.application_max_buffer_size;
            Arc::new(Posts::new(limit, self.unused_bytes.clone()))
        });
        posts.clone()
    }

    /// The table, without what has died.
    fn table(&self, now: Instant) -> MutexGuard<'_, Table> {
        let mut table = self.table.lock();
        table.expire(now);
        table
    }
}

impl Negotiated {
    /// The first GET: it is the user's from here on who has sent that.
    fn begin(&mut self, presented: Presented<'_>, use_: Use) -> ConnectionId {
        self.user_identifier = presented.user_identifier.cloned();
        self.use_ = use_;
        self.id.clone()
    }
}

impl Use {
    fn asks(&self) -> Asks {
        match self {
            Self::Unused { .. } => Asks::ToBegin,
            Self::WebSockets(_) | Self::ServerSentEvents(_) | Self::LongPolling(..) => Asks::ToGoOn,
        }
    }
}

fn find<'t>(
    by_token: &'t mut HashMap<ConnectionToken, Negotiated>,
    presented: Presented<'_>,
) -> Result<&'t mut Negotiated, NotFound> {
    let negotiated = by_token.get_mut(presented.token).ok_or(NotFound::Unknown)?;
    match &negotiated.user_identifier {
        Some(user) if presented.user_identifier != Some(user) => Err(NotFound::OtherUser),
        _ => Ok(negotiated),
    }
}

impl Table {
    /// The connection that a token leads to, if who presents it may use it; and those that are
    /// unused, of which it is one no more when it begins.
    fn present<E: From<NotFound>>(
        &mut self,
        presented: Presented<'_>,
        may: impl FnOnce(Asks) -> Result<(), E>,
    ) -> Result<(&mut Negotiated, &mut BTreeMap<Dies, ConnectionToken>), E> {
        let negotiated = find(&mut self.by_token, presented)?;
        may(negotiated.use_.asks())?;
        Ok((negotiated, &mut self.unused))
    }

    fn expire(&mut self, now: Instant) {
        while let Some(first) = self.unused.first_entry()
            && first.key().0 <= now
        {
            let token = first.remove();
            if let Some(negotiated) = self.by_token.remove(&token)
                && let Use::Unused {
                    posts: Some(posts), ..
                } = negotiated.use_
            {
                posts.dispose(); // who still waits there is told (P-08)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn tokens() -> (Tokens, ConnectionToken, Instant) {
        let tokens = Tokens::new(Arc::new(HubOptions::new().max_unused_connections(2)));
        let (token, now) = (ConnectionToken::random(), Instant::now());
        add(&tokens, None, &token, now).unwrap();
        (tokens, token, now)
    }

    fn add(
        tokens: &Tokens,
        user: Option<&Arc<str>>,
        token: &ConnectionToken,
        now: Instant,
    ) -> Option<()> {
        let (id, user) = (ConnectionId::random(), user.cloned());
        tokens.add(id, user, token.clone(), Reconnect::Anew, now)
    }

    fn by<'a>(
        user: Option<&'a Arc<str>>,
        token: &'a ConnectionToken,
        now: Instant,
    ) -> Presented<'a> {
        Presented {
            token,
            user_identifier: user,
            now,
        }
    }

    fn anybody(_: Asks) -> Result<(), NotFound> {
        Ok(())
    }

    #[test]
    fn c_05_an_unused_token_dies() {
        let (tokens, token, now) = tokens();
        let owner = |at| tokens.owner(by(None, &token, at));
        assert!(owner(now + Duration::from_millis(14_999)).is_ok());
        let at_last = now + Duration::from_secs(15);
        assert_eq!(owner(at_last).err(), Some(NotFound::Unknown));
        assert!(tokens.table.lock().by_token.is_empty());
    }

    #[test]
    fn c_12_a_token_is_used_once_at_a_time_and_does_not_die_meanwhile() {
        let (tokens, token, now) = tokens();
        let stream = |at| tokens.event_stream(by(None, &token, at), anybody).err();
        assert_eq!(stream(now), None);
        let later = now + Duration::from_secs(60);
        assert_eq!(stream(later), Some(NotFound::Active));
        // Another transport is told before that it is in use (C-08).
        let presented = by(None, &token, later);
        let socket = tokens.web_socket(presented, anybody).err();
        assert_eq!(socket, Some(NotFound::OtherTransport));
        let poll = tokens.poll(presented, anybody).err();
        assert_eq!(poll, Some(NotFound::OtherTransport));
        tokens.remove(&token);
        let owner = tokens.owner(presented).err();
        assert_eq!(owner, Some(NotFound::Unknown));
    }

    #[test]
    fn c_08_who_is_refused_has_not_taken_the_token() {
        let (tokens, token, now) = tokens();
        let presented = by(None, &token, now);
        for _ in 0..2 {
            let refused = tokens.poll(presented, |asks| {
                assert_eq!(asks, Asks::ToBegin);
                Err(NotFound::TooOften)
            });
            assert_eq!(refused.err(), Some(NotFound::TooOften));
        }
        assert!(matches!(
            tokens.poll(presented, anybody),
            Ok(Poll::First { .. })
        ));
        let next = tokens.poll(presented, |asks| {
            assert_eq!(asks, Asks::ToGoOn);
            Ok::<_, NotFound>(())
        });
        assert!(matches!(next, Ok(Poll::Later(..))));
    }

    #[test]
    fn a_token_is_good_for_its_user_alone() {
        let (tokens, _, now) = tokens();
        let (ann, bob) = (Arc::from("ann"), Arc::from("bob"));
        let token = ConnectionToken::random();
        add(&tokens, Some(&ann), &token, now);
        for other in [None, Some(&bob)] {
            let presented = by(other, &token, now);
            let polled = tokens.poll(presented, anybody).err();
            assert_eq!(polled, Some(NotFound::OtherUser));
            assert_eq!(tokens.posts(presented).err(), Some(NotFound::OtherUser));
            assert_eq!(tokens.delete(presented).err(), Some(NotFound::OtherUser));
        }
        let polled = tokens.poll(by(Some(&ann), &token, now), anybody).err();
        assert_eq!(polled, None);
    }

    #[test]
    fn who_connects_first_has_a_token_that_nobody_negotiated() {
        let (tokens, token, now) = tokens();
        let (ann, bob) = (Arc::from("ann"), Arc::from("bob"));
        let poll = |user| tokens.poll(by(Some(user), &token, now), anybody).err();
        assert_eq!(poll(&ann), None);
        assert_eq!(poll(&bob), Some(NotFound::OtherUser));
    }

    #[test]
    fn row_145_a_token_in_use_makes_room_and_does_not_die() {
        let (tokens, token, now) = tokens();
        let add = || add(&tokens, None, &ConnectionToken::random(), now);
        assert!(add().is_some());
        assert!(add().is_none());
        assert!(tokens.poll(by(None, &token, now), anybody).is_ok());
        assert!(add().is_some());
        assert!(add().is_none());
        let later = by(None, &token, now + Duration::from_secs(60));
        assert!(matches!(tokens.poll(later, anybody), Ok(Poll::Later(..))));
        let known = tokens.table.lock().by_token.len();
        assert_eq!(known, 1, "the two others");
    }

    #[test]
    fn row_145_unused_tokens_are_capped_and_die() {
        let (tokens, _, now) = tokens();
        let add = |at| add(&tokens, None, &ConnectionToken::random(), at);
        assert!(add(now).is_some());
        assert!(add(now).is_none());
        assert!(add(now + Duration::from_secs(15)).is_some());
    }
}
