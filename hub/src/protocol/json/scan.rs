//! Looks for what ends a run of plain characters in a JSON string.

/// How many of the first bytes are neither a quote, nor a backslash, nor a control: they stand for
/// themselves in a JSON string, whatever they are beyond ASCII.
#[inline]
pub(in crate::protocol) fn plain_len(bytes: &[u8]) -> usize {
    let (words, _) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().take(SHORT / 8).enumerate() {
        let ends = ends_of(u64::from_le_bytes(*word));
        if ends != 0 {
            return 8 * index + ends.trailing_zeros() as usize / 8;
        }
    }
    match bytes.split_at_checked(SHORT) {
        Some((_, rest)) => SHORT + long_plain_len(rest),
        None => {
            let begun = 8 * words.len();
            let rest = bytes[begun..].iter();
            begun + rest.take_while(|byte| !ends(**byte)).count()
        }
    }
}

/// The same for what is long, in vector instructions.
fn long_plain_len(bytes: &[u8]) -> usize {
    let end = memchr::memchr2(b'"', b'\\', bytes);
    let run = &bytes[..end.unwrap_or(bytes.len())];
    let least = run.iter().fold(u8::MAX, |least, byte| least.min(*byte));
    if least >= FIRST_PRINTABLE {
        return run.len();
    }
    run.iter().take_while(|byte| !ends(**byte)).count()
}

/// The high bit of the lowest of eight bytes that [`ends`] is set, and no bit below it.
fn ends_of(word: u64) -> u64 {
    const EACH: u64 = u64::from_ne_bytes([1; 8]);
    // A byte less than what is taken from it borrows from the next one, which then may be wrong.
    let below = |word: u64, limit: u8| word.wrapping_sub(EACH * u64::from(limit)) & !word;
    let is = |byte: u8| below(word ^ (EACH * u64::from(byte)), 1);
    (is(b'"') | is(b'\\') | below(word, FIRST_PRINTABLE)) & (EACH * 0x80)
}

#[inline]
fn ends(byte: u8) -> bool {
    byte == b'"' || byte == b'\\' || byte < FIRST_PRINTABLE
}

/// Below it are the controls.
const FIRST_PRINTABLE: u8 = 0x20;

/// Up to here a word at a time is faster.
const SHORT: usize = 32;

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
