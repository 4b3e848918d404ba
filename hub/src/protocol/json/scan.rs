//! Looks for what ends a run of plain characters in a JSON string.

/// How many of the first bytes are neither a quote, nor a backslash, nor a control: they stand for
/// themselves in a JSON string, whatever they are beyond ASCII.
#[inline]
pub(in crate::protocol) fn plain_len(bytes: &[u8]) -> usize {
    let (blocks, rest) = bytes.as_chunks::<BLOCK>();
    for (index, block) in blocks.iter().enumerate() {
        // Without an early exit, of which the compiler makes a few vector instructions.
        let has_end = block.iter().fold(false, |found, &byte| found | ends(byte));
        if has_end {
            let at = block.iter().position(|&byte| ends(byte));
            return index * BLOCK + at.unwrap_or(BLOCK);
        }
    }
    let at = rest.iter().position(|&byte| ends(byte));
    blocks.len() * BLOCK + at.unwrap_or(rest.len())
}

#[inline]
fn ends(byte: u8) -> bool {
    (byte == b'"') | (byte == b'\\') | (byte < 0x20)
}

/// What one look takes in.
const BLOCK: usize = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_run_ends_where_a_byte_by_byte_search_ends(
            bytes in prop::collection::vec(
                prop_oneof![8 => any::<u8>(), 40 => 0x20..=0x21_u8, 1 => Just(b'"'), 1 => Just(0)],
                0..100,
            ),
        ) {
            let expected = bytes.iter().position(|&byte| ends(byte)).unwrap_or(bytes.len());
            prop_assert_eq!(plain_len(&bytes), expected);
        }
    }
}
