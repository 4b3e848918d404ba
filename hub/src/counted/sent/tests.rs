use super::*;
use crate::protocol::message::{Completion, Invocation};

const SIZE: usize = 1000;

fn sent(limit: usize) -> Sent {
    let mut sent = Sent::new(Protocol::Json, limit, 100 * SIZE);
    sent.release();
    sent
}

fn encode(protocol: Protocol, message: &HubMessage) -> Bytes {
    let mut bytes = BytesMut::new();
    protocol.encode(message, &mut bytes);
    bytes.freeze()
}

fn cancel(id: &str) -> HubMessage {
    HubMessage::CancelInvocation {
        invocation_id: id.into(),
    }
}

fn push(sent: &mut Sent, id: &str) -> Result<(), Overflow> {
    sent.take(&encode(Protocol::Json, &cancel(id)))
}

fn say(sent: &mut Sent, message: &HubMessage) {
    let bytes = encode(sent.protocol, message);
    assert_eq!(sent.take(&bytes), Ok(()));
}

/// What leaves now: the ids of what is counted, the others as they are.
fn leaving(sent: &mut Sent) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(outgoing) = sent.next() {
        let (_, bytes) = outgoing.into_parts();
        all.push(show(&bytes));
    }
    all
}

fn show(bytes: &Bytes) -> String {
    let record = bytes.slice(..bytes.len() - 1);
    match Protocol::Json.decode(&record).unwrap().unwrap() {
        HubMessage::CancelInvocation { invocation_id } => invocation_id.to_string(),
        HubMessage::Ack { sequence_id } => format!("ack {sequence_id}"),
        HubMessage::Sequence { sequence_id } => format!("sequence {sequence_id}"),
        HubMessage::Ping => "ping".into(),
        HubMessage::Close { .. } => "close".into(),
        other => panic!("{other:?}"),
    }
}

fn every_kind(protocol: Protocol) -> Vec<(u8, HubMessage)> {
    let value = Bytes::from_static(protocol.nothing());
    let call = || Invocation {
        invocation_id: Some("i".into()),
        target: "t".into(),
        arguments: Bytes::from_static(match protocol {
            Protocol::Json => b"[]",
            Protocol::MessagePack => &[0x90],
        }),
        stream_ids: Vec::new(),
    };
    let completion = |completion| HubMessage::Completion {
        invocation_id: "i".into(),
        completion,
    };
    vec![
        (1, HubMessage::Invocation(call())),
        (
            1,
            HubMessage::Invocation(Invocation {
                invocation_id: None,
                stream_ids: vec!["u".into()],
                ..call()
            }),
        ),
        (
            2,
            HubMessage::StreamItem {
                invocation_id: "i".into(),
                item: value.clone(),
            },
        ),
        (3, completion(Completion::Result(value))),
        (3, completion(Completion::Void)),
        (3, completion(Completion::Error("e".into()))),
        (4, HubMessage::StreamInvocation(call())),
        (5, cancel("i")),
        (6, HubMessage::Ping),
        (
            7,
            HubMessage::Close {
                error: None,
                allow_reconnect: false,
            },
        ),
        (
            7,
            HubMessage::Close {
                error: Some("e".into()),
                allow_reconnect: true,
            },
        ),
        (8, HubMessage::Ack { sequence_id: 1 }),
        (
            9,
            HubMessage::Sequence {
                sequence_id: i64::MAX,
            },
        ),
    ]
}

#[test]
fn sr_02_what_counts_is_seen_in_the_bytes() {
    for protocol in Protocol::ALL {
        for (number, message) in every_kind(protocol) {
            let bytes = encode(protocol, &message);
            let mut frames = Frames::default();
            frames.push(bytes.clone());
            let record = frames.next(protocol, None).unwrap().unwrap();
            assert_eq!(protocol.type_of(&record), Some(number), "{message:?}");

            let mut sent = Sent::new(protocol, SIZE, SIZE);
            assert_eq!(sent.take(&bytes), Ok(()));
            assert_eq!(sent.bytes() > 0, message.is_counted(), "{message:?}");
        }
    }
}

