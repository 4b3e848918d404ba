//! What a reader refuses, in .NET's words.

use bytes::Bytes;

use super::{decode, hex};

fn error(record: &Bytes) -> String {
    decode(record).expect_err("an error").to_string()
}

/// All seen at ASP.NET Core 10.0.12.
#[test]
fn m_06_errors() {
    const ID: &str = "Reading 'invocationId' as String failed.";
    const TARGET: &str = "Reading 'target' as String failed.";
    const HEADERS: &str = "Reading map length for 'headers' failed.";
    const STREAMS: &str = "Reading array length for 'streamIds' failed.";
    const KIND: &str = "Reading 'resultKind' as Int32 failed.";
    const TYPE: &str = "Reading 'messageType' as Int32 failed.";
    const SEQUENCE: &str = "Reading 'sequenceId' as Int64 failed.";
    let cases = [
        ("90", TYPE),
        ("91 c0", TYPE),
        ("91 a136", TYPE),
        ("91 cb4018000000000000", TYPE),
        ("91 d3", TYPE),
        ("91 ce80000000", TYPE),
        ("91 cf0000000100000001", TYPE),
        ("96 01 c0 a131 a45a65726f 90 90", HEADERS),
        ("96 01 90 a131 a45a65726f 90 90", HEADERS),
        ("96 01 df ff ff ff ff", HEADERS),
        ("96 01 8f a161 a162 a131 a45a65726f 90 90", HEADERS),
        (
            "96 01 81 01 a161 a131 a45a65726f 90 90",
            "Reading 'headers[0].Key' as String failed.",
        ),
        (
            "96 01 81 a161 01 a131 a45a65726f 90 90",
            "Reading 'headers[0].Value' as String failed.",
        ),
        (
            "96 01 82 a161 a162 01 a131 a45a65726f",
            "Reading 'headers[1].Key' as String failed.",
        ),
        (
            "96 01 81 a0 a161 a131 a45a65726f 90 90",
            "Null or empty key in header.",
        ),
        (
            "96 01 81 c0 a161 a131 a45a65726f 90 90",
            "Null or empty key in header.",
        ),
        (
            "96 01 81 a161 a0 a131 a45a65726f 90 90",
            "Null or empty value in header.",
        ),
        (
            "96 01 81 a161 c0 a131 a45a65726f 90 90",
            "Null or empty value in header.",
        ),
        ("96 01 80 01 a45a65726f 90 90", ID),
        ("96 01 80 c40131 a45a65726f 90 90", ID),
        ("96 01 81 a161 a162 01 31", ID),
        ("96 01 80 a131 05 90 90", TARGET),
        ("96 01 80 a131 c4045a65726f 90 90", TARGET),
        (
            "96 01 80 a131 a0 90 90",
            "Null or empty target for Invocation message.",
        ),
        (
            "96 01 80 a131 c0 90 90",
            "Null or empty target for Invocation message.",
        ),
        (
            "96 04 80 a131 c0 90 90",
            "Null or empty target for StreamInvocation message.",
        ),
        (
            "96 04 80 c0 a15a 90 90",
            "Null or empty invocation ID for StreamInvocation message.",
        ),
        (
            "96 04 80 a0 a15a 90 90",
            "Null or empty invocation ID for StreamInvocation message.",
        ),
        (
            "94 02 80 c0 01",
            "Null or empty invocation ID for StreamItem message.",
        ),
        (
            "94 03 80 c0 02",
            "Null or empty invocation ID for Completion message.",
        ),
        (
            "93 05 80 c0",
            "Null or empty invocation ID for CancelInvocation message.",
        ),
        ("96 01 80 a131 a45a65726f 90 c0", STREAMS),
        ("96 01 80 a131 a45a65726f 90 80", STREAMS),
        ("96 01 80 a131 a45a65726f 90", STREAMS),
        ("96 01 80 a131 a45a65726f 90 ddffffffff", STREAMS),
        ("96 01 80 a131 a45a65726f 90 92 00", STREAMS),
        (
            "96 01 80 a131 a45a65726f 90 91 a0",
            "Null or empty value in streamIds received.",
        ),
        (
            "96 01 80 a131 a45a65726f 90 91 c0",
            "Null or empty value in streamIds received.",
        ),
        ("95 03 80 a139 04 01", "Invalid invocation result kind."),
        ("95 03 80 a139 00 01", "Invalid invocation result kind."),
        ("95 03 80 a139 ff 01", "Invalid invocation result kind."),
        ("95 03 80 a139 c0 01", KIND),
        ("95 03 80 a139 ce80000000", KIND),
        ("94 03 80 a139 01", "Reading 'error' as String failed."),
        ("95 03 80 a139 01 05", "Reading 'error' as String failed."),
        ("91 07", "Reading 'error' as String failed."),
        ("92 07 05", "Reading 'error' as String failed."),
        ("93 07 c0 01", "Reading 'allowReconnect' as Boolean failed."),
        ("93 07 c0 c0", "Reading 'allowReconnect' as Boolean failed."),
        ("91 08", SEQUENCE),
        ("92 08 c0", SEQUENCE),
        ("92 09 cf8000000000000000", SEQUENCE),
        ("92 09 cb0000000000000000", SEQUENCE),
    ];
    for (record, text) in cases {
        assert_eq!(
            error(&hex(record)),
            format!("InvalidDataException: {text}"),
            "{record}"
        );
    }
}

