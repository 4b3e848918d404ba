//! What the real server answers, to each text and to each form of bytes.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use proptest::prelude::*;

use super::{Binary, Timestamp};
use crate::protocol::{Encoding, Names, Protocol};

const JSON: Encoding = Encoding {
    protocol: Protocol::Json,
    names: Names::AsDeclared,
};
const MESSAGEPACK: Encoding = Encoding {
    protocol: Protocol::MessagePack,
    names: Names::AsDeclared,
};

/// A string as JSON.
fn json(text: &str) -> Bytes {
    JSON.encode(text).unwrap()
}

#[test]
fn j_11_dates_are_read_as_iso_8601_and_written_in_utc() {
    for (read, written) in [
        ("2024-02-28T23:59:59Z", "2024-02-28T23:59:59Z"),
        (
            "2024-02-28T23:59:59.1234567Z",
            "2024-02-28T23:59:59.1234567Z",
        ),
        ("2024-02-28T23:59:59.120Z", "2024-02-28T23:59:59.12Z"),
        ("2024-02-28T23:59:59.0000000Z", "2024-02-28T23:59:59Z"),
        (
            "2024-02-28T23:59:59.0000001Z",
            "2024-02-28T23:59:59.0000001Z",
        ),
        (
            "2024-02-28T23:59:59.12345678Z",
            "2024-02-28T23:59:59.1234567Z",
        ),
        (
            "2024-02-28T10:00:00.1234567890123456Z",
            "2024-02-28T10:00:00.1234567Z",
        ),
        ("2024-02-28T23:59:59", "2024-02-28T23:59:59"),
        ("2024-02-28", "2024-02-28T00:00:00"),
        ("2024-02-28T23:59", "2024-02-28T23:59:00"),
        ("2024-02-28T23:59Z", "2024-02-28T23:59:00Z"),
        ("2024-02-28T10:00+01:00", "2024-02-28T09:00:00+00:00"),
        ("2024-02-28T10:00:00+02:00", "2024-02-28T08:00:00+00:00"),
        ("2024-02-28T10:00:00+02", "2024-02-28T08:00:00+00:00"),
        ("2024-02-28T10:00:00.5-05:30", "2024-02-28T15:30:00.5+00:00"),
        ("2024-02-28T10:00:00+14:00", "2024-02-27T20:00:00+00:00"),
        ("2024-02-28T10:00:00-00:00", "2024-02-28T10:00:00+00:00"),
        ("0001-01-01T00:00:00", "0001-01-01T00:00:00"),
        (
            "9999-12-31T23:59:59.9999999Z",
            "9999-12-31T23:59:59.9999999Z",
        ),
        ("1969-12-31T23:59:59.9Z", "1969-12-31T23:59:59.9Z"),
        ("2000-02-29", "2000-02-29T00:00:00"),
        ("1900-03-01", "1900-03-01T00:00:00"),
    ] {
        let timestamp = JSON.decode::<Timestamp>(&json(read));
        let encoded = timestamp.and_then(|timestamp| JSON.encode(&timestamp));
        assert_eq!(encoded, Ok(json(written)), "{read}");
    }
}

#[test]
fn j_11_other_texts_are_no_dates() {
    for text in [
        "",
        "2024",
        "2024-02-30",
        "2023-02-29",
        "1900-02-29",
        "2024-00-10",
        "2024-13-10",
        "2024-02-00",
        "0000-01-01",
        "28.02.2024",
        "2024-2-28",
        "20240228",
        " 2024-02-28",
        "2024-02-28 10:00:00",
        "2024-02-28Z",
        "2024-02-28T",
        "2024-02-28T10",
        "2024-02-28T10Z",
        "2024-02-28T10:60",
        "2024-02-28T24:00:00",
        "2024-02-28T23:59:60",
        "2024-02-28t10:00:00Z",
        "2024-02-28T10:00:00z",
        "2024-02-28T10:00:00Z ",
        "2024-02-28T10:00:00.",
        "2024-02-28T10:00:00..Z",
        "2024-02-28T10:00:00,5Z",
        "2024-02-28T10:00:00.12345678901234567Z",
        "2024-02-28T10:00:00+0230",
        "2024-02-28T10:00:00+02:60",
        "2024-02-28T10:00:00+14:01",
        "2024-02-28T10:00:00+",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "２024-02-28",
    ] {
        assert!(JSON.decode::<Timestamp>(&json(text)).is_err(), "{text}");
    }
    assert!(JSON.decode::<Timestamp>(b"0").is_err());
    assert!(JSON.decode::<Timestamp>(b"null").is_err());
}