#[test]
fn sr_03_messages_in_one_frame_are_counted_one_by_one() {
    for protocol in Protocol::ALL {
        let mut sent = Sent::new(protocol, SIZE, SIZE);
        sent.release();
        let mut bytes = BytesMut::new();
        for id in ["1", "2", "3"] {
            protocol.encode(&cancel(id), &mut bytes);
            protocol.encode(&HubMessage::Ping, &mut bytes);
        }
        sent.take(&bytes.freeze()).unwrap();
        let mut written = 0;
        while sent.next().is_some() {
            written += 1;
        }
        assert_eq!(written, 6);
        sent.acknowledge(2);
        let (_, sequence) = sent.resume().into_parts();
        let expected = encode(protocol, &HubMessage::Sequence { sequence_id: 3 });
        assert_eq!(sequence, expected);
    }
}

#[test]
fn sr_04_the_message_that_crosses_the_limit_still_leaves() {
    let mut sent = sent(2 * encode(Protocol::Json, &cancel("1")).len());
    for id in ["1", "2", "3", "4"] {
        push(&mut sent, id).unwrap();
    }
    assert_eq!(leaving(&mut sent), ["1", "2", "3"]);
    // what is not counted passes by.
    say(&mut sent, &HubMessage::Ack { sequence_id: 7 });
    say(&mut sent, &HubMessage::Ping);
    assert_eq!(leaving(&mut sent), ["ack 7", "ping"]);
    sent.acknowledge(1);
    assert_eq!(leaving(&mut sent), ["4"]);
}

#[test]
fn sr_06_an_ack_above_what_was_sent_or_repeated_is_harmless() {
    for id in [7, i64::MAX, 0, -1, i64::MIN] {
        let mut sent = sent(SIZE);
        push(&mut sent, "1").unwrap();
        assert_eq!(leaving(&mut sent), ["1"]);
        push(&mut sent, "2").unwrap(); // it cannot have arrived
        sent.acknowledge(id);
        sent.acknowledge(id);
        let first = if id > 0 { 2 } else { 1 };
        assert_eq!(show(&sent.resume().bytes), format!("sequence {first}"));
        let expected = ["1", "2"];
        assert_eq!(leaving(&mut sent), expected[first - 1..], "{id}");
    }
}

#[test]
fn sr_08_what_is_not_acknowledged_comes_again_then_what_is_new() {
    let mut sent = sent(SIZE);
    assert_eq!(show(&sent.resume().bytes), "sequence 1");
    for id in ["1", "2", "3"] {
        push(&mut sent, id).unwrap();
    }
    assert_eq!(leaving(&mut sent), ["1", "2", "3"]);
    sent.acknowledge(1);
    sent.lost();
    push(&mut sent, "4").unwrap();
    for _ in 0..2 {
        assert_eq!(show(&sent.resume().bytes), "sequence 2");
        assert_eq!(leaving(&mut sent), ["2", "3", "4"]);
    }
}

#[test]
fn sr_08_a_replay_is_kept_until_something_newer_arrives() {
    let size = encode(Protocol::Json, &cancel("1")).len();
    let mut sent = sent(3 * size);
    for id in ["1", "2", "3"] {
        push(&mut sent, id).unwrap();
    }
    assert_eq!(leaving(&mut sent), ["1", "2", "3"]);
    sent.resume();
    assert_eq!(leaving(&mut sent), ["1", "2", "3"]);
    // Sent when the client had read, say, only the first again.
    sent.acknowledge(3);
    assert_eq!(show(&sent.resume().bytes), "sequence 1");
    assert_eq!(leaving(&mut sent), ["1", "2", "3"]);
    // What is acknowledged stands in nobody's way (SR-04).
    sent.acknowledge(3);
    for id in ["4", "5"] {
        push(&mut sent, id).unwrap();
    }
    assert_eq!(leaving(&mut sent), ["4", "5"]);
    sent.acknowledge(4);
    assert_eq!(show(&sent.resume().bytes), "sequence 5");
    assert_eq!(leaving(&mut sent), ["5"]);
    push(&mut sent, "6").unwrap();
    assert_eq!(leaving(&mut sent), ["6"]);
    sent.acknowledge(6);
    assert_eq!(sent.bytes(), 0);
}

