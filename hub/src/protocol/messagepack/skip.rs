//! Where an encoded value ends.

use rmp::Marker;

/// How many arrays and maps may lie within each other in a value.
const MAX_DEPTH: usize = 64;

/// Why a value has no end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) enum Endless {
    /// There is less than it announces.
    Cut,
    /// There is a byte that begins no value.
    Malformed,
    /// It nests more than 64 deep.
    TooDeep,
}

/// The length of the first encoded value of `bytes`, to find its end without decoding it.
///
/// Takes no memory, and time in the length of the value only, whatever counts and lengths it
/// announces.
pub(in crate::protocol) fn skip(bytes: &[u8]) -> Result<usize, Endless> {
    // Nearly all are one level deep, and need no stack.
    let (mut at, inside) = first(bytes)?;
    let inside = inside.unwrap_or(0);
    if inside > (bytes.len() - at) as u64 {
        return Err(Endless::Cut);
    }
    for _ in 0..inside {
        match first(&bytes[at..])? {
            (head, None | Some(0)) => at += head,
            (_, Some(_)) => return skip_nested(bytes),
        }
    }
    Ok(at)
}

/// The same for a value of any depth.
fn skip_nested(bytes: &[u8]) -> Result<usize, Endless> {
    // How many values each open array or map still waits for.
    let mut missing = [0_u64; MAX_DEPTH];
    let mut depth = 0;
    let mut at = 0;
    loop {
        let rest = &bytes[at..];
        let (head, inside) = first(rest)?;
        at += head;
        if let Some(inside) = inside {
            // A value takes a byte at least.
            if depth == MAX_DEPTH {
                return Err(Endless::TooDeep);
            }
            if inside > (rest.len() - head) as u64 {
                return Err(Endless::Cut);
            }
            if inside > 0 {
                missing[depth] = inside;
                depth += 1;
                continue;
            }
        }
        // This value is complete, and so is every array or map that it was the last of.
        loop {
            let Some(innermost) = depth.checked_sub(1) else {
                return Ok(at);
            };
            missing[innermost] -= 1;
            if missing[innermost] > 0 {
                break;
            }
            depth = innermost;
        }
    }
}

/// The length of the first value without the values in it, and how many are in it if it is an
/// array or a map.
fn first(bytes: &[u8]) -> Result<(usize, Option<u64>), Endless> {
    let (&code, rest) = bytes.split_first().ok_or(Endless::Cut)?;
    // The width of a length field and what it counts: bytes in the value, or values in it.
    let (payload, inside) = match Marker::from_u8(code) {
        Marker::Reserved => return Err(Endless::Malformed),
        Marker::FixPos(_) | Marker::FixNeg(_) => (0, None),
        Marker::Null | Marker::True | Marker::False => (0, None),
        Marker::U8 | Marker::I8 => (1, None),
        Marker::U16 | Marker::I16 | Marker::FixExt1 => (2, None),
        Marker::FixExt2 => (3, None),
        Marker::U32 | Marker::I32 | Marker::F32 => (4, None),
        Marker::FixExt4 => (5, None),
        Marker::U64 | Marker::I64 | Marker::F64 => (8, None),
        Marker::FixExt8 => (9, None),
        Marker::FixExt16 => (17, None),
        Marker::FixStr(length) => (u64::from(length), None),
        Marker::Str8 | Marker::Bin8 => (1 + number(rest, 1)?, None),
        Marker::Str16 | Marker::Bin16 => (2 + number(rest, 2)?, None),
        Marker::Str32 | Marker::Bin32 => (4 + number(rest, 4)?, None),
        // An extension's type is not in its length.
        Marker::Ext8 => (2 + number(rest, 1)?, None),
        Marker::Ext16 => (3 + number(rest, 2)?, None),
        Marker::Ext32 => (5 + number(rest, 4)?, None),
        Marker::FixArray(count) => (0, Some(u64::from(count))),
        Marker::Array16 => (2, Some(number(rest, 2)?)),
        Marker::Array32 => (4, Some(number(rest, 4)?)),
        Marker::FixMap(count) => (0, Some(2 * u64::from(count))),
        Marker::Map16 => (2, Some(2 * number(rest, 2)?)),
        Marker::Map32 => (4, Some(2 * number(rest, 4)?)),
    };
    match usize::try_from(payload) {
        Ok(payload) if payload <= rest.len() => Ok((1 + payload, inside)),
        _ => Err(Endless::Cut),
    }
}

/// The big-endian number of `width` bytes in front of `bytes`.
fn number(bytes: &[u8], width: usize) -> Result<u64, Endless> {
    let digits = bytes.get(..width).ok_or(Endless::Cut)?;
    Ok(digits
        .iter()
        .fold(0, |number, &digit| number << 8 | u64::from(digit)))
}
