mod errors;
mod values;

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use proptest::prelude::*;

use super::{decode, encode, skip::skip};
use crate::protocol::{
    Frames, Protocol,
    message::{Completion, HubMessage, Invocation},
};

/// Bytes written in hexadecimal, with spaces anywhere.
fn hex(text: &str) -> Bytes {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    digits
        .chunks(2)
        .map(|pair| (pair[0] << 4 | pair[1]) as u8)
        .collect()
}

fn framed(message: &HubMessage) -> Bytes {
    let mut out = BytesMut::new();
    encode(message, &mut out);
    out.freeze()
}

fn unframed(message: &HubMessage) -> Bytes {
    let mut frames = Frames::default();
    frames.push(framed(message));
    let record = frames.next(Protocol::MessagePack, None).unwrap().unwrap();
    assert!(frames.is_empty());
    record
}

fn decoded(text: &str) -> HubMessage {
    decode(&hex(text)).expect(text).expect(text)
}

fn call(id: Option<&'static str>, target: &'static str, arguments: &str) -> Invocation {
    Invocation {
        invocation_id: id.map(ByteString::from_static),
        target: target.into(),
        arguments: hex(arguments),
        stream_ids: Vec::new(),
    }
}

fn completion(completion: Completion) -> HubMessage {
    HubMessage::Completion {
        invocation_id: "xyz".into(),
        completion,
    }
}

fn close(error: Option<&'static str>, allow_reconnect: bool) -> HubMessage {
    HubMessage::Close {
        error: error.map(ByteString::from_static),
        allow_reconnect,
    }
}

#[test]
fn m_09_test_vectors() {
    let item = |item| HubMessage::StreamItem {
        invocation_id: "xyz".into(),
        item: hex(item),
    };
    let upload = Invocation {
        stream_ids: vec!["__test_id__".into()],
        ..call(None, "target", "912a")
    };
    let vectors = [
        (
            HubMessage::Invocation(call(Some("xyz"), "method", "90")),
            "960180a378797aa66d6574686f649090",
        ),
        (
            HubMessage::Invocation(call(None, "method", "912a")),
            "960180c0a66d6574686f64912a90",
        ),
        (
            HubMessage::Invocation(upload),
            "960180c0a6746172676574912a91ab5f5f746573745f69645f5f",
        ),
        (item("2a"), "940280a378797a2a"),
        (item("ca42280000"), "940280a378797aca42280000"),
        (
            completion(Completion::Error("Error not found!".into())),
            "950380a378797a01b04572726f72206e6f7420666f756e6421",
        ),
        (completion(Completion::Void), "940380a378797a02"),
        (
            completion(Completion::Result(hex("2a"))),
            "950380a378797a032a",
        ),
        (
            HubMessage::StreamInvocation(call(Some("xyz"), "method", "90")),
            "960480a378797aa66d6574686f649090",
        ),
        (
            HubMessage::CancelInvocation {
                invocation_id: "xyz".into(),
            },
            "930580a378797a",
        ),
        (HubMessage::Ping, "9106"),
        (close(None, false), "9307c0c2"),
        (close(Some("Error!"), false), "9307a64572726f7221c2"),
        (close(None, true), "9307c0c3"),
        (close(Some("Error!"), true), "9307a64572726f7221c3"),
        (HubMessage::Ack { sequence_id: 42 }, "92082a"),
        (HubMessage::Sequence { sequence_id: 146 }, "9209cc92"),
    ];
    for (message, body) in vectors {
        assert_eq!(unframed(&message), hex(body), "{message:?}");
        assert_eq!(decode(&hex(body)), Ok(Some(message)), "{body}");
    }
}

#[test]
fn m_10_framed_sizes() {
    let id = || ByteString::from_static("1");
    let empty = HubMessage::Completion {
        invocation_id: id(),
        completion: Completion::Void,
    };
    assert_eq!(framed(&HubMessage::Ping), hex("02 9106"));
    assert_eq!(framed(&close(None, false)).len(), 5);
    assert_eq!(
        framed(&HubMessage::CancelInvocation {
            invocation_id: id()
        })
        .len(),
        6
    );
    assert_eq!(framed(&empty).len(), 7);
}

