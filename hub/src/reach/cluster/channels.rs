//! What the channels of a hub are called: as ASP.NET Core's servers call them (RD-02).

use std::sync::Arc;

/// The names of one hub's channels, as one of its servers sees them.
pub(crate) struct Channels {
    prefix: Arc<str>,
    pub(crate) all: Arc<str>,
    /// Commands to put connections into groups.
    pub(crate) groups: Arc<str>,
    /// Acknowledgements for this server.
    pub(crate) acknowledgements: Arc<str>,
    /// Answers of clients, for this server.
    pub(crate) answers: Arc<str>,
    /// Notes to all servers of this crate.
    pub(crate) notes: Arc<str>,
    /// Notes to this one.
    pub(crate) own_notes: Arc<str>,
}

/// What a message that has come is about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kind<'a> {
    All,
    Connection(&'a str),
    Group(&'a str),
    User(&'a str),
    GroupCommand,
    Acknowledgement,
    Answer,
    Note,
}

impl Channels {
    pub(crate) fn new(prefix: &str, server: &str) -> Self {
        Self {
            prefix: prefix.into(),
            all: format!("{prefix}:all").into(),
            groups: format!("{prefix}:internal:groups").into(),
            acknowledgements: acknowledgements(prefix, server).into(),
            answers: format!("{prefix}:internal:return:{server}").into(),
            notes: format!("{NOTES}{prefix}:notes").into(),
            own_notes: notes_to(prefix, server).into(),
        }
    }

    /// What all of them begin with: the hub's name among its servers.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(crate) fn connection(&self, id: &str) -> String {
        format!("{}:connection:{id}", self.prefix)
    }

    pub(crate) fn group(&self, name: &str) -> String {
        format!("{}:group:{name}", self.prefix)
    }

    pub(crate) fn user(&self, identifier: &str) -> String {
        format!("{}:user:{identifier}", self.prefix)
    }

    /// Where another server wants its acknowledgements.
    pub(crate) fn acknowledgements_of(&self, server: &str) -> String {
        acknowledgements(&self.prefix, server)
    }

    /// Where another server of this crate reads its notes.
    pub(crate) fn notes_to(&self, server: &str) -> String {
        notes_to(&self.prefix, server)
    }

    /// What a channel is for; `None` for one that is none of ours.
    pub(crate) fn kind<'a>(&self, channel: &'a str) -> Option<Kind<'a>> {
        if channel == &*self.notes || channel == &*self.own_notes {
            return Some(Kind::Note);
        }
        let rest = channel.strip_prefix(&*self.prefix)?.strip_prefix(':')?;
        if rest == "all" {
            return Some(Kind::All);
        }
        let (kind, name) = rest.split_once(':')?;
        match kind {
            "connection" => Some(Kind::Connection(name)),
            "group" => Some(Kind::Group(name)),
            "user" => Some(Kind::User(name)),
            "internal" if channel == &*self.groups => Some(Kind::GroupCommand),
            "internal" if channel == &*self.acknowledgements => Some(Kind::Acknowledgement),
            "internal" if channel == &*self.answers => Some(Kind::Answer),
            _ => None,
        }
    }
}

/// How the channels of notes begin: no hub of ASP.NET Core has one that does.
const NOTES: &str = "__";

fn notes_to(prefix: &str, server: &str) -> String {
    format!("{NOTES}{prefix}:notes:{server}")
}

fn acknowledgements(prefix: &str, server: &str) -> String {
    format!("{prefix}:internal:ack:{server}")
}
