//! Frames to bytes out: control frames ahead of data, small frames side by side in one buffer,
//! large payloads as they are.

use std::{collections::VecDeque, io::IoSlice};

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::{
    proto::buffers,
    vocabulary::{
        frame::{Frame, FrameHeader, OpCode},
        mask::mask,
    },
};

/// How many pieces one vectored write takes.
pub const SLICES: usize = 16;

/// From here on a payload is not copied next to its header: the copy would cost more than the
/// second piece of a vectored write.
const UNCOPIED_FROM: usize = 4 * 1024;

/// What is to be written, in order. A frame once begun is finished before a control frame goes out.
#[derive(Debug, Default)]
pub(super) struct Writer {
    /// Clients mask what they send.
    masking_key: Option<fn() -> [u8; 4]>,
    control: Vec<u8>,
    /// Older data than `tail`.
    segments: VecDeque<Segment>,
    /// Whether the frame at the front of the segments has been written in part.
    midway: bool,
    /// Bytes of the Close, behind everything else; none before there is one.
    close_len: u8,
    /// The newest frames, one behind the other.
    tail: BytesMut,
    len: usize,
}

#[derive(Debug)]
struct Segment {
    bytes: Bytes,
    /// Whether its last frame goes on in the next segment: this one ends with a header.
    goes_on: bool,
}

impl Writer {
    pub(super) fn new(masking_key: Option<fn() -> [u8; 4]>) -> Self {
        Self {
            masking_key,
            ..Self::default()
        }
    }

    /// Whether this is a client's.
    #[cfg(feature = "deflate")]
    pub(super) fn masks(&self) -> bool {
        self.masking_key.is_some()
    }

    /// Bytes not yet written.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Those of them that are of messages.
    pub(super) fn data_len(&self) -> usize {
        (self.len - self.control.len()).saturating_sub(usize::from(self.close_len))
    }

    /// After a write: whether a frame is written in part. Of control frames, which go first, none is
    /// left otherwise.
    pub(super) fn is_midway(&self) -> bool {
        self.midway || !self.control.is_empty()
    }

    /// Queues a frame: a Ping or Pong ahead of data, everything else behind it.
    pub(super) fn push(&mut self, frame: &Frame) {
        // RFC 6455 5.5.1: nothing follows a Close, so it waits for the data before it.
        if !matches!(frame.opcode(), OpCode::Ping | OpCode::Pong) {
            let payload = frame.payload().clone();
            let before = self.len;
            self.push_data(frame.opcode(), frame.is_final(), false, payload);
            if frame.opcode() == OpCode::Close {
                self.close_len = u8::try_from(self.len - before).unwrap_or(u8::MAX); // 131 at most
            }
            return;
        }
        let header = self.header(frame.opcode(), frame.is_final(), false, frame.payload());
        let before = self.control.len();
        append(&mut self.control, &header, frame.payload());
        self.len += self.control.len() - before;
    }

    /// Queues a frame behind all others.
    #[inline]
    pub(super) fn push_data(&mut self, opcode: OpCode, is_final: bool, rsv1: bool, payload: Bytes) {
        let header = self.header(opcode, is_final, rsv1, &payload);
        if header.mask.is_some() || payload.len() < UNCOPIED_FROM {
            return self.push_copied(&header, &payload);
        }
        self.own_a_tail();
        let before = self.tail.len();
        header.encode(&mut self.tail);
        self.len += self.tail.len() - before + payload.len();
        self.push_uncopied(payload);
    }

    /// Queues a copy of a message in one frame behind all others.
    #[inline]
    pub(super) fn push_copy(&mut self, opcode: OpCode, payload: &[u8]) {
        let header = self.header(opcode, true, false, payload);
        self.push_copied(&header, payload);
    }

    #[inline]
    fn push_copied(&mut self, header: &FrameHeader, payload: &[u8]) {
        self.own_a_tail();
        let before = self.tail.len();
        append(&mut self.tail, header, payload);
        self.len += self.tail.len() - before;
    }

    #[inline]
    fn own_a_tail(&mut self) {
        if self.tail.capacity() == 0 {
            self.tail = buffers::take();
        }
    }

    /// Lays the next pieces with so many bytes of data, which must end a frame.
    pub(super) fn first_pieces<'a>(
        &'a mut self,
        data: usize,
        slices: &mut [IoSlice<'a>; SLICES],
    ) -> usize {
        self.split_at(data);
        let count = self.pieces(slices);
        let mut left = data.saturating_add(self.control.len());
        let before = slices[..count].iter().take_while(|slice| {
            let is_before = left > 0;
            left = left.saturating_sub(slice.len());
            is_before
        });
        before.count()
    }

