//! What the servers of this crate tell each other beside what clients get: that they are there, what they
//! have published, who is where.
//!
//! Each note is a MessagePack array that begins with its kind. They have channels of their own, on which
//! ASP.NET Core's servers neither listen nor speak.

use std::sync::Arc;

use bytes::Bytes;
use rmp::{decode, encode};

use crate::identity::connection_id::ConnectionToken;

use super::payloads::{A_VEC_TAKES_ALL, array, len, read_string, string};

/// Somebody in a group: its name, and who.
type Place = (Arc<str>, Arc<str>);

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Note {
    /// A server is there; to all, once a second.
    Beat(Beat),
    /// A server hears the others from here on, and wants their beats at once; to all.
    Hello { from: String },
    /// To itself: all that it had published up to here has come back, or never will.
    Mark { published: u64 },
    /// A server wants to know what another has published; to that one.
    AuditRequest {
        from: String,
        /// Behind this number.
        after: u64,
        /// Up to this one.
        up_to: u64,
    },
    /// What it has; to the one that asked.
    Audit(Audit),
    /// A server wants to know who is where; to all.
    Question {
        from: String,
        id: u64,
        question: Question,
    },
    /// A client has come to a server with a token of another; to that one.
    Claim {
        from: String,
        id: u64,
        /// Of the hub.
        path: String,
        token: ConnectionToken,
    },
    /// Somebody is present on a server, or no longer; to all.
    Presence {
        from: String,
        /// How many changes it has told of, with this one.
        version: u64,
        place: Place,
        is_there: bool,
    },
    /// A server has missed some of these; to the one that has told of them.
    RollRequest { from: String },
    /// All who are present on a server; to the one that asked.
    Roll {
        from: String,
        version: u64,
        members: Vec<Place>,
    },
    /// What a server knows; to the one that asked.
    Reply {
        from: String,
        id: u64,
        answer: Vec<String>,
    },
}

/// A sign of life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Beat {
    pub(crate) from: String,
    /// How many messages it has published so far.
    pub(crate) published: u64,
    /// Up to which number some of them may be lost: what publishes had failed.
    pub(crate) doubtful: u64,
    /// How many changes of presence it has told of.
    pub(crate) presence: u64,
}

/// What a server has published between two numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Audit {
    pub(crate) from: String,
    pub(crate) up_to: u64,
    /// Whether it remembers all of it.
    pub(crate) is_whole: bool,
    pub(crate) published: Vec<Published>,
}

/// A message that was published, as digests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) channel: u64,
    pub(crate) message: u64,
    /// How long ago, in milliseconds.
    pub(crate) age: u32,
}

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Question {
    /// The connections of a group.
    Members(String),
    /// The connections of a user.
    ConnectionsOf(String),
    /// All connections.
    Everybody,
    /// How many connections there are.
    Count,
}

impl Note {
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(128);
        match self {
            Self::Beat(beat) => {
                begin(&mut out, 1, 4);
                string(&mut out, &beat.from);
                number(&mut out, beat.published);
                number(&mut out, beat.doubtful);
                number(&mut out, beat.presence);
            }
            Self::Mark { published } => {
                begin(&mut out, 2, 1);
                number(&mut out, *published);
            }
            Self::AuditRequest { from, after, up_to } => {
                begin(&mut out, 3, 3);
                string(&mut out, from);
                number(&mut out, *after);
                number(&mut out, *up_to);
            }
            Self::Audit(audit) => {
                begin(&mut out, 4, 4);
                string(&mut out, &audit.from);
                number(&mut out, audit.up_to);
                number(&mut out, audit.is_whole.into());
                let mut bytes = Vec::with_capacity(20 * audit.published.len());
                for published in &audit.published {
                    bytes.extend_from_slice(&published.channel.to_be_bytes());
                    bytes.extend_from_slice(&published.message.to_be_bytes());
                    bytes.extend_from_slice(&published.age.to_be_bytes());
                }
                encode::write_bin(&mut out, &bytes).expect(A_VEC_TAKES_ALL);
            }
            Self::Question { from, id, question } => {
                begin(&mut out, 5, 4);
                string(&mut out, from);
                number(&mut out, *id);
                let (kind, name) = match question {
                    Question::Members(group) => (0, group.as_str()),
                    Question::ConnectionsOf(user) => (1, user.as_str()),
                    Question::Everybody => (2, ""),
                    Question::Count => (3, ""),
                };
                number(&mut out, kind);
                string(&mut out, name);
            }
            Self::Reply { from, id, answer } => {
                begin(&mut out, 6, 3);
                string(&mut out, from);
                number(&mut out, *id);
                array(&mut out, answer.len());
                for item in answer {
                    string(&mut out, item);
                }
            }
            Self::Claim {
                from,
                id,
                path,
                token,
            } => {
                begin(&mut out, 7, 4);
                string(&mut out, from);
                number(&mut out, *id);
                string(&mut out, path);
                string(&mut out, token.reveal());
            }
            Self::Presence {
                from,
                version,
                place: (group, who),
                is_there,
            } => {
                begin(&mut out, 8, 5);
                string(&mut out, from);
                number(&mut out, *version);
                string(&mut out, group);
                string(&mut out, who);
                number(&mut out, (*is_there).into());
            }
            Self::RollRequest { from } => {
                begin(&mut out, 9, 1);
                string(&mut out, from);
            }
            Self::Roll {
                from,
                version,
                members,
            } => {
                begin(&mut out, 10, 3);
                string(&mut out, from);
                number(&mut out, *version);
                array(&mut out, 2 * members.len());
                for (group, who) in members {
                    string(&mut out, group);
                    string(&mut out, who);
                }
            }
            Self::Hello { from } => {
                begin(&mut out, 11, 1);
                string(&mut out, from);
            }
        }
        out.into()
    }

    /// `None` for what is none, or of a kind of a later version.
    pub(crate) fn decode(mut rest: &[u8]) -> Option<Self> {
        let rest = &mut rest;
        decode::read_array_len(rest).ok()?;
        Some(match read_number(rest)? {
            1 => Self::Beat(Beat {
                from: text(rest)?,
                published: read_number(rest)?,
                doubtful: read_number(rest)?,
                presence: read_number(rest)?,
            }),
            2 => Self::Mark {
                published: read_number(rest)?,
            },
            3 => Self::AuditRequest {
                from: text(rest)?,
                after: read_number(rest)?,
                up_to: read_number(rest)?,
            },
            4 => Self::Audit(Audit {
                from: text(rest)?,
                up_to: read_number(rest)?,
                is_whole: read_number(rest)? != 0,
                published: read_published(rest)?,
            }),
            5 => Self::Question {
                from: text(rest)?,
                id: read_number(rest)?,
                question: match (read_number(rest)?, text(rest)?) {
                    (0, group) => Question::Members(group),
                    (1, user) => Question::ConnectionsOf(user),
                    (2, _) => Question::Everybody,
                    (3, _) => Question::Count,
                    _ => return None,
                },
            },
            6 => Self::Reply {
                from: text(rest)?,
                id: read_number(rest)?,
                answer: texts(rest)?,
            },
            7 => Self::Claim {
                from: text(rest)?,
                id: read_number(rest)?,
                path: text(rest)?,
                token: ConnectionToken::presented(read_string(rest)?),
            },
            8 => Self::Presence {
                from: text(rest)?,
                version: read_number(rest)?,
                place: place(rest)?,
                is_there: read_number(rest)? != 0,
            },
            9 => Self::RollRequest { from: text(rest)? },
            10 => Self::Roll {
                from: text(rest)?,
                version: read_number(rest)?,
                members: {
                    let count = decode::read_array_len(rest).ok()? / 2;
                    (0..count).map(|_| place(rest)).collect::<Option<_>>()?
                },
            },
            11 => Self::Hello { from: text(rest)? },
            _ => return None,
        })
    }
}