#[test]
fn pings_and_acks_of_the_old_socket_are_not_for_the_new_one() {
    let mut sent = sent(SIZE);
    say(&mut sent, &HubMessage::Ping);
    sent.lost();
    say(&mut sent, &HubMessage::Ack { sequence_id: 1 });
    assert_eq!(show(&sent.resume().bytes), "sequence 1");
    assert_eq!(leaving(&mut sent), [""; 0]);
}

#[test]
fn sr_19_the_close_goes_out_behind_everything_however_full() {
    let mut sent = sent(0);
    for id in ["1", "2", "3"] {
        push(&mut sent, id).unwrap();
    }
    assert_eq!(leaving(&mut sent), ["1"]);
    let close = HubMessage::Close {
        error: None,
        allow_reconnect: false,
    };
    say(&mut sent, &close);
    assert_eq!(leaving(&mut sent), ["2", "3", "close"]);
}

#[test]
fn sr_22_nothing_counted_leaves_before_the_client_counts() {
    let mut sent = Sent::new(Protocol::Json, SIZE, SIZE);
    push(&mut sent, "1").unwrap();
    say(&mut sent, &HubMessage::Ping);
    assert_eq!(leaving(&mut sent), ["ping"]);
    sent.release();
    assert_eq!(leaving(&mut sent), ["1"]);
}

#[test]
fn what_waits_is_bounded() {
    let mut sent = Sent::new(Protocol::Json, SIZE, SIZE);
    let long = "x".repeat(2 * SIZE);
    push(&mut sent, &long).unwrap(); // alone it may be as long as it likes
    assert_eq!(push(&mut sent, "2"), Err(Overflow));
}

#[test]
fn row_195_sequence_ids_do_not_wrap() {
    let mut sent = sent(SIZE);
    sent.first = i64::MAX - 2;
    push(&mut sent, "1").unwrap();
    push(&mut sent, "2").unwrap();
    assert_eq!(push(&mut sent, "3"), Err(Overflow));
}

/// A client that acknowledges once in three sockets, and is as strict as official ones are.
#[test]
fn sr_04_who_is_cut_off_all_the_time_gets_on_all_the_same() {
    let long = "x".repeat(SIZE);
    let mut sent = sent(3 * SIZE);
    let (mut next, mut highest, mut most_kept) = (1, 0, 0);
    let goal = 200;
    for id in 1..=goal {
        say_large(&mut sent, id, &long);
    }
    for round in 0..600 {
        if round > 0 {
            sent.lost();
            let (_, sequence) = sent.resume().into_parts();
            let sequence = show(&sequence);
            let first: i64 = sequence["sequence ".len()..].parse().unwrap();
            assert!(first <= next, "{sequence}, and {next} is next");
            next = first;
        }
        for acknowledges in [round % 3 == 2, false] {
            while sent.next().is_some() {
                highest = highest.max(next);
                next += 1;
            }
            if acknowledges {
                sent.acknowledge(highest);
            }
        }
        most_kept = most_kept.max(sent.written_bytes);
    }
    assert_eq!(highest, goal);
    assert!(most_kept < 8 * (SIZE + 100), "{most_kept}");
}

fn say_large(sent: &mut Sent, id: i64, text: &str) {
    let bytes = encode(sent.protocol, &cancel(&format!("{id} {text}")));
    sent.max_waiting = usize::MAX;
    assert_eq!(sent.take(&bytes), Ok(()));
}
