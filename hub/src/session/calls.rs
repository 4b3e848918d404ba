//! Which calls and uploads of a connection are under way, by the ids the client gave them.

use std::collections::HashMap;

use bytestring::ByteString;

use super::CallKind;
use crate::options::HubOptions;

/// An upload of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct StreamKey {
    /// The call's key.
    pub(crate) call: u64,
    /// Which of its stream parameters.
    pub(crate) position: u16,
}

/// A call that was begun and is not answered. There is one of each, and it is given up to be
/// answered: exactly once.
#[derive(Debug)]
pub(crate) struct ActiveCall {
    pub(crate) key: u64,
    pub(crate) kind: CallKind,
    pub(super) invocation_id: Option<ByteString>,
    stream_ids: Vec<ByteString>,
    pub(super) place: Place,
}

/// Where a call stands with the slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It takes none (OR-04).
    Beside,
    /// It wants one.
    Waiting,
    InSlot,
    /// It has given its slot back (CR-07).
    Released,
}

/// Why a call was not begun.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotBegun {
    /// Its invocation id belongs to a running stream (ST-05).
    IdInUse(ByteString),
    /// One of its stream ids belongs to another upload.
    StreamIdInUse(ByteString),
    /// The client has too many streams under way, or other calls that take no slot.
    TooManyStreams,
}

pub(super) struct Calls {
    next_key: u64,
    pub(super) free_slots: usize,
    max_streams: usize,
    pub(super) streams: HashMap<ByteString, u64>,
    pub(super) uploads: HashMap<ByteString, StreamKey>,
    /// Plain calls that began with uploads: they may outlive those.
    uploading: usize,
    /// Calls that have given their slot back.
    released: usize,
    /// Plain calls, to be cancelled. Few, and their ids are not checked for reuse (IN-15).
    pub(super) plain: Vec<(ByteString, u64)>,
}

impl Calls {
    pub(super) fn new(options: &HubOptions) -> Self {
        Self {
            next_key: 0,
            free_slots: options.maximum_parallel_invocations_per_client.max(1),
            max_streams: options.maximum_streams_per_client,
            streams: HashMap::new(),
            uploads: HashMap::new(),
            uploading: 0,
            released: 0,
            plain: Vec::new(),
        }
    }

    /// Either all ids of a call are registered, or none.
    pub(super) fn begin(
        &mut self,
        invocation_id: Option<ByteString>,
        kind: CallKind,
        stream_ids: Vec<ByteString>,
    ) -> Result<ActiveCall, (NotBegun, Option<ByteString>)> {
        if let Err(refused) = self.check(invocation_id.as_ref(), kind, &stream_ids) {
            return Err((refused, invocation_id));
        }
        let takes_slot = kind == CallKind::Plain && stream_ids.is_empty();
        let key = self.next_key;
        self.next_key += 1;
        if kind == CallKind::Plain && !takes_slot {
            self.uploading += 1;
        }
        for (position, id) in stream_ids.iter().enumerate() {
            let position = u16::try_from(position).unwrap_or(u16::MAX);
            self.uploads.insert(
                owned(id),
                StreamKey {
                    call: key,
                    position,
                },
            );
        }
        if let (CallKind::Stream, Some(id)) = (kind, &invocation_id) {
            self.streams.insert(owned(id), key);
        }
        Ok(ActiveCall {
            key,
            kind,
            invocation_id,
            stream_ids,
            place: if takes_slot {
                Place::Waiting
            } else {
                Place::Beside
            },
        })
    }

    fn check(
        &self,
        invocation_id: Option<&ByteString>,
        kind: CallKind,
        stream_ids: &[ByteString],
    ) -> Result<(), NotBegun> {
        if let (CallKind::Stream, Some(id)) = (kind, invocation_id) {
            if self.streams.contains_key(id) {
                return Err(NotBegun::IdInUse(id.clone()));
            }
            if self.streams.len() >= self.max_streams {
                return Err(NotBegun::TooManyStreams);
            }
        }
        for (position, id) in stream_ids.iter().enumerate() {
            if self.uploads.contains_key(id) || stream_ids[..position].contains(id) {
                return Err(NotBegun::StreamIdInUse(id.clone()));
            }
        }
        // What takes no slot has no other limit.
        let is_one_too_many = match kind {
            CallKind::Plain if stream_ids.is_empty() => self.released >= self.max_streams,
            CallKind::Plain => self.uploading >= self.max_streams,
            CallKind::Stream => false,
        };
        if is_one_too_many || self.uploads.len() + stream_ids.len() > self.max_streams {
            return Err(NotBegun::TooManyStreams);
        }
        Ok(())
    }

    /// OR-02, OR-04: a plain call without uploads takes a slot, if one is free.
    pub(super) fn take_slot(&mut self, call: &mut ActiveCall) -> bool {
        if call.place != Place::Waiting {
            return true;
        }
        if self.free_slots == 0 {
            return false;
        }
        self.free_slots -= 1;
        call.place = Place::InSlot;
        true
    }

    /// The call will take a while: it can be cancelled from here on, and keeps none of the bytes it
    /// came with.
    pub(super) fn keep(&mut self, call: &mut ActiveCall) {
        call.invocation_id = call.invocation_id.as_ref().map(owned);
        for id in &mut call.stream_ids {
            *id = owned(id);
        }
        if let (CallKind::Plain, Some(id)) = (call.kind, &call.invocation_id) {
            self.plain.push((id.clone(), call.key));
        }
    }

    pub(super) fn release_slot(&mut self, call: &mut ActiveCall) {
        if call.place == Place::InSlot {
            call.place = Place::Released;
            self.free_slots += 1;
            self.released += 1;
        }
    }

    pub(super) fn end(&mut self, call: &ActiveCall) {
        match (call.place, call.kind) {
            (Place::InSlot, _) => self.free_slots += 1,
            (Place::Released, _) => self.released -= 1,
            (Place::Beside, CallKind::Plain) => self.uploading -= 1,
            (Place::Beside, CallKind::Stream) | (Place::Waiting, _) => {}
        }
        for id in &call.stream_ids {
            // UP-07: what still comes for them is ignored.
            if self
                .uploads
                .get(id)
                .is_some_and(|stream| stream.call == call.key)
            {
                self.uploads.remove(id);
            }
        }
        match (&call.invocation_id, call.kind) {
            (Some(id), CallKind::Stream) => drop(self.streams.remove(id)),
            (Some(_), CallKind::Plain) => self.plain.retain(|(_, key)| *key != call.key),
            (None, _) => {}
        }
    }

    pub(super) fn upload(&self, stream_id: &ByteString) -> Option<StreamKey> {
        self.uploads.get(stream_id).copied()
    }

    pub(super) fn end_upload(&mut self, stream_id: &ByteString) -> Option<StreamKey> {
        self.uploads.remove(stream_id)
    }

    /// The running call of that id.
    pub(super) fn key(&self, invocation_id: &ByteString) -> Option<u64> {
        let plain = || {
            let running = self.plain.iter().find(|(id, _)| id == invocation_id);
            running.map(|(_, key)| *key)
        };
        self.streams.get(invocation_id).copied().or_else(plain)
    }
}

/// An id that does not keep the whole buffer it came in.
fn owned(id: &ByteString) -> ByteString {
    ByteString::from(&**id)
}
