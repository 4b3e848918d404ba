//! The queue itself: ranges of buffers that connections share.

use std::{
    collections::VecDeque,
    io::IoSlice,
    sync::{Arc, OnceLock},
};

use bytes::{Bytes, BytesMut};

use super::WRITE_AT;
use crate::{proto::SLICES, sync::Mutex, vocabulary::frame::FrameHeader};

/// Where a batch of fed frames begins: a few small replies, in what an allocator has at hand.
const FED_CAPACITY: usize = 1024;

/// Of a segment that was queued inside a fragmented message: it follows the message's end, wherever
/// that will be.
pub(super) const END_OF_MESSAGE: u64 = u64::MAX;

/// Frames in the order they leave. The first is kept inline: mostly there is no second.
#[derive(Default)]
pub(super) struct Queue {
    first: Option<Segment>,
    rest: VecDeque<Segment>,
    bytes: u32,
    /// How many of `bytes` the connection's own task has fed.
    fed: u32,
    /// Those of others alone.
    pub(super) messages: u32,
    /// Whether `first` has been written in part.
    pub(super) is_begun: bool,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes as usize
    }

    /// Whether so many bytes more can be counted.
    pub(super) fn has_room_for(&self, len: usize) -> bool {
        u32::try_from(self.bytes() + len).is_ok()
    }

    /// How many bytes of the task's own come before the first of these, with so many `written`;
    /// `None` of an empty queue.
    pub(super) fn follows(&self, written: u64) -> Option<usize> {
        let first = self.first.as_ref()?;
        let before = first.follows.saturating_sub(written);
        Some(usize::try_from(before).unwrap_or(usize::MAX))
    }

    /// A fragmented message ends behind so many bytes.
    pub(super) fn message_ends(&mut self, fed: u64) {
        for segment in self.first.iter_mut().chain(&mut self.rest) {
            segment.follows = segment.follows.min(fed);
        }
    }

    /// Queues frames behind so many bytes that the connection's task has fed so far.
    pub(super) fn push(&mut self, segment: &Segment, follows: u64) {
        self.bytes += segment.len() as u32;
        self.messages += 1;
        let next = || Segment {
            follows,
            ..segment.clone()
        };
        match self.rest.back_mut().or(self.first.as_mut()) {
            None => self.first = Some(next()),
            Some(last) if last.follows == follows && last.continues_with(segment) => {
                last.end = segment.end;
                last.messages += segment.messages;
            }
            Some(_) => self.rest.push_back(next()),
        }
    }

    /// Bytes that others have queued.
    pub(super) fn bytes_of_others(&self) -> usize {
        (self.bytes - self.fed) as usize
    }

    /// Queues a frame of `len` bytes that `lay` appends to a buffer: behind the last one fed, if
    /// nothing else has been queued or looked at since.
    pub(super) fn feed(&mut self, len: usize, follows: u64, lay: impl Fn(&mut BytesMut)) {
        self.bytes += len as u32;
        self.fed += len as u32;
        let last = self.rest.back_mut().or(self.first.as_mut());
        if last.is_some_and(|last| last.is_fed && last.follows == follows && last.extend(len, &lay))
        {
            return;
        }
        let batch = Batch::with_capacity(len.max(FED_CAPACITY));
        let fed = Segment {
            end: batch.lay(len, &lay).map_or(0, |(_, end)| end),
            batch: Arc::new(batch),
            start: 0,
            messages: 0,
            is_fed: true,
            follows,
        };
        if self.first.is_none() {
            self.first = Some(fed);
        } else {
            self.rest.push_back(fed);
        }
    }

    /// Lays what may be written once the task has written so many bytes of its own.
    pub(super) fn pieces<'a>(&'a self, written: u64, slices: &mut [IoSlice<'a>; SLICES]) -> usize {
        let segments = self.first.iter().chain(&self.rest);
        let mut count = 0;
        for (slice, segment) in slices
            .iter_mut()
            .zip(segments.take_while(|segment| segment.follows <= written))
        {
            *slice = IoSlice::new(segment.bytes());
            count += 1;
        }
        count
    }

    pub(super) fn advance(&mut self, mut written: usize) {
        self.bytes -= written as u32;
        while let Some(first) = &mut self.first {
            if first.is_fed {
                self.fed -= written.min(first.len()) as u32;
            }
            if written < first.len() {
                // Of frames side by side as many are gone as bytes are, nearly.
                let gone = (written * first.messages as usize / first.len()) as u32;
                self.messages -= gone;
                first.messages -= gone;
                first.start += written as u32;
                self.is_begun |= written > 0;
                return;
            }
            self.is_begun = false;
            written -= first.len();
            self.messages -= first.messages;
            self.first = self.rest.pop_front();
        }
        if self.rest.capacity() > 0 {
            self.rest = VecDeque::new();
        }
    }

    /// Takes the first frame: its header and its payload, of which nothing is copied.
    pub(super) fn take_frame(&mut self) -> Option<(FrameHeader, Bytes)> {
        let first = self.first.as_mut()?;
        let (header, header_len) = FrameHeader::parse(first.bytes()).ok()??;
        let len = (header_len + header.payload_len as usize).min(first.len());
        let at = first.start as usize;
        let payload = first.batch.bytes().slice(at + header_len..at + len);
        self.bytes -= len as u32;
        if first.is_fed {
            self.fed -= len as u32;
        } else {
            self.messages -= 1;
            first.messages -= 1;
        }
        first.start += len as u32;
        if first.len() == 0 {
            self.first = self.rest.pop_front();
            if self.rest.is_empty() {
                self.rest = VecDeque::new();
            }
        }
        Some((header, payload))
    }

    /// Appends so many segments to `out`, each behind what `before` appends of the bytes that the
    /// task had fed by then.
    pub(super) fn append_to(
        &self,
        out: &mut BytesMut,
        segments: usize,
        mut before: impl FnMut(u64, &mut BytesMut),
    ) {
        let segments = self.first.iter().chain(&self.rest).take(segments);
        for segment in segments.take_while(|segment| segment.follows != END_OF_MESSAGE) {
            before(segment.follows, out);
            out.extend_from_slice(segment.bytes());
        }
    }
}

