//! Frames as a client writes them, right and wrong.

use std::io::Write;

use flate2::{Compress, Compression, FlushCompress};

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// A masked frame with any first byte, its length in the shortest form.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let len = payload.len();
    let mut frame = vec![first];
    if len < 126 {
        frame.push(0x80 | len as u8);
    } else if let Ok(len) = u16::try_from(len) {
        frame.push(0x80 | 126);
        frame.extend(len.to_be_bytes());
    } else {
        frame.push(0x80 | 127);
        frame.extend((len as u64).to_be_bytes());
    }
    masked(frame, payload)
}

fn masked(mut header: Vec<u8>, payload: &[u8]) -> Vec<u8> {
    header.extend(KEY);
    header.extend(payload.iter().zip(KEY.iter().cycle()).map(|(a, b)| a ^ b));
    header
}

pub(crate) fn text(text: &str) -> Vec<u8> {
    frame(FIN | TEXT, text.as_bytes())
}

pub(crate) fn binary(bytes: &[u8]) -> Vec<u8> {
    frame(FIN | BINARY, bytes)
}

pub(crate) fn ping(payload: &str) -> Vec<u8> {
    frame(FIN | PING, payload.as_bytes())
}

pub(crate) fn pong(payload: &str) -> Vec<u8> {
    frame(FIN | PONG, payload.as_bytes())
}

pub(crate) fn close(code: u16, reason: &str) -> Vec<u8> {
    raw_close(&[&code.to_be_bytes(), reason.as_bytes()].concat())
}

pub(crate) fn raw_close(payload: &[u8]) -> Vec<u8> {
    frame(FIN | CLOSE, payload)
}

/// A text message in as many frames as there are pieces.
pub(crate) fn text_in(pieces: &[&[u8]]) -> Vec<u8> {
    in_frames(TEXT, pieces)
}

pub(crate) fn binary_in(pieces: &[&[u8]]) -> Vec<u8> {
    in_frames(BINARY, pieces)
}

fn in_frames(opcode: u8, pieces: &[&[u8]]) -> Vec<u8> {
    let last = pieces.len() - 1;
    let mut frames = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        let opcode = if index == 0 { opcode } else { CONTINUATION };
        let fin = if index == last { FIN } else { 0 };
        frames.extend(frame(fin | opcode, piece));
    }
    frames
}

pub(crate) fn beginning(text: &str) -> Vec<u8> {
    frame(TEXT, text.as_bytes())
}

pub(crate) fn middle(text: &str) -> Vec<u8> {
    frame(CONTINUATION, text.as_bytes())
}

pub(crate) fn end(text: &str) -> Vec<u8> {
    frame(FIN | CONTINUATION, text.as_bytes())
}

pub(crate) fn unmasked(text: &str) -> Vec<u8> {
    let mut frame = vec![FIN | TEXT, text.len() as u8];
    write!(frame, "{text}").unwrap();
    frame
}

/// The length in two bytes where one would do.
pub(crate) fn text_with_a_long_length(text: &str) -> Vec<u8> {
    masked(
        vec![FIN | TEXT, 0x80 | 126, 0, text.len() as u8],
        text.as_bytes(),
    )
}

/// The length in eight bytes where one would do.
pub(crate) fn text_with_a_longer_length(text: &str) -> Vec<u8> {
    let mut header = vec![FIN | TEXT, 0x80 | 127];
    header.extend((text.len() as u64).to_be_bytes());
    masked(header, text.as_bytes())
}

/// A length of 2^63, of which nothing follows.
pub(crate) fn impossible_length() -> Vec<u8> {
    let mut header = vec![FIN | BINARY, 0x80 | 127];
    header.extend((1_u64 << 63).to_be_bytes());
    masked(header, b"")
}

/// The header of a message of 4 GiB, and its first byte.
pub(crate) fn enormous_message() -> Vec<u8> {
    let mut header = vec![FIN | BINARY, 0x80 | 127];
    header.extend((1_u64 << 32).to_be_bytes());
    masked(header, b"x")
}

pub(crate) fn long_control() -> Vec<u8> {
    frame(FIN | PING, &[b'x'; 126])
}

pub(crate) fn half_a_ping() -> Vec<u8> {
    frame(PING, b"half")
}

/// A text message, compressed (RFC 7692 section 7.2.1).
pub(crate) fn compressed(text: &str) -> Vec<u8> {
    frame(FIN | RSV1 | TEXT, &deflated(text))
}

pub(crate) fn compressed_in_two(text: &str) -> Vec<u8> {
    let deflated = deflated(text);
    let (first, second) = deflated.split_at(deflated.len() / 2);
    [frame(RSV1 | TEXT, first), frame(FIN | CONTINUATION, second)].concat()
}

/// Compression is said of the whole message, by its first frame alone.
pub(crate) fn compressed_by_the_second_frame() -> Vec<u8> {
    [beginning("a"), frame(FIN | RSV1 | CONTINUATION, b"b")].concat()
}

fn deflated(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 64);
    Compress::new(Compression::fast(), false)
        .compress_vec(text.as_bytes(), &mut out, FlushCompress::Sync)
        .unwrap();
    assert!(out.ends_with(&[0, 0, 0xff, 0xff]));
    out.truncate(out.len() - 4);
    out
}
