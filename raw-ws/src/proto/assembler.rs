//! Frames to messages: the order of fragments, the limits, UTF-8 as it arrives, inflating.

use bytes::{Bytes, BytesMut};

#[cfg(feature = "deflate")]
use crate::deflate::{Inflater, Negotiated};
use crate::{
    proto::config::Config,
    vocabulary::{
        error::{CapacityError, Error, ProtocolError},
        frame::{FrameHeader, OpCode},
        message::{Message, MessageKind},
        utf8::{Utf8Bytes, Utf8Validator},
    },
};

/// Joins the frames of a message, or checks them one by one for a reader of frames.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    begun: Option<Box<Begun>>,
    /// Text validated so far: whole fragments, and `previewed` bytes of the unfinished one.
    utf8: Utf8Validator,
    previewed: usize,
    #[cfg(feature = "deflate")]
    inflater: Option<Box<Inflater>>,
}

/// The message that is under way.
#[derive(Debug)]
struct Begun {
    kind: MessageKind,
    compressed: bool,
    fragments: usize,
    /// Bytes of payload in the fragments so far; inflated.
    len: usize,
    joined: BytesMut,
    /// Fragments went to a reader of frames and are not in `joined`.
    taken_as_frames: bool,
}

impl Assembler {
    #[cfg(feature = "deflate")]
    pub(super) fn inflate(&mut self, negotiated: &Negotiated) {
        self.inflater = Some(Box::new(Inflater::new(negotiated)));
    }

    pub(super) fn is_midway(&self) -> bool {
        self.begun.is_some()
    }

    /// Bytes held of the message that is under way.
    pub(super) fn held(&self) -> usize {
        self.begun
            .as_ref()
            .map_or(0, |begun| begun.joined.capacity())
    }

    pub(super) fn is_taken_as_frames(&self) -> bool {
        self.begun
            .as_ref()
            .is_some_and(|begun| begun.taken_as_frames)
    }

    /// Judges a data frame by its header, before its payload has come.
    pub(super) fn admit(&self, header: &FrameHeader, config: &Config) -> Result<(), Error> {
        if header.rsv1 && !self.may_be_compressed(header) {
            return Err(ProtocolError::ReservedBits.into());
        }
        if header.opcode.is_control() {
            return Ok(());
        }

        let (fragments, compressed, len) = match (&self.begun, header.opcode) {
            (None, OpCode::Continuation) => {
                return Err(ProtocolError::UnexpectedContinuation.into());
            }
            (Some(_), OpCode::Text | OpCode::Binary) => {
                return Err(ProtocolError::ExpectedContinuation.into());
            }
            (None, opcode) => {
                let kind = kind_of(opcode);
                if config.only.is_some_and(|only| only != kind) {
                    return Err(ProtocolError::UnsupportedKind.into());
                }
                (0, header.rsv1, 0)
            }
            (Some(begun), _) => (begun.fragments, begun.compressed, begun.len),
        };
        let max_frame_size = config.max_frame_size.min(u32::MAX as usize - 1);
        if header.payload_len > max_frame_size as u64 {
            return Err(CapacityError::FrameTooBig.into());
        }
        // What is compressed is measured while it is inflated.
        let room = config.max_message_size.saturating_sub(len) as u64;
        if !compressed && header.payload_len > room {
            return Err(CapacityError::MessageTooBig.into());
        }
        if fragments >= config.max_fragments {
            return Err(CapacityError::TooManyFragments.into());
        }
        Ok(())
    }

    /// Whether a frame is a message by itself, uncompressed, and nothing stands against it.
    #[inline]
    pub(super) fn admits_whole(&self, header: &FrameHeader, config: &Config) -> bool {
        let max_size = config.max_frame_size.min(config.max_message_size);
        self.begun.is_none()
            && header.is_final
            && !header.rsv1
            && matches!(header.opcode, OpCode::Text | OpCode::Binary)
            && config
                .only
                .is_none_or(|only| only == kind_of(header.opcode))
            && header.payload_len <= max_size.min(u32::MAX as usize - 1) as u64
            && config.max_fragments > 0
    }

    /// Gives the message that such a frame is; its payload is not copied.
    #[inline]
    pub(super) fn whole(
        &mut self,
        header: &FrameHeader,
        payload: BytesMut,
    ) -> Result<Message, Error> {
        self.utf8 = Utf8Validator::default();
        self.previewed = 0;
        finished(kind_of(header.opcode), payload.freeze())
    }