/// One or more whole frames (the first perhaps written in part), shared with other connections.
#[derive(Clone)]
pub(crate) struct Segment {
    batch: Arc<Batch>,
    start: u32,
    end: u32,
    messages: u32,
    /// Whether it holds frames of the connection's own task, in a batch of this connection's own.
    is_fed: bool,
    /// Bytes that the connection's task had fed when it was queued there, of its own frames.
    follows: u64,
}

impl Segment {
    /// A frame by itself. Frames are far smaller than 4 GiB: they are bounded by
    /// `max_queued_bytes` on the way out, and cut off here where that is larger.
    pub(crate) fn frame(frame: Bytes) -> Self {
        let end = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        let batch = Batch {
            open: Mutex::new(None),
            closed: OnceLock::from(frame),
        };
        Self {
            batch: Arc::new(batch),
            start: 0,
            end,
            messages: 1,
            is_fed: false,
            follows: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    fn bytes(&self) -> &[u8] {
        &self.batch.bytes()[self.start as usize..self.end as usize]
    }

    /// Lays another frame behind the last; `false` when the batch is closed or full.
    fn extend(&mut self, len: usize, lay: &impl Fn(&mut BytesMut)) -> bool {
        let laid = self.batch.lay(len, lay);
        self.end = laid.map_or(self.end, |(_, end)| end);
        laid.is_some()
    }

    /// Whether `next` lies right behind this one, in the same batch.
    fn continues_with(&self, next: &Self) -> bool {
        self.end == next.start && Arc::ptr_eq(&self.batch, &next.batch)
    }
}

/// Frames published in one go, one behind the other in one buffer: a member that gets them all
/// holds a single range of it, however many they are.
#[derive(Default)]
pub(crate) struct Batch {
    open: Mutex<Option<BytesMut>>,
    closed: OnceLock<Bytes>,
}

impl Batch {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self {
            open: Mutex::new(Some(BytesMut::with_capacity(bytes))),
            closed: OnceLock::new(),
        }
    }

    /// Adds a frame; `None` when the batch is closed or full.
    pub(crate) fn append(self: &Arc<Self>, frame: &[u8]) -> Option<Segment> {
        let (start, end) = self.lay(frame.len(), &|batch| batch.extend_from_slice(frame))?;
        Some(Segment {
            batch: self.clone(),
            start,
            end,
            messages: 1,
            is_fed: false,
            follows: 0,
        })
    }

    /// Has `lay` append a frame of `len` bytes, and gives its range; `None` when the batch is
    /// closed or full. An empty one takes a frame of any length.
    fn lay(&self, len: usize, lay: &impl Fn(&mut BytesMut)) -> Option<(u32, u32)> {
        let mut open = self.open.lock();
        let buffer = open.as_mut()?;
        if !buffer.is_empty() && buffer.len() + len > WRITE_AT {
            return None;
        }
        let start = buffer.len() as u32;
        lay(buffer);
        Some((start, buffer.len() as u32))
    }

    /// The frames; the first look closes the batch.
    fn bytes(&self) -> &Bytes {
        self.closed.get_or_init(|| {
            let mut open = self.open.lock();
            open.take().map(BytesMut::freeze).unwrap_or_default()
        })
    }
}