/// The array of a note: its kind, and so many items behind it.
fn begin(out: &mut Vec<u8>, kind: u64, items: usize) {
    encode::write_array_len(out, len(items + 1)).expect(A_VEC_TAKES_ALL);
    number(out, kind);
}

fn number(out: &mut Vec<u8>, number: u64) {
    encode::write_uint(out, number).expect(A_VEC_TAKES_ALL);
}

fn read_number(rest: &mut &[u8]) -> Option<u64> {
    decode::read_int(rest).ok()
}

fn text(rest: &mut &[u8]) -> Option<String> {
    read_string(rest).map(str::to_owned)
}

fn place(rest: &mut &[u8]) -> Option<Place> {
    Some((read_string(rest)?.into(), read_string(rest)?.into()))
}

fn texts(rest: &mut &[u8]) -> Option<Vec<String>> {
    let count = decode::read_array_len(rest).ok()?;
    (0..count).map(|_| text(rest)).collect()
}

fn read_published(rest: &mut &[u8]) -> Option<Vec<Published>> {
    let bytes = super::payloads::read_binary(rest)?;
    let number = |bytes: &[u8]| Some(u64::from_be_bytes(bytes.try_into().ok()?));
    let each = bytes.chunks_exact(20).map(|published| {
        Some(Published {
            channel: number(&published[..8])?,
            message: number(&published[8..16])?,
            age: u32::from_be_bytes(published[16..].try_into().ok()?),
        })
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_note_is_read_as_it_was_written_and_nothing_shorter_is_one() {
        let from = || "machine_0123".to_owned();
        let published = vec![
            Published {
                channel: u64::MAX,
                message: 1,
                age: 2,
            };
            3
        ];
        let question = |question| Note::Question {
            from: from(),
            id: 300,
            question,
        };
        for note in [
            Note::Beat(Beat {
                from: from(),
                published: 70_000,
                doubtful: 1,
                presence: 2,
            }),
            Note::Mark {
                published: u64::MAX,
            },
            Note::AuditRequest {
                from: from(),
                after: 1,
                up_to: 2,
            },
            Note::Audit(Audit {
                from: from(),
                up_to: 2,
                is_whole: true,
                published,
            }),
            question(Question::Members("a group".into())),
            question(Question::ConnectionsOf("ann".into())),
            question(Question::Everybody),
            question(Question::Count),
            Note::Presence {
                from: from(),
                version: 9,
                place: ("a group".into(), "ann".into()),
                is_there: true,
            },
            Note::Hello { from: from() },
            Note::RollRequest { from: from() },
            Note::Roll {
                from: from(),
                version: 9,
                members: vec![("a group".into(), "ann".into()), ("b".into(), "".into())],
            },
            Note::Claim {
                from: from(),
                id: 1,
                path: "/chat".into(),
                token: ConnectionToken::presented("secret.0123"),
            },
            Note::Reply {
                from: from(),
                id: 1,
                answer: vec!["a".into(), "é".into()],
            },
        ] {
            let bytes = note.encode();
            assert_eq!(Note::decode(&bytes), Some(note.clone()));
            for end in 0..bytes.len() {
                assert_eq!(Note::decode(&bytes[..end]), None, "{note:?} up to {end}");
            }
        }
        assert_eq!(Note::decode(&[0x91, 99]), None);
    }
}