#[test]
fn m_08_dates_are_read_from_three_forms_and_written_in_the_shortest() {
    let cases: [(&[u8], &[u8]); 9] = [
        (b"\xd6\xff\x65\xdf\xc9\x7f", b"\xd6\xff\x65\xdf\xc9\x7f"),
        (
            b"\xd7\xff\0\0\0\0\x65\xdf\xc9\x7f",
            b"\xd6\xff\x65\xdf\xc9\x7f",
        ),
        // Cut to 100 ns, as in message 3 of the real server's conversation.
        (
            b"\xd7\xff\x1d\x6f\x34\x54\x65\xdf\xc9\x7f",
            b"\xd7\xff\x1d\x6f\x32\xf0\x65\xdf\xc9\x7f",
        ),
        (
            b"\xc7\x0c\xff\0\0\0\0\0\0\0\0\x65\xdf\xc9\x7f",
            b"\xd6\xff\x65\xdf\xc9\x7f",
        ),
        (
            b"\xc7\x0c\xff\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\xc7\x0c\xff\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff",
        ),
        (b"\xd6\xff\0\0\0\0", b"\xd6\xff\0\0\0\0"),
        (b"\xd6\xff\xff\xff\xff\xff", b"\xd6\xff\xff\xff\xff\xff"),
        (b"\xd7\xff\0\0\0\x01\0\0\0\0", b"\xd7\xff\0\0\0\x01\0\0\0\0"),
        (
            b"\xc7\x0c\xff\0\0\0\0\0\0\0\x04\0\0\0\0",
            b"\xc7\x0c\xff\0\0\0\0\0\0\0\x04\0\0\0\0",
        ),
    ];
    for (read, written) in cases {
        let timestamp = MESSAGEPACK.decode::<Timestamp>(read);
        let encoded = timestamp.and_then(|timestamp| MESSAGEPACK.encode(&timestamp));
        assert_eq!(encoded.as_deref(), Ok(written), "{read:x?}");
    }
}

#[test]
fn m_08_other_values_are_no_dates() {
    let refused: [&[u8]; 9] = [
        b"\x05",
        b"\xc0",
        b"\xb42024-02-28T23:59:59Z",
        b"\xd6\x00\x65\xdf\xc9\x7f",
        b"\xd4\xff\x00",
        b"\xc7\x00\xff",
        b"\xd7\xff\xff\xff\xff\xff\x65\xdf\xc9\x7f",
        b"\xc7\x0c\xff\0\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"\xc4\x04\x65\xdf\xc9\x7f",
    ];
    for value in refused {
        assert!(
            MESSAGEPACK.decode::<Timestamp>(value).is_err(),
            "{value:x?}"
        );
    }
}

#[test]
fn a_timestamp_is_a_system_time_as_far_as_its_years_go() {
    let half_a_step = Duration::from_nanos(50);
    let before = Timestamp::from(SystemTime::UNIX_EPOCH - half_a_step);
    assert_eq!(
        (before.unix_seconds(), before.nanoseconds()),
        (-1, 999_999_900)
    );
    let behind = Timestamp::from(SystemTime::UNIX_EPOCH + half_a_step);
    assert_eq!(behind, Timestamp::UNIX_EPOCH);
    for end in [Timestamp::MIN, Timestamp::MAX] {
        assert_eq!(Timestamp::from(SystemTime::from(end)), end);
        let copy = Timestamp::from_unix(end.unix_seconds(), end.nanoseconds());
        assert_eq!(copy, Ok(end));
    }
    let year = Duration::from_secs(366 * 86_400);
    let too_late = SystemTime::from(Timestamp::MAX) + year;
    assert_eq!(Timestamp::from(too_late), Timestamp::MAX);
    let too_early = SystemTime::from(Timestamp::MIN) - year;
    assert_eq!(Timestamp::from(too_early), Timestamp::MIN);
    assert!(Timestamp::from_unix(i64::MAX, 0).is_err());
    assert!(Timestamp::from_unix(i64::MIN, 999_999_999).is_err());
    assert!(Timestamp::from_unix(0, 1_000_000_000).is_err());
}

