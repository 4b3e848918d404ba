use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use proptest::prelude::*;

use super::{HandshakeRequest, HandshakeResponse};

fn request(record: impl AsRef<[u8]>) -> Result<(String, i32), String> {
    HandshakeRequest::decode(&Bytes::copy_from_slice(record.as_ref()))
        .map(|request| (request.protocol.to_string(), request.version))
        .map_err(|error| error.to_string())
}

fn response(record: &str) -> Result<Option<ByteString>, String> {
    HandshakeResponse::decode(&Bytes::copy_from_slice(record.as_bytes()))
        .map(|response| response.error)
        .map_err(|error| error.to_string())
}

#[test]
fn h_01_the_request_is_written_and_read() {
    let mut out = BytesMut::new();
    let asked = HandshakeRequest {
        protocol: "json".into(),
        version: 1,
    };
    asked.encode(&mut out);
    assert_eq!(out, &b"{\"protocol\":\"json\",\"version\":1}\x1e"[..]);
    assert_eq!(request(&out[..out.len() - 1]), Ok(("json".to_owned(), 1)));
}

#[test]
fn h_02_the_answer_is_an_empty_object_or_an_error() {
    for (error, wanted) in [
        (None, "{}\x1e"),
        (Some("no"), "{\"error\":\"no\"}\x1e"),
        (Some(""), "{\"error\":\"\"}\x1e"),
        (Some("\"\x1e"), "{\"error\":\"\\\"\\u001E\"}\x1e"),
    ] {
        let error = error.map(ByteString::from);
        let mut out = BytesMut::new();
        HandshakeResponse {
            error: error.clone(),
        }
        .encode(&mut out);
        assert_eq!(out, wanted.as_bytes());
        assert_eq!(response(&wanted[..wanted.len() - 1]), Ok(error));
    }
}

#[test]
fn h_02_an_answer_is_read_with_unknown_members_and_not_with_a_type() {
    assert_eq!(response(r#"{"x":[1],"Error":1}x"#), Ok(None));
    assert_eq!(
        response(r#"{"error":"a","error":"b"}"#),
        Ok(Some("b".into()))
    );
    for (record, text) in [
        (
            r#"{"type":6}"#,
            "InvalidDataException: Expected a handshake response from the server.",
        ),
        (
            r#"{"error":null}"#,
            "InvalidDataException: Expected 'error' to be of type String.",
        ),
        (
            "[]",
            "InvalidDataException: Unexpected JSON Token Type 'Array'. Expected a JSON Object.",
        ),
    ] {
        assert_eq!(response(record), Err(text.to_owned()), "{record}");
    }
}

#[test]
fn h_04_members_in_any_order_twice_unknown_escaped() {
    for record in [
        r#"{"x":[1,{"a":2}],"version":1,"y":null,"protocol":"json","z":"s"}"#,
        r#"{"protocol":"xml","version":9,"protocol":"json","version":1}"#,
        r#"{"protocol":"json","version":null,"version":1}"#,
        r#"{"\u0070rotocol":"\u006ason","version":1}"#,
        r#" { "protocol" : "json" , "version" : 1 } "#,
        r#"{"protocol":"json","version":1}x"#,
        r#"{"protocol":"json","version":1}{}"#,
        r#"{"protocol":"json","version":1,"type":6}"#,
    ] {
        assert_eq!(request(record), Ok(("json".to_owned(), 1)), "{record}");
    }
    let unread = b"{\"version\":1,\"\xff\":\"\xff\",\"protocol\":\"json\"}";
    assert_eq!(request(unread), Ok(("json".to_owned(), 1)));
}

#[test]
fn h_04_missing_members_are_named_with_the_record() {
    for (record, name) in [
        ("{}", "protocol"),
        ("{}x", "protocol"),
        (r#"  {"x":1} "#, "protocol"),
        (r#"{"Protocol":"json","Version":1}"#, "protocol"),
        (r#"{"version":1}"#, "protocol"),
        (r#"{"protocol":"json"}"#, "version"),
        (r#"{"protocol":"json","version":null}"#, "version"),
        (
            r#"{"protocol":"json","version":1,"version":null}"#,
            "version",
        ),
    ] {
        let text = format!(
            "InvalidDataException: Missing required property '{name}'. Message content: {record}"
        );
        assert_eq!(request(record), Err(text));
    }
    let text = "InvalidDataException: Missing required property 'protocol'. Message content: {\"x\u{fffd}\":1}";
    assert_eq!(request(b"{\"x\xff\":1}"), Err(text.to_owned()));
}

#[test]
fn h_04_each_fault_has_its_text() {
    const INT32: &str = "FormatException: Either the JSON value is not in a supported format, or is out of bounds for an Int32.";
    for version in ["1.0", "1e0", "1E0", "2147483648", "-2147483649"] {
        let record = format!(r#"{{"protocol":"json","version":{version}}}"#);
        assert_eq!(request(record), Err(INT32.to_owned()), "{version}");
    }
    for version in ["2147483647", "-2147483648", "-0", "2"] {
        let record = format!(r#"{{"protocol":"json","version":{version}}}"#);
        assert_eq!(
            request(record),
            Ok(("json".to_owned(), version.parse().unwrap()))
        );
    }
    for (record, text) in [
        (
            r#"{"protocol":null}"#,
            "Expected 'protocol' to be of type String.",
        ),
        (
            r#"{"protocol":{}}"#,
            "Expected 'protocol' to be of type String.",
        ),
        (
            r#"{"version":"1","protocol":5}"#,
            "Expected 'version' to be of type Number.",
        ),
        (
            r#"{"version":true}"#,
            "Expected 'version' to be of type Number.",
        ),
        (
            r#"["json",1]"#,
            "Unexpected JSON Token Type 'Array'. Expected a JSON Object.",
        ),
        (
            "null",
            "Unexpected JSON Token Type 'Null'. Expected a JSON Object.",
        ),
        (
            "1",
            "Unexpected JSON Token Type 'Number'. Expected a JSON Object.",
        ),
    ] {
        assert_eq!(
            request(record),
            Err(format!("InvalidDataException: {text}"))
        );
    }
    assert_eq!(
        request(b"{\"protocol\":\"\xff\",\"version\":1}"),
        Err(
            "InvalidOperationException: Cannot transcode invalid UTF-8 JSON text to UTF-16 string."
                .to_owned()
        )
    );
}

#[test]
fn h_04_what_is_no_json_is_a_json_reader_exception() {
    let nested = |levels| {
        let (open, close) = ("[".repeat(levels), "]".repeat(levels));
        format!(r#"{{"protocol":"json","version":1,"x":{open}{close}}}"#)
    };
    assert!(request(nested(63)).is_ok());
    for record in [
        "",
        "hello",
        "\u{feff}{\"protocol\":\"json\",\"version\":1}",
        r#"{"protocol":"json",/* */"version":1}"#,
        r#"{"protocol":"json","version":1,}"#,
        r#"{"protocol":"json","version":1"#,
        &nested(64),
        &"[{".repeat(1 << 20)[1..],
    ] {
        let error = request(record).unwrap_err();
        assert!(error.starts_with("JsonReaderException: "), "{error}");
        assert!(error.len() < 200, "{error}");
    }
}

proptest! {
    #[test]
    fn h_01_any_request_comes_back(protocol in any::<String>(), version in any::<i32>()) {
        let mut out = BytesMut::new();
        let asked = HandshakeRequest { protocol: protocol.into(), version };
        asked.encode(&mut out);
        prop_assert_eq!(HandshakeRequest::decode(&out.freeze()), Ok(asked));
    }
}