    /// Has a piece end behind so many bytes of data: if it is written in part, nothing behind that
    /// may become a part of the rest.
    fn split_at(&mut self, data: usize) {
        let mut left = data;
        for place in 0..self.segments.len() {
            let Segment { bytes, goes_on } = &mut self.segments[place];
            if (1..bytes.len()).contains(&left) {
                let rest = Segment {
                    bytes: bytes.split_off(left),
                    goes_on: std::mem::take(goes_on),
                };
                return self.segments.insert(place + 1, rest);
            }
            left = left.saturating_sub(bytes.len());
        }
        if (1..self.tail.len()).contains(&left) {
            self.segments.push_back(Segment {
                bytes: self.tail.split_to(left).freeze(),
                goes_on: false,
            });
        }
    }

    /// Queues a payload as it is behind its header, which ends the tail.
    fn push_uncopied(&mut self, payload: Bytes) {
        self.segments.push_back(Segment {
            bytes: self.tail.split().freeze(),
            goes_on: true,
        });
        self.segments.push_back(Segment {
            bytes: payload,
            goes_on: false,
        });
    }

    #[inline]
    fn header(&self, opcode: OpCode, is_final: bool, rsv1: bool, payload: &[u8]) -> FrameHeader {
        FrameHeader {
            opcode,
            is_final,
            rsv1,
            mask: self.masking_key.map(|key| key()),
            payload_len: payload.len() as u64,
        }
    }

    /// Lays the next pieces to write into `slices`, in order; gives how many.
    pub(super) fn pieces<'a>(&'a self, slices: &mut [IoSlice<'a>; SLICES]) -> usize {
        // The usual case: small frames, and nothing of them written yet.
        if self.segments.is_empty() && self.control.is_empty() {
            slices[0] = IoSlice::new(&self.tail);
            return usize::from(!self.tail.is_empty());
        }
        let begun = self.begun();
        let segments = self.segments.iter().map(|segment| &segment.bytes[..]);
        let pieces = segments
            .clone()
            .take(begun)
            .chain([&self.control[..]])
            .chain(segments.skip(begun))
            .chain([&self.tail[..]])
            .filter(|piece| !piece.is_empty());
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(pieces) {
            *slice = IoSlice::new(piece);
            count += 1;
        }
        count
    }

    /// Strikes off `written` bytes, in the order of [`pieces`](Self::pieces).
    pub(super) fn advance(&mut self, mut written: usize) {
        self.len -= written;
        while written > 0 && self.midway {
            written = self.advance_segment(written);
        }
        let control = written.min(self.control.len());
        self.control.drain(..control);
        written -= control;
        while written > 0 && !self.segments.is_empty() {
            written = self.advance_segment(written);
        }
        if written == self.tail.len() {
            self.tail.clear();
        } else if written > 0 {
            // What is left of these frames must go out before any control frame.
            self.tail.advance(written);
            self.segments.push_back(Segment {
                bytes: self.tail.split().freeze(),
                goes_on: false,
            });
            self.midway = true;
        }
        if self.len == 0 {
            buffers::give_back(std::mem::take(&mut self.tail));
            if self.control.capacity() > 0 {
                self.control = Vec::new();
            }
            if self.segments.capacity() > 0 {
                self.segments = VecDeque::new();
            }
        }
    }

    /// How many segments hold what must leave before any control frame.
    fn begun(&self) -> usize {
        if !self.midway {
            return 0;
        }
        1 + self
            .segments
            .iter()
            .take_while(|segment| segment.goes_on)
            .count()
    }

    /// Strikes off up to `written` bytes of the first segment; gives the rest.
    fn advance_segment(&mut self, written: usize) -> usize {
        let Some(Segment { bytes, goes_on }) = self.segments.front_mut() else {
            return written;
        };
        let here = written.min(bytes.len());
        bytes.advance(here);
        if bytes.is_empty() {
            self.midway = *goes_on;
            self.segments.pop_front();
        } else {
            self.midway = true;
        }
        written - here
    }
}

/// Appends a frame; both kinds of buffer are masked where the payload then lies.
#[inline]
fn append<B: BufMut + AsMut<[u8]>>(out: &mut B, header: &FrameHeader, payload: &[u8]) {
    header.encode(out);
    let at = out.as_mut().len();
    out.put_slice(payload);
    if let Some(key) = header.mask {
        mask(&mut out.as_mut()[at..], key);
    }
}
