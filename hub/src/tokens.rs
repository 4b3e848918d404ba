//! Negotiated connections by their secret tokens (spec section 2).

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::connection_id::{ConnectionId, ConnectionToken};

/// Those of one hub. A token that nobody uses dies after `unused_for`, and there are never more
/// than `max_unused` of them (C-05).
pub(crate) struct Tokens {
    table: Mutex<Table>,
    unused_for: Duration,
    max_unused: usize,
}

#[derive(Default)]
struct Table {
    by_token: HashMap<ConnectionToken, Negotiated>,
    /// In the order in which they die.
    unused: VecDeque<(Instant, ConnectionToken)>,
}

struct Negotiated {
    id: ConnectionId,
    is_active: bool,
}

/// Why a token does not lead to a connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotFound {
    /// Nobody has it, or it has died (C-11).
    Unknown,
    /// Its connection is in use (C-12).
    Active,
}

impl Tokens {
    pub(crate) fn new(unused_for: Duration, max_unused: usize) -> Self {
        Self {
            table: Mutex::default(),
            unused_for,
            max_unused,
        }
    }

    /// A new connection, to be used soon; `None` when too many wait already.
    pub(crate) fn add(&self, id: ConnectionId, token: ConnectionToken, now: Instant) -> Option<()> {
        let mut table = self.table();
        table.expire(now);
        if table.unused.len() >= self.max_unused {
            return None;
        }
        table
            .unused
            .push_back((now + self.unused_for, token.clone()));
        let is_active = false;
        table.by_token.insert(token, Negotiated { id, is_active });
        Some(())
    }

    /// A new connection that is used already: it came without negotiation (WS-01).
    pub(crate) fn add_active(&self, id: ConnectionId, token: ConnectionToken) {
        let is_active = true;
        self.table()
            .by_token
            .insert(token, Negotiated { id, is_active });
    }

    /// Whether somebody has the token, and uses it.
    pub(crate) fn look(&self, token: &ConnectionToken, now: Instant) -> Result<(), NotFound> {
        let mut table = self.table();
        table.expire(now);
        match table.by_token.get(token) {
            None => Err(NotFound::Unknown),
            Some(negotiated) if negotiated.is_active => Err(NotFound::Active),
            Some(_) => Ok(()),
        }
    }

    /// Takes the connection into use.
    pub(crate) fn connect(
        &self,
        token: &ConnectionToken,
        now: Instant,
    ) -> Result<ConnectionId, NotFound> {
        self.look(token, now)?;
        let mut table = self.table();
        match table.by_token.get_mut(token) {
            Some(negotiated) if !negotiated.is_active => {
                negotiated.is_active = true;
                let id = negotiated.id.clone();
                table.unused.retain(|(_, unused)| unused != token);
                Ok(id)
            }
            Some(_) => Err(NotFound::Active),
            None => Err(NotFound::Unknown),
        }
    }

    /// The connection is over.
    pub(crate) fn remove(&self, token: &ConnectionToken) {
        self.table().by_token.remove(token);
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn expire(&mut self, now: Instant) {
        while self.unused.front().is_some_and(|(dies, _)| *dies <= now) {
            if let Some((_, token)) = self.unused.pop_front() {
                self.by_token.remove(&token);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> (Tokens, ConnectionToken, Instant) {
        let tokens = Tokens::new(Duration::from_secs(15), 2);
        let (token, now) = (ConnectionToken::random(), Instant::now());
        tokens
            .add(ConnectionId::random(), token.clone(), now)
            .unwrap();
        (tokens, token, now)
    }

    #[test]
    fn c_05_an_unused_token_dies() {
        let (tokens, token, now) = tokens();
        assert_eq!(
            tokens.look(&token, now + Duration::from_millis(14_999)),
            Ok(())
        );
        let at_last = now + Duration::from_secs(15);
        assert_eq!(tokens.look(&token, at_last), Err(NotFound::Unknown));
        assert!(tokens.table().by_token.is_empty());
    }

    #[test]
    fn c_12_a_token_is_used_once_at_a_time_and_does_not_die_meanwhile() {
        let (tokens, token, now) = tokens();
        tokens.connect(&token, now).unwrap();
        let later = now + Duration::from_secs(60);
        assert_eq!(tokens.connect(&token, later), Err(NotFound::Active));
        tokens.remove(&token);
        assert_eq!(tokens.look(&token, later), Err(NotFound::Unknown));
    }

    #[test]
    fn row_145_unused_tokens_are_capped_and_die() {
        let (tokens, _, now) = tokens();
        let add = |at| tokens.add(ConnectionId::random(), ConnectionToken::random(), at);
        assert!(add(now).is_some());
        assert!(add(now).is_none());
        assert!(add(now + Duration::from_secs(15)).is_some());
    }
}
