use bytes::{Bytes, BytesMut};
use bytestring::ByteString;

use super::{decode, encode};
use crate::protocol::message::{Completion, HubMessage, Invocation};

mod any_input;
mod faults;

fn read(record: impl AsRef<[u8]>) -> Result<Option<HubMessage>, String> {
    decode(&Bytes::copy_from_slice(record.as_ref())).map_err(|error| error.to_string())
}

fn message(record: impl AsRef<[u8]>) -> HubMessage {
    let record = record.as_ref();
    match read(record) {
        Ok(Some(message)) => message,
        other => panic!("{}: {other:?}", String::from_utf8_lossy(record)),
    }
}

fn written(message: &HubMessage) -> String {
    let mut out = BytesMut::new();
    encode(message, &mut out);
    let record = out.strip_suffix(b"\x1e").expect("a record ends with 0x1E");
    assert!(!record.contains(&0x1E));
    String::from_utf8(record.to_vec()).unwrap()
}

fn invocation(id: Option<&str>, target: &str, arguments: &'static str, ids: &[&str]) -> Invocation {
    Invocation {
        invocation_id: id.map(ByteString::from),
        target: target.into(),
        arguments: Bytes::from_static(arguments.as_bytes()),
        stream_ids: ids.iter().map(|id| ByteString::from(*id)).collect(),
    }
}

fn completion(completion: Completion) -> HubMessage {
    HubMessage::Completion {
        invocation_id: "1".into(),
        completion,
    }
}

fn close(error: Option<&str>, allow_reconnect: bool) -> HubMessage {
    HubMessage::Close {
        error: error.map(ByteString::from),
        allow_reconnect,
    }
}

/// An array in an array …
fn nested(levels: usize) -> String {
    "[".repeat(levels) + &"]".repeat(levels)
}

#[test]
fn j_01_order_duplicates_and_unknown_members() {
    let wanted = HubMessage::Invocation(invocation(Some("1"), "T", "[1]", &["s"]));
    for record in [
        r#"{"type":1,"invocationId":"1","target":"T","arguments":[1],"streamIds":["s"]}"#,
        r#"{"streamIds":["s"],"arguments":[1],"target":"T","invocationId":"1","type":1}"#,
        r#"{"type":6,"target":"x","arguments":[2],"invocationId":"2","streamIds":["a","b"],
            "type":1,"target":"T","arguments":[1],"invocationId":"1","streamIds":["s"]}"#,
        r#"{"Type":6,"x":{"type":6},"type":1,"TARGET":null,"invocationId":"1","target":"T",
            "arguments":[1],"streamIds":["s"],"":[],"headers":{"a":"b","":""}}"#,
        r#"{"\u0074ype":1,"invocationId":"\u0031","t\u0061rget":"\u0054","arguments":[1],"streamIds":["\u0073"]}"#,
        " \t\r\n{ \"type\" : 1 , \"invocationId\" : \"1\" , \"target\":\"T\" , \"arguments\" : [1] , \"streamIds\" : [ \"s\" ] } \n",
    ] {
        assert_eq!(message(record), wanted, "{record}");
    }
}

#[test]
fn j_02_j_03_j_04_members_are_written_in_order_and_only_when_present() {
    for (message, wanted) in [
        (
            HubMessage::Invocation(invocation(None, "T", "[]", &[])),
            r#"{"type":1,"target":"T","arguments":[]}"#,
        ),
        (
            HubMessage::Invocation(invocation(Some("1"), "T", "[1,null]", &["a", "b"])),
            r#"{"type":1,"invocationId":"1","target":"T","arguments":[1,null],"streamIds":["a","b"]}"#,
        ),
        (
            HubMessage::StreamInvocation(invocation(Some("1"), "T", "[]", &[])),
            r#"{"type":4,"invocationId":"1","target":"T","arguments":[]}"#,
        ),
        (
            HubMessage::StreamItem {
                invocation_id: "1".into(),
                item: Bytes::from_static(b"null"),
            },
            r#"{"type":2,"invocationId":"1","item":null}"#,
        ),
        (
            completion(Completion::Result(Bytes::from_static(b"null"))),
            r#"{"type":3,"invocationId":"1","result":null}"#,
        ),
        (
            completion(Completion::Error("e".into())),
            r#"{"type":3,"invocationId":"1","error":"e"}"#,
        ),
        (
            completion(Completion::Error("".into())),
            r#"{"type":3,"invocationId":"1"}"#,
        ),
        (
            completion(Completion::Void),
            r#"{"type":3,"invocationId":"1"}"#,
        ),
        (
            HubMessage::CancelInvocation {
                invocation_id: "1".into(),
            },
            r#"{"type":5,"invocationId":"1"}"#,
        ),
    ] {
        assert_eq!(written(&message), wanted);
    }
}