#[test]
fn j_11_bytes_are_base64_with_padding() {
    let cases: [(&str, Option<&[u8]>); 16] = [
        ("AQID", Some(&[1, 2, 3])),
        ("", Some(&[])),
        (" ", Some(&[])),
        ("AQ==", Some(&[1])),
        ("AQI=", Some(&[1, 2])),
        ("+/+/", Some(&[0xFB, 0xFF, 0xBF])),
        ("A Q==", Some(&[1])),
        ("A\r\nQ\t==\n", Some(&[1])),
        ("AQI", None),
        ("AQ", None),
        ("A", None),
        ("AQ=", None),
        ("AR==", None),
        ("-_-_", None),
        ("AQID====", None),
        ("AQ==AQ==", None),
    ];
    for (text, bytes) in cases {
        let binary = JSON.decode::<Binary>(&json(text)).ok();
        assert_eq!(binary.as_deref(), bytes, "{text:?}");
    }
    assert!(JSON.decode::<Binary>(b"[1,2]").is_err());
    assert!(JSON.decode::<Binary>(b"null").is_err());
}

#[test]
fn m_08_bytes_are_bin_and_read_from_strings_and_numbers_too() {
    let cases: [(&[u8], Option<&[u8]>); 8] = [
        (b"\xc4\x03\x01\x02\x03", Some(&[1, 2, 3])),
        (b"\xc5\0\x01\x09", Some(&[9])),
        (b"\xc4\0", Some(&[])),
        (b"\x93\x01\x02\xcc\xff", Some(&[1, 2, 255])),
        (b"\xa4AQID", Some(b"AQID")),
        (b"\x91\xcd\x01\0", None),
        (b"\xc0", None),
        (b"\x05", None),
    ];
    for (value, bytes) in cases {
        let binary = MESSAGEPACK.decode::<Binary>(value).ok();
        assert_eq!(binary.as_deref(), bytes, "{value:x?}");
    }
    let long = Binary::from(vec![7; 256]);
    assert_eq!(MESSAGEPACK.encode(&long).unwrap()[..3], [0xC5, 1, 0]);
}

proptest! {
    #[test]
    fn both_read_what_they_wrote(
        bytes: Vec<u8>,
        ticks in Timestamp::MIN.ticks()..=Timestamp::MAX.ticks(),
    ) {
        let values = (Binary::from(bytes), Timestamp::from_ticks(ticks));
        for encoding in [JSON, MESSAGEPACK] {
            let encoded = encoding.encode(&values).unwrap();
            prop_assert_eq!(encoding.decode(&encoded), Ok(values.clone()));
        }
    }

    #[test]
    fn no_text_makes_dates_panic(text: String, near in "[0-9TZ:+.-]{0,30}") {
        let _ = text.parse::<Timestamp>();
        let _ = near.parse::<Timestamp>();
    }
}

impl Timestamp {
    fn ticks(self) -> i64 {
        self.unix_seconds() * 10_000_000 + i64::from(self.nanoseconds() / 100)
    }

    fn from_ticks(ticks: i64) -> Self {
        let nanoseconds = ticks.rem_euclid(10_000_000) as u32 * 100;
        Self::from_unix(ticks.div_euclid(10_000_000), nanoseconds).unwrap()
    }
}

#[test]
fn an_extension_has_the_name_that_rmp_serde_gives_it() {
    assert_eq!(
        super::timestamp::EXTENSION_NAME,
        rmp_serde::MSGPACK_EXT_STRUCT_NAME
    );
}
