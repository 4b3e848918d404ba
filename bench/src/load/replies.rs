//! Counts the messages in a stream of bytes without looking at their payloads.

use std::io;

use super::{
    content::{Content, Tally, invalid},
    dialect::Reply,
    socket_io,
};

/// What a server sends, read just far enough to count messages.
#[derive(Debug)]
pub(super) enum Replies {
    /// Raw TCP: every `length` bytes are a message.
    Bytes { length: usize, partial: usize },
    /// WebSocket frames.
    Frames(FrameReader),
}

/// The position in a stream of server frames.
#[derive(Debug)]
pub(super) struct FrameReader {
    content: Content,
    /// The frame whose payload is being skipped.
    frame: Option<Frame>,
    header: [u8; 10],
    header_length: usize,
    control: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    fin: bool,
    opcode: u8,
    left: u64,
}

impl Replies {
    /// Counts what `bytes` complete, and appends to `pongs` the answers that the server's pings
    /// ask for.
    pub(super) fn count(&mut self, bytes: &[u8], pongs: &mut Vec<u8>) -> io::Result<Tally> {
        match self {
            Self::Frames(reader) => reader.count(bytes, pongs),
            Self::Bytes { length, partial } => {
                let total = *partial + bytes.len();
                *partial = total % *length;
                let messages = (total / *length) as u64;
                Ok(Tally {
                    messages,
                    ends: messages,
                    pings: 0,
                })
            }
        }
    }
}

impl FrameReader {
    /// A reader of these replies; anything else is an error.
    pub(super) fn new(reply: &Reply) -> Self {
        Self {
            content: Content::new(reply),
            frame: None,
            header: [0; 10],
            header_length: 0,
            control: Vec::new(),
        }
    }

    fn count(&mut self, mut bytes: &[u8], pongs: &mut Vec<u8>) -> io::Result<Tally> {
        let mut tally = Tally::default();
        loop {
            let Some(frame) = &mut self.frame else {
                if !self.read_header(&mut bytes)? {
                    return Ok(tally);
                }
                continue;
            };
            let taken = usize::try_from(frame.left)
                .unwrap_or(usize::MAX)
                .min(bytes.len());
            let (payload, rest) = bytes.split_at(taken);
            bytes = rest;
            frame.left -= taken as u64;
            if frame.opcode & 0x8 != 0 {
                self.control.extend_from_slice(payload);
            } else {
                let came = self.content.take(payload)?;
                for _ in 0..came.pings {
                    pongs.extend_from_slice(&masked_frame(TEXT, socket_io::PONG.as_bytes()));
                }
                tally += came;
            }
            if frame.left > 0 {
                return Ok(tally);
            }
            let frame = *frame;
            self.frame = None;
            tally += self.finish(frame, pongs)?;
        }
    }

    /// What `frame`, now read to its end, completes.
    fn finish(&mut self, frame: Frame, pongs: &mut Vec<u8>) -> io::Result<Tally> {
        match frame.opcode {
            0..=2 if frame.fin => self.content.end_of_message(),
            0..=2 => Ok(Tally::default()),
            CLOSE => {
                let code = self
                    .control
                    .first_chunk()
                    .map(|code| u16::from_be_bytes(*code));
                let code = code.map_or_else(|| "no code".into(), |code| code.to_string());
                let reason = String::from_utf8_lossy(self.control.get(2..).unwrap_or_default());
                Err(invalid(format!(
                    "the server closed the connection: {code} {reason}"
                )))
            }
            PING => {
                pongs.extend_from_slice(&masked_frame(PONG, &self.control));
                self.control.clear();
                Ok(Tally::default())
            }
            _ => {
                self.control.clear();
                Ok(Tally::default())
            }
        }
    }

    /// Moves the header's bytes out of `bytes`; false when there are not enough.
    fn read_header(&mut self, bytes: &mut &[u8]) -> io::Result<bool> {
        while let Some((byte, rest)) = bytes.split_first() {
            self.header[self.header_length] = *byte;
            self.header_length += 1;
            *bytes = rest;
            let [first, second, ..] = self.header;
            let left = match (self.header_length, second) {
                (2, 128..) => return Err(invalid("the server masks its frames".into())),
                (2, ..=125) => u64::from(second),
                (4, 126) => u64::from(u16::from_be_bytes([self.header[2], self.header[3]])),
                (10, _) => {
                    let [_, _, length @ ..] = self.header;
                    u64::from_be_bytes(length)
                }
                _ => continue,
            };
            self.header_length = 0;
            self.frame = Some(Frame {
                fin: first & 0x80 != 0,
                opcode: first & 0xf,
                left,
            });
            return Ok(true);
        }
        Ok(false)
    }
}

/// A final frame as a client sends it.
pub fn masked_frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match payload.len() {
        length @ 0..126 => frame.push(0x80 | length as u8),
        length @ 126..65_536 => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&MASKING_KEY);
    frame.extend(
        payload
            .iter()
            .zip(MASKING_KEY.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    frame
}

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// A server has to unmask whatever the key is, and cannot know that this one never changes.
const MASKING_KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_counted_however_the_bytes_are_split() {
        let mut stream = Vec::new();
        for _ in 0..3 {
            stream.extend_from_slice(&[0x82, 3, b'a', b'b', b'c']);
            stream.extend_from_slice(&[0x89, 1, b'p']); // a ping between two messages
            stream.extend_from_slice(&[0x02, 1, b'a', 0x80, 2, b'b', b'c']); // two fragments
        }
        for step in 1..=stream.len() {
            let mut replies = Replies::Frames(FrameReader::new(&Reply::echo(3)));
            let mut pongs = Vec::new();
            let count = |bytes| replies.count(bytes, &mut pongs).unwrap().messages;
            assert_eq!(
                stream.chunks(step).map(count).sum::<u64>(),
                6,
                "in steps of {step}"
            );
            assert_eq!(pongs, masked_frame(PONG, b"p").repeat(3));
        }
    }

    #[test]
    fn all_three_forms_of_a_length_are_read() {
        for size in [0, 1, 125, 126, 65_535, 65_536] {
            let mut frame = masked_frame(2, &vec![7; size]);
            // As the server would send it: no mask bit, no masking key.
            frame[1] &= 0x7f;
            let key_at = frame.len() - size - 4;
            frame.drain(key_at..key_at + 4);
            let mut replies = Replies::Frames(FrameReader::new(&Reply::echo(size)));
            let tally = replies.count(&frame.repeat(2), &mut Vec::new()).unwrap();
            assert_eq!((tally.messages, tally.ends), (2, 2), "{size}");
        }
    }

    #[test]
    fn a_message_of_another_length_is_an_error() {
        let error = Replies::Frames(FrameReader::new(&Reply::echo(3)))
            .count(&[0x82, 2, b'a', b'b'], &mut Vec::new())
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "a message of 2 bytes came back, not of 3"
        );
    }

    #[test]
    fn a_close_frame_is_an_error_with_its_code_and_reason() {
        let error = Replies::Frames(FrameReader::new(&Reply::echo(3)))
            .count(&[0x88, 4, 0x03, 0xf0, b'n', b'o'], &mut Vec::new())
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "the server closed the connection: 1008 no"
        );
    }

    #[test]
    fn bytes_are_counted_by_the_length_of_a_message() {
        let mut replies = Replies::Bytes {
            length: 26,
            partial: 0,
        };
        let mut count = |length| {
            let tally = replies.count(&vec![0; length], &mut Vec::new()).unwrap();
            tally.messages
        };
        assert_eq!([count(25), count(1), count(53), count(25)], [0, 1, 2, 1]);
    }
}
