//! Hostile records, and records that nobody thought of.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use proptest::{collection::vec, option, prelude::*};

use super::{decode, encode, message, read};
use crate::protocol::json::{decode_any, quick};
use crate::protocol::{
    HandshakeRequest, HandshakeResponse,
    message::{Completion, HubMessage, Invocation},
};

const SEEDS: [&str; 8] = [
    r#"{"type":1,"headers":{"a":"b"},"invocationId":"1","target":"T\u00e9","arguments":[{"a":[1e5,null]},"\ud83d\ude00"],"streamIds":["s","t"]}"#,
    r#"{"type":2,"invocationId":"1","item":{"type":[true,false]}}"#,
    r#"{"type":3,"invocationId":"1","result":"x"}"#,
    r#"{"type":7,"error":"e","allowReconnect":true}"#,
    r#"{"type":9,"sequenceId":-12}"#,
    r#"{"protocol":"json","version":1}"#,
    r#"{"error":"no"}"#,
    r#"{"arguments":["a\"b",{"c":[1.5e3,-0,null,"\u00e9"],"d":{}}],"invocationId":"0","target":"Echo","type":1}"#,
];

#[test]
fn what_the_official_clients_write_is_read_the_quick_way() {
    let records = [
        // JavaScript, .NET, Java, Python.
        r#"{"arguments":["a\"b",{"c":[1.5e3,-0,null]}],"invocationId":"0","target":"Echo","type":1}"#,
        r#"{"type":1,"invocationId":"1","target":"Echo","arguments":["h\u00e9",[],{},true]}"#,
        r#"{"type":4,"invocationId":"1","target":"Texts","arguments":[64,20]}"#,
        r#"{"type": 1, "target": "Echo", "arguments": ["a", {"b": [ ]} ], "invocationId": "7"}"#,
        r#"{"type":2,"invocationId":"1","item":"value"}"#,
        r#"{"type":3,"invocationId":"1","result":{"a":"b"}}"#,
        r#"{"type":3,"invocationId":"1","error":"no"}"#,
        r#"{"type":5,"invocationId":"1"}"#,
        r#"{"type":6}"#,
    ];
    for record in records {
        let record = Bytes::from_static(record.as_bytes());
        assert!(quick::read(&record).is_some(), "{record:?}");
        assert_eq!(decode(&record), decode_any(&record));
    }
}

#[test]
fn the_quick_way_takes_no_value_that_is_none() {
    let values = [
        "0",
        "-0",
        "01",
        "-01",
        "00",
        "1.",
        ".5",
        "1.5",
        "1e",
        "1e+",
        "1e+05",
        "1E5",
        "-",
        "+1",
        "0x1",
        "1.e5",
        "true",
        "tru",
        "truee",
        "nul",
        "null",
        "\"",
        "\"a",
        "\"\\\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\ud800\"",
        "\"\t\"",
        "\"\u{7f}\"",
        "[",
        "]",
        "[,]",
        "[1,]",
        "[1 2]",
        "[1}",
        "{]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{1:1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":[{}]}",
        "[[],[{}]]",
        "",
        " ",
    ];
    for value in values {
        for value in [
            value.to_owned(),
            format!("[{value}]"),
            format!("{{\"a\":{value}}}"),
        ] {
            for name in ["arguments", "item", "result", "error", "x"] {
                let record = format!("{{\"type\":2,\"invocationId\":\"1\",\"{name}\" : {value} }}");
                let record = Bytes::from(record);
                assert_eq!(decode(&record), decode_any(&record), "{record:?}");
            }
        }
    }
}

#[test]
fn both_ways_have_one_verdict_on_each_byte_wherever_it_stands_in_a_text() {
    for byte in 0..=u8::MAX {
        // Where a word is looked at, between words, and where many are at once.
        for before in [0, 7, 8, 30, 40, 100] {
            for name in ["target", "result", "x"] {
                let head = format!(
                    "{{\"type\":3,\"invocationId\":\"1\",\"{name}\":\"{}",
                    "a".repeat(before)
                );
                let record = [head.as_bytes(), &[byte], b"aaaaaaaaa\"}"].concat();
                let record = Bytes::from(record);
                assert_eq!(decode(&record), decode_any(&record), "{record:?}");
            }
        }
    }
}

