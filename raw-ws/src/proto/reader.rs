//! Bytes to frames: one header at a time, checked before its payload is waited for, and the
//! payload unmasked where it lies.

use bytes::{Buf, BytesMut};

use crate::vocabulary::{
    error::{Error, ProtocolError},
    frame::FrameHeader,
    mask::{mask, rotated},
};

/// Whether the peer masks its frames (RFC 6455 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Masking {
    /// It is a client.
    Required,
    /// It is a server.
    Forbidden,
}

/// Cuts frames off the front of an input buffer. The payload of an unfinished frame stays there,
/// unmasked as far as it has come.
#[derive(Debug)]
pub(super) struct Reader {
    masking: Masking,
    /// The frame whose payload is at the front of the input.
    current: Option<FrameHeader>,
    /// How much of it is unmasked; frames are below 4 GiB.
    unmasked: u32,
}

impl Reader {
    pub(super) fn new(masking: Masking) -> Self {
        Self {
            masking,
            current: None,
            unmasked: 0,
        }
    }

    /// The next frame if all of it is there and nothing is wrong with it; `None` leaves everything
    /// as it is for [`next_frame`](Self::next_frame).
    #[inline]
    pub(super) fn whole_frame(
        &mut self,
        input: &mut BytesMut,
        admit: impl FnOnce(&FrameHeader) -> bool,
    ) -> Option<(FrameHeader, BytesMut)> {
        let Ok(Some((header, header_len))) = FrameHeader::parse(input) else {
            return None;
        };
        let is_whole = (input.len() - header_len) as u64 >= header.payload_len;
        if self.is_midway() || !is_whole || self.check_mask(&header).is_err() || !admit(&header) {
            return None;
        }
        input.advance(header_len);
        let mut payload = input.split_to(header.payload_len as usize);
        if let Some(key) = header.mask {
            mask(&mut payload, key);
        }
        Some((header, payload))
    }

    /// The next whole frame. `admit` judges each header as soon as it is complete.
    pub(super) fn next_frame(
        &mut self,
        input: &mut BytesMut,
        admit: impl FnOnce(&FrameHeader) -> Result<(), Error>,
    ) -> Result<Option<(FrameHeader, BytesMut)>, Error> {
        let header = match self.current {
            Some(header) => header,
            None => {
                let Some((header, len)) = FrameHeader::parse(input)? else {
                    return Ok(None);
                };
                self.check_mask(&header)?;
                admit(&header)?;
                input.advance(len);
                self.current = Some(header);
                self.unmasked = 0;
                header
            }
        };

        // `admit` has held the length under a limit that is a usize.
        let payload_len = header.payload_len as usize;
        let arrived = payload_len.min(input.len());
        if let Some(key) = header.mask {
            let unmasked = self.unmasked as usize;
            mask(&mut input[unmasked..arrived], rotated(key, unmasked));
        }
        self.unmasked = arrived as u32;
        if arrived < payload_len {
            return Ok(None);
        }
        self.current = None;
        Ok(Some((header, input.split_to(payload_len))))
    }

    /// The unfinished frame and what has come of its payload.
    pub(super) fn unfinished<'a>(&self, input: &'a BytesMut) -> Option<(FrameHeader, &'a [u8])> {
        self.current
            .map(|header| (header, &input[..self.unmasked as usize]))
    }

    /// Whether the front of the input is the payload of a frame whose header is taken.
    pub(super) fn is_midway(&self) -> bool {
        self.current.is_some()
    }

    fn check_mask(&self, header: &FrameHeader) -> Result<(), ProtocolError> {
        match (self.masking, header.mask) {
            (Masking::Required, None) => Err(ProtocolError::UnmaskedFrame),
            (Masking::Forbidden, Some(_)) => Err(ProtocolError::MaskedFrame),
            _ => Ok(()),
        }
    }
}
