//! What the payloads of a server's answers make up, counted without being parsed.

use std::{io, ops::AddAssign, sync::Arc};

use super::dialect::{Record, Reply};

/// What a part of a server's bytes completed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Messages: echoes, deliveries, items.
    pub(super) messages: u64,
    /// Requests whose last message it was: as many as messages, but for streams.
    pub(super) ends: u64,
    /// Pings of the protocol that the messages carry; those of WebSockets are no content.
    pub(super) pings: u64,
}

/// The position in what a server sends.
#[derive(Debug)]
pub(super) enum Content {
    /// Messages told apart by their length.
    Messages {
        length: u64,
        end: End,
        /// The payload of the message so far, over all its fragments.
        read: u64,
    },
    /// Records of a protocol, each byte for byte one of these.
    Records {
        in_turn: Arc<[Record]>,
        /// Whose turn it is.
        turn: usize,
        others: Arc<[Record]>,
        /// Which of the others the current record is, as far as it has come; `None` if it is the one whose
        /// turn it is.
        other: Option<usize>,
        /// How much of it has come.
        read: usize,
    },
}

/// Which message is the last answer to a request.
#[derive(Debug)]
pub(super) enum End {
    /// Each answers so many.
    Each(u64),
    /// The last of so many, of which some are left.
    LastOf { count: u64, left: u64 },
    /// One more, of this length.
    Length(u64),
}

/// What a record is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Meaning {
    /// One of a stream.
    Item,
    /// The end of a stream.
    End,
    /// The only answer to so many messages.
    Answers(u64),
    /// To be answered, so that the connection stays.
    Ping,
    Nothing,
}

impl Content {
    pub(super) fn new(reply: &Reply) -> Self {
        let messages = |length: usize, end| Self::Messages {
            length: length as u64,
            end,
            read: 0,
        };
        match reply {
            Reply::Message { length, answers } => messages(*length, End::Each(*answers)),
            Reply::Messages { length, count } => {
                let (count, left) = (*count, *count);
                messages(*length, End::LastOf { count, left })
            }
            Reply::MessagesAndEnd { length, end } => messages(*length, End::Length(*end as u64)),
            Reply::Records { in_turn, others } => Self::Records {
                in_turn: in_turn.clone(),
                turn: 0,
                others: others.clone(),
                other: None,
                read: 0,
            },
        }
    }

    /// Counts the records that a part of a message completes.
    pub(super) fn take(&mut self, mut payload: &[u8]) -> io::Result<Tally> {
        let mut tally = Tally::default();
        let (in_turn, turn, others, other, read) = match self {
            Self::Messages { read, .. } => {
                *read += payload.len() as u64;
                return Ok(tally);
            }
            Self::Records {
                in_turn,
                turn,
                others,
                other,
                read,
            } => (in_turn, turn, others, other, read),
        };
        while !payload.is_empty() {
            let (record, meaning) = match *other {
                None => &in_turn[*turn],
                Some(other) => &others[other],
            };
            let left = &record[*read..];
            let part = left.len().min(payload.len());
            if left[..part] != payload[..part] {
                // Records may begin alike: from where they differ it is another one.
                let begun = &record[..*read];
                let goes_on = |(other, _): &Record| {
                    let rest = other.strip_prefix(begun)?;
                    let part = rest.len().min(payload.len());
                    (part > 0 && rest[..part] == payload[..part]).then_some(())
                };
                *other = if goes_on(&in_turn[*turn]).is_some() {
                    None
                } else {
                    let found = others.iter().position(|other| goes_on(other).is_some());
                    Some(found.ok_or_else(|| unexpected(payload))?)
                };
                continue;
            }
            payload = &payload[part..];
            *read += part;
            if *read == record.len() {
                tally += meaning.tally();
                if other.take().is_none() {
                    *turn = (*turn + 1) % in_turn.len();
                }
                *read = 0;
            }
        }
        Ok(tally)
    }

