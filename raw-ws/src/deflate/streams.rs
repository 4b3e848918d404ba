//! The compressor and the decompressor of a connection, RFC 7692 section 7.2.

use std::cell::RefCell;

use bytes::Bytes;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::{
    deflate::negotiation::Negotiated,
    vocabulary::error::{CapacityError, Error, ProtocolError},
};

/// A message's last four bytes, left out on the wire (RFC 7692 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

thread_local! {
    /// Compressors between messages, by window bits and level: without context takeover none
    /// belongs to a connection.
    static COMPRESSORS: RefCell<Vec<(u8, u8, Compress)>> = const { RefCell::new(Vec::new()) };
    static DECOMPRESSORS: RefCell<Vec<Decompress>> = const { RefCell::new(Vec::new()) };
}

/// How many of each a thread keeps.
const KEPT: usize = 4;

/// Compresses what this end sends: the server, unless the agreement is mirrored.
#[derive(Debug)]
pub(crate) struct Deflater {
    min_size: usize,
    window_bits: u8,
    level: u8,
    /// The window that messages share; `None` without context takeover.
    shared: Option<Compress>,
}

impl Deflater {
    pub(crate) fn new(negotiated: &Negotiated) -> Self {
        let (window_bits, level) = (negotiated.server_max_window_bits, negotiated.level);
        let shared =
            (!negotiated.server_no_context_takeover).then(|| compressor(window_bits, level));
        Self {
            min_size: negotiated.min_size,
            window_bits,
            level,
            shared,
        }
    }

    /// Whether a message of this many bytes is worth compressing.
    pub(crate) fn wants(&self, len: usize) -> bool {
        len >= self.min_size.max(1)
    }

    pub(crate) fn deflate(&mut self, message: &[u8]) -> Bytes {
        match &mut self.shared {
            Some(compress) => deflate_with(compress, message),
            None => deflate_alone(self.window_bits, self.level, message),
        }
    }
}

/// Compresses a message that refers to no other, so that any receiver with this window reads it.
pub(crate) fn deflate_alone(window_bits: u8, level: u8, message: &[u8]) -> Bytes {
    let stocked = COMPRESSORS.with_borrow_mut(|stock| {
        let at = stock
            .iter()
            .position(|(bits, effort, _)| (*bits, *effort) == (window_bits, level))?;
        Some(stock.swap_remove(at).2)
    });
    let mut compress = stocked.unwrap_or_else(|| compressor(window_bits, level));
    let deflated = deflate_with(&mut compress, message);
    compress.reset();
    COMPRESSORS.with_borrow_mut(|stock| {
        if stock.len() < KEPT {
            stock.push((window_bits, level, compress));
        }
    });
    deflated
}

fn compressor(window_bits: u8, level: u8) -> Compress {
    Compress::new_with_window_bits(Compression::new(level.into()), false, window_bits)
}

fn deflate_with(compress: &mut Compress, message: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(message.len() / 2 + 64);
    let begun_at = compress.total_in();
    loop {
        let done = (compress.total_in() - begun_at) as usize;
        // Infallible for a raw stream that is never finished; were it not, the message would
        // come out incomplete and the peer would say 1007.
        let status = compress.compress_vec(&message[done..], &mut out, FlushCompress::Sync);
        let is_flushed = out.len() < out.capacity();
        if status.is_err()
            || (is_flushed && (compress.total_in() - begun_at) as usize == message.len())
        {
            break;
        }
        out.reserve(out.len().max(64));
    }
    if out.ends_with(&TAIL) {
        out.truncate(out.len() - TAIL.len());
    }
    Bytes::from(out)
}

/// Decompresses what the peer sends.
pub(crate) struct Inflater {
    keeps_context: bool,
    /// The stream: between messages only with context takeover.
    stream: Option<Decompress>,
}

impl std::fmt::Debug for Inflater {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inflater")
            .field("keeps_context", &self.keeps_context)
            .finish_non_exhaustive()
    }
}

impl Inflater {
    pub(crate) fn new(negotiated: &Negotiated) -> Self {
        Self {
            keeps_context: !negotiated.client_no_context_takeover,
            stream: None,
        }
    }

    /// Inflates a fragment into at most `room` bytes; `is_last` ends the message. The room is
    /// checked while inflating: a bomb is refused after as many bytes, whatever it would become.
    pub(crate) fn inflate(
        &mut self,
        fragment: &[u8],
        is_last: bool,
        room: usize,
    ) -> Result<Vec<u8>, Error> {
        let mut stream = self.stream.take().unwrap_or_else(|| {
            let stocked = DECOMPRESSORS.with_borrow_mut(Vec::pop);
            // Any window the peer chooses fits into the largest.
            stocked.unwrap_or_else(|| Decompress::new_with_window_bits(false, 15))
        });
        let mut out = Vec::new();
        inflate_with(&mut stream, fragment, room, &mut out)?;
        if is_last {
            inflate_with(&mut stream, &TAIL, room, &mut out)?;
        }
        if !is_last || self.keeps_context {
            self.stream = Some(stream);
        } else {
            stream.reset(false);
            DECOMPRESSORS.with_borrow_mut(|stock| {
                if stock.len() < KEPT {
                    stock.push(stream);
                }
            });
        }
        Ok(out)
    }
}