    /// Validates what has come of an unfinished text frame, so that bad text fails at its first
    /// bad byte (RFC 6455 8.1), not when the frame is whole.
    pub(super) fn preview(&mut self, header: &FrameHeader, arrived: &[u8]) -> Result<(), Error> {
        let (kind, compressed) = match &self.begun {
            Some(begun) => (begun.kind, begun.compressed),
            None if header.opcode == OpCode::Text => (MessageKind::Text, header.rsv1),
            None => return Ok(()),
        };
        if kind == MessageKind::Text && !compressed && !header.opcode.is_control() {
            self.utf8
                .push(&arrived[self.previewed..])
                .map_err(|_| ProtocolError::InvalidUtf8)?;
            self.previewed = arrived.len();
        }
        Ok(())
    }

    /// Takes a data frame; gives the message it completes.
    pub(super) fn join(
        &mut self,
        header: &FrameHeader,
        payload: BytesMut,
        config: &Config,
    ) -> Result<Option<Message>, Error> {
        if header.is_final && self.begun.is_none() && !header.rsv1 {
            return self.whole(header, payload).map(Some);
        }

        let fragment = self.accept(header, payload.freeze(), config)?;
        let Some(mut begun) = self.begun.take() else {
            return Ok(None);
        };
        if header.is_final && begun.joined.is_empty() {
            return finished(begun.kind, fragment).map(Some);
        }
        begun.joined.extend_from_slice(&fragment);
        if header.is_final {
            return finished(begun.kind, begun.joined.freeze()).map(Some);
        }
        self.begun = Some(begun);
        Ok(None)
    }

    /// Takes a data frame; gives its payload, inflated.
    pub(super) fn take_frame(
        &mut self,
        header: &FrameHeader,
        payload: BytesMut,
        config: &Config,
    ) -> Result<Bytes, Error> {
        let fragment = self.accept(header, payload.freeze(), config)?;
        if header.is_final {
            self.begun = None;
        } else if let Some(begun) = &mut self.begun {
            begun.taken_as_frames = true;
        }
        Ok(fragment)
    }

    /// Counts, inflates and validates one fragment; `begun` is the message it belongs to.
    fn accept(
        &mut self,
        header: &FrameHeader,
        payload: Bytes,
        config: &Config,
    ) -> Result<Bytes, Error> {
        let mut begun = self.begun.take().unwrap_or_else(|| {
            Box::new(Begun {
                kind: kind_of(header.opcode),
                compressed: header.rsv1,
                fragments: 0,
                len: 0,
                joined: BytesMut::new(),
                taken_as_frames: false,
            })
        });
        let fragment = if begun.compressed {
            self.inflated(
                &payload,
                header.is_final,
                config.max_message_size - begun.len,
            )?
        } else {
            payload
        };
        begun.fragments += 1;
        begun.len += fragment.len();

        if begun.kind == MessageKind::Text {
            self.utf8
                .push(&fragment[self.previewed..])
                .map_err(|_| ProtocolError::InvalidUtf8)?;
            self.previewed = 0;
            if header.is_final && !self.utf8.is_complete() {
                return Err(ProtocolError::InvalidUtf8.into());
            }
        }
        self.begun = Some(begun);
        Ok(fragment)
    }

    #[cfg(feature = "deflate")]
    fn may_be_compressed(&self, header: &FrameHeader) -> bool {
        // RFC 7692 6.1: RSV1 on the first fragment only, and never on a control frame.
        self.inflater.is_some() && matches!(header.opcode, OpCode::Text | OpCode::Binary)
    }

    #[cfg(feature = "deflate")]
    fn inflated(&mut self, payload: &[u8], is_final: bool, room: usize) -> Result<Bytes, Error> {
        let Some(inflater) = &mut self.inflater else {
            return Err(ProtocolError::ReservedBits.into());
        };
        inflater.inflate(payload, is_final, room).map(Bytes::from)
    }

    #[cfg(not(feature = "deflate"))]
    fn may_be_compressed(&self, _: &FrameHeader) -> bool {
        false
    }

    #[cfg(not(feature = "deflate"))]
    fn inflated(&mut self, _: &[u8], _: bool, _: usize) -> Result<Bytes, Error> {
        Err(ProtocolError::ReservedBits.into())
    }
}

fn kind_of(opcode: OpCode) -> MessageKind {
    if opcode == OpCode::Text {
        MessageKind::Text
    } else {
        MessageKind::Binary
    }
}

#[inline]
fn finished(kind: MessageKind, payload: Bytes) -> Result<Message, Error> {
    Ok(match kind {
        MessageKind::Binary => Message::Binary(payload),
        MessageKind::Text => {
            let text = Utf8Bytes::try_from(payload).map_err(|_| ProtocolError::InvalidUtf8)?;
            Message::Text(text)
        }
    })
}