#[test]
fn j_04_messages_of_the_connection_are_written() {
    for (message, wanted) in [
        (HubMessage::Ping, r#"{"type":6}"#),
        (close(None, false), r#"{"type":7}"#),
        (close(Some(""), false), r#"{"type":7,"error":""}"#),
        (
            close(Some("e"), true),
            r#"{"type":7,"error":"e","allowReconnect":true}"#,
        ),
        (
            HubMessage::Ack { sequence_id: -1 },
            r#"{"type":8,"sequenceId":-1}"#,
        ),
        (
            HubMessage::Sequence {
                sequence_id: i64::MAX,
            },
            r#"{"type":9,"sequenceId":9223372036854775807}"#,
        ),
    ] {
        assert_eq!(written(&message), wanted);
    }
}

#[test]
fn j_04_every_type_is_read() {
    let id = ByteString::from_static("1");
    for (record, wanted) in [
        (
            r#"{"type":2,"invocationId":"1","item":{"a":[1, 2]}}"#,
            HubMessage::StreamItem {
                invocation_id: id.clone(),
                item: Bytes::from_static(br#"{"a":[1, 2]}"#),
            },
        ),
        (
            r#"{"type":3,"invocationId":"1","result":null}"#,
            completion(Completion::Result(Bytes::from_static(b"null"))),
        ),
        (
            r#"{"type":3,"invocationId":"1","error":""}"#,
            completion(Completion::Error("".into())),
        ),
        (
            r#"{"type":3,"invocationId":"1"}"#,
            completion(Completion::Void),
        ),
        (
            r#"{"type":4,"invocationId":"1","target":"","arguments":[]}"#,
            HubMessage::StreamInvocation(invocation(Some("1"), "", "[]", &[])),
        ),
        (
            r#"{"type":5,"invocationId":"1"}"#,
            HubMessage::CancelInvocation { invocation_id: id },
        ),
        (r#"{"type":6}"#, HubMessage::Ping),
        (r#"{"type":7}"#, close(None, false)),
        (
            r#"{"type":7,"error":"","allowReconnect":false}"#,
            close(Some(""), false),
        ),
        (
            r#"{"type":7,"error":"e","allowReconnect":true}"#,
            close(Some("e"), true),
        ),
        (
            r#"{"type":8,"sequenceId":-0}"#,
            HubMessage::Ack { sequence_id: 0 },
        ),
        (
            r#"{"type":9,"sequenceId":9223372036854775807}"#,
            HubMessage::Sequence {
                sequence_id: i64::MAX,
            },
        ),
    ] {
        assert_eq!(message(record), wanted, "{record}");
    }
}

#[test]
fn j_05_an_absent_or_empty_id_is_never_written() {
    let without = r#"{"type":1,"target":"T","arguments":[]}"#;
    for id in [None, Some("")] {
        let call = HubMessage::Invocation(invocation(id, "T", "[]", &[]));
        assert_eq!(written(&call), without);
    }
}

#[test]
fn j_07_an_empty_id_makes_a_call_that_nobody_awaits() {
    assert_eq!(
        message(r#"{"type":1,"invocationId":"","target":"T","arguments":[]}"#),
        HubMessage::Invocation(invocation(None, "T", "[]", &[]))
    );
}

#[test]
fn j_08_values_may_stand_before_what_they_belong_to() {
    assert_eq!(
        message(r#"{"arguments":[{"type":9}],"target":"T","type":1}"#),
        HubMessage::Invocation(invocation(None, "T", r#"[{"type":9}]"#, &[]))
    );
    assert_eq!(
        message(r#"{"result":7,"type":3,"invocationId":"1"}"#),
        completion(Completion::Result(Bytes::from_static(b"7")))
    );
    assert_eq!(
        message(r#"{"item":7,"invocationId":"1","type":2}"#),
        HubMessage::StreamItem {
            invocation_id: "1".into(),
            item: Bytes::from_static(b"7"),
        }
    );
}

#[test]
fn j_09_unknown_types_are_skipped() {
    for kind in ["0", "-0", "-1", "10", "99", "2147483647", "-2147483648"] {
        let record = format!(r#"{{"type":{kind},"target":"x","item":[]}}"#);
        assert_eq!(read(&record), Ok(None), "{record}");
    }
}

#[test]
fn j_10_depth_64_is_read_and_65_is_not_wherever_it_is() {
    let error = Err("InvalidDataException: Error reading JSON.".to_owned());
    // A string full of brackets and quotes is not deep.
    let string = format!(r#""{{[\"[\\{}""#, "[{".repeat(50));
    for head in [
        r#"{"type":6,"x":"#,
        r#"{"type":6,"item":"#,
        r#"{"type":6,"result":"#,
        r#"{"type":6,"arguments":"#,
    ] {
        let record = |levels| format!("{head}{}}}", nested(levels));
        assert_eq!(message(record(63)), HubMessage::Ping, "{head}");
        assert_eq!(read(record(64)), error, "{head}");
        assert_eq!(read(record(200)), error, "{head}");

        let brothers = format!("{head}[{string},{}{}]}}", "[[]],".repeat(500), nested(62));
        assert_eq!(message(brothers), HubMessage::Ping, "{head}");
    }
    // Behind the object nothing counts (J-14).
    assert_eq!(
        message(r#"{"type":6}"#.to_owned() + &nested(100)),
        HubMessage::Ping
    );
}

#[test]
fn j_11_controls_are_escaped_and_strings_come_back() {
    let error: String = ('\0'..='\u{a1}').chain("\u{2028}é😀".chars()).collect();
    let record = written(&close(Some(&error), false));
    assert!(record.bytes().all(|byte| byte >= 0x20 && byte != 0x7F));
    assert!(record.contains(r#"\b\t\n\u000B\f\r"#), "{record}");
    assert!(record.contains(r##"\u001E\u001F !\"#$"##), "{record}");
    assert!(record.contains(r#"[\\]"#), "{record}");
    assert!(record.contains(r#"~\u007F"#), "{record}");
    assert_eq!(message(record), close(Some(&error), false));
}

#[test]
fn j_14_bytes_behind_the_object_are_ignored() {
    for behind in ["x", r#"{"type":6}"#, "}", " ]", "\"", "\0"] {
        assert_eq!(
            message(format!(r#"{{"type":6}}{behind}"#)),
            HubMessage::Ping
        );
    }
    assert_eq!(message(b"{\"type\":6}\xff"), HubMessage::Ping);
}

#[test]
fn ids_targets_and_values_are_slices_of_the_record() {
    let record = Bytes::from_static(
        br#"{"type":1,"invocationId":"17","target":"Send","arguments":["x"],"streamIds":["u"]}"#,
    );
    let Ok(Some(HubMessage::Invocation(call))) = decode(&record) else {
        panic!("an invocation")
    };
    let within = record.as_ptr_range();
    for part in [
        call.invocation_id.unwrap().into_bytes(),
        call.target.into_bytes(),
        call.arguments,
        call.stream_ids[0].clone().into_bytes(),
    ] {
        assert!(within.contains(&part.as_ptr()), "{part:?}");
    }
}
