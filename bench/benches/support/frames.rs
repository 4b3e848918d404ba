//! The bytes that go over the wire.

pub(crate) use bench::load::masked_frame;

pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;

/// A payload in which no byte repeats the one before.
pub(crate) fn payload(size: usize) -> Vec<u8> {
    (0..size).map(|i| (i % 251) as u8).collect()
}

/// A final frame as a server sends it.
pub(crate) fn server_frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match payload.len() {
        length @ 0..126 => frame.push(length as u8),
        length => {
            let length = u16::try_from(length).expect("messages here are smaller than 64 KiB");
            frame.push(126);
            frame.extend(length.to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}
