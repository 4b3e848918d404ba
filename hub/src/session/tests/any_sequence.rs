//! Random clients: whatever they say, cut anywhere, while calls end and give back their slots at
//! any time.

use std::collections::HashMap;

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::session::calls::Place;

#[derive(Debug, Clone)]
enum Move {
    Say(HubMessage),
    /// Bytes that may be anything.
    Noise(Vec<u8>),
    /// The calls that run, by place.
    Finish(usize),
    ReleaseSlot(usize),
    Item(usize),
    Wait(u64),
}

fn id() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "a", "b", "c", "s1"])
}

fn message() -> impl Strategy<Value = HubMessage> {
    let stream_ids = vec(
        id().prop_filter("a stream has an id", |id| !id.is_empty()),
        0..3,
    );
    prop_oneof![
        4 => id().prop_map(|id| call(id, "A")),
        2 => id().prop_map(|id| stream(if id.is_empty() { "d" } else { id }, "S")),
        2 => (id(), stream_ids).prop_map(|(id, streams)| upload(id, "U", &streams)),
        2 => id().prop_map(|id| item(if id.is_empty() { "d" } else { id }, b"1")),
        2 => id().prop_map(|id| {
            completion(if id.is_empty() { "d" } else { id }, Completion::Void)
        }),
        2 => id().prop_map(|id| cancel(if id.is_empty() { "d" } else { id })),
        1 => Just(HubMessage::Ping),
    ]
}

fn moves(noise: u32) -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        12 => message().prop_map(Move::Say),
        noise => vec(any::<u8>(), 0..20).prop_map(Move::Noise),
        6 => (0..8_usize).prop_map(Move::Finish),
        2 => (0..8_usize).prop_map(Move::ReleaseSlot),
        2 => (0..8_usize).prop_map(Move::Item),
        1 => (0..10_000_u64).prop_map(Move::Wait),
    ];
    vec(one, 0..120)
}

/// Plays the moves, client bytes cut every `cut` bytes, and checks what must hold after each.
fn play(protocol: Protocol, slots: usize, cut: usize, moves: Vec<Move>) -> Pair {
    const LIMIT: usize = 512;
    let options = HubOptions::new()
        .maximum_parallel_invocations_per_client(slots)
        .maximum_streams_per_client(3)
        .application_max_buffer_size(LIMIT);
    let mut pair = Pair::open(options, protocol);
    for step in moves {
        let place = |place: usize, pair: &Pair| {
            let count = pair.server.running.len();
            (count > 0).then(|| place % count)
        };
        match step {
            Move::Say(message) => {
                for piece in pair.encode(&[message]).chunks(cut) {
                    pair.deliver(piece);
                }
            }
            Move::Noise(bytes) => pair.deliver(&bytes),
            Move::Finish(at) => {
                if let Some(at) = place(at, &pair) {
                    pair.finish(pair.server.running[at].key, null(protocol));
                }
            }
            Move::ReleaseSlot(at) => {
                if let Some(at) = place(at, &pair) {
                    pair.release_slot(pair.server.running[at].key);
                }
            }
            Move::Item(at) => {
                if let Some(at) = place(at, &pair) {
                    let value = Bytes::from_static(protocol.nothing());
                    pair.server
                        .machine
                        .session()
                        .item(&pair.server.running[at], value);
                    pair.flush();
                }
            }
            Move::Wait(millis) => pair.wait(Duration::from_millis(millis)),
        }
        let session = pair.server.machine.session();
        assert!(
            session.backlog_bytes <= LIMIT + cut.max(128) + MESSAGE_OVERHEAD,
            "the backlog is bounded"
        );
        assert!(session.phase != Phase::Open || session.backlog.is_empty());
        let running = &pair.server.running;
        let with_slot = running
            .iter()
            .filter(|call| call.place == Place::InSlot)
            .count();
        assert!(with_slot <= slots);
        assert_eq!(
            pair.server.machine.session().calls.free_slots + with_slot,
            slots,
            "no slot is lost or made"
        );
        // Streams, calls with uploads, and calls without their slot: three of each; and those with
        // a slot may still give it back.
        assert!(running.len() <= 2 * slots + 10, "{}", running.len());
    }
    pair
}

/// How many calls with each id were looked at, and how many completions came for it.
fn answered(pair: &mut Pair) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for message in pair.client.received.drain(..) {
        if let HubMessage::Completion { invocation_id, .. } = message {
            *counts.entry(invocation_id.to_string()).or_default() += 1;
        }
    }
    counts
}

proptest! {
    #[test]
    fn every_call_is_answered_exactly_once(
        is_json: bool,
        slots in 1..4_usize,
        cut in 1..64_usize,
        moves in moves(0),
    ) {
        let protocol = Protocol::ALL[usize::from(!is_json)];
        let mut called: HashMap<String, usize> = HashMap::new();
        for step in &moves {
            if let Move::Say(HubMessage::Invocation(call) | HubMessage::StreamInvocation(call)) = step
                && let Some(id) = &call.invocation_id
            {
                *called.entry(id.to_string()).or_default() += 1;
            }
        }
        let mut pair = play(protocol, slots, cut, moves);

        let is_over = pair.server.end.is_some();
        while let Some(call) = pair.server.running.first() {
            let key = call.key;
            pair.finish(key, null(protocol));
        }
        prop_assert!(pair.server.waiting.is_none() || is_over);
        let answered = answered(&mut pair);
        for (id, count) in &answered {
            prop_assert!(count <= called.get(id).unwrap_or(&0), "{} answered too often", id);
        }
        if !is_over {
            prop_assert_eq!(answered, called);
            let calls = &pair.server.machine.session().calls;
            prop_assert!(calls.streams.is_empty() && calls.uploads.is_empty());
            prop_assert!(calls.plain.is_empty());
        }
    }

    #[test]
    fn noise_ends_a_session_at_the_worst(
        is_json: bool,
        slots in 1..4_usize,
        cut in 1..64_usize,
        moves in moves(2),
    ) {
        play(Protocol::ALL[usize::from(!is_json)], slots, cut, moves);
    }
}
