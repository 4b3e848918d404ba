//! What is published, as bytes: MessagePack, as ASP.NET Core's servers write it (RD-04, RD-05).

use bytes::Bytes;
use rmp::{decode, encode};

use crate::{identity::connection_id::ConnectionId, protocol::Protocol};

/// A message for many, framed in each protocol (RD-04).
pub(crate) struct Invocation<'a> {
    /// Who does not get it.
    pub(crate) except: Vec<&'a str>,
    pub(crate) messages: Messages,
    /// Under which id it is to be answered, and on which channel; `None` where nobody waits.
    pub(crate) answer_to: Option<(&'a str, &'a str)>,
}

/// A message in each of the protocols that its sender has.
#[derive(Default)]
pub(crate) struct Messages([Option<Bytes>; Protocol::ALL.len()]);

impl Messages {
    pub(crate) fn get(&self, protocol: Protocol) -> Option<&Bytes> {
        self.0[protocol as usize].as_ref()
    }
}

/// What is to happen to a connection's membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Add = 1,
    Remove = 2,
}

/// A server wants a connection in a group or out of it, and to be told when it is (RD-05).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct GroupCommand<'a> {
    pub(crate) id: i64,
    pub(crate) server: &'a str,
    pub(crate) action: Action,
    pub(crate) group: &'a str,
    pub(crate) connection: &'a str,
}

/// Writes an [`Invocation`], with its message in each protocol.
pub(crate) fn invocation(
    except: &[ConnectionId],
    messages: &[(Protocol, &[u8])],
    answer_to: Option<(&str, &str)>,
) -> Bytes {
    let mut out = Vec::with_capacity(256);
    array(&mut out, if answer_to.is_some() { 4 } else { 2 });
    array(&mut out, except.len());
    for id in except {
        string(&mut out, id);
    }
    encode::write_map_len(&mut out, len(messages.len())).expect(A_VEC_TAKES_ALL);
    for (protocol, message) in messages {
        string(&mut out, protocol.name());
        encode::write_bin(&mut out, message).expect(A_VEC_TAKES_ALL);
    }
    if let Some((id, channel)) = answer_to {
        string(&mut out, id);
        string(&mut out, channel);
    }
    out.into()
}

/// Reads one. `None` for what is none; what stands behind it is another version's (RD-04).
pub(crate) fn read_invocation(payload: &Bytes) -> Option<Invocation<'_>> {
    let mut rest: &[u8] = payload;
    let items = decode::read_array_len(&mut rest).ok()?;
    let count = decode::read_array_len(&mut rest).ok()?;
    let mut except = Vec::new();
    for _ in 0..count {
        except.push(read_string(&mut rest)?);
    }
    let mut messages = Messages::default();
    for _ in 0..decode::read_map_len(&mut rest).ok()? {
        let name = read_string(&mut rest)?;
        let message = read_binary(&mut rest)?;
        if let Some(protocol) = Protocol::ALL.into_iter().find(|known| known.name() == name) {
            messages.0[protocol as usize] = Some(payload.slice_ref(message));
        }
    }
    let answer_to = (items >= 4)
        .then(|| Some((read_string(&mut rest)?, read_string(&mut rest)?)))
        .flatten();
    Some(Invocation {
        except,
        messages,
        answer_to,
    })
}

pub(crate) fn group_command(command: &GroupCommand<'_>) -> Bytes {
    let mut out = Vec::with_capacity(128);
    array(&mut out, 5);
    integer(&mut out, command.id);
    string(&mut out, command.server);
    integer(&mut out, command.action as i64);
    string(&mut out, command.group);
    string(&mut out, command.connection);
    out.into()
}

pub(crate) fn read_group_command(mut rest: &[u8]) -> Option<GroupCommand<'_>> {
    let rest = &mut rest;
    if decode::read_array_len(rest).ok()? < 5 {
        return None;
    }
    Some(GroupCommand {
        id: decode::read_int(rest).ok()?,
        server: read_string(rest)?,
        action: match decode::read_int(rest).ok()? {
            1 => Action::Add,
            2 => Action::Remove,
            _ => return None,
        },
        group: read_string(rest)?,
        connection: read_string(rest)?,
    })
}

/// Says that a [`GroupCommand`] is done.
pub(crate) fn acknowledgement(id: i64) -> Bytes {
    let mut out = Vec::with_capacity(10);
    array(&mut out, 1);
    integer(&mut out, id);
    out.into()
}

pub(crate) fn read_acknowledgement(mut payload: &[u8]) -> Option<i64> {
    let items = decode::read_array_len(&mut payload).ok()?;
    (items >= 1).then(|| decode::read_int(&mut payload).ok())?
}

/// What a client has answered: a framed Completion, in its protocol.
pub(crate) fn answer(protocol: Protocol, completion: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(completion.len() + 20);
    array(&mut out, 2);
    string(&mut out, protocol.name());
    encode::write_bin(&mut out, completion).expect(A_VEC_TAKES_ALL);
    out.into()
}

/// Reads one; `None` also for one in a protocol that is not known here (RD-09).
pub(crate) fn read_answer(payload: &Bytes) -> Option<(Protocol, Bytes)> {
    let mut rest: &[u8] = payload;
    if decode::read_array_len(&mut rest).ok()? < 2 {
        return None;
    }
    let name = read_string(&mut rest)?;
    let protocol = Protocol::ALL
        .into_iter()
        .find(|known| known.name() == name)?;
    Some((protocol, payload.slice_ref(read_binary(&mut rest)?)))
}

pub(super) const A_VEC_TAKES_ALL: &str = "a Vec takes all";

pub(super) fn array(out: &mut Vec<u8>, items: usize) {
    encode::write_array_len(out, len(items)).expect(A_VEC_TAKES_ALL);
}

pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    encode::write_str(out, text).expect(A_VEC_TAKES_ALL);
}

fn integer(out: &mut Vec<u8>, number: i64) {
    encode::write_sint(out, number).expect(A_VEC_TAKES_ALL);
}

/// A length as it is written: nothing of 4 GiB is ever published.
pub(super) fn len(items: usize) -> u32 {
    u32::try_from(items).unwrap_or(u32::MAX)
}

pub(super) fn read_string<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let (text, after) = decode::read_str_from_slice(*rest).ok()?;
    *rest = after;
    Some(text)
}

pub(super) fn read_binary<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = decode::read_bin_len(rest).ok()? as usize;
    let (bytes, after) = rest.split_at_checked(len)?;
    *rest = after;
    Some(bytes)
}
