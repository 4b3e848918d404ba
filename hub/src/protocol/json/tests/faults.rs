//! Records that break the protocol.

use super::{message, read};
use crate::protocol::message::HubMessage;

/// `InvalidDataException` unless the text names another class.
fn assert_fault(record: impl AsRef<[u8]>, text: &str) {
    let record = record.as_ref();
    let wanted = if text.contains("Exception: ") {
        text.to_owned()
    } else {
        format!("InvalidDataException: {text}")
    };
    let shown = String::from_utf8_lossy(record);
    assert_eq!(read(record), Err(wanted), "{shown}");
}

#[test]
fn j_06_each_fault_has_its_text() {
    const INT32: &str = "FormatException: Either the JSON value is not in a supported format, or is out of bounds for an Int32.";
    const INT64: &str = "FormatException: Either the JSON value is not in a supported format, or is out of bounds for an Int64.";
    let not_of = |name: &str, kind: &str| format!("Expected '{name}' to be of type {kind}.");

    for (value, token) in [
        ("[", "Array"),
        ("[]", "Array"),
        ("null", "Null"),
        ("1", "Number"),
        ("1 x", "Number"),
        (r#""x""#, "String"),
        (" true", "True"),
        ("false", "False"),
    ] {
        let text = format!("Unexpected JSON Token Type '{token}'. Expected a JSON Object.");
        assert_fault(value, &text);
    }
    for value in ["null", "{}", "[]", r#""1""#, "true"] {
        assert_fault(format!(r#"{{"type":{value}}}"#), &not_of("type", "Number"));
        if value != "null" {
            let record = format!(r#"{{"type":8,"sequenceId":{value}}}"#);
            assert_fault(record, &not_of("sequenceId", "Number"));
        }
    }
    for number in ["1.0", "1.5", "6e0", "2147483648", "-2147483649", "1e999"] {
        assert_fault(format!(r#"{{"type":{number}}}"#), INT32);
    }
    for number in ["1.0", "1e0", "9223372036854775808"] {
        assert_fault(format!(r#"{{"type":9,"sequenceId":{number}}}"#), INT64);
    }
    for name in ["invocationId", "target", "error"] {
        for value in ["null", "1", "{}", "[]", "true"] {
            // The value is checked whatever the type, and before it is known.
            for record in [
                format!(r#"{{"type":6,"{name}":{value}}}"#),
                format!(r#"{{"{name}":{value},"type":99}}"#),
            ] {
                assert_fault(record, &not_of(name, "String"));
            }
        }
    }
    for name in ["arguments", "streamIds"] {
        for value in ["null", "1", "{}", r#""a""#] {
            let record = format!(r#"{{"type":6,"{name}":{value}}}"#);
            assert_fault(record, &not_of(name, "Array"));
        }
    }
    for value in ["null", "1", r#""true""#] {
        assert_fault(
            format!(r#"{{"type":7,"allowReconnect":{value}}}"#),
            "Expected 'allowReconnect' to be true or false.",
        );
    }
}

#[test]
fn j_06_missing_members_have_their_text() {
    for (record, name) in [
        (r"{}", "type"),
        (r#"{"Type":6}"#, "type"),
        (r#"{"type":1}"#, "target"),
        (r#"{"type":1,"arguments":[]}"#, "target"),
        (r#"{"type":1,"target":""}"#, "target"),
        (r#"{"type":1,"target":"T"}"#, "arguments"),
        (r#"{"type":4}"#, "target"),
        (r#"{"type":4,"invocationId":"1"}"#, "target"),
        (r#"{"type":4,"target":"T"}"#, "invocationId"),
        (
            r#"{"type":4,"target":"T","arguments":[],"invocationId":""}"#,
            "invocationId",
        ),
        (r#"{"type":4,"target":"T","invocationId":"1"}"#, "arguments"),
        (r#"{"type":4,"target":"","invocationId":"1"}"#, "arguments"),
        (r#"{"type":2}"#, "invocationId"),
        (r#"{"type":2,"item":1}"#, "invocationId"),
        (r#"{"type":2,"invocationId":""}"#, "invocationId"),
        (r#"{"type":2,"invocationId":"1"}"#, "item"),
        (r#"{"type":3,"result":1}"#, "invocationId"),
        (
            r#"{"type":3,"invocationId":"","error":"x","result":1}"#,
            "invocationId",
        ),
        (r#"{"type":5}"#, "invocationId"),
        (r#"{"type":5,"invocationId":""}"#, "invocationId"),
        (r#"{"type":8}"#, "sequenceId"),
        (r#"{"type":8,"sequenceId":null}"#, "sequenceId"),
        (
            r#"{"type":9,"sequenceId":1,"sequenceId":null}"#,
            "sequenceId",
        ),
    ] {
        assert_fault(record, &format!("Missing required property '{name}'."));
    }
}

#[test]
fn j_06_error_and_result_exclude_each_other() {
    for record in [
        r#"{"type":3,"invocationId":"1","error":"e","result":1}"#,
        r#"{"type":3,"invocationId":"1","result":null,"error":""}"#,
    ] {
        assert_fault(
            record,
            "The 'error' and 'result' properties are mutually exclusive.",
        );
    }
}

#[test]
fn j_06_stream_ids_and_headers_are_strings() {
    for (value, text) in [
        ("[null]", "Null value for 'streamIds' is not valid."),
        (
            r#"["a",2,null]"#,
            "InvalidOperationException: Cannot get the value of a token type 'Number' as a string.",
        ),
        (
            "[{}]",
            "InvalidOperationException: Cannot get the value of a token type 'StartObject' as a string.",
        ),
        (
            "[[]]",
            "InvalidOperationException: Cannot get the value of a token type 'StartArray' as a string.",
        ),
        (
            r#"["a",false]"#,
            "InvalidOperationException: Cannot get the value of a token type 'False' as a string.",
        ),
    ] {
        assert_fault(format!(r#"{{"type":6,"streamIds":{value}}}"#), text);
    }
    for (value, text) in [
        ("[]", "Expected 'headers' to be of type StartObject."),
        ("null", "Expected 'headers' to be of type StartObject."),
        (r#"{"a":1}"#, "Expected header 'a' to be of type String."),
        (
            r#"{"a":"b","\u0063":null}"#,
            "Expected header 'c' to be of type String.",
        ),
        (r#"{"a":{}}"#, "Expected header 'a' to be of type String."),
    ] {
        assert_fault(format!(r#"{{"type":6,"headers":{value}}}"#), text);
    }
}

#[test]
fn j_06_j_10_what_is_no_json_is_refused() {
    for record in [
        "",
        "   ",
        "hello",
        "\u{feff}{\"type\":6}",
        "\u{a0}{\"type\":6}",
        "\u{b}{\"type\":6}",
        r#"{"type":6"#,
        r#"{"type":6,}"#,
        r#"{"type":6/* no */}"#,
        "{'type':6}",
        "{type:6}",
        r#"{"type":6,"x":NaN}"#,
        r#"{"type":6,"x":01}"#,
        r#"{"type":6,"x":+1}"#,
        r#"{"type":6,"x":.5}"#,
        r#"{"type":6,"x":1.}"#,
        r#"{"type":6,"x":1e}"#,
        r#"{"type":6,"x":-}"#,
        r#"{"type":6,"x":tru}"#,
        r#"{"type":6,"x":[1,}"#,
        r#"{"type":6,"x":[1,]}"#,
        r#"{"type":6,"x":[1}}"#,
        r#"{"type":6,"x":"\x"}"#,
        r#"{"type":6,"x":"\u12G4"}"#,
        "{\"type\":6,\"x\":\"a\nb\"}",
        "{\"type\":6,\"x\":\"\0\"}",
        "{\"type\":6,\"x\":\"\x1e\"}",
        "\"x",
        "1x",
        "tru",
        r#"{"type" 6}"#,
        r#"{1:6}"#,
        "{",
    ] {
        assert_fault(record, "Error reading JSON.");
    }
    for record in [
        &b"\xff"[..],
        b"{\"type\":6\xff}",
        b"{\xff\"type\":6}",
        b"{\"type\":6,\"x\":\"\\\xff\"}",
    ] {
        assert_fault(record, "Error reading JSON.");
    }
}

#[test]
fn j_06_strings_that_are_read_must_be_utf_8() {
    const TEXT: &str =
        "InvalidOperationException: Cannot transcode invalid UTF-8 JSON text to UTF-16 string.";
    for record in [
        &b"{\"type\":6,\"target\":\"Ze\xffo\"}"[..],
        b"{\"type\":6,\"target\":\"\\n\xff\"}",
        b"{\"type\":6,\"invocationId\":\"\xc3\"}",
        b"{\"type\":6,\"error\":\"\xed\xa0\x80\"}",
        b"{\"type\":6,\"streamIds\":[\"\xff\"]}",
        b"{\"type\":6,\"headers\":{\"\xff\":\"a\"}}",
        b"{\"type\":6,\"headers\":{\"a\":\"\xff\"}}",
    ] {
        assert_fault(record, TEXT);
    }
    // Values wait for their type, and what is skipped is not read.
    for record in [
        &b"{\"type\":6,\"x\":{\"\xff\":\"\xff\"}}"[..],
        b"{\"type\":6,\"\xff\":\"\xc3\"}",
    ] {
        assert_eq!(message(record), HubMessage::Ping);
    }
    let HubMessage::Invocation(call) = message(
        b"{\"x\":\"\xf0\x9f\",\"type\":1,\"target\":\"\xc3\xa9\",\"arguments\":[\"\xff\"]}",
    ) else {
        panic!("an invocation")
    };
    assert_eq!(call.target, "é");
    assert_eq!(call.arguments, &b"[\"\xff\"]"[..]);
}

#[test]
fn j_06_lone_surrogates_are_refused_where_strings_are_read() {
    const TEXT: &str =
        "InvalidOperationException: Cannot read a lone surrogate in JSON text as string.";
    for lone in [
        r"\ud800",
        r"\udc00x",
        r"\ud800\ud800",
        r"\ud800\n",
        r"\ud800A",
    ] {
        for record in [
            format!(r#"{{"type":6,"target":"{lone}"}}"#),
            format!(r#"{{"type":6,"streamIds":["{lone}"]}}"#),
            format!(r#"{{"type":6,"headers":{{"{lone}":""}}}}"#),
            format!(r#"{{"type":6,"{lone}":1}}"#),
        ] {
            assert_fault(record, TEXT);
        }
        for record in [
            format!(r#"{{"type":6,"x":"{lone}"}}"#),
            format!(r#"{{"type":6,"arguments":["{lone}",{{"{lone}":0}}]}}"#),
        ] {
            assert_eq!(message(record), HubMessage::Ping);
        }
    }
}
