//! The XOR of RFC 6455 section 5.3.

/// Masks or unmasks `payload` in place; both are the same operation.
///
/// ```
/// let mut payload = *b"Hello";
/// raw_ws::mask(&mut payload, [0x37, 0xfa, 0x21, 0x3d]);
/// assert_eq!(payload, [0x7f, 0x9f, 0x4d, 0x51, 0x58]); // the example of RFC 6455 section 5.7
/// ```
pub fn mask(payload: &mut [u8], key: [u8; 4]) {
    let [a, b, c, d] = key;
    // Sixteen bytes a turn: the compiler makes one vector operation of it.
    let wide = u128::from_ne_bytes([a, b, c, d, a, b, c, d, a, b, c, d, a, b, c, d]);
    let (chunks, rest) = payload.as_chunks_mut::<16>();
    for chunk in chunks {
        *chunk = (u128::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    let (fours, rest) = rest.as_chunks_mut::<4>();
    for four in fours {
        *four = (u32::from_ne_bytes(*four) ^ u32::from_ne_bytes(key)).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key) {
        *byte ^= key;
    }
}

/// The key for a payload of which `done` bytes are unmasked already.
pub(crate) fn rotated(key: [u8; 4], done: usize) -> [u8; 4] {
    let mut rotated = key;
    rotated.rotate_left(done % 4);
    rotated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_length_in_any_two_parts_equals_the_byte_by_byte_definition() {
        let key = [1, 2, 3, 250];
        for len in 0..70_usize {
            let plain: Vec<u8> = (0..len as u8).collect();
            let expected: Vec<u8> = plain
                .iter()
                .zip(key.iter().cycle())
                .map(|(a, b)| a ^ b)
                .collect();
            for split in 0..=len {
                let mut masked = plain.clone();
                mask(&mut masked[..split], key);
                mask(&mut masked[split..], rotated(key, split));
                assert_eq!(masked, expected, "{len} bytes split at {split}");
            }
        }
    }
}
