//! One frame: its header on the wire, and the frame as the application sees it. RFC 6455 section 5.2.

use bytes::{BufMut, Bytes};

use crate::vocabulary::{
    close::CloseFrame,
    error::{ApiMisuse, ProtocolError},
    message::MessageKind,
};

/// The longest payload of a control frame, RFC 6455 section 5.5.
pub(crate) const MAX_CONTROL_PAYLOAD: usize = 125;

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum OpCode {
    /// A further fragment of the message begun before.
    Continuation = 0,
    /// The first fragment of a text message.
    Text = 1,
    /// The first fragment of a binary message.
    Binary = 2,
    /// The closing handshake.
    Close = 8,
    /// Is anybody there?
    Ping = 9,
    /// Here, with your payload.
    Pong = 10,
}

impl OpCode {
    /// Whether this is a Close, Ping or Pong.
    pub const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }

    #[inline]
    fn parse(nibble: u8) -> Result<Self, ProtocolError> {
        Ok(match nibble {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return Err(ProtocolError::ReservedOpcode),
        })
    }
}

impl From<MessageKind> for OpCode {
    fn from(kind: MessageKind) -> Self {
        match kind {
            MessageKind::Text => Self::Text,
            MessageKind::Binary => Self::Binary,
        }
    }
}

/// A frame to send or received: one fragment of a message, or a control frame.
///
/// Its fields are private and its constructors check, so a frame that is illegal by itself cannot
/// be built. Whether it may stand where it is sent, such as a continuation only behind a fragment
/// that is not final, depends on the frames before it: `send_frame` checks that, and that the text
/// is UTF-8, and refuses the frame as an [`ApiMisuse`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    opcode: OpCode,
    is_final: bool,
    payload: Bytes,
}

impl Frame {
    /// The first fragment of a text message; with `is_final` the whole of it.
    ///
    /// The bytes may end inside a character: the next fragment brings the rest.
    pub fn text(payload: impl Into<Bytes>, is_final: bool) -> Self {
        Self {
            opcode: OpCode::Text,
            is_final,
            payload: payload.into(),
        }
    }

    /// The first fragment of a binary message; with `is_final` the whole of it.
    pub fn binary(payload: impl Into<Bytes>, is_final: bool) -> Self {
        Self {
            opcode: OpCode::Binary,
            is_final,
            payload: payload.into(),
        }
    }

    /// A further fragment of the message begun before; with `is_final` the last.
    pub fn continuation(payload: impl Into<Bytes>, is_final: bool) -> Self {
        Self {
            opcode: OpCode::Continuation,
            is_final,
            payload: payload.into(),
        }
    }

    /// A Ping, which the peer answers with a Pong of the same payload.
    ///
    /// # Errors
    /// [`ApiMisuse::ControlPayloadTooLong`] over 125 bytes.
    pub fn ping(payload: impl Into<Bytes>) -> Result<Self, ApiMisuse> {
        Self::control(OpCode::Ping, payload.into())
    }

    /// A Pong: the answer to a Ping, or a sign of life.
    ///
    /// # Errors
    /// [`ApiMisuse::ControlPayloadTooLong`] over 125 bytes.
    pub fn pong(payload: impl Into<Bytes>) -> Result<Self, ApiMisuse> {
        Self::control(OpCode::Pong, payload.into())
    }

    fn control(opcode: OpCode, payload: Bytes) -> Result<Self, ApiMisuse> {
        if payload.len() > MAX_CONTROL_PAYLOAD {
            return Err(ApiMisuse::ControlPayloadTooLong);
        }
        Ok(Self {
            opcode,
            is_final: true,
            payload,
        })
    }

    /// A Close frame; `None` carries no code.
    pub(crate) fn close(close: Option<&CloseFrame>) -> Self {
        let payload = close.map(CloseFrame::payload).unwrap_or_default();
        Self {
            opcode: OpCode::Close,
            is_final: true,
            payload,
        }
    }

    pub(crate) fn received(opcode: OpCode, is_final: bool, payload: Bytes) -> Self {
        Self {
            opcode,
            is_final,
            payload,
        }
    }

    /// What the frame is for.
    pub fn opcode(&self) -> OpCode {
        self.opcode
    }

    /// Whether it ends its message (`EndOfMessage` in .NET). Control frames always do.
    pub fn is_final(&self) -> bool {
        self.is_final
    }

    /// The payload, unmasked and inflated.
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// The payload without a copy.
    pub fn into_payload(self) -> Bytes {
        self.payload
    }
}

/// What stands before a payload on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) opcode: OpCode,
    pub(crate) is_final: bool,
    /// RSV1 marks a compressed message where permessage-deflate was negotiated (RFC 7692 section 6).
    pub(crate) rsv1: bool,
    pub(crate) mask: Option<[u8; 4]>,
    pub(crate) payload_len: u64,
}

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const RSV2_RSV3: u8 = 0x30;
const MASKED: u8 = 0x80;

