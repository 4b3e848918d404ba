//! Finding the end of a MessagePack value without decoding it.
//!
//! rmp-serde does not tell how far it has read in a slice. Walking over a value first tells it
//! where to stop, and proves every count in it before anything is allocated for one.

use rmp::Marker;

/// Levels of arrays and maps in a value.
pub(super) const MAX_DEPTH: usize = 64;

/// A value of which the end is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    /// Its length in bytes.
    pub(super) len: usize,
    /// Whether it holds bytes, of the kind `bin`.
    pub(super) has_bins: bool,
}

/// The extent of the value at the start of `bytes`; `None` when it is cut short, nests too deeply,
/// or is none.
pub(super) fn value(bytes: &[u8]) -> Option<Extent> {
    // Most hold no others, and need no stack.
    let mut rest = bytes;
    let Item { body, children } = item(&mut rest)?;
    if children > 0 {
        return nested(bytes);
    }
    Some(Extent {
        len: bytes.len() - rest.get(body..)?.len(),
        has_bins: is_bin(bytes[0]),
    })
}

/// The same for a value of any depth.
fn nested(bytes: &[u8]) -> Option<Extent> {
    // Values left to read on each level. A map's entry is two.
    let mut left = [0u64; MAX_DEPTH + 1];
    let mut depth = 0;
    let mut rest = bytes;
    left[0] = 1;
    let mut has_bins = false;
    loop {
        has_bins |= rest.first().is_some_and(|marker| is_bin(*marker));
        let Item { body, children } = item(&mut rest)?;
        rest = rest.get(body..)?;
        left[depth] -= 1;
        if children > 0 {
            // Cheaper to refuse now than after walking over what there is.
            if children > rest.len() as u64 {
                return None;
            }
            depth += 1;
            *left.get_mut(depth)? = children;
        } else {
            while left[depth] == 0 {
                if depth == 0 {
                    let len = bytes.len() - rest.len();
                    return Some(Extent { len, has_bins });
                }
                depth -= 1;
            }
        }
    }
}

/// Whether a marker is one of the three of bytes.
pub(super) fn is_bin(marker: u8) -> bool {
    matches!(
        Marker::from_u8(marker),
        Marker::Bin8 | Marker::Bin16 | Marker::Bin32
    )
}

/// A value behind its marker and length.
struct Item {
    /// Bytes of its own that follow.
    body: usize,
    /// Values that follow.
    children: u64,
}

fn item(rest: &mut &[u8]) -> Option<Item> {
    let marker = Marker::from_u8(uint(rest, 1)? as u8);
    let body = match marker {
        Marker::FixPos(_) | Marker::FixNeg(_) | Marker::Null | Marker::True | Marker::False => 0,
        Marker::U8 | Marker::I8 => 1,
        Marker::U16 | Marker::I16 => 2,
        Marker::U32 | Marker::I32 | Marker::F32 => 4,
        Marker::U64 | Marker::I64 | Marker::F64 => 8,
        Marker::FixStr(len) => usize::from(len),
        Marker::Str8 | Marker::Bin8 => uint(rest, 1)?,
        Marker::Str16 | Marker::Bin16 => uint(rest, 2)?,
        Marker::Str32 | Marker::Bin32 => uint(rest, 4)?,
        Marker::FixExt1 => 2,
        Marker::FixExt2 => 3,
        Marker::FixExt4 => 5,
        Marker::FixExt8 => 9,
        Marker::FixExt16 => 17,
        Marker::Ext8 => uint(rest, 1)?.checked_add(1)?,
        Marker::Ext16 => uint(rest, 2)?.checked_add(1)?,
        Marker::Ext32 => uint(rest, 4)?.checked_add(1)?,
        Marker::FixArray(len) => return Some(Item::array(usize::from(len))),
        Marker::Array16 => return Some(Item::array(uint(rest, 2)?)),
        Marker::Array32 => return Some(Item::array(uint(rest, 4)?)),
        Marker::FixMap(len) => return Some(Item::map(usize::from(len))),
        Marker::Map16 => return Some(Item::map(uint(rest, 2)?)),
        Marker::Map32 => return Some(Item::map(uint(rest, 4)?)),
        Marker::Reserved => return None,
    };
    Some(Item { body, children: 0 })
}

impl Item {
    fn array(len: usize) -> Self {
        Self {
            body: 0,
            children: len as u64,
        }
    }

    fn map(len: usize) -> Self {
        Self::array(len).twice()
    }

    fn twice(self) -> Self {
        Self {
            children: 2 * self.children,
            ..self
        }
    }
}

/// A big-endian number of `size` bytes.
fn uint(rest: &mut &[u8], size: usize) -> Option<usize> {
    let (head, tail) = rest.split_at_checked(size)?;
    *rest = tail;
    Some(head.iter().fold(0, |n, byte| n << 8 | usize::from(*byte)))
}
