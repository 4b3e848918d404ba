//! WS-06: a transport may cut and join bytes anywhere.

use super::*;

/// What both ends saw, how the session ended, and whether there was none.
type Seen = (Vec<String>, Vec<String>, Option<End>, bool);

/// Everything a client can say, the hub handshake first.
fn conversation(protocol: Protocol) -> Vec<u8> {
    let pair = Pair::new(HubOptions::new(), protocol);
    let mut bytes = pair.hello();
    bytes.extend(pair.encode(&[
        HubMessage::Ping,
        call("1", "Slow"),
        stream("2", "Ticks"),
        upload("3", "Sum", &["4", "5"]),
        item("4", b"1"),
        item("5", b"2"),
        completion("4", Completion::Void),
        completion("5", Completion::Error("lost".into())),
        item("5", b"3"),
        completion("s1", null(protocol)),
        stream("2", "Again"),
        cancel("2"),
        cancel("nobody"),
        call("", "Waits"),
        upload("6", "Sum", &["4"]),
        HubMessage::Ack { sequence_id: 1 },
        HubMessage::Sequence { sequence_id: 1 },
        call("7", "Last"),
        HubMessage::Close {
            error: Some("bye".into()),
            allow_reconnect: false,
        },
    ]));
    bytes
}

fn outcome(protocol: Protocol, pieces: &[&[u8]]) -> Seen {
    let options = HubOptions::new().maximum_parallel_invocations_per_client(3);
    let mut pair = Pair::new(options, protocol);
    for piece in pieces {
        pair.deliver(piece);
    }
    let log = pair.log();
    // Keys in the order in which calls began.
    while let Some(call) = pair.server.running.first() {
        let key = call.key;
        pair.finish(key, null(protocol));
    }
    if pair.server.end.is_none() {
        pair.hang_up();
    }
    assert!(pair.server.unread.is_empty());
    let is_refused = pair.server.is_refused();
    (log, pair.received(), pair.server.end, is_refused)
}

#[test]
fn every_cut_of_a_conversation_gives_the_same_outcome() {
    for protocol in Protocol::ALL {
        let bytes = conversation(protocol);
        let whole = outcome(protocol, &[&bytes]);
        assert_eq!(whole.2, Some(End::ClientClosed(Some("bye".into()))));
        for at in 0..=bytes.len() {
            let (a, b) = bytes.split_at(at);
            assert_eq!(outcome(protocol, &[a, b]), whole, "{protocol:?} at {at}");
        }
        for size in 1..40 {
            let pieces: Vec<_> = bytes.chunks(size).collect();
            assert_eq!(outcome(protocol, &pieces), whole, "{protocol:?} by {size}");
        }
    }
}

#[test]
fn a_conversation_that_breaks_off_anywhere_ends_the_same_way_in_pieces() {
    for protocol in Protocol::ALL {
        let bytes = conversation(protocol);
        for at in 0..bytes.len() {
            let whole = outcome(protocol, &[&bytes[..at]]);
            let pieces: Vec<_> = bytes[..at].chunks(1).collect();
            assert_eq!(outcome(protocol, &pieces), whole, "{protocol:?} {at}");
            assert!(whole.2.is_some() != whole.3, "one of the two");
        }
    }
}

#[test]
fn a_conversation_with_one_wrong_byte_ends_the_same_way_in_pieces() {
    for protocol in Protocol::ALL {
        let mut bytes = conversation(protocol);
        for at in 0..bytes.len() {
            for wrong in [0x00, 0x1e, b'"', 0x90, 0xc1, 0xff] {
                let right = std::mem::replace(&mut bytes[at], wrong);
                let whole = outcome(protocol, &[&bytes]);
                let pieces: Vec<_> = bytes.chunks(7).collect();
                assert_eq!(outcome(protocol, &pieces), whole, "{protocol:?} {at}");
                bytes[at] = right;
            }
        }
    }
}
