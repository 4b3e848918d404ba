//! The short way of messages that come whole gives what the long way gives.

use proptest::prelude::*;

use super::*;
use crate::vocabulary::message::MessageKind;

fn frame() -> impl Strategy<Value = Vec<u8>> {
    let opcode = prop_oneof![
        4 => Just(0x1_u8),
        4 => Just(0x2),
        1 => Just(0x0),
        1 => Just(0x9),
        1 => any::<u8>().prop_map(|any| any & 0x7f),
    ];
    let payload = prop_oneof![
        4 => "[a-zé]{0,9}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..12),
    ];
    let is_final = prop::bool::weighted(0.8);
    let is_masked = prop::bool::weighted(0.95);
    (opcode, payload, is_final, is_masked).prop_map(|(opcode, payload, is_final, is_masked)| {
        let mut frame = vec![opcode | u8::from(is_final) << 7];
        frame.push(payload.len() as u8 | u8::from(is_masked) << 7);
        let at = frame.len() + 4 * usize::from(is_masked);
        if is_masked {
            frame.extend(KEY);
        }
        frame.extend(payload);
        if is_masked {
            mask(&mut frame[at..], KEY);
        }
        frame
    })
}

fn config() -> impl Strategy<Value = Config> {
    let size = || prop_oneof![Just(64_usize), 0..12_usize];
    let only = prop_oneof![
        4 => Just(None),
        1 => Just(Some(MessageKind::Text)),
        1 => Just(Some(MessageKind::Binary)),
    ];
    (size(), size(), 0..3_usize, only).prop_map(|(frame, message, fragments, only)| Config {
        max_frame_size: frame,
        max_message_size: message,
        max_fragments: fragments,
        only,
        ..Config::new()
    })
}

/// All that comes of the input, given in pieces: events, what ends it, and what is answered.
fn outcome(
    config: &Config,
    pieces: &[&[u8]],
    take: impl Fn(&mut Connection, &mut BytesMut, Instant) -> Result<Option<Event>, Error>,
) -> (Vec<Event>, Option<String>, State, Vec<u8>, Option<Duration>) {
    let begun = Instant::now();
    let mut proto = Connection::new(Role::Server, Arc::new(config.clone()), begun);
    let (mut input, mut events, mut failed) = (BytesMut::new(), Vec::new(), None);
    let mut now = begun;
    'pieces: for piece in pieces {
        now += SECOND;
        input.extend_from_slice(piece);
        loop {
            match take(&mut proto, &mut input, now) {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(error) => {
                    failed = Some(format!("{error:?}"));
                    break 'pieces;
                }
            }
        }
    }
    let mut answer = BytesMut::new();
    proto.transmit_into(&mut answer);
    let deadline = proto.poll_timeout().map(|deadline| deadline - begun);
    (events, failed, proto.state(), answer.to_vec(), deadline)
}

proptest! {
    #[test]
    fn the_short_way_and_the_long_way_agree(
        config in config(),
        frames in prop::collection::vec(frame(), 1..5),
        cut in any::<prop::sample::Index>(),
    ) {
        let bytes = frames.concat();
        let (one, other) = bytes.split_at(cut.index(bytes.len() + 1));
        // An empty piece is no input: `handle_input` sees that before the ways part.
        let halves = if one.is_empty() || other.is_empty() { vec![&bytes[..]] } else { vec![one, other] };
        for pieces in [&[&bytes[..]][..], &halves] {
            prop_assert_eq!(
                outcome(&config, pieces, Connection::handle_input),
                outcome(&config, pieces, Connection::handle_any_input)
            );
        }
    }
}