fn inflate_with(
    stream: &mut Decompress,
    mut input: &[u8],
    room: usize,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    loop {
        if out.len() == out.capacity() {
            // One byte past the room shows that there is more.
            let more = out.len().max(input.len() * 2).clamp(256, 64 * 1024);
            out.reserve_exact(more.min(room + 1 - out.len()));
        }
        let begun_at = stream.total_in();
        let filled = out.len();
        let status = stream
            .decompress_vec(input, out, FlushDecompress::Sync)
            .map_err(|_| ProtocolError::InvalidDeflate)?;
        let taken = (stream.total_in() - begun_at) as usize;
        input = &input[taken..];
        if out.len() > room {
            return Err(CapacityError::MessageTooBig.into());
        }
        match status {
            // RFC 7692 7.2.3.4: a final block may end the stream early; the rest begins anew.
            Status::StreamEnd => stream.reset(false),
            _ if input.is_empty() && out.len() < out.capacity() => return Ok(()),
            // Neither took nor gave anything with room for both: the data leads nowhere.
            _ if taken == 0 && out.len() == filled && out.len() < out.capacity() => {
                return Err(ProtocolError::InvalidDeflate.into());
            }
            _ => {}
        }
        if input.is_empty() && matches!(status, Status::StreamEnd) {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deflate::negotiation::Deflate;

    /// Bytes that do not repeat (xorshift).
    fn noise(len: usize) -> Vec<u8> {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        };
        std::iter::repeat_with(next).take(len).collect()
    }

    fn agreed(deflate: &Deflate) -> Negotiated {
        let mut headers = http::HeaderMap::new();
        headers.insert(
            "sec-websocket-extensions",
            "permessage-deflate".parse().unwrap(),
        );
        deflate.negotiate(&headers).unwrap()
    }

    #[test]
    fn messages_round_trip_in_any_fragments_with_and_without_context() {
        let message = noise(20_000);
        for takeover in [false, true] {
            let negotiated = agreed(&Deflate::new().context_takeover(takeover, takeover));
            let mut deflater = Deflater::new(&negotiated);
            let mut inflater = Inflater::new(&negotiated);
            for cut in [0, 1, 7, 200] {
                let deflated = deflater.deflate(&message);
                let mut inflated = inflater.inflate(&deflated[..cut], false, 1 << 20).unwrap();
                inflated.extend(inflater.inflate(&deflated[cut..], true, 1 << 20).unwrap());
                assert!(inflated == message, "takeover {takeover}, cut at {cut}");
            }
        }
    }

    #[test]
    fn context_takeover_makes_a_repeated_message_smaller() {
        let message = noise(2_000);
        let mut with = Deflater::new(&agreed(&Deflate::new().context_takeover(true, true)));
        let mut without = Deflater::new(&agreed(&Deflate::new()));
        let (first, again) = (with.deflate(&message), with.deflate(&message));
        assert!(
            again.len() * 10 < first.len(),
            "{} then {}",
            first.len(),
            again.len()
        );
        assert_eq!(
            without.deflate(&message).len(),
            without.deflate(&message).len()
        );
    }

    #[test]
    fn inflating_stops_at_the_room_and_not_one_byte_later() {
        let negotiated = agreed(&Deflate::new());
        let bomb = deflate_alone(15, 9, &vec![0; 1 << 20]);
        assert!(bomb.len() < 2_000, "{}", bomb.len());
        let mut inflater = Inflater::new(&negotiated);
        assert_eq!(
            inflater.inflate(&bomb, true, 1 << 20).unwrap().len(),
            1 << 20
        );
        let refused = Inflater::new(&negotiated).inflate(&bomb, true, (1 << 20) - 1);
        assert!(matches!(
            refused,
            Err(Error::Capacity(CapacityError::MessageTooBig))
        ));
    }

    #[test]
    fn a_final_block_in_mid_message_is_read_past() {
        // RFC 7692 7.2.3.4: "Hello" in a block with BFINAL set, then the padding bits.
        let mut inflater = Inflater::new(&agreed(&Deflate::new()));
        let block = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
        assert_eq!(inflater.inflate(&block, true, 100).unwrap(), b"Hello");
    }

    #[test]
    fn data_that_is_not_deflate_is_an_error() {
        let mut inflater = Inflater::new(&agreed(&Deflate::new()));
        let refused = inflater.inflate(&[0xff; 32], true, 1000);
        assert!(matches!(
            refused,
            Err(Error::Protocol(ProtocolError::InvalidDeflate))
        ));
    }
}
