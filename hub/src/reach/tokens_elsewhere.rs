//! A connection that was negotiated with one server and begins at another: the server that has given out
//! its token is asked for it, and forgets it. So a token is good once, whichever server it comes to.

use std::sync::{Arc, Weak};

use raw_ws::sync::Mutex;

use crate::{
    identity::connection_id::{ConnectionId, ConnectionToken},
    reach::cluster::Cluster,
};

/// The connections that one path of a hub has given out tokens for.
pub(crate) trait GivesAway: Send + Sync {
    /// Gives one away that nobody uses yet.
    fn give_away(&self, token: &ConnectionToken) -> Given;
}

/// What becomes of a token that another server was shown.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Given {
    /// It is that server's from here on.
    Away(Negotiated),
    /// Its connection lives here.
    InUse,
    /// Nobody has it.
    Unknown,
}

/// What was agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Negotiated {
    pub(crate) id: ConnectionId,
    pub(crate) user_identifier: Option<Arc<str>>,
    pub(crate) is_stateful: bool,
}

/// Why a token does not lead to a connection, here or elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotGiven {
    /// Nobody has it.
    Unknown,
    /// Its connection lives on the server that it names.
    InUse,
    /// That server has not answered.
    NoAnswer,
}

/// The paths of a hub.
#[derive(Default)]
pub(crate) struct Paths(Mutex<Vec<(Box<str>, AtPath)>>);

type AtPath = Weak<dyn GivesAway>;

impl Paths {
    pub(crate) fn add(&self, path: &str, tokens: AtPath) {
        self.0.lock().push((path.into(), tokens));
    }

    fn give_away(&self, path: &str, token: &ConnectionToken) -> Given {
        let paths = self.0.lock();
        let of_path = paths.iter().filter(|(known, _)| **known == *path);
        let given = of_path
            .filter_map(|(_, tokens)| tokens.upgrade())
            .map(|tokens| tokens.give_away(token));
        given
            .into_iter()
            .find(|given| *given != Given::Unknown)
            .unwrap_or(Given::Unknown)
    }
}

/// Gives a token away, in words.
pub(crate) fn give_away(paths: &Paths, path: &str, token: &ConnectionToken) -> Vec<String> {
    match paths.give_away(path, token) {
        Given::Away(negotiated) => {
            let mut words = vec![
                AWAY.to_owned(),
                negotiated.id.as_str().to_owned(),
                negotiated.is_stateful.to_string(),
            ];
            words.extend(negotiated.user_identifier.map(|user| (*user).to_owned()));
            words
        }
        Given::InUse => vec![IN_USE.to_owned()],
        Given::Unknown => Vec::new(),
    }
}

/// Takes a token over from the server that it names.
pub(crate) async fn take_over(
    cluster: &Cluster,
    server: &str,
    path: &str,
    token: &ConnectionToken,
) -> Result<Negotiated, NotGiven> {
    let words = cluster.claim(server, path, token).await;
    let words = words.ok_or(NotGiven::NoAnswer)?;
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [AWAY, id, is_stateful, ref user @ ..] => Ok(Negotiated {
            id: id.into(),
            user_identifier: user.first().map(|user| (*user).into()),
            is_stateful: is_stateful == "true",
        }),
        [IN_USE, ..] => Err(NotGiven::InUse),
        _ => Err(NotGiven::Unknown),
    }
}

const AWAY: &str = "away";
const IN_USE: &str = "in use";
