//! The bytes that peers send, right or wrong.

pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// The first byte of a frame: flags and opcode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Op(pub(crate) u8);

impl Op {
    pub(crate) const TEXT: Self = Self(0x81);
    pub(crate) const BINARY: Self = Self(0x82);
    pub(crate) const CLOSE: Self = Self(0x88);
    pub(crate) const PING: Self = Self(0x89);
    pub(crate) const PONG: Self = Self(0x8A);
    /// Without FIN.
    pub(crate) const TEXT_BEGINS: Self = Self(0x01);
    pub(crate) const BINARY_BEGINS: Self = Self(0x02);
    pub(crate) const GOES_ON: Self = Self(0x00);
    /// With FIN.
    pub(crate) const GOES_OUT: Self = Self(0x80);
}

pub(crate) fn upgrade_request(path: &str) -> String {
    upgrade_request_with(path, "")
}

/// `more` are whole lines of headers.
pub(crate) fn upgrade_request_with(path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: ok.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{more}\r\n"
    )
}

/// A frame as a client sends it, whatever the first byte.
pub(crate) fn frame(op: Op, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(op, payload.len() as u64);
    let key: [u8; 4] = frame[frame.len() - 4..].try_into().unwrap();
    frame.extend(
        payload
            .iter()
            .zip(key.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    frame
}

/// The header of such a frame, in its shortest form.
pub(crate) fn header(op: Op, len: u64) -> Vec<u8> {
    match len {
        0..126 => header_in_form(op, len as u8, &[]),
        126..65_536 => header_in_form(op, 126, &(len as u16).to_be_bytes()),
        _ => header_in_form(op, 127, &len.to_be_bytes()),
    }
}

/// A header with a length in a form of one's own choice.
pub(crate) fn header_in_form(op: Op, len: u8, extended: &[u8]) -> Vec<u8> {
    let mut header = vec![op.0, 0x80 | len];
    header.extend_from_slice(extended);
    header.extend_from_slice(&[0x37, 0xFA, 0x21, 0x3D]);
    header
}

pub(crate) fn text_frame(text: &str) -> Vec<u8> {
    frame(Op::TEXT, text.as_bytes())
}

pub(crate) fn close_frame(code: u16, reason: &str) -> Vec<u8> {
    frame(
        Op::CLOSE,
        &[&code.to_be_bytes(), reason.as_bytes()].concat(),
    )
}

/// Pseudo-random numbers from a seed (SplitMix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}