    /// What the end of a WebSocket message completes.
    pub(super) fn end_of_message(&mut self) -> io::Result<Tally> {
        let Self::Messages { length, end, read } = self else {
            return Ok(Tally::default());
        };
        let came = std::mem::take(read);
        match end {
            End::Length(end) if came == *end => Ok(Meaning::End.tally()),
            _ if came != *length => Err(invalid(format!(
                "a message of {came} bytes came back, not of {length}"
            ))),
            End::Each(answers) => Ok(Meaning::Answers(*answers).tally()),
            End::Length(_) => Ok(Meaning::Item.tally()),
            End::LastOf { count, left } => {
                *left -= 1;
                if *left > 0 {
                    return Ok(Meaning::Item.tally());
                }
                *left = *count;
                Ok(Meaning::ANSWER.tally())
            }
        }
    }
}

impl Meaning {
    /// The only answer to one message.
    pub(super) const ANSWER: Self = Self::Answers(1);

    fn tally(self) -> Tally {
        let (messages, ends, pings) = match self {
            Self::Item => (1, 0, 0),
            Self::End => (0, 1, 0),
            Self::Answers(messages) => (messages, 1, 0),
            Self::Ping => (0, 0, 1),
            Self::Nothing => (0, 0, 0),
        };
        Tally {
            messages,
            ends,
            pings,
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, more: Self) {
        self.messages += more.messages;
        self.ends += more.ends;
        self.pings += more.pings;
    }
}

fn unexpected(payload: &[u8]) -> io::Error {
    let start = &payload[..payload.len().min(200)];
    invalid(format!(
        "not the expected answer: {}",
        String::from_utf8_lossy(start)
    ))
}

pub(super) fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_counted_however_they_are_cut() {
        let reply = Reply::Records {
            in_turn: [
                (b"{2,item 1}".as_slice().into(), Meaning::Item),
                (b"{2,item 2}".as_slice().into(), Meaning::Item),
                (b"{2,end}".as_slice().into(), Meaning::End),
            ]
            .into(),
            others: [
                (b"{6}".as_slice().into(), Meaning::Ping),
                (b"{}".as_slice().into(), Meaning::Nothing),
            ]
            .into(),
        };
        let stream =
            b"{}{2,item 1}{6}{2,item 2}{2,end}{2,item 1}{2,item 2}{6}{2,end}{2,item 1}{6}{2,item 2}";
        for step in 1..=stream.len() {
            let mut content = Content::new(&reply);
            let mut tally = Tally::default();
            for part in stream.chunks(step) {
                tally += content.take(part).unwrap();
            }
            let expected = Tally {
                messages: 6,
                ends: 2,
                pings: 3,
            };
            assert_eq!(tally, expected, "in steps of {step}");
        }
        let refused = |stream: &[u8]| {
            let error = Content::new(&reply).take(stream).unwrap_err();
            error.to_string()
        };
        let why = "not the expected answer: ";
        assert_eq!(refused(b"{2,item 1}{2,no"), format!("{why}{{2,no"));
        // Each in its turn alone.
        assert_eq!(refused(b"{2,item 2}"), format!("{why}{{2,item 2}}"));
        assert_eq!(refused(b"{2,item 1}{2,end}"), format!("{why}{{2,end}}"));
    }

    #[test]
    fn a_stream_ends_with_its_last_message_or_with_one_of_another_length() {
        let mut ends = Vec::new();
        for reply in [
            Reply::Messages {
                length: 2,
                count: 3,
            },
            Reply::MessagesAndEnd { length: 2, end: 1 },
        ] {
            let mut content = Content::new(&reply);
            for length in [2, 2, 2, 1] {
                content.take(&vec![0; length]).unwrap();
                ends.push(content.end_of_message().ok().map(|tally| tally.ends));
            }
        }
        let (none, one) = (Some(0), Some(1));
        assert_eq!(ends, [none, none, one, None, none, none, none, one]);
    }
}