#[test]
fn megabytes_of_brackets_end_at_once() {
    const MEGABYTES: usize = 5 << 20;
    let begun = Instant::now();
    for bracket in ["[", "{", r#"{"a":"#, "[{\"", "\"", "\\", "{\"[\":["] {
        let brackets = bracket.repeat(MEGABYTES / bracket.len());
        assert!(read(&brackets).is_err());
        for head in [r#"{"type":6,"x":"#, r#"{"arguments":"#, r#"{"headers":"#] {
            assert!(read(format!("{head}{brackets}")).is_err());
        }
    }
    // Seconds when it is linear, even unoptimised; days when it is not.
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[test]
fn thirty_thousand_stream_ids_are_read() {
    let ids = vec![r#""1""#; 30_000].join(",");
    let record = format!(r#"{{"type":1,"target":"T","arguments":[],"streamIds":[{ids}]}}"#);
    let HubMessage::Invocation(call) = message(record) else {
        panic!("an invocation")
    };
    assert_eq!(call.stream_ids.len(), 30_000);
}

#[test]
fn huge_numbers_are_no_sizes() {
    let digits = "9".repeat(1 << 20);
    assert!(read(format!(r#"{{"type":{digits}}}"#)).is_err());
    assert!(read(format!(r#"{{"type":8,"sequenceId":{digits}}}"#)).is_err());
    let skipped = format!(r#"{{"type":6,"x":-{digits}.{digits}e{digits}}}"#);
    assert_eq!(message(skipped), HubMessage::Ping);
}

fn text() -> impl Strategy<Value = ByteString> {
    any::<String>().prop_map(ByteString::from)
}

fn id() -> impl Strategy<Value = ByteString> {
    text().prop_filter("an id is not empty", |id| !id.is_empty())
}

fn value() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        Just(Bytes::from_static(b"null")),
        Just(Bytes::from_static(br#"{"type":6,"a":[[], {} ,"]}"]}"#)),
        any::<f64>().prop_map(|number| serde_json::to_vec(&number).unwrap().into()),
        any::<String>().prop_map(|text| serde_json::to_vec(&text).unwrap().into()),
    ]
}

fn invocation(id: impl Strategy<Value = Option<ByteString>>) -> impl Strategy<Value = Invocation> {
    (id, text(), vec(any::<i32>(), 0..4), vec(text(), 0..4)).prop_map(
        |(invocation_id, target, arguments, stream_ids)| Invocation {
            invocation_id,
            target,
            arguments: serde_json::to_vec(&arguments).unwrap().into(),
            stream_ids,
        },
    )
}

fn hub_message() -> impl Strategy<Value = HubMessage> {
    let completion = prop_oneof![
        Just(Completion::Void),
        value().prop_map(Completion::Result),
        id().prop_map(Completion::Error),
    ];
    prop_oneof![
        invocation(option::of(id())).prop_map(HubMessage::Invocation),
        invocation(id().prop_map(Some)).prop_map(HubMessage::StreamInvocation),
        (id(), value()).prop_map(|(invocation_id, item)| HubMessage::StreamItem {
            invocation_id,
            item
        }),
        (id(), completion).prop_map(|(invocation_id, completion)| HubMessage::Completion {
            invocation_id,
            completion
        }),
        id().prop_map(|invocation_id| HubMessage::CancelInvocation { invocation_id }),
        Just(HubMessage::Ping),
        (option::of(text()), any::<bool>()).prop_map(|(error, allow_reconnect)| {
            HubMessage::Close {
                error,
                allow_reconnect,
            }
        }),
        any::<i64>().prop_map(|sequence_id| HubMessage::Ack { sequence_id }),
        any::<i64>().prop_map(|sequence_id| HubMessage::Sequence { sequence_id }),
    ]
}

/// Decodes bytes in every way; what can be decoded must survive a round trip, and the quick way must
/// agree with the one that reads everything.
fn decode_all(bytes: Vec<u8>) {
    let bytes = Bytes::from(bytes);
    assert_eq!(decode(&bytes), decode_any(&bytes));
    let _ = HandshakeResponse::decode(&bytes);
    if let Ok(request) = HandshakeRequest::decode(&bytes) {
        let mut out = BytesMut::new();
        request.encode(&mut out);
        assert_eq!(HandshakeRequest::decode(&out.freeze()), Ok(request));
    }
    if let Ok(Some(message)) = decode(&bytes) {
        let mut out = BytesMut::new();
        encode(&message, &mut out);
        assert_eq!(
            out.iter().position(|&byte| byte == 0x1E),
            Some(out.len() - 1)
        );
        assert!(decode(&out.freeze()).is_ok());
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(message in hub_message()) {
        let mut out = BytesMut::new();
        encode(&message, &mut out);
        prop_assert_eq!(out.iter().position(|&byte| byte == 0x1E), Some(out.len() - 1));
        prop_assert_eq!(decode(&out.freeze().slice(..)), Ok(Some(message)));
    }

    #[test]
    fn the_quick_way_agrees_on_any_value(
        value in vec(
            prop::sample::select(&[
                "{", "}", "[", "]", ",", ":", " ", "\"", "\\", "\\u00", "e9", "0", "01", "-", "1.", ".5",
                "e+", "E", "true", "false", "nul", "l", "\"a\"", "\"a\":", "\u{e9}", "\n", "\u{7f}",
            ][..]),
            0..12,
        ),
        name in prop::sample::select(&["arguments", "item", "result", "error", "target", "x"][..]),
        kind in 0..12_u8,
    ) {
        let value = value.concat();
        decode_all(format!("{{\"type\":{kind},\"invocationId\":\"1\",\"{name}\":{value}}}").into_bytes());
        decode_all(format!("{{\"{name}\":{value},\"type\":{kind}}}").into_bytes());
    }

    #[test]
    fn random_bytes_do_no_harm(bytes in vec(any::<u8>(), 0..200)) {
        decode_all(bytes);
    }

    #[test]
    fn random_json_letters_do_no_harm(bytes in vec(prop::sample::select(&br#"{}[]",:\u0d81e-. tn"#[..]), 0..60)) {
        decode_all([b"{\"type\":1,", &bytes[..], b"}"].concat());
    }

    #[test]
    fn changed_records_do_no_harm(
        seed in prop::sample::select(&SEEDS[..]),
        changes in vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..6),
    ) {
        let mut bytes = seed.as_bytes().to_vec();
        for (at, byte, how) in changes {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
            bytes.push(b'}');
        }
        decode_all(bytes);
    }
}