#[test]
fn m_02_integers_strings_and_arrays_are_written_in_their_smallest_form() {
    for (sequence_id, item) in [
        (0, "00"),
        (0x7F, "7f"),
        (0x80, "cc80"),
        (0xFF, "ccff"),
        (0x100, "cd0100"),
        (0xFFFF, "cdffff"),
        (0x1_0000, "ce00010000"),
        (0xFFFF_FFFF, "ceffffffff"),
        (0x1_0000_0000, "cf0000000100000000"),
        (i64::MAX, "cf7fffffffffffffff"),
        (-1, "ff"),
        (-0x20, "e0"),
        (-0x21, "d0df"),
        (-0x80, "d080"),
        (-0x81, "d1ff7f"),
        (-0x8000, "d18000"),
        (-0x8001, "d2ffff7fff"),
        (-0x8000_0000, "d280000000"),
        (-0x8000_0001, "d3ffffffff7fffffff"),
        (i64::MIN, "d38000000000000000"),
    ] {
        let message = HubMessage::Ack { sequence_id };
        assert_eq!(
            unframed(&message),
            hex(&format!("9208{item}")),
            "{sequence_id}"
        );
        assert_eq!(decode(&unframed(&message)), Ok(Some(message)));
    }
    for (length, head) in [
        (31, "bf"),
        (32, "d920"),
        (255, "d9ff"),
        (256, "da0100"),
        (65_535, "daffff"),
        (65_536, "db00010000"),
    ] {
        let message = HubMessage::Close {
            error: Some("x".repeat(length).into()),
            allow_reconnect: false,
        };
        assert!(unframed(&message)[2..].starts_with(&hex(head)), "{length}");
        assert_eq!(decode(&unframed(&message)), Ok(Some(message)));
    }
    for (count, head) in [
        (15, "9f"),
        (16, "dc0010"),
        (65_535, "dcffff"),
        (65_536, "dd00010000"),
    ] {
        let message = HubMessage::Invocation(Invocation {
            stream_ids: vec!["s".into(); count],
            ..call(None, "T", "90")
        });
        assert!(unframed(&message)[7..].starts_with(&hex(head)), "{count}");
        assert_eq!(decode(&unframed(&message)), Ok(Some(message)));
    }
}

#[test]
fn m_01_m_02_m_04_m_05_what_a_reader_also_accepts() {
    let zero = HubMessage::Invocation(call(Some("1"), "Zero", "90"));
    let quiet = HubMessage::Invocation(call(None, "Zero", "90"));
    let same = [
        // M-01: no stream ids; also with an array that is said to be shorter still.
        ("95 01 80 a131 a45a65726f 90", &zero),
        ("94 01 80 a131 a45a65726f 90", &zero),
        // Any width.
        ("96 d30000000000000001 80 a131 a45a65726f 90 90", &zero),
        (
            "dc0006 01 de0000 d90131 da00045a65726f 90 dd00000000",
            &zero,
        ),
        // M-03: headers are skipped.
        ("96 01 82 a161 a162 a163 a164 a131 a45a65726f 90 90", &zero),
        // M-04: an empty id is none.
        ("96 01 80 a0 a45a65726f 90 90", &quiet),
        ("96 01 80 c0 a45a65726f 90 90", &quiet),
        // M-05: more items, and bytes behind them.
        ("98 01 80 a131 a45a65726f 90 90 c0 a178", &zero),
        ("96 01 80 a131 a45a65726f 90 90 c1c1c1", &zero),
        ("92 06 c0", &HubMessage::Ping),
        ("92 07 c0", &close(None, false)),
        ("92 07 a3626164", &close(Some("bad"), false)),
        ("93 07 a0 c2", &close(Some(""), false)),
        (
            "92 08 cf0000000000000005",
            &HubMessage::Ack { sequence_id: 5 },
        ),
        (
            "92 09 d3ffffffffffffffff",
            &HubMessage::Sequence { sequence_id: -1 },
        ),
        ("95 03 80 a378797a 01 c0", &completion(Completion::Void)),
        (
            "95 03 80 a378797a 01 a0",
            &completion(Completion::Error("".into())),
        ),
    ];
    for (record, message) in same {
        assert_eq!(&decoded(record), message, "{record}");
    }
}

#[test]
fn m_05_unknown_types_are_skipped() {
    for record in ["91 0a", "91 00", "91 ff", "92 7f c1", "91 d280000000"] {
        assert_eq!(decode(&hex(record)), Ok(None), "{record}");
    }
}