impl FrameHeader {
    /// Reads a header from the front of `bytes`: the header and its length, `None` while
    /// incomplete. Fails as early as the bytes allow.
    #[inline]
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, ProtocolError> {
        let Some(&first) = bytes.first() else {
            return Ok(None);
        };
        let opcode = OpCode::parse(first & 0x0f)?;
        if first & RSV2_RSV3 != 0 {
            return Err(ProtocolError::ReservedBits);
        }
        let is_final = first & FIN != 0;
        if opcode.is_control() && !is_final {
            return Err(ProtocolError::FragmentedControl);
        }
        let Some(&second) = bytes.get(1) else {
            return Ok(None);
        };
        let short_len = second & 0x7f;
        if opcode.is_control() && usize::from(short_len) > MAX_CONTROL_PAYLOAD {
            return Err(ProtocolError::ControlTooLong);
        }

        // RFC 6455 5.2: "the minimal number of bytes MUST be used to encode the length".
        let (payload_len, after_len) = match short_len {
            126 => {
                let Some(&len) = bytes[2..].first_chunk::<2>() else {
                    return Ok(None);
                };
                let len = u16::from_be_bytes(len);
                if len < 126 {
                    return Err(ProtocolError::NonMinimalLength);
                }
                (u64::from(len), 4)
            }
            127 => {
                let Some(&len) = bytes[2..].first_chunk::<8>() else {
                    return Ok(None);
                };
                let len = u64::from_be_bytes(len);
                if len >> 63 != 0 {
                    return Err(ProtocolError::LengthTopBit);
                }
                if len <= u64::from(u16::MAX) {
                    return Err(ProtocolError::NonMinimalLength);
                }
                (len, 10)
            }
            len => (u64::from(len), 2),
        };

        let (mask, header_len) = if second & MASKED != 0 {
            let Some(&key) = bytes[after_len..].first_chunk::<4>() else {
                return Ok(None);
            };
            (Some(key), after_len + 4)
        } else {
            (None, after_len)
        };
        let rsv1 = first & RSV1 != 0;
        Ok(Some((
            Self {
                opcode,
                is_final,
                rsv1,
                mask,
                payload_len,
            },
            header_len,
        )))
    }

    /// The longest header there is: two bytes, the length in eight, the masking key.
    pub(crate) const MAX_LEN: usize = 14;

    /// The size of the header, in bytes.
    pub(crate) fn encoded_len(&self) -> usize {
        let length = match self.payload_len {
            0..=125 => 0,
            126..=0xffff => 2,
            _ => 8,
        };
        2 + length + self.mask.map_or(0, |key| key.len())
    }

    /// Appends the header, lengths in their shortest form.
    #[inline]
    pub(crate) fn encode(&self, out: &mut impl BufMut) {
        let mut first = self.opcode as u8;
        if self.is_final {
            first |= FIN;
        }
        if self.rsv1 {
            first |= RSV1;
        }
        let masked = if self.mask.is_some() { MASKED } else { 0 };
        match self.payload_len {
            len @ 0..=125 => out.put_slice(&[first, masked | len as u8]),
            len @ 126..=0xffff => {
                let [high, low] = (len as u16).to_be_bytes();
                out.put_slice(&[first, masked | 126, high, low]);
            }
            len => {
                out.put_slice(&[first, masked | 127]);
                out.put_u64(len);
            }
        }
        if let Some(key) = self.mask {
            out.put_slice(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;

    #[test]
    fn headers_of_every_length_form_round_trip_and_wait_for_their_last_byte() {
        for payload_len in [0, 1, 125, 126, 127, 0xffff, 0x1_0000, u64::MAX >> 1] {
            for mask in [None, Some([1, 2, 3, 4])] {
                for opcode in [OpCode::Continuation, OpCode::Text, OpCode::Binary] {
                    let header = FrameHeader {
                        opcode,
                        is_final: false,
                        rsv1: true,
                        mask,
                        payload_len,
                    };
                    let mut bytes = BytesMut::new();
                    header.encode(&mut bytes);
                    for cut in 0..bytes.len() {
                        assert_eq!(FrameHeader::parse(&bytes[..cut]), Ok(None));
                    }
                    assert_eq!(FrameHeader::parse(&bytes), Ok(Some((header, bytes.len()))));
                }
            }
        }
    }

    #[test]
    fn lengths_not_in_their_shortest_form_are_refused() {
        let padded_16 = [0x82, 0x80 | 126, 0, 125, 0, 0, 0, 0];
        assert_eq!(
            FrameHeader::parse(&padded_16),
            Err(ProtocolError::NonMinimalLength)
        );
        let padded_64 = [0x82, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0];
        assert_eq!(
            FrameHeader::parse(&padded_64),
            Err(ProtocolError::NonMinimalLength)
        );
    }

    #[test]
    fn a_control_payload_holds_125_bytes_and_no_more() {
        assert!(Frame::ping(vec![0; 125]).is_ok());
        assert_eq!(
            Frame::ping(vec![0; 126]),
            Err(ApiMisuse::ControlPayloadTooLong)
        );
        assert_eq!(
            Frame::pong(vec![0; 126]),
            Err(ApiMisuse::ControlPayloadTooLong)
        );
    }
}