#[test]
fn m_06_a_record_shorter_than_its_content() {
    for record in [
        "",
        "92",
        "dc",
        "dd",
        "dc00",
        "ddffffffff",
        "dd80000000",
        "92 06",
        "96 01 80 a131",
        "96 01 80 a5",
        "96 01 80 d9",
        "96 01 81 a161",
        "94 02 80 a0",
        "92 07",
        "92 09",
        "96 01 80 a131 a45a65726f 90 92 a178",
        "96 01 80 a131 a45a65726f 90 91 a578",
        "96 01 80 a131 a45a65726f 90 91 d9",
    ] {
        let text = "EndOfStreamException: Attempted to read past the end of the stream.";
        assert_eq!(error(&hex(record)), text, "{record}");
    }
}

#[test]
fn m_06_unexpected_codes() {
    let cases = [
        ("06", "6 (positive fixint)"),
        ("80", "128 (fixmap)"),
        ("a161", "161 (fixstr)"),
        ("c0", "192 (nil)"),
        ("c1", "193 ((never used))"),
        ("c2", "194 (false)"),
        ("c3", "195 (true)"),
        ("c400", "196 (bin 8)"),
        ("c50000", "197 (bin 16)"),
        ("c600000000", "198 (bin 32)"),
        ("c70000", "199 (ext 8)"),
        ("c8000000", "200 (ext 16)"),
        ("c90000000000", "201 (ext 32)"),
        ("ca00000000", "202 (float 32)"),
        ("cb0000000000000000", "203 (float 64)"),
        ("cc00", "204 (uint 8)"),
        ("cd0000", "205 (uint 16)"),
        ("ce00000000", "206 (uint 32)"),
        ("cf0000000000000000", "207 (uint 64)"),
        ("d000", "208 (int 8)"),
        ("d10000", "209 (int 16)"),
        ("d200000000", "210 (int 32)"),
        ("d30000000000000000", "211 (int 64)"),
        ("d40000", "212 (fixext 1)"),
        ("d5000000", "213 (fixext 2)"),
        ("d6", "214 (fixext 4)"),
        ("d7", "215 (fixext 8)"),
        ("d8", "216 (fixext 16)"),
        ("d9", "217 (str 8)"),
        ("da", "218 (str 16)"),
        ("db", "219 (str 32)"),
        ("de", "222 (map 16)"),
        ("df", "223 (map 32)"),
        ("e0", "224 (negative fixint)"),
        ("ff", "255 (negative fixint)"),
        ("96 01 80 a131 a45a65726f 90 91 05", "5 (positive fixint)"),
        ("96 01 80 a131 a45a65726f 90 91 c40178", "196 (bin 8)"),
        ("96 01 80 a131 a45a65726f 90 91 90", "144 (fixarray)"),
        ("96 01 80 a131 a45a65726f 90 91 dc0000", "220 (array 16)"),
        (
            "96 01 80 a131 a45a65726f 90 91 dd00000000",
            "221 (array 32)",
        ),
    ];
    for (record, code) in cases {
        let text = format!(
            "MessagePackSerializationException: Unexpected msgpack code {code} encountered."
        );
        assert_eq!(error(&hex(record)), text, "{record}");
    }
}