#[test]
fn m_06_strings_that_are_not_utf_8_are_repaired() {
    let HubMessage::Invocation(call) = decoded("96 01 80 a361ff62 a3eda080 90 90") else {
        panic!("no invocation");
    };
    assert_eq!(call.invocation_id.as_deref(), Some("a\u{FFFD}b"));
    assert_eq!(call.target, "\u{FFFD}\u{FFFD}\u{FFFD}");
}

#[test]
fn m_09_everything_is_a_slice_of_the_record() {
    let record = hex("96 01 80 a131 a45a65726f 91 a178 91 a173");
    let range = record.as_ptr_range();
    let Ok(Some(HubMessage::Invocation(call))) = decode(&record) else {
        panic!("no invocation");
    };
    let id = call.invocation_id.unwrap();
    for part in [id.as_bytes(), call.target.as_bytes(), &call.arguments] {
        assert!(range.contains(&part.as_ptr()));
    }
    assert!(range.contains(&call.stream_ids[0].as_bytes().as_ptr()));
}

fn text(range: &'static str) -> impl Strategy<Value = ByteString> {
    range.prop_map(ByteString::from)
}

fn value() -> impl Strategy<Value = Bytes> {
    prop::sample::select(vec![
        "c0",
        "2a",
        "a161",
        "9201c3",
        "81a16190",
        "c403010203",
        "d6ff00000000",
    ])
    .prop_map(hex)
}

fn invocation() -> impl Strategy<Value = (Option<ByteString>, Invocation)> {
    let id = prop::option::of(text(".{1,40}"));
    let arguments = prop::collection::vec(value(), 0..15);
    (
        id,
        text(".{1,300}"),
        arguments,
        prop::collection::vec(text(".{1,9}"), 0..20),
    )
        .prop_map(|(id, target, arguments, stream_ids)| {
            let head = [0x90 | arguments.len() as u8];
            let arguments = [&head, &arguments.concat()[..]].concat().into();
            let invocation_id = id.clone();
            (
                id,
                Invocation {
                    invocation_id,
                    target,
                    arguments,
                    stream_ids,
                },
            )
        })
}

fn message() -> impl Strategy<Value = HubMessage> {
    let id = || text(".{1,40}");
    let ending = prop_oneof![
        value().prop_map(Completion::Result),
        Just(Completion::Void),
        text(".{0,300}").prop_map(Completion::Error),
    ];
    prop_oneof![
        invocation().prop_map(|(_, call)| HubMessage::Invocation(call)),
        invocation().prop_filter_map("needs an id", |(id, call)| {
            id.map(|_| HubMessage::StreamInvocation(call))
        }),
        (id(), value()).prop_map(|(invocation_id, item)| HubMessage::StreamItem {
            invocation_id,
            item
        }),
        (id(), ending).prop_map(|(invocation_id, completion)| HubMessage::Completion {
            invocation_id,
            completion
        }),
        id().prop_map(|invocation_id| HubMessage::CancelInvocation { invocation_id }),
        Just(HubMessage::Ping),
        (prop::option::of(text(".{0,300}")), any::<bool>()).prop_map(|(error, allow_reconnect)| {
            HubMessage::Close {
                error,
                allow_reconnect,
            }
        }),
        any::<i64>().prop_map(|sequence_id| HubMessage::Ack { sequence_id }),
        any::<i64>().prop_map(|sequence_id| HubMessage::Sequence { sequence_id }),
    ]
}

proptest! {
    #[test]
    fn m_01_m_02_round_trip(message in message()) {
        prop_assert_eq!(decode(&unframed(&message)), Ok(Some(message)));
    }

    #[test]
    fn m_06_no_bytes_panic(record in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = decode(&record.clone().into());
        if let Ok(length) = skip(&record) {
            prop_assert!(length <= record.len());
        }
    }

    #[test]
    fn m_06_no_changed_record_panics(
        message in message(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        length in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut record = unframed(&message).to_vec();
        for (index, byte) in changes {
            let index = index.index(record.len());
            record[index] = byte;
        }
        if cut {
            record.truncate(length.index(record.len()));
        }
        let _ = decode(&record.into());
    }
}
