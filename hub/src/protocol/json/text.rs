//! Writes JSON text.

use bytes::{BufMut, BytesMut};

use super::scan::plain_len;

/// Appends `text` as a JSON string. What .NET escapes beyond controls, it need not (J-11).
pub(in crate::protocol) fn write_string(text: &str, out: &mut BytesMut) {
    out.put_u8(b'"');
    let mut plain = text.as_bytes();
    // Nearly always all of it.
    if plain_len(plain) == plain.len() && !plain.contains(&0x7F) {
        out.put_slice(plain);
        out.put_u8(b'"');
        return;
    }
    // The bytes of characters beyond ASCII are all above 0x7F, so none is cut.
    while let Some(at) = plain.iter().position(|&byte| must_be_escaped(byte)) {
        out.put_slice(&plain[..at]);
        write_escape(plain[at], out);
        plain = &plain[at + 1..];
    }
    out.put_slice(plain);
    out.put_u8(b'"');
}

/// Controls must be: 0x1E would end the record (F-01).
fn must_be_escaped(byte: u8) -> bool {
    matches!(byte, 0..=0x1F | 0x7F | b'"' | b'\\')
}

fn write_escape(byte: u8, out: &mut BytesMut) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let short = match byte {
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0C => b'f',
        b'\r' => b'r',
        b'"' | b'\\' => byte,
        _ => {
            out.put_slice(b"\\u00");
            out.put_u8(HEX[usize::from(byte >> 4)]);
            out.put_u8(HEX[usize::from(byte & 0xF)]);
            return;
        }
    };
    out.put_slice(&[b'\\', short]);
}
